"""What happens while somebody looks: changes of others, servers that end and start, texts that mean harm."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.page.site import Site
from tests.page.world import MAIN, SESSION, fill

SARAH = "#/user/sarah/memories"
HARMFUL = (
    "<script>window.harmed = 1</script>",
    "<img src=x onerror='window.harmed = 1'><b>bold</b>",
    '"><svg onload="window.harmed = 1">',
    "javascript:window.harmed=1 {{harmed}} ${harmed} &lt;b&gt;",
    "😀👩‍👩‍👧‍👦🏳️‍🌈 e\u0301 " + "\u202eevil" + "\u2066",
    "אני גר בלונדון ואוהב קפה; מחיר 5$",
    "\x01\x07\x1b[31mred\x1b[0m \x7f end",
    "x" * 8192,
    "line\nbreak\ttab " + "word " * 1500,
)


async def test_what_others_change_appears_as_it_is_committed(site: Site, open_browser) -> None:
    await site.remember("sarah", {"text": "Skis"})
    one, other = await open_browser(site, SARAH), await open_browser(site, SARAH)
    for reader in (one, other):
        await reader.page.locator(".live[data-state=live]").wait_for()
        await reader.sees("1 memory")

    await one.press("Add memory")
    await one.type("Text", "Lives in Lisbon")
    await one.press("Save")

    await other.page.locator(".row.memory.new").get_by_text("Lives in Lisbon").wait_for()
    await other.sees("2 memories")
    await other.follow(re.compile("Lives in Lisbon"))
    await one.page.locator(".row.memory", has_text="Lives in Lisbon").locator("input").click()
    await one.press("Delete")
    await other.sees(re.compile("This memory is deleted"))
    await other.sees("1 memory")
    await one.go("#/user/sarah")
    await other.go("#/user/sarah/changes")
    await site.remember("sarah", {"text": "Sails", "layer": "LAYER_PROFILE"})
    await one.page.get_by_role("region", name="Profile").get_by_text("Sails").wait_for()
    await other.page.locator('[data-revision="4"]').get_by_text("Sails").wait_for()
    for reader in (one, other):
        await reader.is_sound()


async def test_who_looks_far_down_sees_what_is_written_without_end_and_loses_nothing_meanwhile(
    lone_site: Site, open_browser
) -> None:
    await lone_site.remember("sarah", *({"text": f"Fact {each}"} for each in range(3000)))
    reader = await open_browser(lone_site, SARAH)
    await reader.sees("3,000 memories")
    await reader.page.locator(".scroller").evaluate("list => { list.scrollTop = 2000 * 74 }")
    await reader.sees("Fact 999")
    await reader.evaluate(
        """() => {
          window.gaps = 0;
          new MutationObserver((changes) => changes.forEach(({ addedNodes }) => addedNodes.forEach((node) => {
            if (node.querySelector?.(".skeleton")) window.gaps += 1;
          }))).observe(document.querySelector(".rows"), { childList: true });
        }"""
    )
    is_seen = asyncio.Event()

    async def write_without_end() -> None:
        while not is_seen.is_set():
            await lone_site.remember("sarah", {"text": "Skis"})

    async with asyncio.TaskGroup() as writing:
        writing.create_task(write_without_end())
        try:
            await reader.sees(re.compile(r"^3,0(0[1-9]|[1-9]\d) memories"))
        finally:
            is_seen.set()

    assert await reader.evaluate("() => window.gaps") == 0
    await reader.is_sound()


async def test_a_server_that_restarts_is_found_again_and_nothing_is_missed(site: Site, open_browser) -> None:
    await site.remember("sarah", {"text": "Skis"})
    reader = await open_browser(site, SARAH)
    await reader.sees("1 memory")

    await site.kill()
    await reader.sees("Reconnecting")
    await reader.press("Policy")
    await reader.sees("The server cannot answer just now")
    await site.start()
    await site.remember("sarah", {"text": "Sails"})
    await reader.page.locator(".live[data-state=live]").wait_for()
    await reader.press("Policy")
    await reader.sees("Sails")
    await reader.sees("2 memories")


async def test_texts_that_mean_harm_are_text(site: Site, open_browser) -> None:
    stored = await site.remember(
        "<i>sarah</i>",
        *({"text": text, "topics": [text[:30].replace("\n", " ")]} for text in HARMFUL if "\x01" not in text),
    )
    messages = ({"role": "USER", "text": text} for text in HARMFUL)
    await site.said("<i>sarah</i>", "<b>s</b>", *messages, learningMode="LEARNING_MODE_OFF")
    reader = await open_browser(site, "#/users")
    await reader.page.evaluate("() => addEventListener('securitypolicyviolation', (e) => console.error(e.blockedURI))")

    await reader.follow("<i>sarah</i>")
    await reader.sees(re.compile("<script>window.harmed"))
    await reader.follow("Memories")
    await reader.sees(f"{len(stored)} memories")
    for memory in stored:
        await reader.go(f"#/user/%3Ci%3Esarah%3C%2Fi%3E/memories?m={memory['memoryId']}")
        shown = reader.page.locator("dialog .memory-text")
        await shown.wait_for()
        assert await shown.text_content() == memory["text"]
        assert await shown.get_attribute("dir") == "auto"
    await reader.go("#/user/%3Ci%3Esarah%3C%2Fi%3E/conversations/%3Cb%3Es%3C%2Fb%3E")
    await reader.sees(re.compile("␛"))
    assert HARMFUL[6][0] not in (await reader.page.locator("main").text_content() or "")
    for place in ("changes", "learning", "context"):
        await reader.go(f"#/user/%3Ci%3Esarah%3C%2Fi%3E/{place}")
        await reader.page.locator(f'nav.tabs [data-tab="{place}"][aria-current]').wait_for()
    await reader.page.locator(".section").first.wait_for()

    assert await reader.evaluate("() => window.harmed") is None
    assert await reader.page.locator("main img, main script, main b, main i, main svg[onload]").count() == 0
    right = await reader.evaluate(
        """() => {
          const made = document.createElement("span");
          made.dir = "auto"; made.textContent = "אני"; document.body.append(made);
          return getComputedStyle(made).direction;
        }"""
    )
    assert right == "rtl"
    await reader.is_sound()


async def test_all_can_be_done_by_keys(lone_site: Site, open_browser) -> None:
    await lone_site.remember("sarah", *({"text": f"Fact {each}"} for each in range(200)))
    reader = await open_browser(lone_site, f"{SARAH}?order=CREATE_TIME_ASC")
    keys = reader.page.keyboard
    await reader.sees("200 memories")

    await reader.page.locator(".row.memory a").first.focus()
    await keys.press("ArrowDown")
    await keys.press("ArrowDown")
    assert await reader.evaluate("() => document.activeElement.textContent") == "Fact 2"
    await keys.press("End")
    await reader.page.wait_for_function("() => document.activeElement.textContent === 'Fact 199'")
    await keys.press("Home")
    await reader.page.wait_for_function("() => document.activeElement.textContent === 'Fact 0'")
    await keys.press("Enter")
    drawer = reader.page.get_by_role("dialog")
    await drawer.get_by_text("Fact 0").first.wait_for()
    await keys.press("Escape")
    await reader.gone(drawer)
    assert "m=" not in await reader.address()
    await reader.page.wait_for_function("() => document.activeElement.textContent === 'Fact 0'")
    await keys.press("Shift+Tab")
    await keys.press("Space")
    await reader.sees("1 selected")
    await reader.is_sound()


def axe_core(folder: Path) -> str:
    """Return axe, which finds what people who see or move otherwise would stumble over."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--no-save", "axe-core@4"]
    fetched = subprocess.run(command, cwd=folder, capture_output=True, timeout=120, check=False)
    if fetched.returncode:
        pytest.skip("axe-core cannot be fetched")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_serious(lone_site: Site, open_browser, folder: Path, scheme: str) -> None:
    axe = axe_core(folder)
    await fill(lone_site)
    width = 1280 if scheme == "light" else 360
    reader = await open_browser(
        lone_site, color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True
    )
    memory = (await lone_site.memories(MAIN))[0]["memoryId"]
    user = f"#/user/{MAIN}"
    places = [
        ("#/users", ".row.user", ""),
        ("#/server", ".badge", ""),
        ("#/configuration", ".save", ""),
        (user, ".card", ""),
        (user, ".card", "Erase…"),
        (f"{user}/memories", ".row.memory", ""),
        (f"{user}/memories?topic=food", ".filter-grid", ""),
        (f"{user}/memories", ".row.memory", "Add memory"),
        (f"{user}/memories?layer=LAYER_POLICY", ".row.memory", "Clear…"),
        (f"{user}/memories?m={memory}", "dialog dl", ""),
        (f"{user}/memories?m={memory}", "dialog dl", "Edit"),
        (f"{user}/memories?q=cats", ".score", ""),
        (f"{user}/memories?q=cats&method=AGENTIC", ".failure", ""),
        (f"{user}/changes", ".commit", ""),
        (f"{user}/conversations", ".list li", ""),
        (f"{user}/conversations/{SESSION}", ".run", ""),
        (f"{user}/conversations/{SESSION}", ".run", "Learn now…"),
        (f"{user}/learning", ".extraction", ""),
        (f"{user}/context", ".section", ""),
        ("#/user/nobody/memories", ".empty", ""),
    ]
    found = []
    for place, sign, opened in places:
        await reader.go("#/users")
        await reader.page.locator(".row.user").first.wait_for()
        await reader.go(place)
        await reader.page.locator(sign).first.wait_for()
        if opened:
            await reader.press(opened)
            await reader.page.locator("dialog .dialog-body").last.wait_for()
        await reader.evaluate(axe)
        result = await reader.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
        serious = [each for each in result["violations"] if each["impact"] in ("serious", "critical")]
        found += [
            (place, opened, each["id"], each["nodes"][0]["html"][:120], each["nodes"][0]["failureSummary"])
            for each in serious
        ]
    assert found == []
