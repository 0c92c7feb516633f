"""The `openai` engine: one streamed, structured call of any endpoint that speaks OpenAI's chat completions."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

from memsvc.asking import Answered, Question
from memsvc.endpoint.client import Address, Endpoint
from memsvc.errors import ExtractionError, Reason, Unusable
from memsvc.extraction.engine import Conversation, EngineEvent, Finished, Operation, Progress, Proposal
from memsvc.extraction.model.calling import Call
from memsvc.extraction.model.checking import Checker, Flaw
from memsvc.extraction.model.dialect import Dialect
from memsvc.extraction.model.parsing import OperationReader, read_object
from memsvc.extraction.model.prompt import Form, Prompt, halved, operations_form
from memsvc.extraction.model.settings import OpenAISettings, OutputLimitField
from memsvc.extraction.model.triage import worth_reading
from memsvc.log import Log
from memsvc.model import Refusal

__all__ = ["OpenAIEngine", "OpenAISettings", "OutputLimitField"]

log = Log(__name__)
_PROGRESS_BYTES: Final = 256


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
        checker = Checker(conversation, ())
        budget = self._settings.prompt
        prompt: Prompt | None = None

        def body() -> Mapping[str, Any]:
            nonlocal checker, prompt
            # An answer of another form than the one asked for: the endpoint takes the field, and does not heed it.
            misread = conversation.last_failure == Reason.MODEL_OUTPUT_UNUSABLE
            prompt = self._dialect.prompt(conversation, budget, states_form=misread)
            if prompt.cut_bytes:
                log.info("conversation_cut", bytes=prompt.cut_bytes)
            checker = Checker(conversation, prompt.shown)
            return self._dialect.body(prompt.system, prompt.user, operations_form(conversation.schemas))

        def shorten() -> bool:
            nonlocal budget
            shorter = halved(budget, prompt) if prompt is not None else None
            budget = shorter or budget
            return shorter is not None

        call = Call(client, self._dialect, self._settings, body, shorten)
        reader = OperationReader()
        reported_bytes = 0
        try:
            async with contextlib.aclosing(call.pieces()) as pieces:
                async for piece in pieces:
                    for fields in reader.feed(piece):
                        operation = checker.check(fields)
                        if isinstance(operation, Operation):
                            yield Proposal(operation)
                    if not reported_bytes or call.answer.output_bytes - reported_bytes >= _PROGRESS_BYTES:
                        reported_bytes = call.answer.output_bytes
                        yield Progress(reported_bytes)
            call.answer.check_ending(is_complete=reader.is_complete)
            operations = _checked(reader, checker)
        except ExtractionError as error:
            error.usage = call.usage
            raise
        left_out: tuple[Refusal, ...] = ()
        if budget is not self._settings.prompt and prompt is not None and prompt.cut_bytes:
            detail = f"{prompt.cut_bytes} bytes of the conversation were not read: the model has no room for more"
            left_out = (Refusal(Reason.REQUEST_TOO_LARGE, detail),)
        yield Finished(operations, call.usage, call.answer.model, left_out)

    async def ask(self, question: Question) -> Answered:
        """Ask the model something else, once."""
        client = await self._endpoint.connected()
        form = Form(question.name, question.form)
        call = Call(
            client,
            self._dialect,
            self._settings,
            lambda: self._dialect.body(question.instructions, question.material, form),
        )
        try:
            async with contextlib.aclosing(call.pieces()) as arriving:
                pieces = [piece async for piece in arriving]
            fields = read_object("".join(pieces), form.fields)
            call.answer.check_ending(is_complete=fields is not None)
            if fields is None:
                raise Unusable(Reason.MODEL_OUTPUT_UNUSABLE, "the model's answer is not the JSON object asked for")
        except ExtractionError as error:
            error.usage = call.usage
            raise
        return Answered(fields, call.usage, call.answer.model)

    async def close(self) -> None:
        """Close the connections to the endpoint."""
        await self._endpoint.close()


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
