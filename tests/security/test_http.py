"""N83 to N87: every answer has the headers it must have, and no request gets a fault, however large or odd."""

import time
from collections import deque
from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any, Final
from urllib.parse import urlencode, urljoin, urlsplit

import httpx2
import pytest
from structlog.testing import capture_logs

from idp.authorize.parameters import MAX_CHARS
from keys.encoding import b64url_decode
from tests.security.stage import FORM, HOST, PAGES, PROTOCOL, PUBLIC, Stage, told_to_app
from tests.support.browser_user import BrowserUser
from tests.support.databases import only_sqlite
from tests.support.html import read_html
from tests.support.token_world import CALLBACK, VERIFIER, App

pytestmark = pytest.mark.anyio

NewUser = Callable[[], BrowserUser]


# --- N83: what every page says to the browser ---


async def crawl(user: BrowserUser, starts: tuple[str, ...]) -> dict[str, httpx2.Response]:
    """Every page of ours that can be reached by links from some addresses, redirects included."""
    seen: dict[str, httpx2.Response] = {}
    waiting = deque(starts)
    while waiting and len(seen) < 80:
        address = waiting.popleft()
        if address in seen:
            continue
        answer = await user.client.get(f"{HOST}{address}", follow_redirects=False)
        seen[address] = answer
        found = [answer.headers["location"]] if "location" in answer.headers else []
        if answer.headers.get("content-type", "").startswith("text/html"):
            found += [href for href, _ in read_html(answer.text).links]
        for href in found:
            parts = urlsplit(urljoin(f"{HOST}{address}", href))
            assert f"{parts.scheme}://{parts.netloc}" == HOST or parts.scheme in {"mailto", "tel"}, href
            if parts.scheme == "https":
                waiting.append(parts.path + (f"?{parts.query}" if parts.query else ""))
    return seen


def assert_is_harmless(address: str, answer: httpx2.Response) -> None:
    headers = answer.headers
    policy = {name: rest for name, *rest in (part.split() for part in headers["content-security-policy"].split(";"))}
    assert policy["default-src"] == ["'none'"], address
    assert policy["frame-ancestors"] == ["'none'"], address
    assert policy["base-uri"] == ["'none'"], address
    assert policy["form-action"][0] == "'self'", address
    assert not any("unsafe" in word or "*" in word for words in policy.values() for word in words), address
    assert headers["x-frame-options"] == "DENY", address
    assert headers["x-content-type-options"] == "nosniff", address
    assert headers["referrer-policy"] in {"no-referrer", "same-origin"}, address
    assert headers["strict-transport-security"].startswith("max-age="), address
    assert headers["cache-control"] == "no-store", address
    document = read_html(answer.text)
    for tag, attributes in document.elements:
        assert "style" not in attributes, (address, tag)
        assert not any(name.startswith("on") for name in attributes), (address, tag)
        if tag in {"script", "img", "link"}:
            assert attributes.get("src", attributes.get("href", "")).startswith("/static/"), (address, attributes)


@only_sqlite
@pytest.mark.threat("N83")
async def test_no_page_of_ours_can_be_framed_sniffed_cached_or_run_foreign_code(
    stage: Stage, web_app: App, user: BrowserUser, new_user: NewUser
) -> None:
    await stage.tokens(user, web_app)
    await stage.person("ratna", role="privacy_officer")
    officer = await stage.sign_in(new_user(), "ratna")
    half = await stage.begin(new_user(), web_app)
    errors = (
        "/authorize",
        f"/authorize?client_id={web_app.client_id}&redirect_uri=x",
        "/consent?interaction=x",
        "/my/consents/x",
        "/end_session?post_logout_redirect_uri=x",
    )
    starts = (*PAGES, *errors)
    pages = 0
    for one in (user, officer, half, new_user()):
        for address, answer in (await crawl(one, starts)).items():
            if answer.headers.get("content-type", "").startswith("text/html"):
                assert_is_harmless(address, answer)
                pages += 1
            elif "interaction=" in answer.headers.get("location", ""):
                assert "no-store" in answer.headers["cache-control"], address
    refused = await half.client.post(f"{HOST}/login", data={})
    assert_is_harmless("a form that was refused", refused)
    assert pages > 40


