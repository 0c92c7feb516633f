"""One call of the model."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from memsvc.endpoint.failures import failure_of, is_too_long, refusal_text
from memsvc.errors import ExtractionError, forget_frames
from memsvc.extraction.model.answers import Answer
from memsvc.extraction.model.dialect import Dialect
from memsvc.extraction.model.settings import OpenAISettings
from memsvc.model import Usage

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_TOKEN_BYTES: Final = 4
"""About so many bytes are a token, where the endpoint does not say."""
_MOST_DIFFERENCES: Final = 8
"""A call is repeated at most so often because of fields that the endpoint does not take."""


class Call:
    """One call of the model, repeated where the endpoint did not take it as it was, and what has become of it."""

    def __init__(
        self,
        client: AsyncOpenAI,
        dialect: Dialect,
        settings: OpenAISettings,
        body: Callable[[], Mapping[str, Any]],
        shorten: Callable[[], bool] = lambda: False,
    ) -> None:
        """`body` returns the request, as the endpoint takes it; `shorten` makes the next one shorter, if it can."""
        self._client = client
        self._dialect = dialect
        self._settings = settings
        self._body = body
        self._shorten = shorten
        self._calls = 0
        self._asked_bytes = 0
        """How long the prompt was that the endpoint took."""
        self.answer = Answer(settings.model, settings.max_output_bytes)

    @property
    def usage(self) -> Usage:
        """What it cost, with the calls that the endpoint refused.

        Of an answer that was cut off, or whose endpoint does not count, tokens are estimated: a budget must end.
        """
        usage = self.answer.usage + Usage(calls=self._calls - 1)
        if not self.answer.has_begun or usage.input_tokens or usage.output_tokens:
            return usage
        read, written = self._asked_bytes, self.answer.written_bytes
        return usage + Usage(0, -(-read // _TOKEN_BYTES), 0, -(-written // _TOKEN_BYTES))

    async def pieces(self) -> AsyncGenerator[str, None]:
        """Make the call; yield the pieces of the answer's text as they arrive."""
        deadline = asyncio.get_running_loop().time() + self._settings.timeout_seconds
        answering = False
        try:
            async with contextlib.AsyncExitStack() as stack:
                async with asyncio.timeout_at(deadline):
                    response = await self._taken(stack)
                answering = True
                pieces = await stack.enter_async_context(contextlib.aclosing(self.answer.pieces(response.iter_bytes())))
                while True:
                    async with asyncio.timeout_at(deadline):
                        piece = await anext(pieces, None)
                    if piece is None:
                        return
                    yield piece
        except ExtractionError:
            raise
        except Exception as error:
            failure = failure_of(error, answering=answering)
            if failure is None:
                raise
            # Without its cause, which holds the request: key, prompt and all.
            forget_frames(error)
            try:
                raise failure from None
            finally:
                del failure

    async def _taken(self, stack: contextlib.AsyncExitStack) -> Any:
        """Return the response to the first request that the endpoint does not refuse for one of its fields."""
        import openai

        while True:
            body = self._body()
            self._calls += 1
            try:
                response = await stack.enter_async_context(_posted(self._client, body))
                self._asked_bytes = len(msgspec.json.encode(body["messages"]))
                return response
            except openai.APIStatusError as error:
                said = refusal_text(error)
                if self._calls > _MOST_DIFFERENCES:
                    raise
                if not (said and self._dialect.adapt(body, said)) and not (is_too_long(error) and self._shorten()):
                    raise


def _posted(client: AsyncOpenAI, body: Mapping[str, Any]) -> contextlib.AbstractAsyncContextManager[Any]:
    """Return the response to a request, not read yet: servers answer in ways that the client's stream cannot read."""
    create: Any = client.chat.completions.with_streaming_response.create
    required = ("model", "messages")
    extra = {name: value for name, value in body.items() if name not in required}
    posted: contextlib.AbstractAsyncContextManager[Any] = create(
        model=body["model"], messages=body["messages"], extra_body=extra
    )
    return posted
