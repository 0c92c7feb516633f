"""Conversations, what they taught, and learning as it goes, in a browser."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from memsvc.testing.fake_openai import FakeOpenAI, by_understanding
from memsvc.testing.replies import Ending, Received, Reply, operations
from tests.page.site import Site, serving_page
from tests.page.world import MAIN, SESSION, fill

PORTO = {"role": "USER", "text": "I live in Porto. I work at Northwind Shipping."}


class Model:
    """A model whose answers the test decides."""

    def __init__(self) -> None:
        self.answer: Callable[[Received], Reply] = by_understanding

    def __call__(self, request: Received) -> Reply:
        return self.answer(request)


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
async def modelled(folder: Path, model: Model, _wanted: None) -> AsyncIterator[Site]:
    """A server that learns by the model."""
    async with FakeOpenAI(otherwise=model) as fake:
        settings = {"engine": "openai", "openai_base_url": fake.base_url, "openai_model": "m", "max_attempts": 1}
        keys = {"OPENAI_API_KEY": "k"}
        async with serving_page(folder, f"sqlite:///{folder}/m.db", environment=keys, **settings) as site:
            yield site


async def test_a_conversation_shows_its_messages_with_tools_folded_and_what_each_run_taught(
    site: Site, open_browser
) -> None:
    await fill(site)
    reader = await open_browser(site, f"#/user/{MAIN}/conversations")

    await reader.follow(SESSION)
    await reader.sees("Casa da Horta is vegetarian and affordable. Shall I reserve for Friday?")
    arguments = reader.page.get_by_text('"diet": "vegetarian"')
    assert not await arguments.is_visible()
    await reader.page.get_by_text("find_restaurants").click()
    await arguments.wait_for()
    runs = reader.page.locator(".run")
    assert await runs.locator(".meta .badge").all_text_contents() == ["Learned", "Learned"]
    await runs.nth(1).locator(".taught").get_by_text("Vinho Verde").wait_for()
    await reader.follow("All conversations")
    await reader.page.get_by_role("searchbox").fill("who is coming on Friday")
    await reader.press("Search")
    await reader.sees(re.compile("My sister is Maja"))
    await reader.is_sound()


async def test_learning_now_shows_proposals_and_the_commit_that_can_be_undone(site: Site, open_browser) -> None:
    await site.said("sarah", "s", PORTO, learningMode="LEARNING_MODE_OFF")
    reader = await open_browser(site, "#/user/sarah/conversations/s")

    await reader.sees("Not to be learned")
    await reader.press("Learn now…")
    await reader.press("Only show what would be learned")
    await reader.sees("Would be learned:")
    assert await site.texts("sarah") == set()
    await reader.press("Learn now")
    window = reader.page.get_by_role("dialog")
    await window.get_by_text("Succeeded").wait_for()
    await window.get_by_text(re.compile("Lives in Porto")).wait_for()
    assert "Lives in Porto" in await site.texts("sarah")
    await window.get_by_role("button", name="Undo").click()
    await reader.notice(re.compile("Undid revision 1"))
    assert await site.texts("sarah") == set()
    await reader.is_sound()


async def test_proposals_arrive_while_the_model_still_writes(modelled: Site, model: Model, open_browser) -> None:
    texts = ("I live in Porto", "I work")
    facts = [{"action": "add", "layer": "profile", "text": text, "quote": text} for text in texts]
    model.answer = lambda request: operations(*facts, piece_characters=40, ending=Ending.HANG)
    await modelled.said("sarah", "s", PORTO, learningMode="LEARNING_MODE_OFF")
    reader = await open_browser(modelled, "#/user/sarah/conversations/s")

    await reader.press("Learn now…")
    await reader.press("Learn now")
    window = reader.page.get_by_role("dialog")
    await window.get_by_label("Proposed").get_by_text("I live in Porto").wait_for()
    assert await modelled.texts("sarah") == set()
    await window.get_by_role("button", name="Cancel learning").click()
    await window.get_by_text("Cancelled", exact=True).wait_for()
    assert await modelled.texts("sarah") == set()
    await reader.is_sound()


async def test_what_failed_says_why_and_is_retried(modelled: Site, model: Model, open_browser) -> None:
    model.answer = lambda request: Reply(content="I would rather not say.")
    await modelled.said("sarah", "s", PORTO)
    reader = await open_browser(modelled, "#/user/sarah/learning")

    await reader.page.locator(".badge.EXTRACTION_STATE_FAILED").wait_for()
    model.answer = by_understanding
    await reader.press("Retry")
    await reader.notice(re.compile("1 extraction waits again"))
    await reader.page.locator(".badge.EXTRACTION_STATE_SUCCEEDED").wait_for()
    await reader.sees(re.compile("tokens in 30 days"))
    await reader.is_sound()


async def test_what_waits_is_cancelled_and_that_is_undone(folder: Path, open_browser) -> None:
    async with serving_page(folder, f"sqlite:///{folder}/m.db", quiet_seconds="600") as site:
        await site.said("sarah", "s", PORTO)
        reader = await open_browser(site, "#/server")

        await reader.sees("1 open")
        await reader.go("#/user/sarah/learning")
        await reader.page.locator(".badge.EXTRACTION_STATE_WAITING").wait_for()
        await reader.press("Cancel")
        await reader.notice(re.compile("Cancelled"))
        await reader.page.locator(".badge.EXTRACTION_STATE_CANCELLED").wait_for()
        await reader.undo()
        # Who retries waits for no quiet period.
        await reader.page.locator(".badge.EXTRACTION_STATE_SUCCEEDED").wait_for()
        await reader.is_sound()


async def test_a_conversation_is_summarized_and_deleted_with_what_it_taught(site: Site, open_browser) -> None:
    await site.said("sarah", "s", PORTO, waitForLearning="30s")
    await site.said("sarah", "s", {"role": "USER", "text": "I like fado."}, waitForLearning="30s")
    reader = await open_browser(site, "#/user/sarah/conversations/s")

    await reader.press("Summarize")
    await reader.notice(re.compile("summary", re.IGNORECASE))
    await reader.press("Delete…")
    await reader.page.get_by_text("Also delete the memories").click()
    await reader.press("Delete")
    await reader.notice(re.compile("Deleted 2 runs and"))
    assert await site.texts("sarah") == set()
    await reader.undo()
    await reader.notice(re.compile("Undid"))
    assert "Lives in Porto" in await site.texts("sarah")
    await reader.is_sound()
