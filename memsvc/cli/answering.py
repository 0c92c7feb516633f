"""The agent's own model in `memsvc chat`, where one is configured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from memsvc.config import Config
from memsvc.errors import Error, Reason, Unavailable, invalid
from memsvc.extraction.engines import chosen_engine


class Answerer:
    """Answers with the model that also learns; without one it says nothing."""

    def __init__(self, config: Config) -> None:
        """Raise InvalidArgument where the library or a setting is wrong."""
        self._config = config
        self._client: Any = None
        if chosen_engine(config) != "openai":
            return
        try:
            import openai
        except ModuleNotFoundError as error:
            raise invalid("engine", "openai needs its library: pip install 'memsvc[openai]'") from error
        self._client = openai.OpenAI(
            api_key=config.openai_api_key or "none",
            base_url=config.openai_base_url or None,
            default_headers=config.openai_extra_headers,
            timeout=config.model_timeout_seconds,
            max_retries=0,
        )

    @property
    def has_model(self) -> bool:
        return self._client is not None

    @property
    def summary(self) -> str:
        """Who answers, in a sentence."""
        if self._client is None:
            return "No model is configured, so nobody answers: set OPENAI_API_KEY for one."
        return f"{self._config.openai_model} answers."

    def answer(self, context: str, conversation: Sequence[Mapping[str, Any]]) -> str:
        """Return what the model says next; empty: there is none. Raises Error, in one line and without the key."""
        if self._client is None:
            return ""
        from memsvc.endpoint.failures import failure_of

        prompt = [{"role": "system", "content": f"You are a helpful assistant.\n\n{context}"}, *conversation]
        try:
            reply = self._client.chat.completions.create(
                model=self._config.openai_model, messages=prompt, extra_body=self._config.openai_extra_body
            )
            return str(reply.choices[0].message.content or "")
        except (LookupError, AttributeError, TypeError):
            raise _no_answer("model endpoint sent something else than a chat completion") from None
        except Exception as error:
            failure = failure_of(error, answering=False)
            if failure is None:
                raise
            # Without its cause, which holds the request: key, prompt and all.
            raise _no_answer(failure.detail) from None


def _no_answer(detail: str) -> Error:
    return Unavailable(Reason.MODEL_UNAVAILABLE, f"no answer: {detail}")
