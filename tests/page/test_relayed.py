"""The page as `memsvc ui` serves it, of a server elsewhere, with a model of the reader's own."""

from __future__ import annotations

import re

from memsvc.testing.fake_openai import FakeOpenAI
from memsvc.testing.replies import Reply
from tests.integration.cli.test_ui_command import ui
from tests.page.site import Site


async def test_the_readers_own_model_answers_in_the_box_and_what_was_said_is_learned(
    lone_site: Site, open_browser
) -> None:
    await lone_site.remember("sarah", {"text": "Is a vegetarian"})
    assert lone_site.server is not None
    async with FakeOpenAI([Reply(content="Then Casa da Horta, in Porto.")]) as fake:
        keys = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": fake.base_url, "MEMSVC_OPENAI_MODEL": "small"}
        async with ui(lone_site.server.target, keys) as page:
            reader = await open_browser(page, "#/user/sarah/context")

            await reader.sees(re.compile("small answers"))
            await reader.page.get_by_label("Say something").fill("I live in Porto. Where shall I eat?")
            await reader.page.keyboard.press("Enter")
            log = reader.page.get_by_role("log")
            await log.get_by_text("Then Casa da Horta, in Porto.").wait_for()
            await log.get_by_text("Succeeded").wait_for()
            await reader.go("#/user/sarah/memories")
            await reader.sees("2 memories")
            await reader.page.reload()
            await reader.sees("2 memories")
            await reader.is_sound()

    assert "Is a vegetarian" in fake.requests[0].prompt
    assert "Lives in Porto" in await lone_site.texts("sarah")
