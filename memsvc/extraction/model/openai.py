"""The `openai` engine: one streamed, structured call of any endpoint that speaks OpenAI's chat completions."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, Any, Final

from memsvc.endpoint.client import Address, Endpoint
from memsvc.endpoint.failures import failure_of, refusal_text
from memsvc.errors import ExtractionError, Reason, Unusable
from memsvc.extraction.engine import Conversation, EngineEvent, Finished, Operation, Progress, Proposal
from memsvc.extraction.model.answers import Answer
from memsvc.extraction.model.checking import Checker, Flaw
from memsvc.extraction.model.dialect import Dialect
from memsvc.extraction.model.parsing import OperationReader
from memsvc.extraction.model.settings import OpenAISettings, OutputLimitField
from memsvc.extraction.model.triage import worth_reading
from memsvc.log import Log
from memsvc.model import Usage

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = ["OpenAIEngine", "OpenAISettings", "OutputLimitField"]

log = Log(__name__)
_PROGRESS_BYTES: Final = 256
_MOST_DIFFERENCES: Final = 8
"""A call is repeated at most so often because of fields that the endpoint does not take."""


class OpenAIEngine:
    """Reads conversations with a language model."""

    name = "openai"
    concurrency = 1000

    def __init__(self, settings: OpenAISettings) -> None:
        """Raise ModuleNotFoundError where the openai package is not installed; it is loaded at the first call."""
        self._settings = settings
        self._dialect = Dialect(settings)
        address = Address(
            base_url=settings.base_url,
            api_key=settings.api_key,
            extra_headers=settings.extra_headers,
            timeout_seconds=settings.idle_timeout_seconds,
            connect_timeout_seconds=settings.connect_timeout_seconds,
        )
        self._endpoint = Endpoint(address, "engine")

    async def extract(self, conversation: Conversation) -> AsyncGenerator[EngineEvent, None]:
        """Ask the model, once. A conversation with nothing in it costs no call."""
        if not worth_reading(conversation):
            yield Finished(())
            return
        client = await self._endpoint.connected()
        call = _Call(client, self._dialect, conversation, self._settings)
        reader = OperationReader()
        reported_bytes = 0
        try:
            async with contextlib.aclosing(call.pieces()) as pieces:
                async for piece in pieces:
                    for fields in reader.feed(piece):
                        operation = call.checker.check(fields)
                        if isinstance(operation, Operation):
                            yield Proposal(operation)
                    if not reported_bytes or call.answer.output_bytes - reported_bytes >= _PROGRESS_BYTES:
                        reported_bytes = call.answer.output_bytes
                        yield Progress(reported_bytes)
            call.answer.check_ending(is_complete=reader.is_complete)
            operations = _checked(reader, call.checker)
        except ExtractionError as error:
            error.usage = call.usage
            raise
        yield Finished(operations, call.usage, call.answer.model)

    async def close(self) -> None:
        """Close the connections to the endpoint."""
        await self._endpoint.close()


class _Call:
    """One call of the model, repeated where the endpoint did not take it as it was, and what has become of it."""

    def __init__(
        self, client: AsyncOpenAI, dialect: Dialect, conversation: Conversation, settings: OpenAISettings
    ) -> None:
        self._client = client
        self._dialect = dialect
        self._conversation = conversation
        self._settings = settings
        self._calls = 0
        self.answer = Answer(settings.model, settings.max_output_bytes)
        self.checker = Checker(conversation, ())

    @property
    def usage(self) -> Usage:
        """What it cost, with the calls that the endpoint refused."""
        return self.answer.usage + Usage(calls=self._calls - 1)

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
            raise failure from None

    async def _taken(self, stack: contextlib.AsyncExitStack) -> Any:
        """Return the response to the first request that the endpoint does not refuse for one of its fields."""
        import openai

        while True:
            body = self._body()
            self._calls += 1
            try:
                return await stack.enter_async_context(_posted(self._client, body))
            except openai.APIStatusError as error:
                said = refusal_text(error)
                if not said or self._calls > _MOST_DIFFERENCES or not self._dialect.adapt(body, said):
                    raise

    def _body(self) -> Mapping[str, Any]:
        # An answer of another form than the one asked for: the endpoint takes the field, and does not heed it.
        misread = self._conversation.last_failure == Reason.MODEL_OUTPUT_UNUSABLE
        prompt = self._dialect.prompt(self._conversation, states_form=misread)
        if prompt.cut_bytes:
            log.info("conversation_cut", bytes=prompt.cut_bytes)
        self.checker = Checker(self._conversation, prompt.shown)
        return self._dialect.body(prompt, self._conversation)


def _posted(client: AsyncOpenAI, body: Mapping[str, Any]) -> contextlib.AbstractAsyncContextManager[Any]:
    """Return the response to a request, not read yet: servers answer in ways that the client's stream cannot read."""
    create: Any = client.chat.completions.with_streaming_response.create
    required = ("model", "messages")
    extra = {name: value for name, value in body.items() if name not in required}
    posted: contextlib.AbstractAsyncContextManager[Any] = create(
        model=body["model"], messages=body["messages"], extra_body=extra
    )
    return posted


def _checked(reader: OperationReader, checker: Checker) -> tuple[Operation, ...]:
    """Return the sound operations of a whole answer. Raises Unusable if it has operations, but no sound one."""
    operations: list[Operation] = []
    flaws: Counter[Flaw] = Counter()
    for fields in reader.finish():
        checked = checker.check(fields)
        if isinstance(checked, Operation):
            operations.append(checked)
        elif checked is not Flaw.NO_OPERATION:
            flaws[checked] += 1
    if flaws:
        counts = {flaw.value: count for flaw, count in flaws.items()}
        log.warning("operations_dropped", **counts)
        if not operations:
            named = ", ".join(f"{count} {flaw}" for flaw, count in counts.items())
            raise Unusable(Reason.MODEL_OUTPUT_UNUSABLE, f"none of the model's operations can be used: {named}")
    return tuple(operations)
