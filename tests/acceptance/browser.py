"""Chromium, driven by Playwright, for the tests."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.install import install

#: Options that keep chromium from contacting its maker's servers.
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
#: Milliseconds within which a page must show what is expected; Playwright's own five seconds are few on a busy machine.
PATIENCE = 30_000
expect.set_options(timeout=PATIENCE)
DESKTOP, TABLET, PHONE = ({"width": 1280, "height": 900}, {"width": 820, "height": 1100}, {"width": 390, "height": 844})


def chromium() -> str:
    """Return the path of chromium, which is installed first if possible."""
    install(lambda: [] if shutil.which("chromium") else ["chromium"])
    return shutil.which("chromium") or "/usr/bin/chromium"


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless browser."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=list(QUIET))
        try:
            yield started
        finally:
            started.close()


class Visit:
    """A page in its own browser context; `complaints` holds its console errors and warnings."""

    def __init__(self, context: BrowserContext, url: Callable[[str], str]) -> None:
        self.url = url
        self.complaints: list[str] = []
        self.page: Page = context.new_page()
        self.page.on(
            "console", lambda message: self._complain(message) if message.type in ("error", "warning") else None
        )
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _complain(self, message: Any) -> None:
        self.complaints.append(f"{message.text} ({message.location.get('url')})")

    def open(self, path: str) -> Page:
        """Open a page and wait until its charts are drawn. Returns it."""
        self.page.goto(self.url(path), wait_until="load")
        # no wait_for_function: it evaluates strings inside the page, which the Content-Security-Policy forbids
        expect(self.page.locator("[data-chart]:empty")).to_have_count(0)
        return self.page

    def barriers(self) -> list[str]:
        """Return the serious and critical violations of the accessibility rules of axe."""
        self.page.evaluate((resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{each['id']}: {each['help']}: {node['target']} {node['html'][:120]}"
            for each in found["violations"]
            if each["impact"] in ("serious", "critical")
            for node in each["nodes"]
        ]


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    """A browser for the tests of a module; while Playwright runs, no test of that process can run an event loop."""
    with browser() as started:
        yield started
