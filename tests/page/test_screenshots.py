"""Pictures of the page for docs/page.md, which `make screenshots` takes anew: people look at them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.page.site import Site
from tests.page.world import MAIN, SESSION, fill

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
USER = f"#/user/{MAIN}"
WIDE = {"viewport": {"width": 1120, "height": 640}}
NARROW = {"viewport": {"width": 360, "height": 640}}
MAX_BYTES = 100_000
PICTURES = {
    "overview-light": (USER, ".document .tree", WIDE),
    "memories-dark": (
        f"{USER}/memories?q=what+should+she+not+eat",
        ".row.memory .score",
        WIDE | {"color_scheme": "dark"},
    ),
    "memory-light": (f"{USER}/memories?m=", "dialog .commit", {"viewport": {"width": 860, "height": 640}}),
    "conversation-light": (f"{USER}/conversations/{SESSION}", ".run .taught", WIDE),
    "context-dark": (f"{USER}/context", ".section.LAYER_FEEDBACK", WIDE | {"color_scheme": "dark"}),
    "memories-narrow": (f"{USER}/memories", ".row.memory", NARROW),
}


@pytest.mark.skipif(os.environ.get("MEMSVC_TEST_PAGE") != "screenshots", reason="`make screenshots` takes them")
async def test_take_screenshots(lone_site: Site, open_browser) -> None:
    await fill(lone_site)
    said = {memory["text"]: memory["memoryId"] for memory in await lone_site.memories(MAIN)}
    FOLDER.mkdir(exist_ok=True)
    for name, (place, sign, context) in PICTURES.items():
        shown = f"{place}{said['Favorite wine is Vinho Verde']}" if place.endswith("m=") else place
        reader = await open_browser(lone_site, shown, reduced_motion="reduce", **context)
        await reader.page.locator(sign).first.wait_for()
        await reader.page.locator(".live[data-state=live]").wait_for()
        path = FOLDER / f"{name}.png"
        await reader.page.screenshot(path=path, animations="disabled", caret="hide")
        assert path.stat().st_size <= MAX_BYTES, name
        await reader.is_sound()
        await reader.page.context.close()
