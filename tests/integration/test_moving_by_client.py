"""Users go out of one server and into another by the Python client."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from memsvc_client import (
    AlreadyExists,
    AsyncMemoryClient,
    ErasedNamespace,
    ExportRecord,
    Imported,
    ImportResult,
    InvalidArgument,
    MemoryClient,
)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[MemoryClient]:
    with MemoryClient.local(tmp_path / "memory.db", engine="rules", quiet_seconds=0) as client:
        yield client


def test_a_user_goes_from_one_server_to_another_as_lines_of_text(client: MemoryClient, tmp_path: Path) -> None:
    sarah = client.user("sarah")
    sarah.memories.add("Skis", topics=["sport"])
    sarah.append_run("s1", [("user", "I live in Kraków."), ("assistant", "Lovely.")], wait=True)
    lines = [record.to_json() for record in sarah.export()]
    with MemoryClient.local(tmp_path / "other.db", engine="rules") as other:
        imported = other.user("sarah").import_records(lines)
        again = [record.to_json() for record in other.user("sarah").export(page_size=1)]

        def shown(each: str) -> ExportRecord:
            record = ExportRecord.from_json(each)
            record.wire.memory.ClearField("etag")
            return record

        assert [shown(each).wire for each in again] == [shown(each).wire for each in lines]
        assert imported.created_count == len(lines) == 3
        assert [each["content"] for each in other.user("sarah").history("s1")] == ["I live in Kraków.", "Lovely."]
        assert other.user("sarah").import_records(lines, mode="skip").skipped_count == 3
        with pytest.raises(AlreadyExists) as failure:
            other.user("sarah").import_records(lines)
        assert failure.value.fields[0].field == "records[2].run.run_id"


def test_many_records_go_in_several_calls_and_progress_is_told(client: MemoryClient) -> None:
    seen: list[Imported] = []
    records = [{"memory": {"text": f"Note {number}"}} for number in range(1_100)]
    imported = client.user("ben").import_records(records, progress=seen.append)

    assert [each.created_count for each in seen] == [500, 1000, 1100]
    assert [each.number for each in imported.outcomes] == list(range(1, 1101))
    assert {each.result for each in imported.outcomes} == {ImportResult.CREATED}
    records[1_050] = {"memory": {"text": ""}}
    with pytest.raises(InvalidArgument) as failure:
        client.user("eve").import_records(records)
    assert failure.value.fields[0].field == "records[1050].memory.text"


def test_what_one_commit_does_not_take_goes_in_several(client: MemoryClient) -> None:
    ben = client.user("ben")
    long = [{"memory": {"memory_id": f"m{number}", "text": "x" * 8_000}} for number in range(450)]
    ben.import_records(long)
    short = [{"memory": {"memory_id": f"m{number}", "text": "x"}} for number in range(450)]
    overwritten = ben.import_records(short, mode="overwrite")

    assert overwritten.overwritten_count == 450


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{", "records[1] is no JSON"),
        ("[]", "records[1] must be a JSON object"),
        ("{}", "records[1] must have a memory or a run"),
        ({"memory": {"texts": "a"}}, "records[1] is no record"),
        ({"memory": {"number": "seven"}}, "records[1] is no record"),
        ('{"memory": {"text": "\\ud800"}}', "records[1] "),
        ("[" * 100_000, "records[1] is nested too deeply"),
    ],
)
def test_a_record_that_is_none_is_named_before_anything_is_sent(client: MemoryClient, given: str, said: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(said)):
        client.user("ben").import_records([{"memory": {"text": "Skis"}}, given])
    assert client.user("ben").stats().memory_count == 0


def test_a_namespace_goes_with_all_of_its_users(client: MemoryClient, tmp_path: Path) -> None:
    with MemoryClient.local(tmp_path / "memory.db", namespace="app") as app:
        for number in range(20):
            app.user(f"user-{number}").memories.add("Skis")
    client.user("sarah").memories.add("Stays")
    seen: list[ErasedNamespace] = []
    with pytest.raises(InvalidArgument):
        client.erase_namespace("app", confirm_namespace="ap")
    erased = client.erase_namespace("app", confirm_namespace="app", progress=seen.append)

    assert (erased.erased_user_count, erased.erased_memory_count) == (20, 20)
    assert seen[-1] == erased
    assert list(client.users()) == ["sarah"]
    assert client.erase_namespace("app", confirm_namespace="app").erased_user_count == 0


def test_the_asyncio_client_moves_users_too(tmp_path: Path) -> None:
    async def move() -> list[str]:
        async with AsyncMemoryClient.local(tmp_path / "memory.db", engine="rules") as client:
            await client.user("sarah").memories.add("Skis")
            records = [record async for record in client.user("sarah").export()]
            imported = await client.user("ben").import_records(records)
            assert imported.created_count == 1
            erased = await client.erase_namespace("default", confirm_namespace="default")
            assert erased.erased_user_count == 2
            return [user async for user in client.users()]

    assert asyncio.run(move()) == []
