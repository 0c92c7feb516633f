"""Looking at memories and changing them, in a browser."""

from __future__ import annotations

import re

import pytest

from tests.page.site import Site
from tests.page.world import MAIN, fill, lots

SARAH = "#/user/sarah/memories"


async def test_users_are_found_by_how_they_begin_and_by_when_they_were_active(site: Site, open_browser) -> None:
    for name in ("anna", "antonio", "bob"):
        await site.remember(name, {"text": "Skis"})
    reader = await open_browser(site)

    await reader.sees("3 users")
    await reader.page.get_by_role("searchbox").fill("an")
    await reader.sees("2 users")
    await reader.page.get_by_role("searchbox").fill("")
    await reader.press("Recently active first")
    await reader.page.locator(".row.user").nth(2).wait_for()
    await reader.page.locator(".row.user").first.get_by_text("bob").wait_for()
    await reader.follow("antonio")
    await reader.page.get_by_role("heading", name="antonio").wait_for()
    await reader.is_sound()


async def test_a_user_is_four_cards_and_one_document(site: Site, open_browser) -> None:
    await fill(site)
    reader = await open_browser(site, f"#/user/{MAIN}")

    for layer in ("Profile", "Policy", "Knowledge", "Feedback"):
        await reader.page.get_by_role("heading", name=layer).wait_for()
    await reader.sees("Never book anything without asking first.")
    document = reader.page.locator(".document")
    assert "languages" in (await document.text_content() or "")
    await reader.page.get_by_role("region", name="Knowledge").get_by_role("link", name=re.compile("^All")).click()
    await reader.page.locator('.pick.LAYER_KNOWLEDGE[aria-pressed="true"]').wait_for()
    await reader.is_sound()


async def test_a_memory_leads_to_where_it_was_said(site: Site, open_browser) -> None:
    await fill(site)
    reader = await open_browser(site, f"#/user/{MAIN}/memories")

    await reader.follow(re.compile("Vinho Verde"))
    drawer = reader.page.get_by_role("dialog")
    await drawer.get_by_role("heading", name="Where it came from").wait_for()
    assert "My favourite wine is Vinho Verde" in (await drawer.locator("blockquote").text_content() or "")
    await drawer.get_by_role("link", name="Open in its conversation").click()
    await reader.page.locator(".run.wanted").get_by_text("Please do. I prefer to sit outside").wait_for()
    await reader.sees(re.compile("Taught"))
    await reader.is_sound()


async def test_filters_sorting_and_search_show_what_they_say(site: Site, open_browser) -> None:
    await fill(site)
    reader = await open_browser(site, f"#/user/{MAIN}/memories")

    await reader.press("Policy")
    await reader.sees("3 memories")
    await reader.page.get_by_label("Order").select_option("CREATE_TIME_ASC")
    await reader.page.locator(".row.memory").first.get_by_text("Keep answers short").wait_for()
    await reader.press("Policy")
    await reader.page.get_by_text("Filters", exact=True).click()
    await reader.page.get_by_label("Topic", exact=True).select_option("food")
    await reader.sees("2 memories")
    await reader.press("Clear filters")
    await reader.type("Search memories", "what may she not eat, allergic")
    await reader.sees(re.compile("found by .* search"))
    first = reader.page.locator(".row.memory").first
    await first.get_by_text("allergic to hazelnuts").wait_for()
    assert float((await first.locator(".score").text_content()) or 0) > 0.2
    await reader.page.get_by_label("Search method").select_option("LEXICAL")
    await reader.sees(re.compile("found by lexical search"))
    await reader.is_sound()


async def test_a_memory_is_added_edited_deleted_and_each_undone(site: Site, open_browser) -> None:
    await site.remember("sarah", {"text": "Skis"})
    reader = await open_browser(site, SARAH)

    await reader.press("Add memory")
    await reader.type("Text", "Lives in Lisbon")
    await reader.type("Topics", "home, city")
    await reader.press("Save")
    await reader.notice(re.compile("Added “Lives in Lisbon” · revision 2"))
    await reader.follow(re.compile("Lives in Lisbon"))
    await reader.press("Edit")
    await reader.type("Text", "Lives in Porto")
    await reader.press("Save")
    await reader.notice(re.compile("Changed “Lives in Porto” · revision 3"))
    assert await site.texts("sarah") == {"Skis", "Lives in Porto"}
    await reader.undo()
    await reader.notice(re.compile("Undid revision 3"))
    assert await site.texts("sarah") == {"Skis", "Lives in Lisbon"}
    await reader.press("Delete")
    await reader.notice(re.compile("Deleted “Lives in Lisbon”"))
    await reader.sees(re.compile("This memory is deleted"))
    assert await site.texts("sarah") == {"Skis"}
    await reader.undo()
    await reader.notice(re.compile("Undid revision 5"))
    assert await site.texts("sarah") == {"Skis", "Lives in Lisbon"}
    await reader.is_sound()


