"""Browsers on pages of real servers. Asked for by `make page-test`; else each test is skipped by its name."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from memsvc.storage.conformance import Place
from tests.page.browsing import Reader
from tests.page.site import Site, serving_page

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
STORES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]


@pytest.fixture(autouse=True)
def _wanted() -> None:
    if not os.environ.get("MEMSVC_TEST_PAGE"):
        pytest.skip("it opens browsers: `make page-test` runs it")
    pytest.importorskip("playwright.async_api", reason="Playwright is not installed")
    if shutil.which(CHROMIUM) is None:
        pytest.skip(f"{CHROMIUM} is not installed")


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="memsvc") as path:
        yield Path(path)


@pytest.fixture(params=STORES)
async def site(request: pytest.FixtureRequest, folder: Path, _wanted: None) -> AsyncIterator[Site]:
    """A server on each of the stores in turn, each empty."""
    if request.param == "sqlite":
        async with serving_page(folder, f"sqlite:///{folder}/memsvc.db") as made:
            yield made
        return
    place = Place(request.getfixturevalue("postgres_server").url, {})
    async with place.bench().scratch(place) as scratch:
        options = ",".join(f"{name}={value}" for name, value in scratch.options.items())
        async with serving_page(folder, scratch.url, storage_options=options) as made:
            yield made


@pytest.fixture
async def lone_site(folder: Path, _wanted: None) -> AsyncIterator[Site]:
    """A server on SQLite, for what no database has a part in."""
    async with serving_page(folder, f"sqlite:///{folder}/memsvc.db") as made:
        yield made


@pytest.fixture
async def open_browser(_wanted: None) -> AsyncIterator[Callable[..., Awaitable[Reader]]]:
    """Opens a browser of its own with each call: `await open_browser(site, "#/users")`."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)

        async def open_one(there: Site | str, place: str = "", **context: Any) -> Reader:
            options = {"viewport": {"width": 1280, "height": 800}, "locale": "en-GB", "timezone_id": "Europe/Lisbon"}
            made = await browser.new_context(**{**options, **context})
            reader = Reader(await made.new_page(), there if isinstance(there, str) else there.page)
            await reader.open(place)
            return reader

        yield open_one
        await browser.close()
