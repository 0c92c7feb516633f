"""The stores that drivers are tried on."""

from __future__ import annotations

import secrets

import pytest

from memsvc.storage.conformance import Place
from tests.servers.given import given_server


@pytest.fixture
def place(store_url: str) -> Place:
    """The store under test, in which other tests have left theirs.

    On FerretDB each test has one of its own: for much of what it is asked it reads all that there is.
    """
    if store_url.startswith("mongodb:") and given_server("mongodb") is None:
        store_url += f"-{secrets.token_hex(4)}"
    return Place(store_url, {})
