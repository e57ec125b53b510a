"""N13 to N21: what passes through the browser cannot be read two ways, tampered with, leaked, or mixed up."""

from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from structlog.testing import capture_logs

from idp.authorize.checks import RESPONSE_MODES
from tests.security.stage import FORM, PASSWORD, Stage, is_a_page_only, refusal, told_to_app
from tests.support.browser_user import BrowserUser
from tests.support.databases import only_sqlite
from tests.support.html import read_html
from tests.support.token_world import CALLBACK, VERIFIER, App

pytestmark = [pytest.mark.anyio, only_sqlite]

EVIL = "https://evil.test/cb"
MARKUP = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>&x=1"


@pytest.fixture
def told() -> list[str]:
    """What a strict app would act on: nothing of it may be there after a refusal."""
    return ["code", "access_token", "id_token"]


# --- N13, N14: one request, one reading ---


@pytest.mark.threat("N13")
async def test_no_parameter_can_be_sent_twice_to_authorize(stage: Stage, web_app: App) -> None:
    honest = stage.request(web_app, prompt="none", login_hint="siti", max_age="60", claims="{}", response_mode="query")
    for name in honest:
        for twice in ([*honest.items(), (name, EVIL)], [(name, EVIL), *honest.items()], [*honest.items(), (name, "")]):
            sent = urlencode(twice)
            assert is_a_page_only(await stage.http.get(f"/authorize?{sent}")), name
            assert is_a_page_only(await stage.http.post("/authorize", content=sent, headers=FORM)), name


@pytest.mark.threat("N13")
async def test_no_parameter_can_be_sent_twice_to_the_other_endpoints(
    stage: Stage, web_app: App, user: BrowserUser
) -> None:
    code = await stage.code(user, web_app)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    for name in (*form, "client_id"):
        content = urlencode(
            [("client_id", web_app.client_id), *form.items(), (name, form.get(name, web_app.client_id))]
        )
        answer = await stage.http.post("/token", content=content, headers={**FORM, **web_app.basic})
        assert refusal(answer) == (400, "invalid_request"), name
    for path in ("/introspect", "/revoke"):
        answer = await stage.http.post(path, content="token=a&token=b", headers={**FORM, **web_app.basic})
        assert refusal(answer) == (400, "invalid_request"), path
    answer = await stage.http.post("/userinfo", content="access_token=a&access_token=b", headers=FORM)
    assert refusal(answer) == (400, "invalid_request")
    for name in ("id_token_hint", "client_id", "post_logout_redirect_uri", "state"):
        answer = await user.client.get(f"https://idp.test/end_session?{name}=a&{name}=b")
        assert is_a_page_only(answer), name
    assert await stage.sessions_alive() == 1
    assert (await stage.world.redeem(web_app, code)).status_code == 200, "nothing of all this may have used the code"


@pytest.mark.threat("N13")
async def test_a_field_of_our_own_forms_cannot_be_sent_twice(stage: Stage, web_app: App, user: BrowserUser) -> None:
    await stage.begin(user, web_app)
    form = user.page.form_with("continue")
    pairs = [(name, {"username": "budi", "password": PASSWORD}.get(name, value)) for name, value in form.values()]
    for name, value in pairs:
        await user.send(form, [*pairs, (name, value)])
        assert is_a_page_only(user.page.response), name
    assert await stage.sessions_alive() == 0


@pytest.mark.threat("N14")
async def test_who_asks_cannot_differ_between_query_body_and_request_object(stage: Stage, web_app: App) -> None:
    other = await stage.world.app(redirect_uris=("https://other.test/cb",))
    for name, value in (("client_id", other.client_id), ("redirect_uri", "https://other.test/cb"), ("state", "x")):
        sent = urlencode(stage.request(web_app))
        answer = await stage.http.post(f"/authorize?{urlencode({name: value})}", content=sent, headers=FORM)
        assert is_a_page_only(answer), name
    for name, error in (("request", "request_not_supported"), ("request_uri", "request_uri_not_supported")):
        told = told_to_app(await stage.authorize(web_app, **{name: "https://other.test/object"}))
        assert told["error"] == error
    mismatched = await stage.world.token(
        web_app, grant_type="authorization_code", code="x", redirect_uri=CALLBACK, client_id=other.client_id
    )
    assert refusal(mismatched) == (400, "invalid_request")
    assert await stage.issued() == (0, 0)


