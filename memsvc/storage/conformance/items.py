"""Builds what the tests append, and appends it."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Collection, Mapping, Sequence

from memsvc.model import Extraction, Memory, Message, Role, Run, Scope, Session, TextPart, encode
from memsvc.storage.driver import (
    EMPTY,
    Append,
    Driver,
    Due,
    Outcome,
    Record,
    RecordKind,
    Redaction,
    Row,
    RowKey,
    RowKind,
    Tip,
    TruncatedJournal,
)


class Journal:
    """One user's journal as its only writer knows it."""

    def __init__(self, driver: Driver, scope: Scope, tip: Tip = EMPTY) -> None:
        self.driver = driver
        self.scope = scope
        self.tip = tip

    async def append(
        self,
        bodies: Sequence[bytes] = (b"{}",),
        *,
        puts: Sequence[Row] = (),
        deletes: Sequence[RowKey] = (),
        due: int = 0,
        erases: bool = False,
    ) -> Append:
        """Append one record per body and return what was appended."""
        appended = item(self.scope, self.tip, bodies, puts=puts, deletes=deletes, due=due, erases=erases)
        await applied(self.driver, appended)
        self.tip = tip_of(appended)
        return appended


def item(
    scope: Scope,
    after: Tip,
    bodies: Sequence[bytes] = (b"{}",),
    *,
    puts: Sequence[Row] = (),
    deletes: Sequence[RowKey] = (),
    due: int = 0,
    erases: bool = False,
) -> Append:
    """Return an append of one record per body."""
    kind = RecordKind.ERASE if erases else RecordKind.COMMIT
    records = [record(after.seq + offset, body, kind=kind) for offset, body in enumerate(bodies, start=1)]
    return Append(scope=scope, after=after, records=records, puts=puts, deletes=deletes, due=due, erases=erases)


def record(
    seq: int, body: bytes = b"{}", *, kind: RecordKind = RecordKind.COMMIT, time_microseconds: int | None = None
) -> Record:
    """Return a record with a nonce of its own, of now unless a time is given."""
    stamp = time.time_ns() // 1_000 if time_microseconds is None else time_microseconds
    return Record(seq, secrets.token_hex(8), kind, stamp, body)


def tip_of(appended: Append) -> Tip:
    """Return where the journal ends after this append."""
    last = appended.records[-1]
    return Tip(last.seq, last.nonce)


async def applied(driver: Driver, *items: Append) -> None:
    """Append these in one batch; each must be applied."""
    outcomes = list(await driver.append(items))
    assert outcomes == [Outcome.APPENDED] * len(items)


async def outcome_of(driver: Driver, appended: Append) -> Outcome:
    """Append this alone and return what became of it."""
    [outcome] = await driver.append([appended])
    return outcome


async def tip_now(driver: Driver, scope: Scope) -> Tip:
    """Return where the journal ends now."""
    [tip] = await driver.tips([scope])
    return tip


async def history(driver: Driver, scope: Scope) -> Sequence[Record]:
    """Return every record that is kept."""
    after = 0
    while True:
        try:
            return await driver.records(scope, after, 100_000)
        except TruncatedJournal as truncated:
            after = truncated.first - 1


async def redact(driver: Driver, scope: Scope, bodies: Mapping[int, bytes]) -> Collection[int]:
    """Replace the bodies of these records, whatever they say."""
    read = await history(driver, scope)
    return await driver.redact(
        scope, [Redaction(record.seq, record.body, bodies[record.seq]) for record in read if record.seq in bodies]
    )


async def due_in(driver: Driver, namespace: str, before: int) -> list[Due]:
    """Return the due users of one namespace, whatever else the store holds."""
    limit = 1_000
    while len(found := await driver.due(before, limit)) == limit:
        limit *= 2
    return [due for due in found if due.scope.namespace == namespace]


def memory(row_id: str, text: str = "Skis at Tahoe", *, position: int = 1) -> Row:
    """Return a MEMORY row as the service would write it."""
    body = encode(Memory(memory_id=row_id, number=position, text=text, topics=("hobbies",), update_time=1))
    return Row(RowKind.MEMORY, row_id, body, position=position)


def former(row_id: str, position: int) -> Row:
    """Return a FORMER row as the service would write it."""
    body = encode(Memory(memory_id=row_id, number=position, text="Lived in Rome", valid_to=1, update_time=1))
    return Row(RowKind.FORMER, row_id, body, position=position)


def summary(row_id: str, last_index: int) -> Row:
    """Return a SUMMARY row."""
    return Row(RowKind.SUMMARY, row_id, json.dumps({"text": "They ski."}).encode(), position=last_index)


def run(row_id: str, index: int, *, session: str = "s1", text: str = "How do I clean data?") -> Row:
    """Return a RUN row as the service would write it."""
    messages = (Message(Role.USER, (TextPart(text),)),)
    return Row(
        RowKind.RUN,
        row_id,
        encode(Run(session_id=session, run_id=row_id, index=index, messages=messages)),
        group=session,
        position=index,
    )


def vector(row_id: str, number: int) -> Row:
    """Return a VECTOR row."""
    body = {"model": "static", "etag": "1-ab", "vector": base64.b64encode(row_id.encode() * 32).decode()}
    return Row(RowKind.VECTOR, row_id, json.dumps(body).encode(), position=number)


def said(row_id: str, index: int) -> Row:
    """Return a SAID row."""
    message = [0, "user", 1_784_500_000_000_000 + index, 1, base64.b64encode(b"\1\2\3\4").decode(), "AQ=="]
    return Row(RowKind.SAID, row_id, json.dumps({"session_id": "s1", "messages": [message]}).encode(), position=index)


def session(row_id: str, last_index: int) -> Row:
    """Return a SESSION row as the service would write it."""
    body = encode(Session(session_id=row_id, last_index=last_index))
    return Row(RowKind.SESSION, row_id, body, position=last_index)


def extraction(row_id: str, position: int) -> Row:
    """Return an EXTRACTION row as the service would write it."""
    body = encode(Extraction(extraction_id=row_id, position=position))
    return Row(RowKind.EXTRACTION, row_id, body, position=position)


def request(row_id: str, kept_until: int) -> Row:
    """Return a REQUEST row."""
    return Row(RowKind.REQUEST, row_id, json.dumps({"digest": row_id}).encode(), position=kept_until)


def state(value: int) -> Row:
    """Return the STATE row, carrying a number."""
    return Row(RowKind.STATE, "", json.dumps({"value": value}).encode())


def ids(rows: Sequence[Row]) -> list[str]:
    """Return the ids of rows, in their order."""
    return [row.row_id for row in rows]


def by_key(rows: Sequence[Row]) -> dict[RowKey, Row]:
    """Return rows by their key: what was loaded has no order."""
    return {RowKey(row.kind, row.row_id): row for row in rows}
