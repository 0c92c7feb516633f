"""Values: bodies come back byte for byte, numbers to the last bit of an int64."""

from __future__ import annotations

import json

from memsvc.model import Layer, Memory, Origin, encode
from memsvc.storage.conformance.items import (
    Journal,
    applied,
    by_key,
    due_in,
    extraction,
    ids,
    item,
    memory,
    record,
    request,
    run,
    session,
    state,
)
from memsvc.storage.conformance.names import NAMES
from memsvc.storage.conformance.store import Store
from memsvc.storage.driver import EMPTY, MAX_APPEND_BYTES, Append, Due, PageOf, Record, RecordKind, Row, RowKind, Tip

_MAX_INT64 = 2**63 - 1
_NUMBERS = (0, 1, 999_999, 1_700_000_000_123_456, 2**53 - 1, 2**53, 2**53 + 1, 2**62 + 1, _MAX_INT64 - 1, _MAX_INT64)
_JSON = (
    b"{}",
    b"[]",
    b"null",
    b'""',
    b' {"a" : 1 ,\n\t"b":[ ] } ',
    b'{"b":1,"a":2,"a":3}',
    b'{"n":1.0,"m":1e400,"k":123456789012345678901234567890,"z":-0.0}',
    rb'{"nul":"\u0000","lone":"\ud800","pair":"\ud83d\ude00","slash":"\/","quote":"\"","back":"\\"}',
    '{"text":"Ελλάδα Москва עברית العربية हिन्दी ไทย 한국어 日本語 😀👩‍👩‍👧‍👦 e\u0301 \u2028\u2029\ufeff"}'.encode(),
    json.dumps({name: name for name in NAMES}, ensure_ascii=False).encode(),
)


async def test_bodies_come_back_byte_for_byte(store: Store) -> None:
    """Record: `body` is taken as it is: no reformatting, no reordering, no normal form."""
    journal = store.journal()
    await journal.append(_JSON)
    assert [record.body for record in await store.driver.records(journal.scope, 0, 100)] == list(_JSON)


async def test_a_record_body_may_be_any_bytes(store: Store) -> None:
    """Record: `body` is taken as it is: JSON or not, text or not, empty or not."""
    bodies = [b"", b"\x00", b"\x00\x00a", b"\xff\xfe", bytes(range(256)), b"\xed\xa0\x80", b"'\"\\;--"]
    journal = store.journal()
    await journal.append(bodies)
    assert [record.body for record in await store.driver.records(journal.scope, 0, 100)] == bodies


async def test_texts_of_rows_come_back_as_they_were(store: Store) -> None:
    """Row: `body` holds any text: every script, both normal forms, emoji, escapes, control characters."""
    journal = store.journal()
    texts = [*NAMES, "", "a\nb\r\nc\td", "\x00", "\x01\x1f\x7f", "\u2028", "\ufeff", "</user_memory>", "{{x}} %(a)s"]
    rows = [memory(f"m{number}", text, position=number) for number, text in enumerate(texts, start=1)]
    rows += [run(f"r{number}", number, text=text) for number, text in enumerate(texts, start=1)]
    await journal.append(puts=rows)
    assert by_key((await store.driver.load(journal.scope, list(RowKind))).rows) == by_key(rows)


async def test_memories_keep_every_field(store: Store) -> None:
    """Row: columns may be derived from the body, whatever its keys, values, times and metadata are named."""
    journal = store.journal()
    keys = (
        "a.b.c",
        "$set",
        "$where.a",
        "a..b",
        ".",
        "_id",
        "__proto__",
        "a/b",
        "a{b}:c%d",
        "ключ.キー",
        "e\u0301",
        "\u00e9",
    )
    memories = [
        Memory(
            memory_id=f"m{number}",
            number=number,
            layer=list(Layer)[number % len(Layer)],
            text=f"text of {key}",
            key=key,
            value_json=json.dumps({key: [{"$gt": ""}, None, 2**53 + 1, 0.1, {"": {"a.b": 1}}]}),
            topics=(key, "", "%", "שלום, עולם"),
            input=key,
            origin=Origin(agent_id=key, team_id=key, session_id=key),
            metadata={key: key, "$a.b": "", "": "1"},
            create_time=1_700_000_000_123_456 + number,
            update_time=2**53 + number,
            observe_time=1,
            expire_time=_MAX_INT64,
        )
        for number, key in enumerate(keys, start=1)
    ]
    rows = [Row(RowKind.MEMORY, one.memory_id, encode(one), position=one.number) for one in memories]
    await journal.append(puts=rows)
    assert by_key((await store.driver.load(journal.scope, [RowKind.MEMORY])).rows) == by_key(rows)
    await journal.append(puts=[Row(RowKind.MEMORY, "m1", b"{}", position=1)])
    [first] = await store.driver.rows(PageOf(journal.scope, RowKind.MEMORY, limit=1))
    assert first.body == b"{}"