@only_sqlite
@pytest.mark.threat("N83", "N92")
async def test_the_page_of_a_fault_is_harmless_and_tells_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Any:
        raise RuntimeError("CANARY: the password of the database is hunter2")

    monkeypatch.setattr(stage.provider.database, "reading", broken)
    transport = httpx2.ASGITransport(stage.application, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url=HOST) as client:
        with capture_logs() as logs:
            page = await client.get("/", headers={"Accept": "text/html"})
            answer = await client.get("/userinfo", headers={"Authorization": "Bearer x.y.z"})
    assert logs[0]["event"] == "fault"
    assert page.status_code == 500
    assert_is_harmless("fault", page)
    for one in (page, answer):
        assert one.status_code >= 400
        assert "CANARY" not in one.text + str(one.headers)
        assert "Traceback" not in one.text


@only_sqlite
@pytest.mark.threat("N83")
async def test_no_answer_that_carries_or_judges_a_token_may_be_cached(
    stage: Stage, web_app: App, user: BrowserUser
) -> None:
    code = await stage.code(user, web_app)
    answers = [await stage.world.redeem(web_app, code)]
    token = answers[0].json()["access_token"]
    answers += [
        await stage.world.redeem(web_app, code),
        await stage.world.userinfo(token),
        await stage.world.userinfo("x"),
        await stage.http.get("/userinfo"),
        await stage.http.post("/introspect", data={"token": token}, headers=web_app.basic),
        await stage.http.post("/introspect", data={"token": token}),
        await stage.http.post("/revoke", data={"token": token}, headers=web_app.basic),
        await stage.http.post("/token", content=b"x"),
        await stage.authorize(web_app),
        await stage.authorize(web_app, prompt="none"),
        await stage.authorize(web_app, redirect_uri="x"),
    ]
    for answer in answers:
        assert "no-store" in answer.headers["cache-control"], answer.request.url
        if "json" in answer.headers.get("content-type", ""):
            assert answer.headers["x-content-type-options"] == "nosniff", answer.request.url


# --- N84: cookies ---


@only_sqlite
@pytest.mark.threat("N84")
async def test_no_cookie_can_be_read_by_scripts_sent_in_clear_set_by_a_neighbour_or_guessed(
    stage: Stage, web_app: App, user: BrowserUser
) -> None:
    lines: list[str] = []

    async def note(response: httpx2.Response) -> None:
        lines.extend(response.headers.get_list("set-cookie"))

    user.client.event_hooks["response"].append(note)
    await stage.code(user, web_app, state="CANARY-state", nonce="CANARY-nonce")
    await user.open("/?lang=en")
    await user.open("/end_session")
    await user.press("logout-yes")
    cookies = [(name, one) for line in lines for name, one in SimpleCookie(line).items()]
    assert {name for name, _ in cookies} == {"__Host-browser", "__Host-session", "__Host-lang"}
    for name, one in cookies:
        assert one["secure"], name
        assert one["httponly"], name
        assert one["samesite"].lower() == "lax", name
        assert one["path"] == "/", name
        assert not one["domain"], name
        assert "CANARY" not in one.value
        if one.value and name != "__Host-lang":
            assert len(b64url_decode(one.value)) == 32, "256 random bits and nothing else"
    values = {(name, one.value) for name, one in cookies if one.value and name != "__Host-lang"}
    assert len({value for _, value in values}) == len(values), "one browser, one session, and no secret for two uses"


# --- N85: scripts of other sites ---


