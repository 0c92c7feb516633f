"""A tiny deterministic stand-in for the model of an agent: it calls the tools of memory, and answers from its prompt.

As `fake_model`, on which it builds, it knows a handful of sentences, enough for the examples, and nothing of language.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from memsvc.testing.fake_model import facts_in, understand
from memsvc.testing.replies import Received, Reply, operations

_ENGINE: Final = "You keep the long-term memory of one user."
"""How the prompts of the engine begin."""
_SEARCH: Final = "You search the long-term memory of a user."
_INSTRUCTING: Final = ("system", "developer")
_SHOWN: Final = re.compile(r"^(\d+) [\d-]+(?: by \S+)?: (.*)$", re.MULTILINE)
_WORD: Final = re.compile(r"\w{3,}")
_TASK: Final = re.compile(r"(?:please )?(?:forget|update|change|remove)\b.*", re.IGNORECASE)
_RECALL: Final = re.compile(r"\bwhat (?:do|did) you (?:know|remember|learn)|\bmy progress\b", re.IGNORECASE)
_HISTORY: Final = re.compile(r"\bwhat did (?:i|we) (?:say|ask|talk)|\bearlier\b", re.IGNORECASE)


_ASKING: Final = frozenset(("what", "which", "does", "the", "she", "question"))


def answer(request: Received) -> Reply:
    """Answer an agent as its model, and the engine of the service as the model that learns."""
    messages: Sequence[Mapping[str, Any]] = request.json["messages"]
    if any(str(message.get("content")).startswith(_ENGINE) for message in messages):
        return operations(*understand(str(messages[-1]["content"])))
    if any(str(message.get("content")).startswith(_SEARCH) for message in messages):
        return Reply(content=json.dumps({"numbers": _picked(str(messages[-1]["content"]))}))
    last = messages[-1]
    if last["role"] == "tool":
        told = [_said(message) for message in messages if message["role"] == "tool"]
        return Reply(content="\n".join(told[-len(messages[-2].get("tool_calls") or told) :]))
    said = _said(last)
    offered = {tool["function"]["name"] for tool in request.json.get("tools") or ()}
    calls = [call for call in _calls(said) if call[0] in offered]
    if calls:
        numbered = enumerate(calls, start=len(messages))
        return Reply(calls=tuple((f"call_{number}", name, json.dumps(given)) for number, (name, given) in numbered))
    return Reply(content=_from_prompt(messages, said))


def _said(message: Mapping[str, Any]) -> str:
    """Return the words of a message: a text, or a list of parts."""
    content = message.get("content") or ""
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)


def _picked(prompt: str) -> list[int]:
    """Return the numbers of the memories that have a word of the question, by its first letters."""
    memories, _, question = prompt.partition("<question>")
    asked = {word[:4].casefold() for word in _WORD.findall(question) if word.casefold() not in _ASKING}
    return [
        int(number)
        for number, text in _SHOWN.findall(memories)
        if asked & {word[:4].casefold() for word in _WORD.findall(text)}
    ]


def _calls(said: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the calls of tools that a user's message leads to."""
    if _TASK.fullmatch(said):
        yield "update_user_memory", {"task": said}
        return
    if _HISTORY.search(said):
        yield "read_chat_history", {"last_runs": 3}
    elif _RECALL.search(said):
        yield "get_memories", {}
    for fact in facts_in(said):
        given = {"layer": fact.layer, "text": fact.text, "topics": [fact.topic]}
        yield "save_memory", given | ({"key": fact.key, "value": fact.value} if fact.key else {})


def _from_prompt(messages: Sequence[Mapping[str, Any]], said: str) -> str:
    """Answer with the lines of the prompt that share a word with the question, else with the question."""
    asked = {word.casefold() for word in _WORD.findall(said)}
    prompt = "\n".join(_said(message) for message in messages if message["role"] in _INSTRUCTING)
    known = [line.strip() for line in prompt.splitlines() if asked & {w.casefold() for w in _WORD.findall(line)}]
    return "\n".join(known) or f"You said: {said}"