# --- N15, N16: nothing but a code, and only where codes may travel ---


@pytest.mark.threat("N15")
@pytest.mark.parametrize(
    "response_type",
    ["token", "id_token", "code token", "code id_token", "code id_token token", "none", "CODE", "code code", "x", None],
)
async def test_no_response_type_but_code_is_answered_even_to_a_person_who_agreed(
    stage: Stage, web_app: App, user: BrowserUser, response_type: str | None
) -> None:
    await stage.code(user, web_app)
    before = await stage.issued()
    await stage.begin(user, web_app, response_type=response_type)
    expected = "invalid_request" if response_type is None else "unsupported_response_type"
    assert user.callback_parameters["error"] == expected
    assert not {"code", "access_token", "id_token"} & user.callback_parameters.keys()
    assert user.callback is not None
    assert not user.callback.fragment
    assert await stage.issued() == before


@pytest.mark.threat("N16")
async def test_a_response_mode_that_leaks_or_was_not_registered_is_refused(stage: Stage, user: BrowserUser) -> None:
    query_only = await stage.world.app(response_modes=("query",))
    await stage.code(user, query_only)
    before = await stage.issued()
    for mode in ("fragment", "form_post", "query.jwt", "web_message", "okta_post_message", "QUERY", "query fragment"):
        await stage.begin(user, query_only, response_mode=mode)
        assert user.callback_parameters["error"] == "invalid_request", mode
        assert user.callback is not None
        assert not user.callback.fragment, mode
    assert await stage.issued() == before
    assert RESPONSE_MODES == ("query", "form_post")


# --- N17: errors go nowhere but to the app ---


@pytest.mark.threat("N17")
async def test_no_error_of_any_kind_redirects_to_an_unregistered_address(stage: Stage, web_app: App) -> None:
    broken: tuple[dict[str, str | None], ...] = (
        {"scope": None},
        {"scope": 'openid "'},
        {"scope": "openid beyond"},
        {"prompt": "none login"},
        {"prompt": "x"},
        {"max_age": "-1"},
        {"max_age": "9" * 20},
        {"claims": "["},
        {"claims": "[" * 5000},
        {"authorization_details": "{}"},
        {"code_challenge": None},
        {"code_challenge_method": "plain"},
        {"response_type": "token"},
        {"response_mode": "fragment"},
        {"request": "x.y.z"},
        {"id_token_hint": "x.y.z"},
        {"resource": "nowhere"},
        {"state": "x" * 3000},
        {"display": "x"},
        {"prompt": "none"},
    )
    for changes in broken:
        answer = told_to_app(await stage.authorize(web_app, **changes))
        assert "error" in answer, changes
        for stranger in (EVIL, f"{CALLBACK}/..", f"{CALLBACK}@evil.test", "//evil.test", "javascript:alert(1)"):
            for mode in (None, "form_post", "fragment"):
                refused = await stage.authorize(web_app, **{"response_mode": mode, **changes, "redirect_uri": stranger})
                assert is_a_page_only(refused), (changes, stranger, mode)


# --- N18: the page that carries the code ---


@pytest.mark.threat("N18")
async def test_a_form_post_answer_cannot_run_what_the_app_sent(stage: Stage, web_app: App, user: BrowserUser) -> None:
    await stage.code(user, web_app)
    address = stage.address(web_app, response_mode="form_post", state=MARKUP)
    page = await user.client.get(f"https://idp.test{address}", follow_redirects=False)
    document = read_html(page.text)
    (form,) = document.forms
    assert form.action == CALLBACK
    assert {field.name for field in form.fields} == {"code", "state", "iss"}
    assert dict(form.values())["state"] == MARKUP
    loaded = [attributes.get("src", "") for tag, attributes in document.elements if tag in {"script", "img"}]
    assert all(source.startswith("/static/") for source in loaded)
    assert not any(name.startswith("on") for _, attributes in document.elements for name in attributes)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self' https://app.test;" in policy
    assert "unsafe" not in policy
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] in {"no-referrer", "same-origin"}