async def test_two_who_edit_at_once_see_both_and_lose_nothing(site: Site, open_browser) -> None:
    await site.remember("sarah", {"text": "Lives in Lisbon"})
    one, other = await open_browser(site, SARAH), await open_browser(site, SARAH)
    for reader in (one, other):
        await reader.follow(re.compile("Lives in Lisbon"))
        await reader.press("Edit")
    await other.type("Text", "Lives in Braga")
    await other.press("Save")
    await other.notice(re.compile("Changed"))

    await one.type("Text", "Lives in Porto")
    await one.press("Save")

    both = one.page.locator(".conflict")
    await both.get_by_text("Somebody changed this memory meanwhile").wait_for()
    assert await both.locator("td").all_text_contents() == ["Lives in Braga", "Lives in Porto", "Take theirs"]
    assert await site.texts("sarah") == {"Lives in Braga"}
    await one.press("Save")
    await one.notice(re.compile("Changed “Lives in Porto”"))
    assert await site.texts("sarah") == {"Lives in Porto"}
    await one.is_sound()


async def test_what_is_wrong_with_a_memory_is_said_beside_its_field(site: Site, open_browser) -> None:
    reader = await open_browser(site, SARAH)

    await reader.press("Add memory")
    await reader.type("Text", "Has a key")
    await reader.type("Key", "no key at all")
    await reader.press("Save")

    await reader.page.locator('[data-field="key"][aria-invalid="true"]').wait_for()
    await reader.sees(re.compile("The server does not take that"))
    assert await site.texts("sarah") == set()
    await reader.is_sound()


async def test_many_are_selected_and_deleted_at_once(site: Site, open_browser) -> None:
    await site.remember("sarah", *({"text": f"Fact {each}"} for each in range(10)))
    reader = await open_browser(site, SARAH)

    boxes = reader.page.locator(".row.memory input[type=checkbox]")
    await boxes.nth(1).click()
    await boxes.nth(4).click(modifiers=["Shift"])
    await reader.sees("4 selected")
    await reader.press("Delete")
    await reader.notice(re.compile("Deleted 4 memories"))
    await reader.sees("6 memories")
    await reader.undo()
    await reader.sees("10 memories")
    await boxes.nth(0).click()
    await reader.press("Add a topic…")
    await reader.type("Topic", "work")
    await reader.press("Add")
    await reader.notice(re.compile("Gave 1 memory the topic “work”"))
    await boxes.nth(0).click()
    await reader.press("Purge…")
    await reader.press("Purge")
    await reader.notice(re.compile("Purged 1 memory"))
    assert len(await site.memories("sarah")) == 9
    await reader.is_sound()


async def test_clearing_shows_what_goes_before_it_goes(site: Site, open_browser) -> None:
    await site.remember("sarah", {"text": "Skis", "topics": ["sport"]}, {"text": "Is a nurse", "topics": ["work"]})
    reader = await open_browser(site, f"{SARAH}?topic=sport")

    await reader.sees("1 memory")
    await reader.press("Clear…")
    preview = reader.page.locator(".preview")
    await preview.get_by_text("Skis").wait_for()
    assert "nurse" not in (await preview.text_content() or "")
    await reader.press("Clear them")
    await reader.notice(re.compile("Cleared 1 memory"))
    assert await site.texts("sarah") == {"Is a nurse"}
    await reader.undo()
    await reader.notice(re.compile("Undid revision 2"))
    assert await site.texts("sarah") == {"Skis", "Is a nurse"}
    await reader.is_sound()


