"""N80 and N81: nobody is signed out by a stranger, or sent by us to where the app did not say."""

from collections.abc import Callable
from urllib.parse import urlencode

import anyio.from_thread
import anyio.to_thread
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from keys.local import LocalSigner
from tests.security.forging import signed
from tests.security.stage import FORM, PASSWORD, Stage
from tests.support.assertions import AssertionKey
from tests.support.browser_user import BrowserUser
from tests.support.databases import only_sqlite
from tests.support.html import read_html
from tests.support.token_world import App, claims_in

pytestmark = [pytest.mark.anyio, only_sqlite]

BYE = "https://app.test/bye"


@pytest.mark.threat("N80")
async def test_an_address_that_the_app_did_not_register_is_never_gone_to(
    stage: Stage, web_app: App, user: BrowserUser
) -> None:
    other = await stage.world.app(post_logout_redirect_uris=("https://other.test/bye",))
    id_token = (await stage.tokens(user, web_app))["id_token"]
    for address in (
        "https://other.test/bye",
        f"{BYE}?x=1",
        f"{BYE}#x",
        f"{BYE}/",
        "https://app.test/",
        "https://APP.test/bye",
        "https://app.test@evil.test/bye",
        "https://app.test.evil.test/bye",
        "https://evil.test/https://app.test/bye",
        "http://app.test/bye",
        "javascript:alert(1)",
        "data:text/html,x",
        "//evil.test",
        "/\\evil.test",
        "\\\\evil.test",
        "/bye",
        "https:evil.test",
        f"{BYE}\r\nLocation: https://evil.test",
        f"{BYE} https://evil.test",
        web_app.redirect_uri,
    ):
        for asked in (
            {"id_token_hint": id_token},
            {"client_id": web_app.client_id},
            {"client_id": other.client_id},
            {},
        ):
            if asked == {"client_id": other.client_id} and address == "https://other.test/bye":
                continue
            sent = {**asked, "post_logout_redirect_uri": address}
            for answer in (
                await user.client.get(f"https://idp.test/end_session?{urlencode(sent)}", follow_redirects=False),
                await user.client.post("https://idp.test/end_session", data=sent, follow_redirects=False),
                await stage.http.get(f"/end_session?{urlencode(sent)}"),
            ):
                assert answer.status_code == 400, (address, asked)
                assert "location" not in answer.headers
                ways = [href for href, _ in read_html(answer.text).links]
                assert all(way.startswith(("/", "#")) and not way.startswith("//") for way in ways), ways
    assert await stage.sessions_alive() == 1


@pytest.mark.threat("N80", "N90")
async def test_no_change_of_a_registered_address_is_ever_gone_to(stage: Stage, web_app: App, user: BrowserUser) -> None:
    text = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("/.?#@\\:%;&=")), max_size=5)

    @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(start=st.integers(0, len(BYE)), length=st.integers(0, 5), inserted=text)
    def attempt(start: int, length: int, inserted: str) -> None:
        changed = BYE[:start] + inserted + BYE[start + length :]
        assume(changed not in {BYE, ""})
        sent = urlencode({"client_id": web_app.client_id, "post_logout_redirect_uri": changed})
        answer = anyio.from_thread.run(stage.http.get, f"/end_session?{sent}")
        assert answer.status_code == 400, changed
        assert "location" not in answer.headers, changed

    await anyio.to_thread.run_sync(attempt)
    sent = urlencode({"client_id": web_app.client_id, "post_logout_redirect_uri": BYE})
    assert (await stage.http.get(f"/end_session?{sent}")).headers["location"] == BYE


@pytest.mark.threat("N80")
async def test_the_address_cannot_be_changed_in_the_confirmation_form(
    stage: Stage, web_app: App, user: BrowserUser
) -> None:
    await stage.sign_in(user)
    await user.open("/end_session", client_id=web_app.client_id, post_logout_redirect_uri=BYE)
    form = user.page.form_with("logout-yes")
    pairs = [
        (name, "https://evil.test/" if name == "post_logout_redirect_uri" else value) for name, value in form.values()
    ]
    answer = await user.client.post(
        "https://idp.test/end_session", content=urlencode([*pairs, ("decision", "yes")]), headers=FORM
    )
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert await stage.sessions_alive() == 1


