"""The stores that drivers are tried on."""

from __future__ import annotations

import pytest

from memsvc.storage.conformance import Place


@pytest.fixture
def place(store_url: str) -> Place:
    """The store under test."""
    return Place(store_url, {})
