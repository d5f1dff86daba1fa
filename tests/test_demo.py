"""The demo as somebody sees it who runs the README's first command: a terminal here, the page there."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.alerts.centre.browsing import FLAGS
from tests.parts import binary

LEARNING_S = 240.0  # a generous time-out: 60 s are promised on two cores that have nothing else to do
SHOTS = os.environ.get("WATCHLINE_SHOTS")


class Demo:
    """A running `watchline demo`, and every line that it has said."""

    def __init__(self, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "gateway.cli", "demo", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        )
        self.lines: list[str] = []

    def end(self) -> None:
        """As Ctrl-C would; nothing that it started may outlive it."""
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(40)
        self.process.kill()

    def until(self, pattern: str) -> re.Match[str]:
        """The first line from here on that fits; fails with all that was said when the demo ends before."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"the demo never said {pattern}:\n{''.join(self.lines)}")


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary("chromium"), args=FLAGS)
        yield browser.new_page(locale="en-GB", viewport={"width": 1280, "height": 900})
        browser.close()


@pytest.mark.timeout(LEARNING_S + 240)
def test_every_injected_incident_comes_to_the_page_and_can_be_taken(page: Page) -> None:
    demo = Demo("--minutes", "2", "--headless")
    try:
        here = demo.until(r"(http://127\.0\.0\.1:\d+/)   name (\w+), password (\S+)")
        page.goto(here[1])
        page.fill("input[name=name]", here[2])
        page.fill("input[name=password]", here[3])
        page.click("button.main")
        expect(page.locator(".banner").first).to_be_visible(timeout=15_000)
        demo.until(r"^Live\.")
        waiting = {"power.", "gas.", "band.", "water."}
        while waiting:
            told = demo.until(r" raised \S+ at (\S+): .*told to people; at the centre ([\d.]+) s later")
            assert float(told[2]) < 5.0
            medium = told[1].partition(".")[0] + "."  # its card may be named after a worse alarm nearby
            expect(page.locator("article").filter(has_text=medium).first).to_be_visible(timeout=5_000)
            waiting.discard(medium)
        page.goto(f"{here[1]}?lang=en")
        _keep(page, "board.png")
        page.locator("article a").filter(has_text="water.").first.click()
        expect(page.locator("svg.plot polyline").first).to_be_visible(timeout=5_000)
        _keep(page, "incident.png")
        demo.until(r"^All 4 injected incidents arrived at the centre")
        assert demo.process.wait(60) == 0
    finally:
        demo.end()


def test_ctrl_c_while_learning_ends_it_tidily() -> None:
    demo = Demo("--headless")
    demo.until(r"^Learning")
    time.sleep(3)
    demo.process.send_signal(signal.SIGINT)

    demo.until(r"^Stopped while learning")
    assert demo.process.wait(60) == 0


def _keep(page: Page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / name), full_page=True)
