"""The stores that drivers are tried on: RAM, a SQLite file, and every `MEMSVC_TEST_<NAME>_URL` of the environment."""

from __future__ import annotations

import os
import re
from importlib.util import find_spec

import pytest

pytest.register_assert_rewrite("memsvc.storage.conformance")

from memsvc.storage.conformance import Place  # noqa: E402


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "store_url" in metafunc.fixturenames:
        urls = _urls()
        metafunc.parametrize("store_url", urls.values(), ids=urls.keys(), scope="session")


@pytest.fixture
def place(store_url: str, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The store under test; one SQLite file serves all tests, so that each meets what the others left."""
    if "{tmp}" in store_url and find_spec("memsvc_drivers.sqlite") is None:
        pytest.skip("the SQLite driver is not installed")
    return Place(store_url.replace("{tmp}", str(tmp_path_factory.getbasetemp())), {})


def _urls() -> dict[str, str]:
    urls = {"memory": "memory://conformance", "sqlite": "sqlite:///{tmp}/conformance.db"}
    for name, url in os.environ.items():
        if url and (match := re.fullmatch(r"MEMSVC_TEST_(\w+)_URL", name)):
            urls[match[1].lower()] = url
    return urls
