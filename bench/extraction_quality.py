"""How far what the `rules` engine learns can be trusted, on whole conversations.

`corpus/conversations.txt` holds conversations, a heading each, with what may be learned from them:

    == support, telecom | 2024-06-11
    A: And how can I help?
    U: I'm moving to Leeds next month. I currently live in York.
    + profile.location="York"
    + Plans to move to Leeds in July 2024
    ~ Plans to move
    - delete location

`U` is the user, and the day is when all was said. What is marked `+` is right, `~` is right but poorly put (cut
short, or of little use), `-` is a deletion that was asked for. **Whatever else the engine proposes counts as wrong**, a
deletion as one that nobody asked for. Of what it misses only a part is listed: `found_of_listed` compares two states
of the engine, and is no recall.

The patterns were mended on these conversations, so a goal missed here is a step back, and a goal met is no promise:
that takes conversations that nobody tuned on. README says what those gave.

    python -m bench.extraction_quality [--show]
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from memsvc.extraction.engine import Action, Conversation, Finished, Operation
from memsvc.extraction.rules import RulesEngine
from memsvc.model import Layer, Message, Role, TextPart

CORPUS = Path(__file__).with_name("corpus") / "conversations.txt"
GOAL_WRONG = 0.05
GOAL_WRONG_KEYED_PROFILE = 0.03


@dataclass(slots=True)
class Labelled:
    """A conversation, and what may be learned from it."""

    kind: str
    messages: list[Message] = field(default_factory=list)
    right: set[str] = field(default_factory=set)
    poor: set[str] = field(default_factory=set)
    asked_deletions: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Judged:
    """One operation, as it was judged: right, poor, wrong, asked or unasked."""

    conversation: Labelled
    operation: Operation
    verdict: str


def measure() -> Mapping[str, float]:
    """Return the figures over the whole corpus."""
    conversations = read(CORPUS)
    judged, exceptions = asyncio.run(_judged(conversations))
    memories = [each for each in judged if each.verdict in ("right", "poor", "wrong")]
    keyed = [each for each in memories if each.operation.layer is Layer.PROFILE and each.operation.key]
    figures: dict[str, float] = {"conversations": len(conversations), "memories": len(memories)}
    for verdict in ("right", "poor", "wrong"):
        figures[verdict] = _share(memories, verdict)
    for layer in Layer:
        of_layer = [each for each in memories if each.operation.layer is layer]
        figures |= {f"{layer}.memories": len(of_layer), f"{layer}.wrong": _share(of_layer, "wrong")}
    figures |= {"keyed_profile.memories": len(keyed), "keyed_profile.wrong": _share(keyed, "wrong")}
    figures["deletions.unasked"] = sum(each.verdict == "unasked" for each in judged)
    figures["exceptions"] = exceptions
    listed = sum(len(conversation.right) for conversation in conversations)
    figures["found_of_listed"] = sum(each.verdict == "right" for each in memories) / max(listed, 1)
    return figures


def read(path: Path) -> Sequence[Labelled]:
    """Return the conversations of a file."""
    conversations: list[Labelled] = []
    said: list[tuple[Role, str]] = []
    day = 0

    def close() -> None:
        if conversations:
            conversations[-1].messages = [Message(role, (TextPart(text),), time=day) for role, text in said]
        said.clear()

    for line in path.read_text("utf-8").split("\n"):
        mark, text = line[:2], line[2:]
        if mark == "==":
            close()
            kind, _, date = text.strip().partition(" | ")
            day = int(datetime.fromisoformat(f"{date}T12:00+00:00").timestamp() * 1_000_000)
            conversations.append(Labelled(kind))
        elif mark in ("U:", "A:"):
            said.append((Role.USER if mark == "U:" else Role.ASSISTANT, text.strip()))
        elif mark in ("+ ", "~ ", "- ") and not conversations[-1].messages and said and _is_label(line):
            labelled = conversations[-1]
            {"+ ": labelled.right, "~ ": labelled.poor, "- ": labelled.asked_deletions}[mark].add(text)
        elif line and said:
            role, before = said[-1]
            said[-1] = role, f"{before}\n{line}"
    close()
    return conversations


def _is_label(line: str) -> bool:
    """Tell whether a line is a label, and no line of a list or a diff that somebody sent."""
    return line[:2] != "- " or line[2:].startswith(("delete ", "clear"))


async def _judged(conversations: Iterable[Labelled]) -> tuple[list[Judged], int]:
    engine = RulesEngine()
    unread = _Unread()
    logging.getLogger("memsvc.extraction.rules").addHandler(unread)
    judged: list[Judged] = []
    for conversation in conversations:
        async for event in engine.extract(Conversation(conversation.messages)):
            if isinstance(event, Finished):
                judged += [Judged(conversation, each, _verdict(conversation, each)) for each in event.operations]
    return judged, unread.count


class _Unread(logging.Handler):
    """Counts the sentences that could not be read: the engine logs each."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1


def _verdict(conversation: Labelled, operation: Operation) -> str:
    said = in_short(operation)
    if operation.action in (Action.DELETE, Action.CLEAR):
        return "asked" if said in conversation.asked_deletions else "unasked"
    return "right" if said in conversation.right else "poor" if said in conversation.poor else "wrong"


def in_short(operation: Operation) -> str:
    """Return an operation as the corpus writes it."""
    if operation.action is Action.CLEAR:
        return "clear"
    if operation.action is Action.DELETE:
        return f"delete {operation.key or operation.topic or operation.number}"
    if operation.key and operation.value_json:
        return f"{operation.layer}.{operation.key}={operation.value_json}"
    return operation.text


def _share(judged: Sequence[Judged], verdict: str) -> float:
    return sum(each.verdict == verdict for each in judged) / max(len(judged), 1)


def _shown(judged: Iterable[Judged]) -> Iterator[str]:
    heading = ""
    for each in judged:
        if each.conversation.kind != heading:
            heading = each.conversation.kind
            yield f"== {heading}"
        yield f"  {each.verdict:8} {in_short(each.operation)}   << {each.operation.quote}"


def main() -> None:
    for name, value in measure().items():
        print(f"{name:26} {value:.3f}" if isinstance(value, float) else f"{name:26} {value}")
    if "--show" in sys.argv:
        judged, _ = asyncio.run(_judged(read(CORPUS)))
        print("\n".join(_shown(judged)))
        print(Counter(each.verdict for each in judged))


if __name__ == "__main__":
    main()
