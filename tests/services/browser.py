"""Fixture `chromium`: a real headless browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from .tiers import ACCOUNT, leave_out

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: Nothing of it may talk to the world by itself.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def chromium(request: pytest.FixtureRequest) -> Iterator[Browser]:
    """A headless browser by Playwright's synchronous interface, new for each test.

    Not for the whole session: while it lives, its event loop counts as running in this thread, and asynchronous
    tests could not run.
    """
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        leave_out(request, f"needs a browser: none of {', '.join(NAMES)} on PATH")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=ARGUMENTS)
        request.config.stash[ACCOUNT].served["browser"] = f"{path} {browser.version}"
        try:
            yield browser
        finally:
            browser.close()
