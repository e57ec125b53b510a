"""Every page, judged by axe-core: what people who cannot see, point or tell colours apart would stumble over."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser

from tests.journeys.browsing import NARROW, WIDE, Visit
from tests.support.demo import DemoProcess
from tests.support.node import installed_packages

pytestmark = [pytest.mark.browser, pytest.mark.node, pytest.mark.processes, pytest.mark.xdist_group("browser")]

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="module")
def axe(session_folder: Path) -> str:
    """The program that judges."""
    return (installed_packages(session_folder / "npm.lock") / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


class Judge:
    """A visit whose every page is judged."""

    def __init__(self, visit: Visit, axe: str) -> None:
        self.visit = visit
        self.found: list[str] = []
        self.judged: list[str] = []
        self._axe = axe

    def judge(self, name: str) -> None:
        """Judges the page that is open."""
        page = self.visit.page
        page.evaluate(self._axe)
        told: dict[str, Any] = page.evaluate(
            "rules => axe.run(document, {runOnly: {type: 'tag', values: rules}, resultTypes: ['violations']})", RULES
        )
        self.judged.append(name)
        for violation in told["violations"]:
            targets = [node["target"] for node in violation["nodes"]]
            self.found.append(f"{name}: {violation['id']} ({violation['help']}) at {targets}")


@pytest.fixture(params=[("id", NARROW, True), ("en", WIDE, False)], ids=["id, 320 px, dark", "en, desktop, light"])
def judge(request: pytest.FixtureRequest, browser: Browser, axe: str, tmp_path: Path) -> Iterator[Judge]:
    """A visit in each language, width and colour scheme, with scripts on: axe-core is one."""
    language, width, dark = request.param
    visit = Visit(browser, tmp_path, language=language, width=width, dark=dark, scripts=True)
    yield Judge(visit, axe)
    visit.close()


def test_no_page_of_a_citizen_shuts_anybody_out(demo: DemoProcess, judge: Judge) -> None:
    visit, page = judge.visit, judge.visit.page
    citizen = demo.make_citizen(f"warga-axe-{visit.language}")
    page.goto(demo.issuer)
    judge.judge("home")
    page.goto(f"{demo.issuer}/authorize?client_id=nobody")
    judge.judge("error")
    page.goto(demo.url("health"))
    judge.judge("health app")
    visit.press("#login")
    judge.judge("login")
    visit.log_in(citizen, "not the password")
    judge.judge("login refused")
    visit.log_in(citizen, demo.password(citizen))
    judge.judge("consent")
    page.check('input[value="gender"]')
    visit.press("#allow")
    judge.judge("health app, logged in")
    visit.press("#check")
    page.goto(demo.issuer)
    judge.judge("home, signed in")
    page.goto(authorize(demo, prompt="select_account"))
    judge.judge("select account")
    page.route("**/static/submit.js*", lambda route: route.abort())
    page.goto(authorize(demo, prompt="none", response_mode="form_post"))
    judge.judge("back to the app")
    page.goto(f"{demo.issuer}/my/uses")
    assert page.locator("#uses > li").count() > 0
    judge.judge("who used my data")
    visit.look("who used my data")
    page.goto(f"{demo.issuer}/register/uses")
    judge.judge("uses, in numbers")
    page.goto(f"{demo.issuer}/my/consents")
    judge.judge("my consents")
    visit.press("h3 a")
    judge.judge("one consent")
    visit.look("one consent")
    visit.press("#pause")
    judge.judge("paused")
    visit.look("paused")
    page.goto(authorize(demo))
    judge.judge("asked while paused")
    visit.look("asked while paused")
    page.goto(f"{demo.issuer}/my/consents")
    visit.press("h3 a")
    visit.press("#resume")
    visit.press("#to-renew")
    judge.judge("let it go on?")
    visit.look("let it go on")
    visit.press("#renew")
    judge.judge("renewed")
    page.goto(f"{demo.issuer}/my/officers")
    judge.judge("officers who looked")
    page.goto(f"{demo.issuer}/my/consents")
    visit.press("h3 a")
    visit.press("#withdraw")
    judge.judge("withdrawn")
    page.goto(f"{demo.issuer}/my/consents")
    judge.judge("my consents, ended")
    page.goto(f"{demo.url('health')}/check")
    judge.judge("health app, consent required")
    page.goto(f"{demo.issuer}/console")
    judge.judge("console, refused")
    page.goto(f"{demo.issuer}/end_session")
    judge.judge("sign out")
    visit.press("#logout-yes")
    judge.judge("signed out")
    assert judge.found == []
    assert len(judge.judged) == 25


def test_no_page_of_a_privacy_officer_shuts_anybody_out(demo: DemoProcess, judge: Judge) -> None:
    visit, page = judge.visit, judge.visit.page
    citizen = demo.make_citizen(f"warga-axe-pdp-{visit.language}")
    page.goto(demo.url("population"))
    visit.press("#login")
    visit.log_in(citizen, demo.password(citizen))
    visit.press("#allow")
    page.goto(f"{demo.issuer}/end_session")
    visit.press("#logout-yes")
    page.goto(f"{demo.issuer}/console")
    visit.log_in("ratna", demo.password("ratna"))
    judge.judge("events")
    page.goto(f"{demo.issuer}/console?kind=expired")
    judge.judge("no events")
    page.goto(f"{demo.issuer}/console?citizen=nobody&from=17-08-2026")
    judge.judge("wrong filters")
    page.goto(f"{demo.issuer}/console")
    visit.press("#events tbody tr:first-child a")
    judge.judge("one consent")
    page.goto(f"{demo.issuer}/console/actions")
    judge.judge("what officers looked at")
    assert judge.found == []


def test_no_page_of_an_assisting_officer_shuts_anybody_out(demo: DemoProcess, judge: Judge) -> None:
    visit, page = judge.visit, judge.visit.page
    citizen = demo.make_citizen(f"warga-axe-loket-{visit.language}")
    clerk = demo.make_citizen(f"petugas-axe-{visit.language}", role="assisting_officer")
    page.goto(f"{demo.issuer}/console/assisted")
    visit.log_in(clerk, demo.password(clerk))
    judge.judge("whom")
    visit.look("whom")
    page.fill("#identifier", "nobody-at-all")
    page.fill("#reason", "Datang ke loket 3")
    visit.press("#find")
    judge.judge("nobody")
    page.fill("#identifier", citizen)
    visit.press("#find")
    judge.judge("the person")
    visit.look("the person")
    page.select_option("#about", f"{demo.client_id('health')} kunjungan-puskesmas")
    visit.press("#show-notice")
    judge.judge("to be read out")
    visit.look("to be read out")
    page.select_option("#channel", "paper")
    visit.press("#allow")
    judge.judge("the paper is missing")
    page.select_option("#channel", "paper")
    page.set_input_files("#document", {"name": "a.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7 tertanda"})
    visit.press("#allow")
    assert page.locator("#done").is_visible()
    judge.judge("written down")
    assert judge.found == []


def authorize(demo: DemoProcess, **parameters: str) -> str:
    """An authorization request of the health app's, as an address."""
    asked = {
        "client_id": demo.client_id("health"),
        "redirect_uri": f"{demo.url('health')}/callback",
        "response_type": "code",
        "scope": "openid profile",
        "state": "s",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
    }
    return f"{demo.issuer}/authorize?{urlencode({**asked, **parameters})}"
