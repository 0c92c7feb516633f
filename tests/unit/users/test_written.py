from __future__ import annotations

import random

from msgspec.structs import replace

from memsvc.context import ContextRequest, compile_context
from memsvc.journal.draft import Draft, Moment
from memsvc.journal.records import encode_body
from memsvc.journal.state import State, fold
from memsvc.model import Layer, Memory, Scope
from memsvc.storage.driver import Record, RecordKind
from memsvc.users import HotUser

REQUEST = ContextRequest(query="tea", max_characters=2_000)


def moment_of(user: HotUser) -> Moment:
    seq = user.state.seq + 1
    return Moment(seq, f"{seq:016x}", seq)


def move(user: HotUser, draft: Draft) -> None:
    body = draft.body()
    moment = moment_of(user)
    record = Record(moment.time, moment.nonce, RecordKind.COMMIT, moment.time, encode_body(body))
    user.move(fold(user.state, record, body), [body])


def user_with(count: int) -> HotUser:
    user = HotUser(State(Scope("default", "sarah")), 0.0, 0)
    draft = Draft(user.state, moment_of(user), quota=5_000)
    for number in range(count):
        layer = Layer.POLICY if number % 9 == 0 else Layer.KNOWLEDGE
        draft.create(Memory(memory_id=f"m{number}", number=0, layer=layer, text=f"Likes tea {number}"))
    move(user, draft)
    return user


def test_a_context_writes_anew_only_what_has_changed_since() -> None:
    user = user_with(200)
    compile_context(user, (), REQUEST)
    (before,) = (dict(written) for written in user.written.values())
    changed = user.state.memory(next(reversed(before)))
    assert changed is not None

    draft = Draft(user.state, moment_of(user), quota=5_000)
    draft.replace(changed, replace(changed, text="Likes coffee"))
    move(user, draft)
    context = compile_context(user, (), REQUEST)

    (after,) = user.written.values()
    assert "Likes coffee" in context.text
    assert [each for each, entry in before.items() if after.get(each) is not entry] == [changed.memory_id]


def test_what_was_written_follows_the_memories_whatever_becomes_of_them() -> None:
    source, user = random.Random(5), user_with(60)
    for number in range(200):
        draft = Draft(user.state, moment_of(user), quota=5_000)
        known = source.choice([*user.state.memories()])
        if source.random() < 0.3:
            draft.delete(known)
        elif source.random() < 0.5:
            draft.end(known, moment_of(user).time)
        else:
            draft.replace(known, replace(known, text=f"Likes cake {number}"))
        draft.create(Memory(memory_id=f"n{number}", number=0, layer=known.layer, text=f"Likes tea {number}"))
        move(user, draft)

        anew = HotUser(user.state, 0.0, 0)
        assert compile_context(user, (), REQUEST).text == compile_context(anew, (), REQUEST).text