@only_sqlite
@pytest.mark.threat("N85")
async def test_no_foreign_origin_may_read_what_is_not_public(stage: Stage, public_app: App, user: BrowserUser) -> None:
    tokens = await stage.tokens(user, public_app)
    own = "https://app.test"
    strangers = (
        "null",
        "https://evil.test",
        "https://evil.app.test",
        "https://app.test.evil.test",
        "http://app.test",
        "https://app.test:8443",
        "https://APP.test",
        "https://app.test/",
        "https://app.test, https://evil.test",
        "*",
        "x" * 5000,
    )
    for origin in (*strangers, own):
        preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        answers = {}
        for path in (*PROTOCOL, *PAGES, *PUBLIC):
            headers = {"Origin": origin, "Authorization": f"Bearer {tokens['access_token']}"}
            answers[path, "OPTIONS"] = await stage.http.options(path, headers={"Origin": origin, **preflight})
            if path != "/authorize":
                answers[path, "GET"] = await stage.http.get(path, headers=headers)
            form = {"client_id": public_app.client_id, "token": "x", "grant_type": "authorization_code", "code": "x"}
            answers[path, "POST"] = await stage.http.post(path, data=form, headers={"Origin": origin})
        for (path, method), answer in answers.items():
            allowed = answer.headers.get("access-control-allow-origin")
            assert "access-control-allow-credentials" not in answer.headers, (path, method)
            if path in PUBLIC:
                assert allowed in {None, "*"}
            elif path in {"/token", "/userinfo", "/revoke"} and origin == own:
                assert allowed in {None, own}, (path, method)
            else:
                assert allowed is None, (path, method, origin)
    readable = await stage.http.get(
        "/userinfo", headers={"Origin": own, "Authorization": f"Bearer {tokens['access_token']}"}
    )
    assert readable.headers["access-control-allow-origin"] == own


# --- N86, N87: methods, media types, sizes ---


@only_sqlite
@pytest.mark.threat("N86")
async def test_a_method_or_media_type_that_is_not_meant_is_refused(
    stage: Stage, web_app: App, user: BrowserUser
) -> None:
    code = await stage.code(user, web_app)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    for path in ("/token", "/introspect", "/revoke"):
        for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "post", "FOO"):
            answer = await stage.http.request(method, path, params=form, headers=web_app.basic)
            assert answer.status_code in {400, 405}, (method, path)
        for content_type in (
            "application/json",
            "text/plain",
            "multipart/form-data; boundary=x",
            "application/x-www-form-urlencoded, text/plain",
            "application/x-www-form-urlencoded-x",
            "",
        ):
            headers = {"Content-Type": content_type, **web_app.basic}
            answer = await stage.http.post(path, content=urlencode({**form, "token": "x"}), headers=headers)
            assert answer.status_code == 400, (content_type, path)
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-16", **web_app.basic}
    utf16 = urlencode(form).encode("utf-16")
    assert (await stage.http.post("/token", content=utf16, headers=headers)).status_code == 400
    for path in PAGES:
        for method in ("PUT", "DELETE", "PATCH", "TRACE"):
            answer = await user.client.request(method, f"{HOST}{path}")
            assert answer.status_code == 405, (method, path)
    assert (await stage.world.redeem(web_app, code)).status_code == 200, "none of these may have used the code"


LARGE: Final = {
    "50,000 characters of scope": {"scope": "openid " + "x" * 50_000},
    "25,000 scopes": {"scope": "openid" + " a" * 25_000},
    "a megabyte of state": {"state": "x" * 1_000_000},
    "nested JSON": {"claims": "[" * 60_000},
    "wide JSON": {"claims": '{"userinfo":{' + ",".join(f'"{n}":null' for n in range(2000)) + "}}"},
    "details": {"authorization_details": "[" + "{}," * 15_000 + "{}]"},
    "a hint": {"id_token_hint": "e30." * 10_000},
    "resources": {"resource": "https://api.test/" + "x" * 30_000},
    "prompts": {"prompt": "login " * 5000},
    "locales": {"ui_locales": "id " * 5000},
    "a challenge": {"code_challenge": "x" * 60_000},
    "percents": {"nonce": "%" * 60_000},
    **{f"50,000 of {name}": {name: "a1" * 25_000} for name in MAX_CHARS},
}


