"""What an embedder is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol, cast


class EmbeddingFailed(Exception):
    """The embedder does not answer, or not usably. The text is for people, and holds none that was embedded."""

    def __init__(self, detail: str, retry_after_seconds: float = 0.0) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds
        """The endpoint's own wish; 0: none."""


class Embedder(Protocol):
    """Turns texts into vectors: int8, of any length, compared by their angle. Used from one event loop."""

    @property
    def name(self) -> str:
        """Names the model and its version; vectors of another name are not compared with its own."""
        ...

    @property
    def instant(self) -> bool:
        """Whether a text takes microseconds: then a search makes what vectors it lacks."""
        ...

    async def embed(self, texts: Sequence[str]) -> Sequence[bytes]:
        """Return a vector for each text, all of one length; of zeros where a text says nothing to this embedder.

        Raises EmbeddingFailed.
        """
        ...

    async def close(self) -> None:
        """Free what it holds."""
        ...


class InstantEmbedder(Embedder, Protocol):
    """An embedder that takes microseconds for a text, and waits for nothing."""

    def load(self) -> None:
        """Load what the first text would have to wait for; in any thread."""
        ...

    def vector(self, text: str) -> bytes:
        """Return the vector of one text."""
        ...


def instant(embedder: Embedder | None) -> InstantEmbedder | None:
    """Return the embedder if it is an instant one."""
    if embedder is None or not embedder.instant:
        return None
    return cast("InstantEmbedder", embedder)


async def embed_in_slices(vector: Callable[[str], bytes], texts: Sequence[str]) -> Sequence[bytes]:
    """Return a vector for each text, and let others have their turn now and then."""
    vectors = []
    for number, text in enumerate(texts, start=1):
        vectors.append(vector(text))
        if number % _TEXTS_A_SLICE == 0:
            await asyncio.sleep(0)
    return vectors


_TEXTS_A_SLICE = 32
