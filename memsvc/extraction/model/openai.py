"""The `openai` engine: one streamed, structured call of any endpoint that speaks OpenAI's chat completions."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import importlib.util
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from memsvc.config import DEFAULTS
from memsvc.errors import ExtractionError, Permanent, Reason, Retryable, Unusable
from memsvc.extraction.engine import Conversation, EngineEvent, Finished, Operation, Progress, Proposal
from memsvc.extraction.model.checking import Checker, Flaw
from memsvc.extraction.model.failures import failure_of
from memsvc.extraction.model.parsing import OperationReader
from memsvc.extraction.model.prompt import PromptBudget, StructuredOutput, build_prompt, response_format
from memsvc.extraction.model.triage import worth_reading
from memsvc.log import Log
from memsvc.model import Usage

if TYPE_CHECKING:
    from openai import AsyncOpenAI, AsyncStream

log = Log(__name__)
OPENAI_URL: Final = "https://api.openai.com/v1"
_PROGRESS_BYTES: Final = 256


class OutputLimitField(enum.StrEnum):
    """How the request names its limit on output tokens."""

    MAX_COMPLETION_TOKENS = "max_completion_tokens"
    """OpenAI's name; its newer models take no other."""
    MAX_TOKENS = "max_tokens"
    """The older name, which some compatible servers still want."""
    NONE = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAISettings:
    """Where the model is and how it is asked."""

    model: str
    base_url: str = OPENAI_URL
    api_key: str = field(default="", repr=False)
    """Empty for endpoints that want none."""
    extra_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    """More fields of the request, such as `reasoning_effort`."""
    timeout_seconds: float = DEFAULTS.model_timeout_seconds
    """For the whole call."""
    idle_timeout_seconds: float = DEFAULTS.model_idle_timeout_seconds
    """Without a byte from the endpoint; models that think first are silent for long."""
    connect_timeout_seconds: float = DEFAULTS.model_connect_timeout_seconds
    max_output_tokens: int = DEFAULTS.openai_max_output_tokens
    """Thinking counts as output, too."""
    output_limit_field: OutputLimitField = OutputLimitField.MAX_COMPLETION_TOKENS
    max_output_bytes: int = DEFAULTS.model_max_output_bytes
    temperature: float | None = None
    """None: the model's own default; some models take no other."""
    structured_output: StructuredOutput = StructuredOutput.JSON_SCHEMA
    stream_usage: bool = True
    """Ask for usage in the stream; off for servers that reject `stream_options`."""
    prompt: PromptBudget = field(default_factory=PromptBudget)

    def __post_init__(self) -> None:
        if not self.model:
            raise ValueError("model: must not be empty")
        if not self.base_url.startswith(("http://", "https://")):
            raise ValueError("base_url: must start with http:// or https://")


