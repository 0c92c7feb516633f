"""An agent with no framework: one call of the scripted model, by the library that most frameworks call it with."""

from __future__ import annotations

from openai import OpenAI


class ScriptedAgent:
    def __init__(self, model_url: str) -> None:
        self._model = OpenAI(base_url=model_url, api_key="none")

    def answer(self, said: str, known: str = "") -> str:
        """Return the answer to what was said, the model being shown what is known."""
        system = f"You help.\n{known}"
        messages = [{"role": "system", "content": system}, {"role": "user", "content": said}]
        reply = self._model.chat.completions.create(model="scripted", messages=messages)  # type: ignore[arg-type]
        return str(reply.choices[0].message.content)