# --- N19: a password is never sent on ---


@pytest.mark.threat("N19")
async def test_no_answer_to_a_form_makes_the_browser_send_it_on(stage: Stage, web_app: App, user: BrowserUser) -> None:
    seen: list[int] = []

    async def note(response: httpx2.Response) -> None:
        if response.request.method == "POST":
            seen.append(response.status_code)

    user.client.event_hooks["response"].append(note)
    await stage.begin(user, web_app, prompt="select_account consent")
    await user.log_in("siti", "wrong-password")
    await user.log_in("siti", PASSWORD)
    await user.allow()
    await stage.begin(user, web_app, prompt="select_account consent")
    await user.press("continue")
    await user.deny()
    await user.open("/end_session")
    await user.press("logout-yes")
    assert seen[0] == 400
    assert set(seen[1:]) <= {200, 303}, "307 and 308 would send the form, and the password, on"
    assert len(seen) == 6


# --- N20: codes and tokens leak nowhere ---


@pytest.mark.threat("N20")
async def test_codes_and_tokens_are_in_no_page_log_or_referrer(stage: Stage, web_app: App, user: BrowserUser) -> None:
    pages: list[httpx2.Response] = []

    async def note(response: httpx2.Response) -> None:
        await response.aread()
        pages.append(response)

    user.client.event_hooks["response"].append(note)
    with capture_logs() as logs:
        code = await stage.code(user, web_app, scope="openid profile email offline_access")
        tokens = (await stage.world.redeem(web_app, code)).json()
        await stage.world.redeem(web_app, code)
        await user.open("/my/consents")
        await user.open("/end_session", id_token_hint=tokens["id_token"])
    secrets = [code, tokens["access_token"], tokens["refresh_token"], tokens["id_token"]]
    assert logs, "a refusal is logged"
    for secret in secrets:
        assert secret not in str(logs)
        # The page of a logout whose address brought the ID token links to itself in the other language.
        assert not any(secret in page.text for page in pages if secret not in str(page.url))
        assert not any(secret in page.headers.get("location", "") for page in pages if not _leads_to_app(page))
    for page in pages:
        assert page.headers["referrer-policy"] in {"no-referrer", "same-origin"} or "location" in page.headers
        if _leads_to_app(page):
            assert page.headers["referrer-policy"] == "no-referrer"
            assert page.headers["cache-control"] == "no-store"


def _leads_to_app(page: httpx2.Response) -> bool:
    return page.headers.get("location", "").startswith(f"{CALLBACK}?code=")


# --- N21: whose answer it is ---


@pytest.mark.threat("N21")
async def test_an_answer_of_another_provider_is_refused_and_ours_always_says_whose_it_is(
    stage: Stage, web_app: App, user: BrowserUser
) -> None:
    party = stage.party(web_app)
    async with party:
        for mode in ("query", "form_post"):
            for changes, ends in (({}, "code"), ({"prompt": "none login"}, "error"), ({"scope": "email"}, "error")):
                asked: dict[str, Any] = {"scope": "openid profile", "response_mode": mode, **changes}
                await user.open(await party.authorization_url(**asked))
                if not user.is_at_app and user.page.path == "/login":
                    await user.log_in("siti", PASSWORD)
                if not user.is_at_app:
                    await user.allow()
                assert ends in user.callback_parameters
                assert user.callback_parameters["iss"] == "https://idp.test"
        await user.open(await party.authorization_url())
        mixed_up = {**user.callback_parameters, "iss": "https://evil.test"}
        with pytest.raises(AssertionError, match="another provider"):
            await party.finish(mixed_up)
        assert (await party.finish(user.callback_parameters)).sub


@pytest.mark.threat("N21")
async def test_a_refusal_by_a_person_says_whose_it_is_and_brings_no_code(
    stage: Stage, web_app: App, user: BrowserUser, told: list[str]
) -> None:
    await stage.begin(user, web_app)
    await user.log_in("siti", PASSWORD)
    await user.deny()
    assert user.callback_parameters["error"] == "access_denied"
    assert user.callback_parameters["iss"] == "https://idp.test"
    assert not set(told) & user.callback_parameters.keys()
    assert await stage.issued() == (0, 0)