async def test_any_revision_is_undone_also_where_more_changed_since(site: Site, open_browser) -> None:
    (skis,) = await site.remember("sarah", {"text": "Skis"})
    scope = {"userId": "sarah"}
    for text in ("Skis badly", "Skis well"):
        memory = {"memoryId": skis["memoryId"], "text": text}
        await site.call("MemoryService/UpdateMemory", {"scope": scope, "memory": memory, "updateMask": "text"})
    reader = await open_browser(site, "#/user/sarah/changes")

    await reader.page.locator('[data-revision="2"]').get_by_role("button", name="Undo").click()
    await reader.sees(re.compile("They changed again since"))
    await reader.press("Bring them back")
    await reader.notice(re.compile("as of revision 1"))
    assert await site.texts("sarah") == {"Skis"}
    await reader.page.locator('[data-revision="3"]').get_by_role("button", name="Go back to here…").click()
    await reader.press("Go back")
    await reader.notice(re.compile("Went back to revision 3"))
    assert await site.texts("sarah") == {"Skis well"}
    await reader.is_sound()


async def test_a_user_is_erased_once_the_name_is_typed(site: Site, open_browser) -> None:
    await site.remember("sarah", {"text": "Skis"})
    await site.remember("other", {"text": "Reads"})
    reader = await open_browser(site, "#/user/sarah")

    await reader.press("Erase…")
    await reader.type("Type the user's name", "sara")
    assert await reader.button("Erase").is_disabled()
    await reader.type("Type the user's name", "sarah")
    await reader.press("Erase")
    await reader.notice(re.compile("Erased sarah: 1 memory"))
    await reader.sees("1 user")
    assert await site.texts("sarah") == set()
    await reader.is_sound()


FIRST_ROWS = """new MutationObserver((_, observer) => {
  if (!document.querySelector(".row.memory")) return;
  observer.disconnect();
  requestAnimationFrame(() => setTimeout(() => { window.firstRows = performance.now() }));
}).observe(document, { childList: true, subtree: true })"""
"""Notes when the first rows were painted, in milliseconds since the navigation began."""
SCROLLED = """async () => {
  const list = document.querySelector(".scroller");
  const frame = () => new Promise(requestAnimationFrame);
  const seen = new Map();
  let most = 0;
  for (let top = 0; ; top = list.scrollTop + list.clientHeight) {
    list.scrollTop = top;
    const { top: above, bottom: below } = list.getBoundingClientRect();
    const box = (row) => row.getBoundingClientRect();
    const inView = (row) => box(row).bottom > above + 1 && box(row).top < below - 1;
    for (;;) {
      await frame();
      const rows = [...document.querySelectorAll(".row")].filter(inView);
      const height = rows.reduce((sum, row) => sum + row.offsetHeight, 0);
      if (height < below - above - 2 || rows.some((row) => row.querySelector(".skeleton"))) continue;
      most = Math.max(most, document.querySelectorAll(".row").length);
      for (const row of rows) {
        const texts = seen.get(row.ariaPosInSet) ?? new Set();
        seen.set(row.ariaPosInSet, texts.add(row.querySelector(".memory-link").textContent));
      }
      break;
    }
    if (list.scrollTop + list.clientHeight >= list.scrollHeight - 1) break;
  }
  return { seen: [...seen].map(([position, texts]) => [Number(position), [...texts]]), most };
}"""
"""Scrolls through the list, a view at a time; returns what was seen where, and the most rows the page ever had."""


@pytest.mark.timeout(480)
async def test_ten_thousand_memories_are_there_at_once_and_scrolled_without_a_gap(
    site: Site, open_browser, measured
) -> None:
    await site.remember("many", *lots(10_000))
    reader = await open_browser(site, "#/users", viewport={"width": 1280, "height": 2000})
    network = await reader.page.context.new_cdp_session(reader.page)
    await reader.page.add_init_script(FIRST_ROWS)
    for how in ("nothing kept", "files kept"):
        if how == "nothing kept":
            await network.send("Network.clearBrowserCache")
        await reader.page.goto("about:blank")
        await reader.open("#/user/many/memories?order=CREATE_TIME_ASC")
        shown = await (await reader.page.wait_for_function("() => window.firstRows")).json_value()
        measured(f"first view of 10,000 memories after {shown:.0f} ms, {how} (goal on a quiet machine: 300)")
    await reader.sees("10,000 memories")

    scrolled = await reader.evaluate(SCROLLED)

    assert scrolled["most"] < 60
    assert [position for position, _ in scrolled["seen"]] == list(range(1, 10_001))
    for position, texts in scrolled["seen"]:
        assert [text.split(":")[0] for text in texts] == [f"Fact {position - 1}"]
    await reader.is_sound()
