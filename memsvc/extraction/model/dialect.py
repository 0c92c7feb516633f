"""What one endpoint takes of a request, as it shows: fields that it refuses are left out from then on.

Endpoints that speak OpenAI's chat completions differ in what else they take. One that answers 400 or 422 and names a
field of the request gets the call again without it, at once: `temperature` is left out, `max_completion_tokens` is
called `max_tokens`, `json_schema` becomes `json_object` and then text, with the form in the prompt. So the first call
of a process may cost one more for each difference, and no other does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from memsvc.extraction.engine import Conversation
from memsvc.extraction.model.prompt import Form, Prompt, PromptBudget, StructuredOutput, build_prompt, response_format
from memsvc.extraction.model.settings import OpenAISettings, OutputLimitField
from memsvc.log import Log

log = Log(__name__)
_NAMED_BY: Final[Mapping[str, re.Pattern[str]]] = {
    "stream_options": re.compile(r"stream_options|include_usage", re.IGNORECASE),
    "response_format": re.compile(
        r"response_?format|json_?schema|json_?object|json[ _]mode|structured[ _-]outputs?|guided|grammar", re.IGNORECASE
    ),
    "max_completion_tokens": re.compile(r"max_completion_tokens", re.IGNORECASE),
    "max_tokens": re.compile(r"max_(?:output_|new_)?tokens", re.IGNORECASE),
    "temperature": re.compile(r"temperature", re.IGNORECASE),
    "system_role": re.compile(
        r"(?:system|developer)\W{0,3}(?:role|message|prompt|instruction)|role\W+(?:of\W+)?(?:system|developer)",
        re.IGNORECASE,
    ),
    "stream": re.compile(r"\bstream(?:ing)?\b", re.IGNORECASE),
}
"""How a refusal names each field, looked at in this order."""
_NEXT_OUTPUT: Final = {
    StructuredOutput.JSON_SCHEMA: StructuredOutput.JSON_OBJECT,
    StructuredOutput.JSON_OBJECT: StructuredOutput.TEXT,
}


class Dialect:
    """Makes requests that one endpoint takes. Shared by the calls of an engine."""

    def __init__(self, settings: OpenAISettings) -> None:
        self._settings = settings
        self._refused: set[str] = set()
        self._output = settings.structured_output
        self._limit_field = settings.output_limit_field

    def prompt(self, conversation: Conversation, budget: PromptBudget, *, states_form: bool) -> Prompt:
        """Return the prompt; the form of the answer stands in it where nothing else says it, or `states_form`."""
        return build_prompt(conversation, budget, self._output, states_form=states_form)

    def body(self, system: str, user: str, form: Form) -> dict[str, Any]:
        """Return the request for an answer of this form."""
        settings = self._settings
        body: dict[str, Any] = {"model": settings.model, "messages": self._messages(system, user), "stream": True}
        if settings.stream_usage:
            body["stream_options"] = {"include_usage": True}
        if self._limit_field:
            body[self._limit_field.value] = settings.max_output_tokens
        if settings.temperature is not None:
            body["temperature"] = settings.temperature
        held_to = response_format(form, self._output)
        if held_to is not None:
            body["response_format"] = held_to
        body |= settings.extra_body
        return {name: value for name, value in body.items() if name not in self._refused}

    def _messages(self, system: str, user: str) -> list[dict[str, str]]:
        if "system_role" in self._refused:
            return [{"role": "user", "content": f"{system}\n{user}"}]
        return [{"role": "system", "content": system}, {"role": "user", "content": user}]

    def adapt(self, sent: Mapping[str, Any], refusal: str) -> bool:
        """Learn from the text of a refusal of `sent`; return whether the next request will differ from it."""
        name = self._named(sent, refusal)
        if name is None:
            return False
        log.info("field_refused", field=name)
        if name == "response_format" and "response_format" not in self._settings.extra_body:
            kind = (sent["response_format"] or {}).get("type")
            if kind == self._output:  # otherwise another call has learned it meanwhile
                self._output = _NEXT_OUTPUT[self._output]
        elif name == OutputLimitField.MAX_COMPLETION_TOKENS and name == self._limit_field:
            self._limit_field = OutputLimitField.MAX_TOKENS
        else:
            self._refused.add(name)
        return True

    def _named(self, sent: Mapping[str, Any], refusal: str) -> str | None:
        """Return the field of `sent` that a refusal names."""
        for name in self._settings.extra_body:
            if name in sent and re.search(rf"\b{re.escape(name)}\b", refusal):
                return name
        for name, pattern in _NAMED_BY.items():
            is_sent = name in sent or (name == "system_role" and sent["messages"][0]["role"] == "system")
            if is_sent and pattern.search(refusal):
                return name
        return None
