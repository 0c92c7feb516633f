from __future__ import annotations

import asyncio
import random

from msgspec.structs import replace

from memsvc.journal.draft import Draft, Moment
from memsvc.journal.records import encode_body
from memsvc.journal.state import State, fold
from memsvc.model import Layer, Memory, Scope
from memsvc.storage.driver import Record, RecordKind
from memsvc.users import HotUser
from memsvc.users.wordings import Wordings

TEXTS = [f"{who} likes {what}{end}" for who in ("Sarah", "Zoë") for what in ("tea", "Café") for end in ("", ".")]


def move(user: HotUser, source: random.Random, count: int = 4) -> None:
    """Make, change or delete a few memories, fewer than `count`."""
    seq = user.state.seq + 1
    moment = Moment(seq, f"{seq:016x}", seq)
    draft = Draft(user.state, moment, quota=5_000)
    for number in range(source.randrange(count)):
        text, layer = source.choice(TEXTS), source.choice([Layer.KNOWLEDGE, Layer.FEEDBACK])
        known = source.choice([*user.state.memories()] or [None])
        if known is None or draft.touches(known.memory_id) or source.random() < 0.5:
            draft.create(Memory(memory_id=f"{seq}-{number}", number=0, layer=layer, text=text))
        elif source.random() < 0.3:
            draft.end(known, seq)
        elif source.random() < 0.5:
            draft.supersede(known, replace(known, text=text), seq)
        else:
            draft.delete(known)
    body = draft.body()
    record = Record(seq, moment.nonce, RecordKind.COMMIT, seq, encode_body(body))
    user.move(fold(user.state, record, body), [body])


async def test_they_follow_the_memories_whatever_becomes_of_them() -> None:
    source = random.Random(3)
    user = HotUser(State(Scope("default", "sarah")), 0.0, 0)
    await user.prepare_wordings()
    assert user.wordings is not None
    found = 0
    for _ in range(500):
        move(user, source)
        anew = Wordings.build(user.state.layers)
        assert user.wordings.layers is user.state.layers
        for layer in Layer:
            for text in TEXTS:
                ids = user.wordings.find(layer, text.upper())
                assert ids == anew.find(layer, text)
                found += len(ids)
    assert found > 10_000


async def test_what_was_read_while_the_user_moved_is_read_again() -> None:
    source = random.Random(4)
    user = HotUser(State(Scope("default", "sarah")), 0.0, 0)
    while user.state.memory_count < 2_000:
        move(user, source, 500)
    reading = asyncio.create_task(user.prepare_wordings())
    moves = 0
    while not reading.done():
        await asyncio.sleep(0)
        if not reading.done() and moves < 2:
            move(user, source, 500)
            moves += 1
    anew = Wordings.build(user.state.layers)

    assert moves == 2
    assert user.wordings is not None
    for text in TEXTS:
        assert user.wordings.find(Layer.FEEDBACK, text) == anew.find(Layer.FEEDBACK, text)
