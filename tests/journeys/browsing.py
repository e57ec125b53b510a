"""A real Chromium, and a witness who writes down whatever goes wrong in it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NARROW, WIDE = 320, 1100
# Chromium says so of every page that is not a 200, also of those that are meant.
STATUS_LINE = "Failed to load resource: the server responded with a status of 4"


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium of the system's."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert program is not None, "there is no Chromium on this machine"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


class Witness:
    """Watches one page: `trouble` is all that a person's console, or the site's owner, would complain of."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.trouble: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.trouble.append(f"script error: {error}"))
        page.on("requestfailed", self._failed)
        issues = page.context.new_cdp_session(page)
        issues.on("Audits.issueAdded", self._issue)
        issues.send("Audits.enable")

    def _console(self, message: ConsoleMessage) -> None:
        if not message.text.startswith(STATUS_LINE):
            self.trouble.append(f"console {message.type}: {message.text}")

    def _failed(self, request: Request) -> None:
        # A download is a navigation that does not happen, and who moves on does not wait for the icon.
        if request.failure != "net::ERR_ABORTED":
            self.trouble.append(f"failed: {request.method} {request.url}: {request.failure}")

    def _issue(self, event: dict[str, Any]) -> None:
        issue = event["issue"]
        if issue["code"] == "ContentSecurityPolicyIssue":
            self.trouble.append(f"policy: {issue['details']}")


class Visit:
    """One person at one screen: a page that is watched, and pictures of what they saw."""

    def __init__(
        self, browser: Browser, folder: Path, *, language: str, width: int, scripts: bool = False, dark: bool = False
    ) -> None:
        self.folder = folder
        self.width = width
        self.language = language
        context = browser.new_context(
            java_script_enabled=scripts,
            locale={"id": "id-ID", "en": "en-US"}[language],
            viewport={"width": width, "height": 640 if width == NARROW else 800},
            color_scheme="dark" if dark else "light",
            accept_downloads=True,
        )
        context.set_default_timeout(20_000)
        self.page = context.new_page()
        self.witness = Witness(self.page)
        self._pictures = 0

    def close(self) -> None:
        """Ends the visit."""
        self.page.context.close()

    def look(self, name: str) -> None:
        """Takes a picture of the whole page, and sees that nothing sticks out of it sideways."""
        self._pictures += 1
        self.page.screenshot(path=self.folder / f"{self._pictures:02}-{name}.png", full_page=True)
        assert self.overflow() == [], f"{self.page.url} is wider than its {self.width} pixels"

    def overflow(self) -> list[str]:
        """What makes the page wider than the screen."""
        found: list[str] = self.page.evaluate(
            """() => document.documentElement.scrollWidth <= document.documentElement.clientWidth ? [] :
               [...document.querySelectorAll("body *")]
                 .filter(one => one.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
                 .map(one => `${one.tagName}.${one.className}#${one.id}`)"""
        )
        return found

    def press(self, selector: str) -> None:
        """Presses something that leads to another page, and waits for that page."""
        with self.page.expect_navigation(wait_until="load"):
            self.page.click(selector)

    def log_in(self, username: str, password: str) -> None:
        """Fills the login form and continues."""
        self.page.fill("#username", username)
        self.page.fill("#password", password)
        self.press("#continue")

    def data(self) -> dict[str, str]:
        """What the app shows that it received, by claim."""
        shown: dict[str, str] = {}
        for one in self.page.query_selector_all("dd[data-claim]"):
            shown[str(one.get_attribute("data-claim"))] = one.inner_text()
        return shown
