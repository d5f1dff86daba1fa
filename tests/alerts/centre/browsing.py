"""Browsing: a real browser on a desk or a phone, which complains where a page breaks its own policy."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect, sync_playwright

from tests.alerts.centre.world import PASSWORD
from tests.parts import binary

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE = 390  # pixels, the width of a common one
expect.set_options(timeout=15_000)
SHOTS = os.environ.get("WATCHLINE_SHOTS")  # a folder: keep pictures of the pages there


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A browser for the time of a `with`."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=binary("chromium"), args=FLAGS)
        yield launched
        launched.close()


@dataclass
class Windows:
    """Opens pages; `complaints` is what the browser did not like, and should stay empty."""

    browser: Browser
    url: str
    complaints: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)

    def open(self, *, phone: bool = False) -> Page:
        size: ViewportSize = {"width": PHONE, "height": 844} if phone else {"width": 1280, "height": 860}
        context = self.browser.new_context(locale="zh-CN", viewport=size, is_mobile=phone, has_touch=phone)
        self.contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._hear)
        page.goto(self.url)
        return page

    def close(self) -> None:
        for context in self.contexts:
            context.close()
        assert self.complaints == []

    def _hear(self, said: Any) -> None:
        if "Content Security" in said.text:
            self.complaints.append(said.text)


def log_in(page: Page, name: str = "wang", password: str = PASSWORD) -> None:
    page.fill("input[name=name]", name)
    page.fill("input[name=password]", password)
    page.click("button.main")


def shot(page: Page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


def fits(page: Page) -> bool:
    """Nothing sticks out to the side."""
    page.wait_for_load_state()
    wide = page.evaluate("document.documentElement.scrollWidth")
    return bool(wide <= page.evaluate("document.documentElement.clientWidth"))
