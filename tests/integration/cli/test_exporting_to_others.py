"""`memsvc export --to`: what is exported in a form of others is read again as that of others."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from memsvc_client import AsyncMemoryClient
from tests.integration.cli.test_moving_commands import SETTINGS, memsvc
from tests.torture.process import Installation, Server


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with Installation(tmp_path, f"sqlite:///{tmp_path}/memory.db", SETTINGS).serving() as server:
        async with AsyncMemoryClient(server.target) as client:
            for user_id in ("ben", "sarah"):
                memories = client.user(user_id, agent_id="support").memories
                await memories.upsert("profile", "location", "Lives in Oslo", value="Oslo", topics=["home"])
                await memories.add("Likes *bold* plans\n# and <b>tags</b> 🎻", memory_id="m1")
        yield server


@pytest.mark.parametrize("form", ["agno", "mem0"])
async def test_what_is_exported_for_another_system_is_imported_as_its_own(
    server: Server, tmp_path: Path, form: str
) -> None:
    file = tmp_path / f"out.{form}"
    exported = await memsvc("export", "--all", "--to", form, "-o", str(file), "--target", server.target)
    at = ("--target", server.target, "--namespace", "again")
    imported = await memsvc("import", str(file), "--from", form, *at)
    async with AsyncMemoryClient(server.target) as client, AsyncMemoryClient(server.target, namespace="again") as copy:
        for user_id in ("ben", "sarah"):
            there, here = [await each.user(user_id).memories.list() for each in (client, copy)]
            assert {(each.memory, each.topics, each.agent_id) for each in here} == {
                (each.memory, each.topics, each.agent_id) for each in there
            }
            assert {each.key for each in here} == {"location", ""}

    assert exported[2].splitlines()[-1] == "4 memories exported"
    assert imported[2].splitlines()[-1] == "4 created, 0 skipped, 0 overwritten, 0 refused"
    if form == "agno":
        again = await memsvc("export", "--all", "--to", form, "-o", str(file), "--target", server.target)
        assert (again[0], "is there already" in again[2]) == (1, True)


async def test_people_read_markdown_and_programs_one_document(server: Server) -> None:
    _, markdown, _ = await memsvc("export", "sarah", "--to", "markdown", "--target", server.target)
    _, document, _ = await memsvc("export", "sarah", "--to", "json", "--target", server.target)

    assert markdown == (
        "# sarah\n\n## Profile\n\n- **location**: Lives in Oslo\n\n## Knowledge\n\n"
        "- Likes \\*bold\\* plans \\# and \\<b\\>tags\\</b\\> 🎻\n"
    )
    (user,) = json.loads(document)["users"]
    assert [each["memory_id"] for each in user["memories"]][1] == "m1"
    assert user["memories"][0]["value"] == "Oslo"


@pytest.mark.parametrize("place", ["none/out.db", "."])
async def test_a_file_of_agno_that_cannot_be_written_is_said_in_one_line(
    server: Server, tmp_path: Path, place: str
) -> None:
    file = str(tmp_path / place)
    code, _, errors = await memsvc("export", "ben", "--to", "agno", "-o", file, "--target", server.target)

    assert (code, errors.splitlines()) == (1, [errors.strip()])
    assert file in errors


async def test_a_file_of_agno_that_was_not_finished_is_begun_anew(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "out.db"
    away = await memsvc("export", "ben", "--to", "agno", "-o", str(file), "--target", "127.0.0.1:1")
    left = file.exists()
    again = await memsvc("export", "ben", "--to", "agno", "-o", str(file), "--target", server.target)

    assert (away[0], left, "run the same command again" in away[2]) == (1, False, False)
    assert (again[0], again[2].splitlines()[-1]) == (0, "2 memories exported")
