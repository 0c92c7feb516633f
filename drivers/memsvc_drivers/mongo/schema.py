"""The schema's version, and the steps that lead to it.

Each step can be repeated without harm, and ends with the insert of a document whose `_id` is its number: of all that
race, one inserts it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from pymongo import ASCENDING, DESCENDING, IndexModel

from memsvc.errors import SchemaMismatch, StorageUnavailable
from memsvc.storage.driver import Migration
from memsvc_drivers.mongo.client import Client, Collection
from memsvc_drivers.mongo.errors import DUPLICATE_KEY, refused
from memsvc_drivers.mongo.settings import CollectionNames


class Collections(NamedTuple):
    """The collections of a store."""

    journal: Collection
    memories: Collection
    rows: Collection
    schema: Collection


def collections(client: Client, names: CollectionNames) -> Collections:
    """Return a store's collections."""
    return Collections(
        client.collection(names.journal),
        client.collection(names.memories),
        client.collection(names.rows),
        client.collection(names.schema),
    )


async def check(store: Collections) -> Migration:
    """Return where the schema stands and what is missing."""
    found = await _found(store)
    return Migration(found=found, wanted=VERSION, steps=[step.name for step in _STEPS[found:]])


async def ensure(store: Collections, *, indexed: bool) -> None:
    """Create the schema where there is none. Raises SchemaMismatch for an older or newer one."""
    found = await _found(store)
    if found == 0:
        await migrate(store, indexed=indexed)
    elif found != VERSION:
        remedy = "run `memsvc migrate`" if found < VERSION else "run a newer memsvc"
        raise SchemaMismatch(f"schema {found}, this memsvc needs {VERSION}: {remedy}")


async def migrate(store: Collections, *, indexed: bool) -> Migration:
    """Do the steps that are missing; `steps` are those that nobody else did meanwhile."""
    found = await _found(store)
    if found > VERSION:
        raise SchemaMismatch(f"schema {found}, this memsvc needs {VERSION}: run a newer memsvc")
    done = []
    for number, step in enumerate(_STEPS[found:], start=found + 1):
        if indexed:
            await step.run(store)
        if await write_version(store.schema, number, step.name):
            done.append(step.name)
    return Migration(found=found, wanted=VERSION, steps=done)


async def write_version(schema: Collection, number: int, name: str) -> bool:
    """Note that a step was done; False if another did."""
    codes = await schema.insert([{"_id": number, "step": name, "at": datetime.now(UTC)}])
    if codes and codes[0] != DUPLICATE_KEY:
        raise refused(codes[0])
    return not codes


async def _found(store: Collections) -> int:
    newest = await store.schema.find({}, ["_id"], sort=[("_id", DESCENDING)], limit=1)
    if not newest:
        return 0
    number = newest[0]["_id"]
    if not isinstance(number, int):
        raise StorageUnavailable("the collection of the schema is another program's")
    return number


async def _create_indexes(store: Collections) -> None:
    await store.journal.create_indexes(
        [
            # What follows: records, and the floor.
            _index("u", "last"),
            # Where journals end, without looking into the documents.
            _index("u", "open", "last", "after", "nonce", partialFilterExpression={"open": True}),
            _index("due", sparse=True),
            _index("fresh", sparse=True),
            _index("gone", sparse=True),
            # Users: only the first document of a journal, and those that erase, name theirs.
            _index("namespace", "user_id", partialFilterExpression={"user_id": {"$exists": True}}),
        ]
    )
    await store.memories.create_indexes(
        [
            _index("u", "row", "seq"),
            _index("u", "position"),
            _index("gone", sparse=True),
            _index("user_id", sparse=True),
        ]
    )
    await store.rows.create_indexes(
        [
            _index("u", "kind", "row", "seq"),
            _index("u", "kind", "position"),
            _index("u", "kind", "group", "position"),
            _index("gone", sparse=True),
        ]
    )


def _index(*fields: str, **options: object) -> IndexModel:
    return IndexModel([(field, ASCENDING) for field in fields], **options)


class _Step(NamedTuple):
    name: str
    run: Callable[[Collections], Awaitable[None]]


_STEPS: Sequence[_Step] = (_Step("create the collections and their indexes", _create_indexes),)

VERSION = len(_STEPS)
"""The schema that this driver reads and writes."""
