"""Somebody at a browser: what they see, press and type, and what the browser complains of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.async_api import ConsoleMessage, Locator, Page

SECONDS = 20.0


class Reader:
    """One page of one browser."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        """Errors of scripts, and of the policy for what the page may do."""
        page.set_default_timeout(SECONDS * 1000)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _heard(self, message: ConsoleMessage) -> None:
        # That a call was refused is said by the browser for each; the page says it in words.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self.complaints.append(message.text)

    async def open(self, place: str = "") -> None:
        await self.page.goto(f"{self.url}{place}")

    async def go(self, place: str) -> None:
        """Go elsewhere within the page."""
        await self.page.evaluate("place => { location.hash = place }", place)

    async def address(self) -> str:
        """Return where the page is; Playwright's own `page.url` follows a moment later."""
        address: str = await self.page.evaluate("() => location.href")
        return address

    async def sees(self, text: str | re.Pattern[str], count: int = 1) -> None:
        """Return once the text is seen, at least so often."""
        await self.page.get_by_text(text).nth(count - 1).wait_for()

    async def sees_no_more(self, text: str | re.Pattern[str]) -> None:
        await self.gone(self.page.get_by_text(text))

    async def gone(self, locator: Locator) -> None:
        from playwright.async_api import expect

        await expect(locator).to_have_count(0, timeout=SECONDS * 1000)

    def button(self, name: str | re.Pattern[str]) -> Locator:
        """Return the button; of the window that is in front, if there is one."""
        return self.page.get_by_role("button", name=name, exact=isinstance(name, str)).last

    def link(self, name: str | re.Pattern[str]) -> Locator:
        return self.page.get_by_role("link", name=name, exact=isinstance(name, str)).first

    async def press(self, name: str | re.Pattern[str]) -> None:
        await self.button(name).click()

    async def follow(self, name: str | re.Pattern[str]) -> None:
        await self.link(name).click()

    async def type(self, label: str, text: str) -> None:
        await self.page.get_by_label(label, exact=True).last.fill(text)

    async def undo(self) -> None:
        await self.page.locator("#notices").get_by_role("button", name="Undo").last.click()

    async def notice(self, text: str | re.Pattern[str]) -> None:
        """Return once a notice says this."""
        await self.page.locator("#notices").get_by_text(text).last.wait_for()

    async def rows(self) -> list[str]:
        """Return the texts of the memories that are listed and seen."""
        texts: list[str] = await self.page.locator(".row.memory .memory-link").all_text_contents()
        return texts

    async def is_sound(self) -> None:
        """Raise AssertionError where the browser complained."""
        assert not self.complaints, self.complaints

    async def evaluate(self, script: str, argument: Any = None) -> Any:
        return await self.page.evaluate(script, argument)
