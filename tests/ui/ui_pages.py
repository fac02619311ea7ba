"""The frame in Streamlit's test harness, and a page of it in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from streamlit.testing.v1 import AppTest

import runstream_ui

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_FAINT = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")
_APP = Path(runstream_ui.__file__).with_name("app.py")


class Pages:
    """Opens a page with the state of a link to it."""

    def open(self, page: str = "runs", **params: str) -> AppTest:
        app = AppTest.from_file(_APP, default_timeout=60)
        if page == "runs":
            for name, value in params.items():
                app.query_params[name] = value
        else:
            app.session_state["pending-page"] = (page, params)
        return app.run()


def texts(app: AppTest) -> str:
    """All HTML and markdown of the page, in order."""
    found = []
    for kind in ("html", "markdown", "code", "caption"):
        found += [str(getattr(element, "value", None) or element.proto.body) for element in app.get(kind)]
    return "\n".join(found)


class Visit:
    """A browser page that remembers what went wrong in it."""

    def __init__(self, browser: Browser, url: str, *, width: int = 1440, height: int = 900) -> None:
        self.url = url
        self.problems: list[str] = []
        self.page: Page = browser.new_context(viewport={"width": width, "height": height}).new_page()
        self.page.on("pageerror", lambda error: self.problems.append(f"page error: {error}"))
        self.page.on(
            "console",
            lambda message: (
                self.problems.append(f"console: {message.text} {message.location.get('url', '')}")
                if message.type == "error" and "/_stcore/" not in message.location.get("url", "")
                else None
            ),
        )

    def go(self, path: str) -> Page:
        """Open a path and wait until the script has run."""
        self.page.goto(self.url + path)
        self.settled()
        return self.page

    def settled(self) -> None:
        self.page.wait_for_function(
            "document.querySelector('[data-testid=stApp]')?.getAttribute('data-test-script-state') === 'notRunning'"
            " && document.querySelectorAll('[data-testid=stSkeleton]').length === 0",
            timeout=60_000,
        )

    def readable(self) -> None:
        """All text stands out from its ground as WCAG AA asks. Waits for what fades in."""
        for _ in range(20):
            faint = self.page.evaluate(_FAINT)
            if not faint:
                return
            self.page.wait_for_timeout(250)
        assert not faint, "\n".join([self.page.url, *faint])

    def fine(self) -> None:
        """No exception box, no error in the console."""
        assert self.page.locator('[data-testid="stException"]').count() == 0
        assert self.problems == []
