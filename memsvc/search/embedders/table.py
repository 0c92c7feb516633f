"""The file of the `static` embedder: a row of int8 for each piece of a vocabulary, and what each row is scaled by.

`pieces.txt` names the pieces, one a line. `rows.bin` has their scales (float16), then their rows (int8). It is mapped
into memory, not read: only the rows of words that are met take room, once for all processes of a machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FOLDER = Path(__file__).parent / "minilm"


class Table(Struct, frozen=True):
    """Rows by the number of their piece; the vector of a piece is its row times its scale."""

    pieces: dict[str, int]
    rows: NDArray[np.int8]
    scales: NDArray[np.float32]


def read_table(folder: Path = FOLDER) -> Table:
    """Map a table into memory."""
    import numpy as np

    names = (folder / "pieces.txt").read_text(encoding="utf-8").splitlines()
    count = len(names)
    # As a plain array: each view of a `memmap` costs more than what is done with it.
    whole = np.asarray(np.memmap(folder / "rows.bin", dtype=np.int8, mode="r"))
    scales = whole[: 2 * count].view(np.float16).astype(np.float32)
    rows = whole[2 * count :].reshape(count, -1)
    # Pieces that say nothing need no place: an unknown one says as much.
    pieces = {name: number for number, name in enumerate(names) if scales[number]}
    return Table(pieces, rows, scales)


def write_table(folder: Path, pieces: Sequence[str], vectors: NDArray[np.float32]) -> None:
    """Store a vector for each piece."""
    import numpy as np

    scales = (np.abs(vectors).max(axis=1) / 127).astype(np.float16)
    divisors = np.where(scales > 0, scales, 1).astype(np.float32)
    rows = np.clip(np.rint(vectors / divisors[:, None]), -127, 127).astype(np.int8)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pieces.txt").write_text("".join(f"{piece}\n" for piece in pieces), encoding="utf-8")
    (folder / "rows.bin").write_bytes(scales.tobytes() + rows.tobytes())
