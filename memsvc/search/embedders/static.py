"""The `static` embedder: the mean of the vectors of a text's words, from a table that ships with memsvc.

No model runs and nothing is sent anywhere: 30 to 60 us a text. numpy and the table are loaded with the first text.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from memsvc.search.embedders.contract import embed_in_slices
from memsvc.search.embedders.table import FOLDER, Table, read_table
from memsvc.search.embedders.wordpiece import WordPiece

NAME = "static-minilm-256-1"
"""Goes on where the table, or how texts are cut, changes."""
_UNKNOWN = -1


class StaticEmbedder:
    """Embeds by a table of word vectors."""

    instant = True

    def __init__(self, folder: Path = FOLDER, name: str = NAME) -> None:
        self.name = name
        self._folder = folder

    def load(self) -> None:
        """Load what the first text would have to wait for; in any thread."""
        _ = self._table, self._tokenizer

    async def embed(self, texts: Sequence[str]) -> Sequence[bytes]:
        return await embed_in_slices(self.vector, texts)

    def vector(self, text: str) -> bytes:
        """Return the vector of one text."""
        import numpy as np

        table = self._table
        pieces = [piece for piece in self._tokenizer.pieces(text) if piece.number != _UNKNOWN]
        if not pieces:
            return bytes(table.rows.shape[1])
        numbers = np.array([piece.number for piece in pieces])
        # A name that is cut into short pieces means none of them; "skis" means "ski".
        coverages = np.array([piece.coverage**2 for piece in pieces], np.float32)
        total = (coverages * table.scales.take(numbers)) @ table.rows.take(numbers, axis=0)
        largest = float(np.maximum.reduce(np.abs(total)))
        return np.rint(total * (127 / largest)).astype(np.int8).tobytes() if largest else bytes(len(total))

    async def close(self) -> None:
        return None

    @cached_property
    def _table(self) -> Table:
        return read_table(self._folder)

    @cached_property
    def _tokenizer(self) -> WordPiece:
        return WordPiece(self._table.pieces, _UNKNOWN)
