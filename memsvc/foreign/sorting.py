"""Where facts belong: in which layer, at which key, and which of two that contradict each other is the newer one.

The rules engine reads each fact as it would read a task about the user. What it understands as one fact at one key gets
that layer and key; of what it does not understand nothing is lost: it is knowledge, in its own words. Facts go in the
order of their times. Of two that say different things at one key the newer one has the key, and the older one stays
beside it, without the key, as something that was so until then.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from memsvc.errors import InvalidArgument
from memsvc.extraction.engine import Action, Conversation, Finished, Operation
from memsvc.extraction.rules import RulesEngine
from memsvc.foreign.facts import Damaged, Fact, Finds, LeftOut, Turn
from memsvc.limits import TEXT_BYTES, TOPIC_BYTES, TOPICS, check_id
from memsvc.model import Layer, Message, Role, TextPart

_NAMESPACE: Final = uuid.UUID("6d656d73-7663-5f66-8f72-656967000001")
_MICROSECONDS: Final = 1_000_000
_FORMS: Final = ("{}", "The user {}", "The user's {}")
"""Other systems often leave out whom a fact is about: "Lives in Oslo", "Name is Sarah"."""


class Placed(Struct, frozen=True):
    """A fact at its place."""

    fact: Fact
    memory_id: str

    def to_dict(self) -> dict[str, Any]:
        """Return the memory as JSON, in the names of the protos."""
        fact = self.fact
        said = {
            "memory_id": self.memory_id,
            "text": fact.text,
            "layer": f"LAYER_{(fact.layer or Layer.KNOWLEDGE).name}",
            "key": fact.key,
            "value_json": fact.value_json,
            "topics": list(fact.topics),
            "input": fact.input if len(fact.input.encode()) <= TEXT_BYTES else "",
            "trust": "TRUST_IMPORTED",
            "metadata": dict(fact.metadata),
            "origin": {"agent_id": fact.agent_id, "team_id": fact.team_id, "run_id": fact.run_id},
            "create_time": _iso(fact.create_time or fact.update_time),
            "update_time": _iso(fact.update_time or fact.create_time),
            "observe_time": _iso(fact.update_time or fact.create_time),
            "expire_time": _iso(fact.expire_time),
            "valid_from": _iso(fact.valid_from),
            "valid_to": _iso(fact.valid_to),
        }
        return {name: value for name, value in said.items() if value}


class Sorted(Struct):
    """Everything in a file, as it is imported."""

    facts: list[Placed]
    """Those of one user together, oldest first."""
    turns: list[Turn]
    left_out: list[LeftOut]
    damaged: list[Damaged]


def sort(finds: Finds, kind: str, user_id: str = "") -> Sorted:
    """Return what was found, each fact at its place. `user_id`: whose all of it is; empty: as the file says."""
    found = Sorted([], [], [], [])
    facts: list[Fact] = []
    now = datetime.now(UTC)
    for each in finds:
        match each:
            case Fact(expire_time=datetime() as end) if end <= now:
                found.left_out.append(LeftOut(each.place, "has expired"))
            case Fact():
                facts += _owned(each, user_id, found)
            case Turn():
                found.turns += _owned(each, user_id, found)
            case LeftOut():
                found.left_out.append(each)
            case Damaged():
                found.damaged.append(each)
    by_user: dict[str, list[Fact]] = {}
    for fact in asyncio.run(_understood(facts)):
        by_user.setdefault(fact.user_id, []).extend(_parts(fact))
    for theirs in by_user.values():
        theirs.sort(key=lambda fact: fact.time)
        found.facts += _settled(list(_each_once(theirs, found.left_out)), kind)
    found.turns.sort(key=lambda turn: turn.user_id)
    return found


def _owned(each: Any, user_id: str, found: Sorted) -> Sequence[Any]:
    owner = user_id or each.user_id
    try:
        check_id("user_id", owner)
    except InvalidArgument:
        why = "says no user that can be one: --user says whose it is"
        found.damaged.append(Damaged(each.place, why))
        return []
    return [replace(each, user_id=owner)]


async def _understood(facts: Iterable[Fact]) -> Sequence[Fact]:
    """Return the facts with layers, and with keys where the engine is sure of them."""
    engine = RulesEngine()
    understood = []
    for fact in facts:
        operations: Sequence[Operation] = ()
        if not fact.key and len(fact.text) <= 500:
            for form in _FORMS:
                text = form.format(fact.text if form == "{}" else fact.text[:1].lower() + fact.text[1:])
                operations = await _read(engine, text, fact)
                if operations:
                    break
        understood.append(_placed(fact, operations))
    return understood


async def _read(engine: RulesEngine, text: str, fact: Fact) -> Sequence[Operation]:
    time = int(fact.time.timestamp() * _MICROSECONDS) if fact.create_time or fact.update_time else 0
    message = Message(message_id="", role=Role.USER, time=time, parts=(TextPart(text=text),))
    async for event in engine.extract(Conversation(messages=[message], is_task=True)):
        if isinstance(event, Finished):
            # Nothing is forgotten or changed because a file says so.
            return event.operations if all(each.action is Action.ADD for each in event.operations) else ()
    return ()


def _placed(fact: Fact, operations: Sequence[Operation]) -> Fact:
    layers = {each.layer for each in operations}
    layer = fact.layer or (layers.pop() if len(layers) == 1 else Layer.KNOWLEDGE)
    fact = replace(fact, layer=layer)
    if len(operations) != 1:
        return fact
    (only,) = operations
    topics = tuple(fact.topics) or only.topics
    if only.layer is not layer or not only.key or _is_list(only.value_json):
        return replace(fact, topics=topics)
    return replace(fact, key=only.key, value_json=only.value_json, topics=topics)


def _is_list(value_json: str) -> bool:
    """Tell whether a value is a list, to which others may add: it contradicts no other."""
    return value_json.lstrip().startswith("[")


def _parts(fact: Fact) -> Iterator[Fact]:
    """Yield a fact in parts that can be kept, with topics that can be."""
    long_topics = [topic for topic in fact.topics if len(topic.encode()) > TOPIC_BYTES]
    topics = [topic for topic in dict.fromkeys(map(str.strip, fact.topics)) if topic and topic not in long_topics]
    if long_topics or len(topics) > TOPICS:
        rest = json.dumps([*long_topics, *topics[TOPICS:]], ensure_ascii=False)
        fact = replace(fact, metadata={**fact.metadata, "import.topics": rest[:400]})
    fact = replace(fact, topics=topics[:TOPICS])
    texts = list(_pieces(fact.text))
    for number, text in enumerate(texts, start=1):
        if len(texts) == 1:
            yield fact
        else:
            source_id = f"{fact.source_id or fact.text}#{number}"
            metadata = {**fact.metadata, "import.part": f"{number} of {len(texts)}"}
            yield replace(fact, text=text, source_id=source_id, metadata=metadata, input="")


def _pieces(text: str) -> Iterator[str]:
    """Yield a text in pieces of at most 8 KiB, cut between words where there are any."""
    while len(text.encode()) > TEXT_BYTES:
        head = text.encode()[:TEXT_BYTES].decode(errors="ignore")
        cut = head.rfind(" ") if " " in head[TEXT_BYTES // 4 :] else len(head)
        if text[:cut].strip():
            yield text[:cut]
        text = text[cut:]
    if text.strip():
        yield text


def _each_once(facts: Iterable[Fact], left_out: list[LeftOut]) -> Iterable[Fact]:
    """Return the facts, of those with the same words in one layer the last one, with the topics of all."""
    last: dict[tuple[Layer | None, str, datetime | None], Fact] = {}
    for fact in facts:
        same = (fact.layer, " ".join(fact.text.casefold().split()), fact.valid_to)
        if (before := last.pop(same, None)) is not None:
            left_out.append(LeftOut(before.place, f"says the same as {fact.place}"))
            fact = replace(fact, topics=list(dict.fromkeys([*before.topics, *fact.topics]))[:TOPICS])
        last[same] = fact
    return last.values()


def _settled(facts: Sequence[Fact], kind: str) -> Iterator[Placed]:
    """Yield facts at their places: of those at one key the last one has it."""
    holders: dict[tuple[Layer | None, str], Fact] = {}
    for fact in facts:
        if fact.key and fact.valid_to is None:
            holders[fact.layer, fact.key] = fact
    for fact in facts:
        memory_id = _id_of(fact, kind)
        holder = holders.get((fact.layer, fact.key))
        if fact.key and holder is not fact:
            fact = replace(fact, key="", value_json="", **_until(fact, holder, kind))
        yield Placed(fact, memory_id)


def _until(fact: Fact, holder: Fact | None, kind: str) -> Mapping[str, Any]:
    """Return what is said of a fact that another has taken the place of."""
    if holder is None or fact.value_json == holder.value_json:
        return {}
    said: dict[str, Any] = {"metadata": {**fact.metadata, "import.followed_by": _id_of(holder, kind)}}
    ends = holder.valid_from or holder.update_time or holder.create_time
    if ends is not None and ends > fact.time and (fact.valid_from is None or ends > fact.valid_from):
        said["valid_to"] = ends
    return said


def _id_of(fact: Fact, kind: str) -> str:
    """Return the memory's id: the same whenever the same is imported."""
    name = json.dumps([kind, fact.source_id] if fact.source_id else [kind, "", fact.layer, fact.text])
    return f"import-{uuid.uuid5(_NAMESPACE, name)}"


def _iso(time: datetime | None) -> str:
    return time.isoformat().replace("+00:00", "Z") if time is not None else ""
