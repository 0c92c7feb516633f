"""What the SQLite driver is told."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import pytest
from sqlite_stores import opened

from memsvc.errors import InvalidArgument, StorageUnavailable
from memsvc_drivers.sqlite.driver import SQLiteDriver


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite+pysqlite://"])
def test_a_store_in_ram_is_sent_to_the_memory_driver(url: str) -> None:
    with pytest.raises(InvalidArgument, match="memory://"):
        SQLiteDriver(url, {})


@pytest.mark.parametrize("url", ["sqlite://folder/store.db", "sqlite:///store.db?mode=ro"])
def test_a_url_that_is_more_than_a_path_is_refused(url: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        SQLiteDriver(url, {})
    assert [violation.field for violation in caught.value.fields] == ["storage_url"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"tabel_prefix": "x_"}, "tabel_prefix"),
        ({"table_prefix": "x-"}, "table_prefix"),
        ({"table_prefix": "x" * 60}, "table_prefix"),
        ({"table_prefix": "sqlite_"}, "table_prefix"),
        ({"table_memories": "1memories"}, "table_memories"),
        ({"table_memories": ""}, "table_memories"),
        ({"table_memories": 'm"; DROP TABLE x; --'}, "table_memories"),
        ({"table_memories": "MEMSVC_Runs"}, "table_prefix"),
        ({"table_runs": "facts", "table_memories": "Facts"}, "table_runs"),
        ({"busy_timeout_ms": "soon"}, "busy_timeout_ms"),
        ({"busy_timeout_ms": "0"}, "busy_timeout_ms"),
        ({"wal_cap_bytes": "1"}, "wal_cap_bytes"),
        ({"synchronous": "maybe"}, "synchronous"),
    ],
)
def test_a_wrong_option_is_named(options: Mapping[str, str], named: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        SQLiteDriver("sqlite:///store.db", options)
    assert [violation.field for violation in caught.value.fields] == [f"storage_options.{named}"]


async def test_three_slashes_are_relative_and_four_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for url in ("sqlite:///made/relative.db", f"sqlite:///{tmp_path}/made/absolute.db"):
        driver = SQLiteDriver(url, {})
        await driver.open()
        await driver.close()
    assert {name for name in os.listdir(tmp_path / "made") if name.endswith(".db")} == {"relative.db", "absolute.db"}


@pytest.mark.parametrize("place", ["store.db", "link.db", "store.db/../store.db"])
async def test_a_folder_in_the_place_of_the_file_is_said_to_be_one(tmp_path: Path, place: str) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "store.db")
    (tmp_path / "store.db").mkdir()
    with pytest.raises(StorageUnavailable, match="folder"):
        async with opened(tmp_path / place):
            pass


async def test_a_path_is_taken_letter_by_letter(tmp_path: Path) -> None:
    path = tmp_path / "mémoire #1 100%25 a&b.db"
    async with opened(path):
        assert path.exists()


async def test_tables_are_named_by_prefix_and_one_by_one(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db", {"table_prefix": "acme_", "table_memories": "facts"}):
        pass
    with sqlite3.connect(tmp_path / "store.db") as connection:
        made = connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')").fetchall()
    connection.close()
    prefixed = {"meta", "heads", "journal", "rows", "runs", "sessions", "extractions"}
    assert {name for (name,) in made} == {"facts", *(f"acme_{name}" for name in prefixed)}


async def test_two_stores_share_a_file_under_other_names(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened(path, {"table_prefix": ""}) as first, opened(path, {"table_prefix": "second_"}) as second:
        await first.ping()
        await second.ping()


@pytest.mark.parametrize(("synchronous", "durable"), [("full", True), ("normal", False), ("off", False)])
async def test_only_full_synchronisation_is_durable(tmp_path: Path, synchronous: str, durable: bool) -> None:
    async with opened(tmp_path / "store.db", {"synchronous": synchronous}) as driver:
        found = driver.capabilities().durable
        assert found.supported is durable
        assert durable or synchronous in found.reason


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("busy_timeout", "; did you mean busy_timeout_ms?"),
        ("table-prefix", "; did you mean table_prefix?"),
        ("syncronous", "; did you mean synchronous?"),
        ("colour", ": one of access, busy_timeout_ms"),
    ],
)
def test_an_option_that_there_is_not_names_the_nearest(tmp_path: Path, written: str, said: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        SQLiteDriver(f"sqlite:///{tmp_path}/x.db", {written: "1"})
    assert f"no such option{said}" in caught.value.message