async def test_large_bodies_come_back_whole(store: Store) -> None:
    """append: the bodies of one append may add up to 4 MiB."""
    body = json.dumps({"text": 'Ünïcödé 日本語 😀 \\ " % $ { } ' * 80_000}, ensure_ascii=False).encode()
    assert 3 << 20 <= len(body) <= MAX_APPEND_BYTES
    journal = store.journal()
    await journal.append([body])
    large = run("r1", 1, text="😀 日本語 " * 200_000)
    assert 2 << 20 <= len(large.body) <= MAX_APPEND_BYTES
    await journal.append(puts=[large])
    [first, _] = await store.driver.records(journal.scope, 0, 10)
    assert first.body == body
    assert (await store.driver.get(journal.scope, RowKind.RUN, ["r1"]))["r1"] == large


async def test_an_append_holds_a_thousand_rows(store: Store) -> None:
    """append: at most 1,000 changes, each of them a row."""
    journal = store.journal()
    rows: list[Row] = [state(1), *(memory(f"m{n}", "x" * 1_000, position=n) for n in range(1, 1_000))]
    await journal.append(puts=rows)
    assert by_key((await store.driver.load(journal.scope, list(RowKind))).rows) == by_key(rows)


async def test_every_kind_of_record_is_kept(store: Store) -> None:
    """Record: seq, nonce, kind, time and body come back as they were."""
    scope = store.user()
    written = [record(seq, kind=kind) for seq, kind in enumerate(RecordKind, start=1)]
    await applied(store.driver, Append(scope=scope, after=EMPTY, records=written))
    assert list(await store.driver.records(scope, 0, 100)) == written


async def test_record_times_are_exact(store: Store) -> None:
    """Record: `time` is microseconds, kept to the last, over all of an int64."""
    scope = store.user()
    written = [record(seq, time_microseconds=stamp) for seq, stamp in enumerate(_NUMBERS, start=1)]
    await applied(store.driver, Append(scope=scope, after=EMPTY, records=written))
    assert list(await store.driver.records(scope, 0, 100)) == written


async def test_positions_are_exact(store: Store) -> None:
    """rows: ordered by position, told apart to the last bit of an int64, as edges of a page too."""
    journal = store.journal()
    rows = [session(f"s{number}", position) for number, position in enumerate(_NUMBERS)]
    await journal.append(puts=[*rows, *(request(f"q{number}", stamp) for number, stamp in enumerate(_NUMBERS))])
    assert list(await store.driver.rows(PageOf(journal.scope, RowKind.SESSION, limit=100))) == rows
    for number, position in enumerate(_NUMBERS):
        after = await store.driver.rows(PageOf(journal.scope, RowKind.SESSION, after=position, limit=100))
        before = await store.driver.rows(
            PageOf(journal.scope, RowKind.SESSION, before=position, descending=True, limit=100)
        )
        assert (list(after), list(before)) == (rows[number + 1 :], rows[:number][::-1])
    loaded = await store.driver.load(journal.scope, [RowKind.REQUEST])
    assert sorted(row.position for row in loaded.rows) == list(_NUMBERS)


async def test_due_times_are_exact(store: Store) -> None:
    """due: set and not after `before`: told apart to the last bit of an int64."""
    scopes = {stamp: store.user(f"due {stamp}") for stamp in _NUMBERS if stamp}
    await applied(store.driver, *(item(scope, EMPTY, due=stamp) for stamp, scope in scopes.items()))
    expected = [Due(scope, stamp) for stamp, scope in scopes.items()]
    for number, stamp in enumerate(scopes, start=1):
        assert await due_in(store.driver, store.namespace, stamp) == expected[:number]


async def test_nonces_are_text(store: Store) -> None:
    """Tip: both halves are compared as they are; nonces that look like numbers are text."""
    for number, nonce in enumerate(("0000000000000000", "0000000000000001", "1e10000000000000", "00000000000000e1")):
        scope = store.user(f"user-{number}")
        first = Record(1, nonce, RecordKind.COMMIT, 1, b"{}")
        await applied(store.driver, Append(scope=scope, after=EMPTY, records=[first]))
        assert list(await store.driver.tips([scope])) == [Tip(1, nonce)]
        assert list(await store.driver.records(scope, 0, 10)) == [first]


async def test_extractions_keep_their_order(store: Store) -> None:
    """rows: EXTRACTION rows are ordered by the seq that accepted them, in whatever order they were put."""
    journal = Journal(store.driver, store.user())
    await journal.append(puts=[extraction(f"e{position}", position) for position in (10, 2, 33, 1)])
    assert ids(await store.driver.rows(PageOf(journal.scope, RowKind.EXTRACTION, limit=10))) == [
        "e1",
        "e2",
        "e10",
        "e33",
    ]
