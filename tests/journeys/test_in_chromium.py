"""The whole story in a real Chromium, JavaScript off: the demonstration, both languages, a phone and a desk."""

from pathlib import Path
from urllib.parse import parse_qs, urlencode

import pytest
from playwright.sync_api import Browser, Route

from tests.journeys.browsing import NARROW, WIDE, Visit
from tests.support.demo import DemoProcess

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.xdist_group("browser")]

NIK = "urn:satupintu:claims:nik"
WORDS = {
    "id": {"purpose": "Mendaftar kunjungan ke puskesmas", "withdrawn": "Anda menarik persetujuan ini pada"},
    "en": {"purpose": "Register a visit to a health centre", "withdrawn": "You withdrew this on"},
}


@pytest.mark.parametrize("width", [NARROW, WIDE])
@pytest.mark.parametrize("language", ["id", "en"])
def test_a_citizens_story(demo: DemoProcess, browser: Browser, tmp_path: Path, language: str, width: int) -> None:
    citizen = demo.make_citizen(f"warga-{language}-{width}")
    visit = Visit(browser, tmp_path, language=language, width=width)
    page, words = visit.page, WORDS[language]

    page.goto(demo.url("health"))
    visit.look("health app")
    visit.press("#login")
    assert page.locator("html").get_attribute("lang") == language
    visit.look("login")
    visit.log_in(citizen, "not the password")
    assert page.locator("#errors").is_visible()
    visit.look("login refused")
    visit.log_in(citizen, demo.password(citizen))
    assert words["purpose"] in page.inner_text("main")
    assert page.locator("input[type=checkbox]:checked").count() == 0
    visit.look("consent")
    page.check('input[value="phone_number"]')
    visit.press("#allow")
    assert page.url.startswith(demo.url("health"))
    assert set(visit.data()) == {"name", "birthdate", NIK, "phone_number"}
    visit.look("health app, logged in")
    sub = page.inner_text("#sub")

    page.goto(demo.url("population"))
    visit.press("#login")
    assert page.url.startswith(f"{demo.issuer}/consent"), "single sign-on: no password, its own consent"
    visit.look("second consent")
    visit.press("#allow")
    assert set(visit.data()) == {"name", NIK}
    assert page.inner_text("#sub") != sub
    visit.look("population app, logged in")
    visit.press("#check")
    assert page.inner_text("#greeting") == "Siti Rahayu", "a second visit asks nothing"

    page.goto(f"{demo.issuer}/my/consents")
    assert page.locator("[data-status=given]").count() == 2
    visit.look("my consents")
    visit.press("a:has-text('Sehat Bersama'), a:has-text('Healthy Together')")
    assert words["purpose"] in page.inner_text("#shown-text")
    visit.look("one consent")
    visit.press("#withdraw")
    assert words["withdrawn"] in page.inner_text("#state")
    visit.look("withdrawn")

    page.goto(demo.url("health"))
    visit.press("#read")
    assert page.locator("#said-read_refused").is_visible()
    visit.press("#refresh")
    assert page.locator("#said-refresh_refused").is_visible()
    visit.look("health app, refused")
    visit.press("#check")
    assert page.get_attribute("#problem", "data-problem") == "consent_required"
    visit.press("#login")
    assert page.url.startswith(f"{demo.issuer}/consent")
    visit.press("#deny")
    assert page.get_attribute("#problem", "data-problem") == "access_denied"
    visit.look("health app, access denied")

    page.goto(demo.url("population"))
    visit.press("#logout")
    assert page.url.startswith(f"{demo.url('population')}/?state=")
    assert page.locator("#login").is_visible()
    page.goto(demo.issuer)
    assert page.locator("#sign-in").is_visible()
    visit.look("home, signed out")
    visit.close()
    assert visit.witness.trouble == []