@pytest.mark.threat("N81")
async def test_a_logout_that_the_person_did_not_want_only_asks(
    stage: Stage, web_app: App, user: BrowserUser, new_user: Callable[[], BrowserUser]
) -> None:
    """No hint, another person's, another session's, another app's, a forged one: the page asks, and nothing is done."""
    mine = (await stage.tokens(user, web_app))["id_token"]
    budis = (await stage.tokens(new_user(), web_app, "budi"))["id_token"]
    elsewhere = (await stage.tokens(new_user(), web_app))["id_token"]
    alive = await stage.sessions_alive()
    own = AssertionKey("ES256")
    signer = LocalSigner("ES256", own.jwk["kid"], own.private)
    said = claims_in(mine)
    forged = [
        await signed(signer, said),
        await signed(signer, said, jwk=own.jwk),
        await signed(stage.provider.keys.signer_for("RS256"), {**said, "aud": "app-another"}),
        await signed(stage.provider.keys.signer_for("RS256"), {**said, "sid": "another"}),
        await signed(stage.provider.keys.signer_for("RS256"), {**said, "sub": "another"}),
        await signed(stage.provider.keys.signer_for("RS256"), {**said, "iss": "https://evil.test"}),
        await signed(stage.provider.keys.signer_for("RS256"), said, typ="logout+jwt"),
        mine[:-3],
    ]
    for hint in ("", budis, elsewhere, *forged):
        for sent in ({"id_token_hint": hint, "post_logout_redirect_uri": BYE, "client_id": web_app.client_id},):
            # An app that says it is another than its hint's contradicts itself: that is refused.
            answer = await user.client.get(f"https://idp.test/end_session?{urlencode(sent)}", follow_redirects=False)
            assert "location" not in answer.headers, hint[:40]
            assert answer.status_code == 400 or 'id="logout-yes"' in answer.text, hint[:40]
            posted = await user.client.post("https://idp.test/end_session", data=sent, follow_redirects=False)
            assert "location" not in posted.headers
    assert await stage.sessions_alive() == alive
    await stage.begin(user, web_app, prompt="none")
    assert "code" in user.callback_parameters
    stage.clock.advance(stage.provider.settings.id_token_lifetime + 60)
    await user.open("/end_session", id_token_hint=mine, post_logout_redirect_uri=BYE)
    assert str(user.callback) == BYE, "the person's own, though expired, is believed"
    assert await stage.sessions_alive() == alive - 1
    await stage.begin(user, web_app, prompt="none")
    assert user.callback_parameters["error"] == "login_required"


@pytest.mark.threat("N81")
async def test_a_page_of_another_site_cannot_press_yes(
    stage: Stage, web_app: App, user: BrowserUser, new_user: Callable[[], BrowserUser]
) -> None:
    await stage.sign_in(user)
    attacker = new_user()
    await stage.sign_in(attacker, "budi")
    await attacker.open("/end_session")
    theirs = dict(attacker.page.form_with("logout-yes").values())["csrf"]
    for fields, headers in (
        ({"csrf": ""}, {}),
        ({"csrf": theirs}, {}),
        ({"csrf": theirs}, {"Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"}),
        ({}, {"Sec-Fetch-Site": "cross-site"}),
    ):
        sent = {"decision": "yes", **fields}
        await user.client.post("https://idp.test/end_session", data=sent, headers=headers, follow_redirects=False)
    await user.client.get("https://idp.test/end_session?decision=yes", follow_redirects=False)
    assert await stage.sessions_alive() == 2
    await user.open("/my/consents")
    assert user.page.path == "/my/consents"
    assert PASSWORD not in user.page.response.text
