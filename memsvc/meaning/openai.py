"""The `openai` embedder: any endpoint that speaks OpenAI's embeddings."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from memsvc.endpoint.client import Address, Endpoint
from memsvc.endpoint.failures import failure_of
from memsvc.errors import ExtractionError, Retryable, forget_frames
from memsvc.search.embedders.contract import EmbeddingFailed

_TEXTS_A_CALL: Final = 64
_MOST_CHARACTERS: Final = 8_000
"""Models take some 8,000 tokens; what is longer says what it means before."""
_KEPT_TEXTS: Final = 1_024


class EmbeddingSettings(Struct, frozen=True, kw_only=True):
    """Where the endpoint is, and what it is asked for."""

    model: str
    base_url: str
    api_key: str = ""
    extra_headers: Mapping[str, str] = {}
    dimensions: int = 0
    """0: as many as the model has."""
    timeout_seconds: float = 30.0
    connect_timeout_seconds: float = 5.0


class OpenAIEmbedder:
    """Embeds by calls of an endpoint, many texts a call; texts met again cost none."""

    instant = False

    def __init__(self, settings: EmbeddingSettings) -> None:
        """Raise ModuleNotFoundError where the openai package is not installed; it is loaded at the first call."""
        self.name = f"openai-{settings.model}" + (f"-{settings.dimensions}" if settings.dimensions else "")
        self._settings = settings
        address = Address(
            base_url=settings.base_url,
            api_key=settings.api_key,
            extra_headers=settings.extra_headers,
            timeout_seconds=settings.timeout_seconds,
            connect_timeout_seconds=settings.connect_timeout_seconds,
        )
        self._endpoint = Endpoint(address, "embedder")
        self._kept: OrderedDict[str, bytes] = OrderedDict()

    async def embed(self, texts: Sequence[str]) -> Sequence[bytes]:
        cut = [text[:_MOST_CHARACTERS] for text in texts]
        # An empty text is refused by most endpoints, and says nothing.
        wanted = list(dict.fromkeys(text for text in cut if text.strip() and text not in self._kept))
        found = {text: self._kept[text] for text in cut if text in self._kept}
        for first in range(0, len(wanted), _TEXTS_A_CALL):
            batch = wanted[first : first + _TEXTS_A_CALL]
            made = dict(zip(batch, await self._call(batch), strict=True))
            found |= made
            self._keep(made)
        length = len(next(iter(found.values()), b"\0"))
        return [found.get(text) or bytes(length) for text in cut]

    async def close(self) -> None:
        await self._endpoint.close()

    def _keep(self, made: Mapping[str, bytes]) -> None:
        self._kept.update(made)
        while len(self._kept) > _KEPT_TEXTS:
            self._kept.popitem(last=False)

    async def _call(self, texts: Sequence[str]) -> Sequence[bytes]:
        try:
            client = await self._endpoint.connected()
            asked: dict[str, Any] = {"dimensions": self._settings.dimensions} if self._settings.dimensions else {}
            async with asyncio.timeout(self._settings.timeout_seconds):
                reply = await client.embeddings.create(
                    model=self._settings.model, input=list(texts), encoding_format="float", **asked
                )
            return _vectors(reply, len(texts))
        except ExtractionError as error:
            raise _failed(error) from None
        except Exception as error:
            failure = failure_of(error, answering=False, wanted="embeddings")
            if failure is None and not isinstance(error, (AttributeError, TypeError)):
                raise
            # Without its cause, which holds the request: key, texts and all.
            forget_frames(error)
            raise _failed(failure) from None


def _failed(failure: ExtractionError | None) -> EmbeddingFailed:
    if failure is None:
        return EmbeddingFailed("model endpoint sent something else than embeddings")
    return EmbeddingFailed(failure.detail, failure.retry_after_seconds if isinstance(failure, Retryable) else 0.0)


def _vectors(reply: Any, count: int) -> Sequence[bytes]:
    """Return an answer's vectors in the order of the texts. Raises ValueError, TypeError, AttributeError."""
    import numpy as np

    ordered = sorted(reply.data, key=lambda each: int(each.index))
    if [each.index for each in ordered] != list(range(count)):
        raise ValueError("not one vector for each text")
    rows = np.array([each.embedding for each in ordered], np.float32)
    if rows.ndim != 2 or not rows.shape[1] or not np.isfinite(rows).all():
        raise ValueError("vectors are not of one length, or not of numbers")
    largest = np.abs(rows).max(axis=1, keepdims=True)
    scaled = np.rint(rows * np.divide(127, largest, out=np.zeros_like(largest), where=largest > 0))
    return [row.tobytes() for row in scaled.astype(np.int8)]
