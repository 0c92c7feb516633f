"""`memsvc import --from`: files made by other memory systems, into a server and into a database."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from memsvc.cli.importing import _Import
from memsvc.cli.importing_lines import Line
from memsvc.cli.progress import Kept
from memsvc_client import (
    AsyncMemoryClient,
    ExportRecord,
    FieldViolation,
    Imported,
    ImportOutcome,
    ImportResult,
    InvalidArgument,
    Memory,
    Trust,
)
from tests.integration.cli.test_moving_commands import SETTINGS, memsvc
from tests.torture.process import Installation, Server
from tests.unit.foreign.test_reading_files import LETTA, MADE, TRIP, from_sql, zipped


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with Installation(tmp_path, f"sqlite:///{tmp_path}/memory.db", SETTINGS).serving() as server:
        yield server


def file_of(kind: str, folder: Path) -> Path:
    match kind:
        case "agno" | "langgraph":
            return from_sql(kind, folder)
        case "hindsight":
            return zipped(folder)
        case "letta":
            path = folder / "agent.af"
            path.write_text(json.dumps({**LETTA, "blocks": LETTA["blocks"][:2]}))
            return path
        case "lines":
            path = folder / "facts.txt"
            path.write_text("# Me\n- The user's name is Sarah\n- Skis\n- skis\n")
            return path
        case _:
            return Path(shutil.copy(MADE / f"{kind}.json", folder))


COUNTS = {"agno": 4, "mem0": 3, "langgraph": 4, "graphiti": 3, "hindsight": 3, "letta": 3, "lines": 2}
LEFT_OUT = {
    "langgraph": "row 5: its namespace does not fit memories.{user}",
    "lines": "line 3: says the same as line 4",
}


async def memories_in(target: str, namespace: str) -> list[Memory]:
    async with AsyncMemoryClient(target, namespace=namespace) as client:
        return [memory async for user in client.users() async for memory in client.user(user).memories.list()]


@pytest.mark.parametrize("kind", COUNTS)
async def test_all_of_a_file_is_imported_once_however_often_it_is(server: Server, tmp_path: Path, kind: str) -> None:
    path = file_of(kind, tmp_path)
    arguments = ["import", str(path), "--from", kind, "--target", server.target, "--namespace", kind]
    arguments += ["--user", "sarah"] if kind in ("letta", "lines") else []
    first, again = await memsvc(*arguments), await memsvc(*arguments)
    memories = await memories_in(server.target, kind)

    assert (first[0], first[2].splitlines()[-1]) == (0, f"{COUNTS[kind]} created, 0 skipped, 0 overwritten, 0 refused")
    assert (again[0], again[2].splitlines()[-1]) == (0, f"0 created, {COUNTS[kind]} skipped, 0 overwritten, 0 refused")
    assert f"left out: {LEFT_OUT.get(kind, '')}" in first[2] or kind not in LEFT_OUT
    assert len(memories) == COUNTS[kind]
    assert {memory.trust for memory in memories} == {Trust.IMPORTED}


async def test_agnos_memories_keep_their_words_topics_times_and_agents(server: Server, tmp_path: Path) -> None:
    path = file_of("agno", tmp_path)
    shown = await memsvc("import", str(path), "--from", "agno", "--preview")
    before = await memories_in(server.target, "")
    await memsvc("import", str(path), "--from", "agno", "--target", server.target)
    memories = {memory.memory: memory for memory in await memories_in(server.target, "")}

    assert "sarah@example.com  profile.location: Lives in Berlin" in shown[1]
    assert shown[1].splitlines()[-1] == "4 records of 2 users, 0 damaged: nothing was imported"
    assert before == []
    assert memories["Lives in Berlin"].key == "location"
    boston = memories["Lives in Boston"]
    assert (boston.key, boston.agent_id, boston.input, boston.topics) == ("", "support", "I live in Boston", ("home",))
    assert boston.create_time is not None
    assert boston.create_time.timestamp() == 1_700_000_000
    assert boston.valid_to == memories["Lives in Berlin"].update_time
    name = memories['The user\'s name is Sarah \N{GRINNING FACE}, called "Sari"']
    assert (name.topics, name.team_id) == (("name", "family"), "crew")


async def test_what_is_known_at_a_key_stays_and_the_imported_is_known_beside_it(server: Server, tmp_path: Path) -> None:
    async with AsyncMemoryClient(server.target) as client:
        await client.user("me").memories.upsert("profile", "name", "The user's name is Zoe", value="Zoe")
    path = file_of("lines", tmp_path)
    arguments = ("import", str(path), "--from", "lines", "--user", "me", "--target", server.target)
    first, again = await memsvc(*arguments), await memsvc(*arguments)
    memories = {memory.memory: memory.key for memory in await memories_in(server.target, "")}

    assert first[2].splitlines()[-1] == "2 created, 0 skipped, 0 overwritten, 0 refused"
    assert again[2].splitlines()[-1] == "0 created, 2 skipped, 0 overwritten, 0 refused"
    assert memories == {"The user's name is Zoe": "name", "The user's name is Sarah": "", "skis": ""}


async def test_conversations_are_imported_as_runs_and_learned_from_into_a_database(tmp_path: Path) -> None:
    path = tmp_path / "conversations.json"
    path.write_text(json.dumps([TRIP]))
    database = tmp_path / "new.db"
    arguments = ("import", str(path), "--from", "chatgpt", "--user", "me", "--to", f"sqlite:///{database}")
    first, again = await memsvc(*arguments), await memsvc(*arguments)
    async with Installation(tmp_path, f"sqlite:///{database}", {**SETTINGS, "quiet_seconds": 0}).serving() as server:
        async with AsyncMemoryClient(server.target) as client:
            history = await client.user("me").history("c-1")
            learned = (await client.user("me").context(wait=True)).text

    assert first[2].splitlines()[-1] == "2 created, 0 skipped, 0 overwritten, 0 refused"
    assert again[2].splitlines()[-1] == "0 created, 2 skipped, 0 overwritten, 0 refused"
    assert [each["content"] for each in history] == ["I live in Oslo", "Nice!", "Plan a trip", "Sure."]
    assert "Oslo" in learned


async def test_damaged_rows_are_named_and_nothing_is_imported_unless_they_are_skipped(
    server: Server, tmp_path: Path
) -> None:
    path = from_sql("agno", tmp_path)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE agno_memories SET topics = '{' WHERE memory_id = 'm-1'")
    database.close()
    arguments = ("import", str(path), "--from", "agno", "--target", server.target)
    stopped = await memsvc(*arguments)
    none = await memories_in(server.target, "")
    skipping = await memsvc(*arguments, "--skip-damaged")

    assert stopped[0] == 1
    assert "row 1: topics: is no JSON" in stopped[2]
    assert "1 damaged lines: nothing was imported" in stopped[2]
    assert none == []
    assert (skipping[0], skipping[2].splitlines()[-1]) == (1, "3 created, 0 skipped, 0 overwritten, 1 refused")
    nothing = await memsvc("import", str(path), "--from", "hindsight", "--target", server.target)
    assert "cannot be read as a ZIP archive: nothing was imported" in nothing[2]


class Refusing:
    """A service that has the keys of all memories elsewhere, and refuses one text without its key."""

    def __init__(self, text: str) -> None:
        self._refused = text

    def user(self, user_id: str) -> Refusing:
        return self

    def server_info(self) -> None:
        """It is there."""

    def import_records(self, records: Sequence[ExportRecord], **_: Any) -> Imported:
        memories = [record.memory for record in records]
        assert all(memories)
        for index, memory in enumerate(memories):
            if memory and not memory.key and memory.memory == self._refused:
                raise InvalidArgument("no", fields=(FieldViolation(f"records[{index}].memory.text", "is refused"),))
        elsewhere = ImportOutcome(ImportResult.SKIPPED, "elsewhere")
        taken = (elsewhere if memory and memory.key else ImportOutcome(ImportResult.CREATED) for memory in memories)
        return Imported(outcomes=tuple(taken))


def test_what_is_refused_without_its_key_is_named_by_its_own_line(capsys: pytest.CaptureFixture[str]) -> None:
    def line(number: int, key: str) -> Line:
        memory = {"memoryId": f"m{number}", "text": f"Text {number}", "layer": "LAYER_PROFILE", "key": key}
        return Line(number, "", "sarah", ExportRecord.from_json(json.dumps({"memory": memory})), 99)

    client: Any = Refusing("Text 4")
    importing = _Import("skip", True, Kept(None, {}), rekey=True)
    importing.run(client, [line(1, ""), line(2, ""), line(3, "city"), line(4, "food"), line(5, "name")])
    assert "line 4: memory.text: is refused" in capsys.readouterr().err
    assert importing.words() == "4 created, 0 skipped, 0 overwritten, 1 refused"
