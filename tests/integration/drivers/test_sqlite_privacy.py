"""Who may open a SQLite store's files, and that every name of a store leads to the same locks."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlite_stores import append_after, applied, opened

from memsvc.errors import StorageUnavailable
from memsvc.storage.driver import EMPTY
from memsvc_drivers.sqlite.driver import SQLiteDriver

FILES = {"store.db", "store.db-wal", "store.db-shm", "store.db-line", "store.db-room", "store.db-open"}
LOCKS = ("line", "room", "open")


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=["umask0", "umask022", "umask077"])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


@pytest.mark.parametrize(("options", "mode"), [({}, 0o600), ({"access": "owner"}, 0o600), ({"access": "group"}, 0o660)])
async def test_only_who_should_can_open_the_files(
    tmp_path: Path, umask: None, options: dict[str, str], mode: int
) -> None:
    async with opened(tmp_path / "store.db", options) as driver:
        await applied(driver, append_after(EMPTY))
        assert modes(tmp_path) == dict.fromkeys(FILES, mode)
        assert driver.capabilities().warnings == ()
    await SQLiteDriver(f"sqlite:///{tmp_path}/migrated.db", options).migrate()
    assert {name: found for name, found in modes(tmp_path).items() if found != mode} == {}


async def test_a_file_that_others_can_open_keeps_its_mode_and_is_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened(path):
        path.chmod(0o644)
    async with opened(path) as driver:
        [warning] = driver.capabilities().warnings
        assert "chmod 0600" in warning
        assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.parametrize("purpose", LOCKS)
@pytest.mark.parametrize("dangling", [False, True])
async def test_a_link_in_the_place_of_a_lock_file_is_refused_and_what_it_leads_to_left_alone(
    tmp_path: Path, purpose: str, dangling: bool
) -> None:
    precious = tmp_path / "precious"
    if not dangling:
        precious.write_text("keep me")
    (tmp_path / f"store.db-{purpose}").symlink_to(precious)
    with pytest.raises(StorageUnavailable, match=f"link .*store.db-{purpose}"):
        await SQLiteDriver(f"sqlite:///{tmp_path}/store.db", {}).open()
    assert (precious.read_text() == "keep me") if not dangling else not precious.exists()


@pytest.mark.parametrize("purpose", LOCKS)
async def test_a_file_in_the_place_of_a_lock_file_keeps_its_content(tmp_path: Path, purpose: str) -> None:
    lock = tmp_path / f"store.db-{purpose}"
    lock.write_text("keep me")
    async with opened(tmp_path / "store.db") as driver:
        await applied(driver, append_after(EMPTY))
    assert lock.read_text() == "keep me"


def through_a_link(folder: Path) -> Path:
    (folder / "link.db").symlink_to(folder / "store.db")
    return folder / "link.db"


def through_links_to_links(folder: Path) -> Path:
    (folder / "first.db").symlink_to("store.db")
    (folder / "second.db").symlink_to("first.db")
    return folder / "second.db"


def through_a_linked_folder(folder: Path) -> Path:
    (folder / "elsewhere").symlink_to(folder, target_is_directory=True)
    return folder / "elsewhere" / "store.db"


def through_dots(folder: Path) -> Path:
    (folder / "deeper").mkdir()
    return folder / "deeper" / ".." / "store.db"


@pytest.mark.parametrize("other_name", [through_a_link, through_links_to_links, through_a_linked_folder, through_dots])
async def test_whoever_opens_a_store_by_another_name_knows_not_to_be_alone(
    tmp_path: Path, other_name: Callable[[Path], Path]
) -> None:
    name = other_name(tmp_path)
    async with opened(tmp_path / "store.db") as first, opened(name) as second:
        assert second.generation == first.generation == 1
        await applied(second, append_after(EMPTY))
    made = {path.name for path in tmp_path.iterdir() if path.is_file() and not path.is_symlink()}
    assert made <= FILES
    async with opened(name) as alone:
        assert alone.generation == 2


async def test_hard_links_are_warned_of(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db"):
        pass
    os.link(tmp_path / "store.db", tmp_path / "again.db")
    async with opened(tmp_path / "again.db") as driver:
        assert "hard links" in driver.capabilities().warnings[0]