class OpenAIEngine:
    """Reads conversations with a language model."""

    name = "openai"
    concurrency = 1000

    def __init__(self, settings: OpenAISettings) -> None:
        """Raise ModuleNotFoundError where the openai package is not installed; it is loaded at the first call."""
        if importlib.util.find_spec("openai") is None:
            raise ModuleNotFoundError("the openai engine needs the openai package: pip install 'memsvc[openai]'")
        self._settings = settings
        self._client: AsyncOpenAI | None = None
        self._connecting = asyncio.Lock()

    async def extract(self, conversation: Conversation) -> AsyncGenerator[EngineEvent, None]:
        """Ask the model, once. A conversation with nothing in it costs no call."""
        if not worth_reading(conversation):
            yield Finished(())
            return
        client = await self._connected()
        prompt = build_prompt(conversation, self._settings.prompt, self._settings.structured_output)
        if prompt.cut_bytes:
            log.info("conversation_cut", bytes=prompt.cut_bytes)
        body = _request_body(self._settings, prompt.system, prompt.user)
        form = response_format(conversation.schemas, self._settings.structured_output)
        call = _Call(client, {**body, "response_format": form} if form else body, self._settings)
        checker = Checker(conversation, prompt.shown)
        reader = OperationReader()
        reported_bytes = 0
        try:
            async with contextlib.aclosing(call.pieces()) as pieces:
                async for piece in pieces:
                    for fields in reader.feed(piece):
                        operation = checker.check(fields)
                        if isinstance(operation, Operation):
                            yield Proposal(operation)
                    if not reported_bytes or call.output_bytes - reported_bytes >= _PROGRESS_BYTES:
                        reported_bytes = call.output_bytes
                        yield Progress(reported_bytes)
            call.check_ending(is_complete=reader.is_complete)
            operations = _checked(reader, checker)
        except ExtractionError as error:
            error.usage = call.usage
            raise
        yield Finished(operations, call.usage, call.model)

    async def close(self) -> None:
        """Close the connections to the endpoint."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _connected(self) -> AsyncOpenAI:
        async with self._connecting:
            if self._client is None:
                # Loading the package takes the better part of a second: not on the event loop.
                self._client = await asyncio.to_thread(_connect, self._settings)
            return self._client


class _Call:
    """One call of the model and what has become of it."""

    def __init__(self, client: AsyncOpenAI, body: Mapping[str, Any], settings: OpenAISettings) -> None:
        self.usage = Usage(calls=1)
        self.model = settings.model
        self.output_bytes = 0
        self._client = client
        self._body = body
        self._settings = settings
        self._answering = False
        self._chunks = 0
        self._finish_reason = ""
        self._refused = False

    async def pieces(self) -> AsyncGenerator[str, None]:
        """Make the call; yield the pieces of the answer's text as they arrive."""
        import openai

        deadline = asyncio.get_running_loop().time() + self._settings.timeout_seconds
        try:
            async with asyncio.timeout_at(deadline):
                # As plain data: compatible servers send chunks that the client's typed models do not foresee.
                stream: AsyncStream[object] = await self._client.post(
                    "/chat/completions",
                    body=self._body,
                    cast_to=object,
                    stream=True,
                    stream_cls=openai.AsyncStream[object],
                )
            self._answering = True
            try:
                while True:
                    async with asyncio.timeout_at(deadline):
                        chunk = await anext(stream, None)
                    if chunk is None:
                        break
                    piece = self._note(chunk)
                    if piece:
                        yield piece
            finally:
                await stream.close()
        except Exception as error:
            failure = failure_of(error, answering=self._answering)
            if failure is None:
                raise
            # Without its cause, which holds the request: key, prompt and all.
            raise failure from None

    def check_ending(self, *, is_complete: bool) -> None:
        """Raise if the answer did not end as a whole one does; `is_complete`: its text is a whole document."""
        if self._refused or self._finish_reason == "content_filter":
            raise Permanent(Reason.MODEL_REFUSED, "the model refused")
        if self._finish_reason == "length":
            raise Unusable(Reason.MODEL_OUTPUT_TOO_LARGE, "the model's answer passed its limit of tokens")
        if not self._chunks:
            raise Unusable(Reason.MODEL_OUTPUT_UNUSABLE, "model endpoint sent something else than a chat completion")
        if not self._finish_reason and not is_complete:
            raise Retryable(Reason.MODEL_UNAVAILABLE, "model endpoint broke off its answer")

    def _note(self, chunk: object) -> str:
        """Take note of a chunk; return its piece of the answer."""
        if not isinstance(chunk, Mapping):
            return ""
        self._chunks += 1
        self.usage = _usage(chunk.get("usage")) or self.usage
        model = chunk.get("model")
        if isinstance(model, str) and 0 < len(model) <= 128 and model.isprintable():
            self.model = model
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, Mapping):
            return ""
        finish_reason = choice.get("finish_reason")
        if isinstance(finish_reason, str):
            self._finish_reason = finish_reason
        delta = choice.get("delta")
        if not isinstance(delta, Mapping):
            return ""
        self._refused = self._refused or bool(delta.get("refusal"))
        content = delta.get("content")
        if not isinstance(content, str):
            return ""
        self.output_bytes += len(content.encode("utf-8", "replace"))
        if self.output_bytes > self._settings.max_output_bytes:
            raise Unusable(Reason.MODEL_OUTPUT_TOO_LARGE, "the model's answer passed its limit of bytes")
        return content


def _connect(settings: OpenAISettings) -> AsyncOpenAI:
    import openai

    timeout = openai.Timeout(settings.idle_timeout_seconds, connect=settings.connect_timeout_seconds)
    return openai.AsyncOpenAI(
        api_key=settings.api_key or "unused",
        base_url=settings.base_url,
        default_headers=settings.extra_headers,
        timeout=timeout,
        max_retries=0,
    )


def _request_body(settings: OpenAISettings, system: str, user: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": settings.model,
        "messages": [{"role": "system", "content": system}, {"role": "user", "content": user}],
        "stream": True,
    }
    if settings.stream_usage:
        body["stream_options"] = {"include_usage": True}
    if settings.output_limit_field:
        body[settings.output_limit_field.value] = settings.max_output_tokens
    if settings.temperature is not None:
        body["temperature"] = settings.temperature
    return body | dict(settings.extra_body)


def _checked(reader: OperationReader, checker: Checker) -> tuple[Operation, ...]:
    """Return the sound operations of a whole answer. Raises Unusable if it has operations, but no sound one."""
    operations: list[Operation] = []
    flaws: Counter[Flaw] = Counter()
    for fields in reader.finish():
        checked = checker.check(fields)
        if isinstance(checked, Operation):
            operations.append(checked)
        else:
            flaws[checked] += 1
    if flaws:
        counts = {flaw.value: count for flaw, count in flaws.items()}
        log.warning("operations_dropped", **counts)
        if not operations:
            named = ", ".join(f"{count} {flaw}" for flaw, count in counts.items())
            raise Unusable(Reason.MODEL_OUTPUT_UNUSABLE, f"none of the model's operations can be used: {named}")
    return tuple(operations)


def _usage(reported: object) -> Usage | None:
    if not isinstance(reported, Mapping):
        return None
    details = reported.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else reported.get("prompt_cache_hit_tokens")
    counts = (reported.get("prompt_tokens"), cached, reported.get("completion_tokens"))
    return Usage(1, *(count if isinstance(count, int) and count > 0 else 0 for count in counts))