@only_sqlite
@pytest.mark.threat("N87")
async def test_what_is_too_large_is_refused_fast(stage: Stage, web_app: App) -> None:
    async def is_refused(answer: httpx2.Response, started: float, name: str) -> None:
        spent = time.process_time() - started
        assert spent < 0.5, (name, spent)
        refused = answer.status_code in {400, 401, 413} or "error" in told_to_app(answer)
        assert refused, (name, answer.status_code)

    for name, changes in LARGE.items():
        sent = urlencode(stage.request(web_app, **changes))
        if len(sent) < 60_000:  # no client sends a longer address
            started = time.process_time()
            await is_refused(await stage.http.get(f"/authorize?{sent}"), started, name)
        started = time.process_time()
        await is_refused(await stage.http.post("/authorize", content=sent, headers=FORM), started, name)
    bodies = {
        "ten thousand parameters": "&".join(f"p{number}=1" for number in range(10_000)),
        "a megabyte": "grant_type=x&x=" + "x" * 1_000_000,
        "many ampersands": "&" * 60_000,
        "many equals": "=" * 60_000,
        "many escapes": "a=" + "%41" * 20_000,
        "a code": "grant_type=authorization_code&code=" + "x" * 60_000,
        "a refresh token": "grant_type=refresh_token&refresh_token=" + "x" * 30_000,
        "an assertion": "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_assertion="
        + "e30." * 8000,
    }
    for name, body in bodies.items():
        for path in ("/token", "/introspect", "/revoke", "/userinfo", "/login", "/consent", "/end_session"):
            headers = {**FORM, **(web_app.basic if path in PROTOCOL and path != "/userinfo" else {})}
            started = time.process_time()
            answer = await stage.http.post(path, content=body, headers=headers)
            spent = time.process_time() - started
            assert spent < 0.5, (name, path, spent)
            # A logout without our cookie is asked for again as a GET, which brings the cookie.
            assert 400 <= answer.status_code < 500 or (path, answer.status_code) == ("/end_session", 303), (name, path)
    for header in ("Bearer " + "a" * 64_000, "Basic " + "a" * 64_000, "Bearer " + "a." * 32_000):
        for path in ("/userinfo", "/token"):
            answer = await stage.http.post(path, headers={**FORM, "Authorization": header})
            assert answer.status_code in {400, 401}, path
    assert await stage.issued() == (0, 0)


@only_sqlite
@pytest.mark.threat("N87")
async def test_a_body_that_never_says_its_length_is_cut_off(stage: Stage, web_app: App) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        yield b"grant_type=client_credentials&x="
        for _ in range(10_000):
            sent += 8192
            yield b"x" * 8192

    for path in ("/token", "/login", "/authorize", "/my/consents/x/withdraw"):
        sent = 0
        answer = await stage.http.post(path, content=endless(), headers={**FORM, **web_app.basic})
        assert answer.status_code in {303, 400, 403, 405, 413}, path
        assert await stage.issued() == (0, 0)


@only_sqlite
async def test_these_tests_know_every_address_that_there_is(stage: Stage) -> None:
    """A new address has to be named in `stage.py`, and so in the tests of this folder."""
    known = {*PAGES, *PROTOCOL, *PUBLIC, "/health/live", "/health/ready", "/static"}
    known |= {"/status-lists/{list_id}", "/consent/v1", "/govstack/v1", "/.well-known/ssf-configuration"}
    known |= {"/log/checkpoint", "/log/trust.json", "/log/tile/{tile:path}"}
    known |= {"/register.json", "/register/{code}", "/notices/{sha256}"}
    routes = {getattr(route, "path", "") for route in stage.application.router.routes}
    below = {route for route in routes if route.startswith(("/my/consents/", "/console/"))}
    assert routes - below == known
