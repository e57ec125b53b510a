"""N77 and N78: who is shut out is out everywhere at once, and nobody reaches what is another's."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update

from consent.agencies import create_agency
from consent.models import ConsentRecord
from idp.accounts.directory import disable_account, enable_account, require_account, set_password
from idp.accounts.models import Account, RoleGrant
from idp.accounts.passwords import PasswordCheck, Passwords
from tests.consent.registry import a_purpose
from tests.security.stage import PASSWORD, SCOPE, Stage, is_a_page_only, refusal
from tests.support.browser_user import BrowserUser
from tests.support.databases import only_sqlite
from tests.support.purposes import active_purpose
from tests.support.token_world import App, claims_in

pytestmark = [pytest.mark.anyio, only_sqlite]

NewUser = Callable[[], BrowserUser]


@pytest.mark.threat("N77")
async def test_a_disabled_person_is_out_everywhere_at_once(
    stage: Stage, web_app: App, user: BrowserUser, new_user: NewUser
) -> None:
    tokens = await stage.tokens(user, web_app, scope=f"{SCOPE} offline_access")
    waiting = await stage.code(user, web_app)
    halfway = new_user()
    await stage.begin(halfway, web_app, prompt="consent")
    await halfway.log_in("siti", PASSWORD)
    assert halfway.page.has("allow")
    async with stage.provider.database.transaction() as session:
        await disable_account(session, username="siti", now=stage.clock())
    assert await stage.is_dead(web_app, tokens)
    assert refusal(await stage.world.redeem(web_app, waiting)) == (400, "invalid_grant")
    await stage.begin(user, web_app, prompt="none")
    assert user.callback_parameters["error"] == "login_required"
    await halfway.allow()
    assert halfway.page.path == "/login"
    await halfway.log_in("siti", PASSWORD)
    assert (halfway.page.path, halfway.page.status) == ("/login", 400)
    await user.open("/my/consents")
    assert user.page.path == "/login"
    assert await stage.sessions_alive() == 0
    async with stage.provider.database.transaction() as session:
        await enable_account(session, username="siti")
    assert await stage.is_dead(web_app, tokens)


@pytest.mark.threat("N29")
async def test_a_login_that_the_password_was_changed_under_opens_nothing(
    stage: Stage, web_app: App, user: BrowserUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = stage.provider
    verify = type(provider.passwords).verify

    async def and_meanwhile_it_changes(self: Passwords, password: str, password_hash: str | None) -> PasswordCheck:
        checked = await verify(self, password, password_hash)
        new = await provider.passwords.hash(PASSWORD[::-1])
        async with provider.database.transaction() as session:
            account = await require_account(session, "siti")
            later = stage.clock() + timedelta(milliseconds=50)
            await set_password(session, account.id, password_hash=new, now=later)
        return checked

    await stage.begin(user, web_app)
    monkeypatch.setattr(type(provider.passwords), "verify", and_meanwhile_it_changes)
    await user.log_in("siti", PASSWORD)
    assert (user.page.path, user.page.status) == ("/login", 400)
    assert await stage.sessions_alive() == 0


@pytest.mark.threat("N29")
async def test_a_new_password_ends_every_token_that_came_of_the_old_one(
    stage: Stage, web_app: App, user: BrowserUser
) -> None:
    tokens = await stage.tokens(user, web_app, scope=f"{SCOPE} offline_access")
    async with stage.provider.database.transaction() as session:
        account = await require_account(session, "siti")
        # The clock of whoever changes it may be behind: the tokens die all the same.
        await set_password(session, account.id, password_hash="unused", now=stage.clock() - timedelta(seconds=30))
    assert await stage.is_dead(web_app, tokens)


@pytest.mark.threat("N77")
async def test_a_name_given_to_another_person_does_not_bring_the_first_ones_sub(
    stage: Stage, web_app: App, new_user: NewUser
) -> None:
    before = claims_in((await stage.tokens(new_user(), web_app))["id_token"])["sub"]
    async with stage.provider.database.transaction() as session:
        await disable_account(session, username="siti", now=stage.clock())
        await session.execute(update(Account).where(Account.username == "siti").values(username="gone"))
    await stage.person("siti")
    after = claims_in((await stage.tokens(new_user(), web_app))["id_token"])["sub"]
    assert before != after


@pytest.mark.threat("N77")
async def test_two_agencies_cannot_join_a_person_on_any_identifier(
    stage: Stage, web_app: App, user: BrowserUser
) -> None:
    now, entropy = stage.clock(), stage.provider.entropy
    async with stage.provider.database.transaction() as session:
        agency = await create_agency(
            session,
            code="dukcapil",
            names={"en": "Population", "id": "Kependudukan"},
            contact="Jalan Contoh 2",
            privacy_contact="pdp@dukcapil.example",
            address="Jalan Contoh 2, Jakarta",
            now=now,
            entropy=entropy,
        )
        await active_purpose(session, agency_id=agency.id, **a_purpose(code="kartu"), now=now, entropy=entropy)
    sister = await stage.world.app()
    elsewhere = await stage.world.app(agency_id=agency.id, purpose_codes=("kartu",))
    ours, sisters, theirs = [await stage.tokens(user, app) for app in (web_app, sister, elsewhere)]
    told = [claims_in(tokens["id_token"]) for tokens in (ours, sisters, theirs)]
    assert told[0]["sub"] == told[1]["sub"], "one agency knows one person"
    assert told[0]["sub"] != told[2]["sub"]
    assert len({claims["sid"] for claims in told}) == 3
    account_id = await stage.account("siti")
    for tokens, claims in zip((ours, sisters, theirs), told, strict=True):
        userinfo = (await stage.world.userinfo(tokens["access_token"])).json()
        assert userinfo["sub"] == claims["sub"] == claims_in(tokens["access_token"])["sub"]
        assert account_id not in str(claims) + str(userinfo) + str(claims_in(tokens["access_token"]))


@pytest.mark.threat("N78")
async def test_a_person_neither_sees_nor_ends_another_persons_consent(
    stage: Stage, web_app: App, user: BrowserUser, new_user: NewUser
) -> None:
    tokens = await stage.tokens(user, web_app)
    budi = new_user()
    await stage.tokens(budi, web_app, "budi")
    account_id = await stage.account("siti")
    async with stage.provider.database.reading() as session:
        consent_id = await session.scalar(select(ConsentRecord.id).where(ConsentRecord.subject_id == account_id))
    answers = []
    for wanted in (consent_id, "01a20d83-9950-71a9-933c-66e77f72501c", "x", "' OR 1=1 --"):
        await budi.open(f"/my/consents/{wanted}")
        assert "Siti" not in budi.page.text
        answers.append((budi.page.status, budi.page.text))
    assert answers == [(404, answers[0][1])] * 4, "another's and nobody's look the same"
    await budi.open("/my/consents")
    own = next(link for link, _ in budi.page.document.links if link.startswith("/my/consents/"))
    await budi.open(own)
    csrf = dict(budi.page.form_with("withdraw").values())["csrf"]
    url = f"https://idp.test/my/consents/{consent_id}/withdraw"
    stolen = await budi.client.post(url, data={"csrf": csrf}, follow_redirects=False)
    assert stolen.status_code == 404
    assert (await stage.world.userinfo(tokens["access_token"])).status_code == 200


@pytest.mark.threat("N78")
async def test_the_officers_console_is_shut_to_citizens_and_strangers(
    stage: Stage, web_app: App, user: BrowserUser, new_user: NewUser
) -> None:
    await stage.tokens(user, web_app)
    account_id = await stage.account("siti")
    async with stage.provider.database.reading() as session:
        consent_id = (await session.scalars(select(ConsentRecord.id))).one()
    paths = ("", "/consents", f"/consents/{consent_id}", "/export?format=csv", "/export?format=jsonl", "/actions")
    stranger = new_user()
    for path in paths:
        await user.open(f"/console{path}")
        assert user.page.status in {403, 404}, path
        assert consent_id not in user.page.response.text.replace(str(user.page.url), "").replace(path, "")
        assert account_id not in user.page.response.text
        await stranger.open(f"/console{path}")
        assert stranger.page.path == "/login", path
    await stage.person("ratna", role="privacy_officer")
    officer = await stage.sign_in(new_user(), "ratna")
    for path in paths:
        answer = await officer.client.get(f"https://idp.test/console{path}", follow_redirects=True)
        assert answer.status_code == 200, path
    async with stage.provider.database.transaction() as session:
        await session.execute(delete(RoleGrant))
    await officer.open("/console")
    assert officer.page.status in {403, 404}, "a role that was taken away is gone with the next request"


@pytest.mark.threat("N78")
async def test_an_officer_reads_and_cannot_take_a_consent_back_for_somebody(
    stage: Stage, web_app: App, user: BrowserUser, new_user: NewUser
) -> None:
    tokens = await stage.tokens(user, web_app)
    await stage.person("ratna", role="privacy_officer")
    officer = await stage.sign_in(new_user(), "ratna")
    await stage.code(officer, web_app, "ratna")
    await officer.open("/my/consents")
    own = next(link for link, _ in officer.page.document.links if link.startswith("/my/consents/"))
    await officer.open(own)
    csrf = dict(officer.page.form_with("withdraw").values())["csrf"]
    account_id = await stage.account("siti")
    async with stage.provider.database.reading() as session:
        consent_id = await session.scalar(select(ConsentRecord.id).where(ConsentRecord.subject_id == account_id))
    for path in (f"/my/consents/{consent_id}/withdraw", f"/console/consents/{consent_id}", "/console/export"):
        answer = await officer.client.post(f"https://idp.test{path}", data={"csrf": csrf}, follow_redirects=False)
        assert answer.status_code in {404, 405}, path
    assert (await stage.world.userinfo(tokens["access_token"])).status_code == 200


@pytest.mark.threat("N78")
async def test_nothing_that_a_person_posts_changes_who_they_are(stage: Stage, web_app: App, user: BrowserUser) -> None:
    """Mass assignment: our forms take what they show, and nothing else."""
    more = [
        ("role", "privacy_officer"),
        ("roles", "privacy_officer"),
        ("email_verified", "true"),
        ("account_id", "x"),
        ("subject_id", "x"),
        ("verified", "true"),
        ("acr", "phr"),
    ]
    await stage.begin(user, web_app)
    form = user.page.form_with("continue")
    typed = {"username": "siti", "password": PASSWORD}
    await user.send(form, [*((name, typed.get(name, value)) for name, value in form.values()), *more])
    form = user.page.form_with("allow")
    await user.send(form, [*form.values(), ("decision", "allow"), *more])
    assert "code" in user.callback_parameters
    await user.open("/console")
    assert user.page.status in {403, 404}
    async with stage.provider.database.reading() as session:
        assert (await session.scalars(select(RoleGrant))).all() == []
        record = (await session.scalars(select(ConsentRecord))).one()
    assert record.subject_id == await stage.account("siti")


@pytest.mark.threat("N78")
async def test_a_userinfo_request_cannot_name_another_person_or_app(
    stage: Stage, web_app: App, user: BrowserUser
) -> None:
    tokens = await stage.tokens(user, web_app)
    honest = (await stage.world.userinfo(tokens["access_token"])).json()
    for query in ("?sub=x", "?account_id=x", "?client_id=x", "?scope=openid+identity"):
        answer = await stage.http.get(
            f"/userinfo{query}", headers={"Authorization": f"Bearer {tokens['access_token']}", "X-Sub": "x"}
        )
        assert answer.json() == honest
    unknown = await stage.http.get("/my/consents/..%2f..%2fconsole")
    assert is_a_page_only(unknown) or unknown.status_code in {303, 404}
