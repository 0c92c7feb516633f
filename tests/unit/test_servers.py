"""The servers of the tests: what is missing is named, and a failure where everything has to be there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import must_have
from tests.servers import ferretdb, postgres, redis
from tests.servers.process import ServerMissing


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine on which nothing is installed."""
    monkeypatch.setattr(shutil, "which", lambda *_: None)
    monkeypatch.setattr(postgres, "find_spec", lambda _: None)
    monkeypatch.setattr(redis, "find_spec", lambda _: None)
    monkeypatch.setattr(postgres, "DEBIAN_FOLDER", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.parametrize(
    ("find", "name"),
    [(postgres.binaries.__wrapped__, "PostgreSQL"), (redis.binary.__wrapped__, "Redis"), (ferretdb.binary, "FerretDB")],
)
@pytest.mark.usefixtures("bare_machine")
def test_a_missing_server_is_named(find: object, name: str) -> None:
    with pytest.raises(ServerMissing, match=rf"^{name}: .*(install|built)"):
        find()  # type: ignore[operator]


@pytest.mark.usefixtures("bare_machine")
@pytest.mark.parametrize(
    ("environment", "outcome"),
    [
        ({}, pytest.skip.Exception),
        ({"CI": "true"}, pytest.fail.Exception),
        ({"CI": "true", "MEMSVC_TEST_ALLOW_MISSING": "1"}, pytest.skip.Exception),
    ],
)
def test_a_missing_server_skips_a_test_and_fails_it_in_ci(
    environment: dict[str, str], outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CI", "MEMSVC_TEST_ALLOW_MISSING"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(outcome, match="Redis: no redis-server found"):
        must_have(redis.binary.__wrapped__)
