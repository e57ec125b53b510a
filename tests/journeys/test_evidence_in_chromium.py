"""What a newcomer sees in the demonstration, in a real Chromium without JavaScript: its apps hear of it, and say so."""

import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser

from tests.journeys.browsing import NARROW, WIDE, Visit
from tests.support.demo import DemoProcess, clean_environment
from tests.support.server import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.xdist_group("browser")]

TOLD_WITHIN_SECONDS = 20


def until(visit: Visit, address: str, selector: str) -> None:
    """Looks at a page again until something is on it."""
    deadline = time.monotonic() + TOLD_WITHIN_SECONDS
    while True:
        visit.page.goto(address)
        if visit.page.locator(selector).count():
            return
        assert time.monotonic() < deadline, f"{selector} is not at {address}: {visit.page.inner_text('main')[:500]}"
        time.sleep(0.2)


@pytest.mark.parametrize(("language", "width"), [("id", NARROW), ("en", WIDE)])
def test_the_app_hears_of_every_change_of_mind_and_the_citizen_sees_what_it_did(
    demo: DemoProcess, browser: Browser, tmp_path: Path, language: str, width: int
) -> None:
    citizen = demo.make_citizen(f"warga-evidence-{language}")
    visit = Visit(browser, tmp_path, language=language, width=width)
    page, app = visit.page, demo.url("health")
    page.goto(app)
    visit.press("#login")
    visit.log_in(citizen, demo.password(citizen))
    page.check('input[value="phone_number"]')
    page.check('input[value="gender"]')
    visit.press("#allow")
    page.goto(f"{demo.issuer}/my/consents")
    visit.press("h3 a")
    consent = page.url

    visit.press("#pause")
    visit.look("paused")
    until(visit, app, "#told-paused")
    assert visit.data() == {}
    visit.look("app, paused")
    visit.press("#read")
    assert page.locator("#said-read_refused").is_visible()
    page.goto(f"{app}/login")
    visit.look("paused, asked again")
    visit.press("#anew")
    assert page.url.startswith(app), "it goes on as it was, with one press"

    page.goto(consent)
    visit.press("#let-go-gender")
    visit.look("an item let go")
    page.goto(f"{app}/login")
    assert set(visit.data()) == {"name", "birthdate", "phone_number", "urn:satupintu:claims:nik"}

    page.goto(f"{demo.issuer}/my/uses")
    visit.look("who used my data")
    assert page.locator("[data-basis=consent]").count() >= 2

    page.goto(consent)
    visit.press("#withdraw")
    visit.look("withdrawn")
    until(visit, consent, "[data-recipient=recipient][data-state=erased]")
    visit.look("withdrawn, and erased by the app")
    until(visit, app, "#told-withdrawn")
    assert visit.data() == {}
    visit.look("app, withdrawn")

    page.goto(f"{app}/login")
    visit.press("#deny")
    page.goto(f"{app}/login")
    assert "/consent/answered" in page.url, "nobody is asked again at once"
    visit.look("refused, asked again")
    visit.press("#back-to-app")
    assert page.get_attribute("#problem", "data-problem") == "access_denied"

    for path, name in (("/register", "register"), ("/register/uses", "uses in numbers")):
        page.goto(f"{demo.issuer}{path}")
        visit.look(name)
    page.goto(f"{demo.issuer}/register/kunjungan-puskesmas")
    visit.look("a purpose in the register")
    visit.close()
    assert visit.witness.trouble == []


def test_what_the_start_up_text_names_is_there(demo: DemoProcess) -> None:
    """Addresses answer, and commands are ones that there are."""
    said = demo.log.read_text(encoding="utf-8")
    told = said[said.index("Satu Pintu is open.") : said.index("Stop with Ctrl-C")]
    addresses = {word.rstrip(".,:;") for word in told.split() if word.startswith("http")}
    assert {f"{demo.issuer}/register", f"{demo.issuer}/log/checkpoint", f"{demo.issuer}/log/trust.json"} <= addresses
    for address in addresses:
        # What is somebody's own sends a stranger to the login.
        assert httpx2.get(address).status_code in {200, 303}, address
    commands = [
        line.split("  ")[0].split()[1:]
        for line in map(str.strip, told.splitlines())
        if line.startswith(".venv/bin/satupintu ")
    ]
    assert len(commands) >= 2
    environment = clean_environment() | {"SATUPINTU_DATA_DIR": str(demo.folder), "SATUPINTU_ISSUER": demo.issuer}
    for words in commands:
        if words[0] == "verify":
            continue  # wants a receipt, which this test has not: tests/journeys/test_evidence_receipts.py has
        done = subprocess.run(
            [sys.executable, "-m", "idp", *words],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, (words, done.stderr)
