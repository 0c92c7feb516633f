"""Context, configuration and the server, in a browser; and who may see them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.page.site import Site, serving_page
from tests.page.world import MAIN, fill


async def test_the_context_shows_what_went_in_and_what_was_cut(site: Site, open_browser) -> None:
    await fill(site)
    reader = await open_browser(site, f"#/user/{MAIN}/context")

    await reader.page.locator(".section.LAYER_POLICY").get_by_text("Never book anything without asking").wait_for()
    assert await reader.page.locator(".section .chip", has_text="stable").count() > 2
    await reader.type("Budget", "400")
    await reader.page.get_by_role("heading", name="Left out").wait_for()
    await reader.sees(re.compile("did not fit the budget"))
    await reader.page.get_by_label("Format").select_option("CONTEXT_FORMAT_JSON")
    await (
        reader.page.locator(".sections")
        .get_by_text(re.compile('"user_memory"|"policies"|"user_policies"'))
        .first.wait_for()
    )
    await reader.is_sound()


async def test_what_is_said_in_the_box_is_learned_before_the_readers_eyes(site: Site, open_browser) -> None:
    reader = await open_browser(site, "#/user/sarah/context")

    await reader.sees(re.compile("Nobody answers"))
    await reader.page.get_by_label("Say something").fill("I live in Porto.")
    await reader.press("Say it")
    await reader.page.locator(".chat-log").get_by_text("Succeeded").wait_for()
    await reader.page.locator(".sections").get_by_text(re.compile("Porto")).first.wait_for()
    assert "Lives in Porto" in await site.texts("sarah")
    await reader.is_sound()


async def test_a_configuration_is_checked_compared_saved_and_taken_back(site: Site, open_browser) -> None:
    reader = await open_browser(site, "#/configuration")

    async def configured() -> object:
        return (await site.call("ConfigService/GetMemoryConfig", {}))["config"].get("settings", {})

    await reader.page.get_by_role("heading", name="Profile").click()
    schema = reader.page.locator(".LAYER_PROFILE [data-field=schema_json]")
    await schema.fill('{"type": "object", ')
    await reader.sees(re.compile("This is no JSON yet"))
    await reader.press("Review changes…")
    await reader.page.locator(".LAYER_PROFILE [data-field=schema_json][aria-invalid=true]").wait_for()
    await schema.fill('{"type": "object", "properties": {"city": {"type": "string"}}}')
    await reader.page.get_by_label("Mode", exact=True).select_option("LEARNING_MODE_BOTH")
    await reader.press("Review changes…")
    diff = reader.page.locator(".diff").first
    await diff.wait_for()
    added = await diff.locator("ins").all_text_contents()
    assert any('"mode": "LEARNING_MODE_BOTH"' in line for line in added)
    assert await configured() == {}
    await reader.press("Save")
    await reader.notice(re.compile("Saved · revision 1"))
    settings = await configured()
    assert isinstance(settings, dict)
    assert settings["mode"] == "LEARNING_MODE_BOTH"
    assert json.loads(settings["profile"]["schemaJson"])["properties"] == {"city": {"type": "string"}}
    await reader.undo()
    await reader.notice(re.compile("is back"))
    assert await configured() == {}
    await reader.is_sound()


async def test_the_server_says_what_it_is_and_promises(site: Site, open_browser) -> None:
    reader = await open_browser(site, "#/server")

    await reader.sees("What its database promises")
    await reader.sees("Durable")
    await reader.sees(re.compile("rules"))
    await reader.sees("Nothing waits, nothing failed")
    await reader.is_sound()


@dataclass
class Guarded:
    """A server that asks for tokens."""

    site: Site
    file: Path

    def token(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "memsvc", "token", *arguments, "--tokens-file", str(self.file)]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


@pytest.fixture
async def guarded(folder: Path, _wanted: None) -> AsyncIterator[Guarded]:
    file = folder / "tokens.jsonl"
    file.touch(mode=0o600)
    async with serving_page(folder, f"sqlite:///{folder}/m.db", tokens_file=file) as site:
        made = Guarded(site, file)
        site.token = made.token("create", "--namespace", "*", "--rights", "read,write,admin", "--id", "root")
        yield made


async def test_a_token_lets_in_and_its_end_shuts_out(guarded: Guarded, open_browser) -> None:
    await guarded.site.remember("sarah", {"text": "Skis"})
    token = guarded.token("create", "--namespace", "default", "--rights", "read,write", "--id", "support")
    reader = await open_browser(guarded.site, "#/user/sarah/memories")

    await reader.type("Token", "no.token")
    await reader.press("Sign in")
    await reader.sees("The server does not know this token.")
    await reader.type("Token", token)
    await reader.press("Sign in")
    await reader.sees("Skis")
    guarded.token("revoke", "support")
    await reader.sees(re.compile("You were signed out"))
    assert await reader.page.get_by_text("Skis").count() == 0
    assert token not in await reader.page.content()
    assert token not in await reader.address()
    assert await reader.evaluate("() => [localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
    await reader.is_sound()


async def test_who_may_not_list_users_opens_one_by_name(guarded: Guarded, open_browser) -> None:
    await guarded.site.remember("sarah", {"text": "Skis"})
    token = guarded.token("create", "--namespace", "default", "--rights", "read", "--users", "sar*", "--id", "few")
    reader = await open_browser(guarded.site)

    await reader.type("Token", token)
    await reader.press("Sign in")
    await reader.sees("This token may not do that")
    await reader.page.get_by_role("searchbox").fill("sarah")
    await reader.press("Open")
    await reader.sees("Skis")
    await reader.go("#/user/sarah/memories")
    await reader.press("Add memory")
    await reader.type("Text", "Reads")
    await reader.press("Save")
    await reader.sees(re.compile("This token may not do that"))
    await reader.is_sound()


async def test_namespaces_are_kept_apart(site: Site, open_browser) -> None:
    await site.call(
        "MemoryService/CreateMemory", {"scope": {"namespace": "acme", "userId": "a"}, "memory": {"text": "x"}}
    )
    await site.remember("b", {"text": "y"})
    reader = await open_browser(site)

    await reader.sees("1 user")
    await reader.page.get_by_label("Namespace").fill("acme")
    await reader.page.get_by_label("Namespace").press("Enter")
    await reader.follow("a")
    await reader.follow("Memories")
    await reader.page.locator(".row.memory").get_by_text("x", exact=True).wait_for()
    assert "ns=acme" in await reader.address()
    await reader.is_sound()
