"""N88 to N90: no text, however strange, is more than text: it breaks nothing and leads nowhere."""

import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote, urlencode, urljoin, urlsplit

import httpx2
import pytest

from tests.security.stage import FORM, HOST, PAGES, PASSWORD, Stage
from tests.support.browser_user import BrowserUser
from tests.support.databases import only_sqlite
from tests.support.html import read_html
from tests.support.token_world import CALLBACK, VERIFIER, App

pytestmark = pytest.mark.anyio

NewUser = Callable[[], BrowserUser]


REPEATED: Final = (
    "a",
    "a ",
    " ",
    "/",
    "../",
    "%",
    "%25",
    ".",
    "-",
    "a.",
    "a@",
    "@",
    ":",
    "1",
    "é",
    "\u202e",
    "\t",
    '"',
    "\\",
)


@only_sqlite
@pytest.mark.threat("N88")
async def test_no_pattern_takes_more_than_its_length(stage: Stage, web_app: App, user: BrowserUser) -> None:
    """15,000 characters of each kind, and a last one that spoils the match, for whatever is matched with a pattern."""
    worst: dict[str, float] = {}

    async def timed(name: str, answering: Any) -> None:
        started = time.process_time()
        answer = await answering
        worst[name] = max(worst.get(name, 0), time.process_time() - started)
        assert answer.status_code < 500, name

    origin = {"Origin": "https://app.test"}
    for piece in REPEATED:
        text = (piece * (50_000 // len(piece)))[:15_000] + "\x01"
        for name in ("redirect_uri", "client_id", "scope", "resource", "ui_locales", "code_challenge", "max_age"):
            sent = urlencode(stage.request(web_app, **{name: text}))
            await timed(name, stage.http.post("/authorize", content=sent, headers=FORM))
        await timed(
            "code_verifier", stage.world.token(web_app, grant_type="authorization_code", code="x", code_verifier=text)
        )
        await timed("token", stage.http.post("/introspect", data={"token": text}, headers=web_app.basic))
        short = text[:4000] + "\x01"  # the longest that a client sends in an address
        await timed("sign-in", stage.http.get("/sign-in", params={"to": f"/my/{short}"}))
        await timed("interaction", stage.http.get("/consent", params={"interaction": short}))
        await timed("bye", stage.http.get("/end_session", params={"post_logout_redirect_uri": short}))
        if text[:-1].isascii():
            plain = {"Accept-Language": text[:-1].strip(), "User-Agent": text[:-1].strip()}
            await timed("language", stage.http.get("/", headers={**plain, **origin}))
            await timed("bearer", stage.http.get("/userinfo", headers={"Authorization": f"Bearer {text[:-1].strip()}"}))
    assert max(worst.values()) < 0.5, worst


# --- N89: injection ---

HOSTILE: Final = (
    "' OR '1'='1' --",
    '"; DROP TABLE idp_accounts; --',
    "*)(uid=*))(|(uid=*",
    "{{7*7}}${7*7}<%= 7*7 %>#{7*7}",
    "\r\nX-Injected: 1\r\n\r\n<script>alert(1)</script>",
    "\"'><script>alert(1)</script>",
    "\x00",
    "a\x00b",
    "\ud7ff\uffff\U0010ffff",
    "\u2028\u202e\ufeff",
    "../../../../etc/passwd",
    "%0d%0a%00%ff",
    "%s%n%x{0.__class__}",
    "\\u0000",
    "$(id)`id`;id|id",
    "-1",
    "9" * 40,
    "NaN",
    "[]",
    "{}",
    "null",
)


def assert_nothing_broke_out(answer: httpx2.Response, where: Any) -> None:
    assert answer.status_code < 500, (where, answer.status_code)
    assert "x-injected" not in answer.headers, where
    assert all("\r" not in value and "\n" not in value for value in answer.headers.values()), where
    assert "<script>alert" not in answer.text, where
    # 49 may stand in a token by chance: it counts where the template stood.
    assert "4949" not in answer.text, where
    if answer.headers.get("content-type", "").startswith("application/json"):
        description = answer.json().get("error_description", "")
        assert all(" " <= character <= "~" and character not in '"\\' for character in description), where


@pytest.mark.threat("N89")
async def test_hostile_text_in_any_parameter_of_any_endpoint_breaks_nothing(
    stage: Stage, web_app: App, user: BrowserUser
) -> None:
    """On both databases: PostgreSQL has no NUL in text, and says so with an error."""
    await stage.sign_in(user)
    forms: dict[str, dict[str, str]] = {
        "/token": {
            "grant_type": "authorization_code",
            "code": "x",
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
        },
        "/introspect": {"token": "x", "token_type_hint": "access_token"},
        "/revoke": {"token": "x", "token_type_hint": "refresh_token"},
        "/userinfo": {"access_token": "x"},
        "/end_session": {"id_token_hint": "x", "client_id": "x", "post_logout_redirect_uri": "x", "state": "x"},
        "/login": {"interaction": "x", "csrf": "x", "username": "x", "password": "x"},
        "/consent": {"interaction": "x", "csrf": "x", "shown": "x", "item": "x", "decision": "allow"},
        "/select-account": {"interaction": "x", "csrf": "x", "choice": "continue"},
        "/my/consents/x/withdraw": {"csrf": "x"},
    }
    asked = {"login_hint": "x", "ui_locales": "id", "claims_locales": "id", "acr_values": "x", "display": "page"}
    more = {
        "max_age": "1",
        "prompt": "login",
        "claims": "{}",
        "resource": "https://api.test",
        "error": "x",
        "lang": "id",
    }
    for text in HOSTILE:
        for name in {**stage.request(web_app), **asked, **more}:
            changed = {**stage.request(web_app), **asked, name: text}
            answer = await user.client.get(f"{HOST}/authorize?{urlencode(changed)}", follow_redirects=False)
            assert_nothing_broke_out(answer, ("/authorize", name, text))
        for path, form in forms.items():
            headers = {**FORM, **(web_app.basic if path in {"/token", "/introspect", "/revoke"} else {})}
            for name in form:
                sent = urlencode({**form, name: text})
                answer = await user.client.post(f"{HOST}{path}", content=sent, headers=headers)
                assert_nothing_broke_out(answer, (path, name, text))
        for path in ("/login?interaction=", "/sign-in?to=", "/?lang=", "/my/consents?older=", "/console?purpose="):
            answer = await user.client.get(f"{HOST}{path}{quote(text, safe='')}", follow_redirects=False)
            assert_nothing_broke_out(answer, (path, text))


@pytest.mark.threat("N89")
async def test_hostile_text_that_reaches_a_page_or_the_database_is_only_text(
    stage: Stage, web_app: App, user: BrowserUser, new_user: NewUser
) -> None:
    hint = "\"'><script>alert(1)</script>{{7*7}}"
    await stage.begin(user, web_app, login_hint=hint, ui_locales="<script>", state=hint)
    field = next(one for one in user.page.form_with("continue").fields if one.name == "username")
    assert field.value == hint
    assert_nothing_broke_out(user.page.response, "login_hint")
    for username in HOSTILE:
        form = {**dict(user.page.form_with("continue").values()), "username": username, "password": PASSWORD}
        answer = await user.client.post(f"{HOST}/login", data=form, headers={"User-Agent": "x"})
        assert answer.status_code in {400, 429}, username
        assert_nothing_broke_out(answer, username)
    strange = new_user()
    strange.client.headers["User-Agent"] = "\"'><script>alert(1)</script>" + "x" * 1000
    await stage.begin(strange, web_app, state=hint, nonce=hint)
    stage.clock.advance(stage.provider.settings.login_failure_window + 1)
    await strange.log_in("siti", PASSWORD)
    await strange.allow()
    assert strange.callback_parameters["state"] == hint
    await strange.open("/my/consents")
    assert_nothing_broke_out(strange.page.response, "user agent")


@only_sqlite
@pytest.mark.threat("N89")
async def test_an_officers_filter_is_no_query_language(stage: Stage, web_app: App, new_user: NewUser) -> None:
    await stage.person("ratna", role="privacy_officer")
    officer = await stage.sign_in(new_user(), "ratna")
    page = await officer.open("/console")
    names = {field.name for form in page.page.document.forms for field in form.fields if field.name}
    assert names
    for text in HOSTILE:
        for path in ("/console", "/console/consents", "/console/export", "/console/actions"):
            together = dict.fromkeys(names, text)
            answer = await officer.client.get(f"{HOST}{path}", params=together, follow_redirects=False)
            assert_nothing_broke_out(answer, (path, text))
        for name in names:
            answer = await officer.client.get(f"{HOST}/console", params={name: text}, follow_redirects=False)
            assert_nothing_broke_out(answer, (name, text))


# --- N90: nobody is sent elsewhere ---


@only_sqlite
@pytest.mark.threat("N90")
async def test_no_parameter_makes_us_an_open_redirect(stage: Stage, web_app: App, new_user: NewUser) -> None:
    elsewhere = (
        "https://evil.test/",
        "//evil.test",
        "///evil.test",
        "/\\evil.test",
        "\\\\evil.test",
        "/\t/evil.test",
        "/%2f/evil.test",
        "/%5cevil.test",
        "https:evil.test",
        "javascript:alert(1)",
        "/my/../..//evil.test",
        "/console@evil.test",
        "/my/consents\r\nLocation: https://evil.test",
        "https://idp.test@evil.test/",
        "https://idp.test.evil.test/",
    )
    names = ("to", "next", "return_to", "target_link_uri", "redirect", "url", "continue", "error_uri", "lang")
    signed_in = await stage.sign_in(new_user())
    for address in elsewhere:
        for path in (*PAGES, "/my/consents/x", "/console/export"):
            sent = urlencode(dict.fromkeys(names, address))
            for user in (signed_in, new_user()):
                answer = await user.client.get(f"{HOST}{path}?{sent}", follow_redirects=False)
                location = urljoin(f"{HOST}/", answer.headers.get("location", "/"))
                assert urlsplit(location)[:2] == ("https", "idp.test"), (path, address, location)
                if answer.headers.get("content-type", "").startswith("text/html"):
                    for href, _ in read_html(answer.text).links:
                        assert urlsplit(urljoin(f"{HOST}{path}", href)).netloc in {"idp.test", ""}, (path, href)
        citizen = new_user()
        await citizen.open(f"/sign-in?{urlencode({'to': address})}")
        await citizen.log_in("siti", PASSWORD)
        assert str(citizen.page.url) == f"{HOST}/", address
    for odd in ("//evil.test/", "/\\evil.test/", "//evil.test/?lang=en", "/https://evil.test"):
        answer = await stage.http.get(f"{HOST}{odd}", headers={"Accept": "text/html"}, follow_redirects=False)
        assert answer.status_code == 404, odd
        assert "location" not in answer.headers
