"""The receipt's pages in a real Chromium: in both languages and widths, on paper, and judged by axe-core."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.journeys.browsing import NARROW, WIDE, Visit
from tests.journeys.test_for_everybody import Judge
from tests.support.demo import DemoProcess
from tests.support.node import installed_packages

pytestmark = [pytest.mark.browser, pytest.mark.node, pytest.mark.processes, pytest.mark.xdist_group("browser")]

FIRST_ENTRY_SECONDS = 15


@pytest.fixture(scope="module")
def axe(session_folder: Path) -> str:
    """The program that judges."""
    return (installed_packages(session_folder / "npm.lock") / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize(("language", "width", "dark"), [("id", NARROW, True), ("en", WIDE, False)])
def test_a_receipt_can_be_read_printed_taken_away_and_checked_by_everybody(
    demo: DemoProcess, browser: Browser, axe: str, tmp_path: Path, language: str, width: int, dark: bool
) -> None:
    citizen = demo.make_citizen(f"warga-receipt-{language}")
    visit = Visit(browser, tmp_path, language=language, width=width, dark=dark, scripts=True)
    judge, page = Judge(visit, axe), visit.page
    page.goto(demo.url("health"))
    visit.press("#login")
    visit.log_in(citizen, demo.password(citizen))
    visit.press("#allow")
    page.goto(f"{demo.issuer}/my/consents")
    visit.press("h3 a")
    visit.press("#receipt")
    judge.judge("receipt")
    for _ in range(FIRST_ENTRY_SECONDS * 2):
        if page.locator("#proven").count():
            break
        page.wait_for_timeout(500)
        page.reload()
    assert page.locator("#proven").is_visible()
    judge.judge("receipt, proven")
    visit.look("receipt, proven")

    # The square: black on white in any colour scheme, as wide as the screen allows, and on paper.
    square = page.locator("#square svg")
    box = square.bounding_box()
    assert box is not None
    assert 150 <= box["width"] == box["height"] <= width
    page.emulate_media(media="print")
    assert square.is_visible()
    assert not page.locator("#download").is_visible()
    page.pdf(path=tmp_path / "receipt.pdf")
    page.emulate_media(media="screen")

    with page.expect_download() as download:
        page.click("#download")
    assert Path(download.value.path()).read_text(encoding="utf-8").startswith('{\n  "format": "satupintu-receipt/1"')
    page.goto(page.locator("#square-address").get_attribute("href") or "")
    assert page.locator("#found").is_visible()
    judge.judge("found in the log")
    visit.look("found in the log")
    page.fill("#index", "999999")
    page.fill("#commitment", "A" * 43)
    visit.press("#look")
    assert page.locator("#not-found").is_visible()
    judge.judge("not in the log")
    visit.close()
    assert judge.found == []
    assert visit.witness.trouble == []