@pytest.mark.parametrize("width", [NARROW, WIDE])
@pytest.mark.parametrize("language", ["id", "en"])
def test_a_privacy_officers_story(
    demo: DemoProcess, browser: Browser, tmp_path: Path, language: str, width: int
) -> None:
    citizen = demo.make_citizen(f"warga-pdp-{language}-{width}")
    person = Visit(browser, tmp_path, language=language, width=width)
    person.page.goto(demo.url("population"))
    person.press("#login")
    person.log_in(citizen, demo.password(citizen))
    person.press("#allow")
    person.page.goto(f"{demo.issuer}/console")
    assert person.page.locator("#role-refused").is_visible()
    person.look("refused to a citizen")
    person.page.goto(f"{demo.issuer}/end_session")
    person.look("sign out")
    person.press("#logout-yes")
    person.look("signed out")
    person.close()

    officer = Visit(browser, tmp_path, language=language, width=width)
    page = officer.page
    page.goto(f"{demo.issuer}/console")
    officer.log_in("ratna", demo.password("ratna"))
    assert page.url == f"{demo.issuer}/console"
    officer.look("events")
    page.select_option("#agency", "dukcapil")
    page.select_option("#kind", "granted")
    officer.press("#show")
    assert page.locator("#events tbody tr").count() >= 1
    officer.look("events, filtered")
    for button, begins in (("#export-csv", "at,kind,agency,purpose"), ("#export-jsonl", '{"agency":"dukcapil"')):
        with page.expect_download() as download:
            page.click(button)
        assert Path(download.value.path()).read_text(encoding="utf-8").startswith(begins)
    officer.press("#events tbody tr:first-child a")
    assert page.locator("#chain-intact").is_visible()
    officer.look("one consent, to an officer")
    page.goto(f"{demo.issuer}/console/actions")
    assert page.locator("[data-action=export]").count() >= 2
    officer.look("what officers looked at")
    officer.close()
    assert person.witness.trouble + officer.witness.trouble == []


INJECTED = '"><script>console.error("injected")</script>'


@pytest.mark.threat("N18")
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts on", "scripts off"])
def test_an_answer_by_form_post_carries_a_hostile_state_and_runs_none_of_it(
    demo: DemoProcess, browser: Browser, tmp_path: Path, scripts: bool
) -> None:
    visit = Visit(browser, tmp_path, language="en", width=WIDE, scripts=scripts)
    page = visit.page
    callback = f"{demo.url('health')}/callback"
    posted: list[dict[str, list[str]]] = []

    def take(route: Route) -> None:
        posted.append(parse_qs(route.request.post_data or ""))
        route.fulfill(body="taken", content_type="text/plain")

    page.route(callback, take)
    asked = {
        "client_id": demo.client_id("health"),
        "redirect_uri": callback,
        "response_type": "code",
        "response_mode": "form_post",
        "scope": "openid profile",
        "state": INJECTED,
        "nonce": INJECTED,
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
    }
    page.goto(f"{demo.issuer}/authorize?{urlencode({**asked, 'prompt': 'none'})}")
    if not scripts:
        visit.look("back to the app")
        visit.press("#continue")
    page.wait_for_url(callback)
    assert posted[-1]["error"] == ["login_required"]
    assert posted[-1]["state"] == [INJECTED]

    citizen = demo.make_citizen(f"warga-form-post-{scripts}")
    page.goto(f"{demo.issuer}/authorize?{urlencode(asked)}")
    visit.log_in(citizen, demo.password(citizen))
    page.click("#allow")
    if not scripts:
        page.click("#continue")
    page.wait_for_url(callback)
    assert set(posted[-1]) == {"code", "state", "iss"}
    assert posted[-1]["state"] == [INJECTED]
    visit.close()
    assert visit.witness.trouble == []


def test_the_witness_of_these_tests_sees_what_would_be_wrong(
    demo: DemoProcess, browser: Browser, tmp_path: Path
) -> None:
    visit = Visit(browser, tmp_path, language="en", width=NARROW)

    def spoil(route: Route) -> None:
        answer = route.fetch()
        injected = '<p style="color:red">x</p><img src="/nothing.png" width="600" height="10" alt="">'
        route.fulfill(response=answer, body=answer.text().replace("<main", f"{injected}<main"))

    visit.page.route(f"{demo.issuer}/", spoil)
    visit.page.route("**/nothing.png", lambda route: route.abort("connectionrefused"))
    visit.page.goto(f"{demo.issuer}/")
    assert visit.overflow() != []
    visit.close()
    kinds = {trouble.split(" ")[0].rstrip(":") for trouble in visit.witness.trouble}
    assert kinds >= {"policy", "failed", "console"}
