"""Nothing leaves without its record: what userinfo and ID tokens tell, and when they may not."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import select, text

from consent.decisions import let_go, pause, resume
from consent.uses.disclosure import OBSERVED
from consent.uses.models import ExpectedUse
from idp.driver.statement import Row, Statement, Values
from tests.consent.registry import write_agency
from tests.idp.uses_world import limit, record_of, uses_of
from tests.support.clock import FakeClock
from tests.support.databases import only_sqlite
from tests.support.token_world import App, Citizen, World, claims_in

pytestmark = pytest.mark.anyio

ID_TOKEN = {"id_token": {"email": None, "gender": None}}


async def change(world: World, citizen: Citizen, consent_id: str, how: Any, **values: Any) -> None:
    provider = world.provider
    async with provider.database.transaction() as session:
        await how(
            session,
            consent_id=consent_id,
            subject_id=citizen.account_id,
            now=provider.clock(),
            entropy=provider.entropy,
            **values,
        )


async def test_what_userinfo_tells_is_written_down_with_its_leaf(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    consent_id = await world.consent(app, siti, granted=("name", "email"))
    token = (await world.tokens(app, siti, consent_id=consent_id))["access_token"]
    assert await uses_of(world, siti.account_id) == []
    assert (await world.userinfo(token)).status_code == 200
    (use,) = await uses_of(world, siti.account_id)
    assert use.items == ("email", "name")
    assert (use.action, use.evidence, use.legal_basis) == ("userinfo", OBSERVED, "consent")
    assert (use.consent_id, use.client_id, use.agency_id) == (consent_id, app.client_id, world.agency_id)
    assert use.purpose_version_id == world.purpose.id
    assert use.legal_citation == world.purpose.legal_citation
    assert use.jti == claims_in(token)["jti"]
    assert use.at == world.provider.clock()
    assert use.seen_from is None


async def test_many_at_once_are_each_written_down(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    token = (await world.tokens(app, siti))["access_token"]
    answers = await asyncio.gather(*(world.userinfo(token) for _ in range(30)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(await uses_of(world, siti.account_id)) == 30


async def test_what_an_id_token_tells_is_written_down_with_the_tokens(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    consent_id = await world.consent(app, siti, granted=("name", "email"), offline_access=True)
    scope = ("openid", "offline_access")
    tokens = await world.tokens(app, siti, consent_id=consent_id, scope=scope, claims=ID_TOKEN)
    (use,) = await uses_of(world, siti.account_id)
    assert (use.action, use.items) == ("id_token", ("email",))
    assert use.jti == claims_in(tokens["access_token"])["jti"]
    refreshed = (await world.refresh(app, tokens["refresh_token"])).json()
    assert claims_in(refreshed["id_token"])["email"] == "siti@example.id"
    again = (await world.refresh(app, tokens["refresh_token"])).json()
    assert claims_in(again["id_token"])["email"] == "siti@example.id"
    assert {use.jti for use in await uses_of(world, siti.account_id)} == {
        claims_in(one["access_token"])["jti"] for one in (tokens, refreshed, again)
    }


@only_sqlite
async def test_an_answer_that_tells_nothing_of_the_person_is_no_use(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    consent_id = await world.consent(app, siti, granted=("name",))
    tokens = await world.tokens(
        app, siti, consent_id=consent_id, scope=("openid",), claims={"id_token": {"email": None}}
    )
    assert (await world.userinfo(tokens["access_token"])).json().keys() == {"sub"}
    assert await uses_of(world, siti.account_id) == []


# --- a pause ---


@pytest.mark.threat("N70")
async def test_a_paused_consent_stops_its_tokens_and_they_live_again_when_it_goes_on(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    consent_id = await world.consent(app, siti, offline_access=True)
    scope = ("openid", "profile", "offline_access")
    tokens = await world.tokens(app, siti, consent_id=consent_id, scope=scope)
    code = await world.code(app, siti, consent_id=consent_id, scope=scope)
    await change(world, siti, consent_id, pause)
    assert (await world.userinfo(tokens["access_token"])).status_code == 401
    for kind in ("access_token", "refresh_token"):
        assert await world.introspect(app, tokens[kind]) == {"active": False}
    assert (await world.refresh(app, tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await world.redeem(app, code)).json()["error"] == "invalid_grant"
    assert await uses_of(world, siti.account_id) == []
    await change(world, siti, consent_id, resume)
    assert (await world.userinfo(tokens["access_token"])).status_code == 200
    assert (await world.introspect(app, tokens["access_token"]))["active"] is True
    assert (await world.refresh(app, tokens["refresh_token"])).status_code == 200


@only_sqlite
async def test_a_token_that_expired_during_the_pause_stays_dead(world: World, clock: FakeClock) -> None:
    app, siti = await world.app(), await world.citizen()
    consent_id = await world.consent(app, siti)
    token = (await world.tokens(app, siti, consent_id=consent_id))["access_token"]
    await change(world, siti, consent_id, pause)
    clock.advance(world.provider.settings.access_token_lifetime)
    await change(world, siti, consent_id, resume)
    assert (await world.userinfo(token)).status_code == 401


# --- between the look and the record ---


class Between:
    """The driver, with something that happens once, after the look and before what is written."""

    def __init__(self, driver: Any, happens: Any, *, after: str) -> None:
        self._driver = driver
        self._happens = happens
        self._after = after

    async def row(self, statement: Statement, values: Values) -> Row | None:
        row: Row | None = await self._driver.row(statement, values)
        if self._happens is not None and self._after in str(statement.core):
            happens, self._happens = self._happens, None
            await happens()
        return row

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)


def meanwhile(world: World, happens: Any, *, after: str) -> None:
    """Lets something happen between the next look and what follows from it."""
    database = world.provider.database
    database.driver = Between(database.driver, happens, after=after)


@pytest.mark.threat("N70")
async def test_userinfo_that_was_overtaken_by_the_withdrawal_tells_nothing(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    consent_id = await world.consent(app, siti)
    token = (await world.tokens(app, siti, consent_id=consent_id))["access_token"]
    meanwhile(world, lambda: world.withdraw(siti, consent_id), after="profile")
    answer = await world.userinfo(token)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert await uses_of(world, siti.account_id) == []


async def test_userinfo_that_was_overtaken_by_a_partial_withdrawal_tells_the_rest(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    consent_id = await world.consent(app, siti, granted=("name", "email"))
    token = (await world.tokens(app, siti, consent_id=consent_id))["access_token"]
    meanwhile(world, lambda: change(world, siti, consent_id, let_go, item="email"), after="profile")
    answer = await world.userinfo(token)
    assert answer.json().keys() == {"sub", "name"}
    assert [use.items for use in await uses_of(world, siti.account_id)] == [("name",)]


@pytest.mark.threat("N70")
@pytest.mark.parametrize("grant", ["code", "refresh", "retry"])
async def test_an_id_token_that_was_overtaken_by_the_withdrawal_is_not_issued(world: World, grant: str) -> None:
    app, siti = await world.app(), await world.citizen()
    consent_id = await world.consent(app, siti, offline_access=True)
    asked: dict[str, Any] = {
        "consent_id": consent_id,
        "scope": ("openid", "offline_access"),
        "claims": {"id_token": {"email": None}},
    }
    tokens = await world.tokens(app, siti, **asked)
    code = await world.code(app, siti, **asked)
    if grant == "retry":
        assert (await world.refresh(app, tokens["refresh_token"])).status_code == 200
    before = len(await uses_of(world, siti.account_id))
    meanwhile(world, lambda: world.withdraw(siti, consent_id), after="profile")
    answer = await (world.redeem(app, code) if grant == "code" else world.refresh(app, tokens["refresh_token"]))
    assert answer.json()["error"] == "invalid_grant"
    assert len(await uses_of(world, siti.account_id)) == before


async def test_a_code_that_was_overtaken_by_a_partial_withdrawal_tells_the_rest(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    consent_id = await world.consent(app, siti, granted=("name", "email", "gender"))
    code = await world.code(app, siti, consent_id=consent_id, claims=ID_TOKEN)
    meanwhile(world, lambda: change(world, siti, consent_id, let_go, item="email"), after="profile")
    answer = await world.redeem(app, code)
    claims = claims_in(answer.json()["id_token"])
    assert ("gender" in claims, "email" in claims) == (True, False)
    assert (await world.redeem(app, code)).json()["error"] == "invalid_grant"


# --- uses that are counted ---


async def calls(world: World, token: str, count: int) -> Counter[int]:
    answers = await asyncio.gather(*(world.userinfo(token) for _ in range(count)))
    return Counter(answer.status_code for answer in answers)


async def test_a_one_time_consent_gives_one_of_twenty_at_once_its_answer_and_ends(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    consent_id = await world.consent(app, siti)
    await limit(world, consent_id, fetch_type="onetime")
    token = (await world.tokens(app, siti, consent_id=consent_id))["access_token"]
    assert await calls(world, token, 20) == {200: 1, 401: 19}
    assert len(await uses_of(world, siti.account_id)) == 1
    record = await record_of(world, consent_id)
    assert (record.status, record.used, record.last_seq) == ("expired", 1, 2)
    assert (await world.userinfo(token)).status_code == 401


async def test_a_limited_consent_gives_as_many_as_were_agreed_to_and_more_in_the_next_window(
    world: World, clock: FakeClock
) -> None:
    app, siti = await world.app(), await world.citizen()
    consent_id = await world.consent(app, siti, offline_access=True)
    await limit(world, consent_id, use_limit=3, use_window_days=1)
    scope = ("openid", "profile", "offline_access")
    tokens = await world.tokens(app, siti, consent_id=consent_id, scope=scope)
    assert await calls(world, tokens["access_token"], 8) == {200: 3, 429: 5}
    refused = await world.userinfo(tokens["access_token"])
    assert refused.json()["error"] == "use_limit_reached"
    assert "www-authenticate" not in refused.headers, "another token would not help"
    assert len(await uses_of(world, siti.account_id)) == 3
    # The login goes on: only the data rests.
    clock.advance(86400)
    refreshed = (await world.refresh(app, tokens["refresh_token"])).json()
    assert await calls(world, refreshed["access_token"], 4) == {200: 3, 429: 1}


@only_sqlite
async def test_where_uses_are_counted_the_id_token_tells_nothing(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    consent_id = await world.consent(app, siti)
    await limit(world, consent_id, fetch_type="onetime")
    tokens = await world.tokens(app, siti, consent_id=consent_id, claims=ID_TOKEN)
    assert "email" not in claims_in(tokens["id_token"])
    assert "email" in (await world.userinfo(tokens["access_token"])).json()


@only_sqlite
async def test_an_api_is_not_told_of_a_living_token_when_the_uses_are_spent(world: World) -> None:
    api = await world.app(resources=("https://api.test",))
    app = await world.app(allowed_resources=("https://api.test",))
    siti = await world.citizen()
    consent_id = await world.consent(app, siti)
    token = (await world.tokens(app, siti, consent_id=consent_id, resources=("https://api.test",)))["access_token"]
    assert (await world.introspect(api, token))["active"] is True
    await limit(world, consent_id, use_limit=1, use_window_days=1, used=1, window_started_at=world.provider.clock())
    assert await world.introspect(api, token) == {"active": False}
    assert (await world.introspect(app, token))["active"] is True


# --- when it cannot be written down ---


BROKEN = {
    "sqlite": ["CREATE TRIGGER broken BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"],
    "postgresql": [
        "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'the disk is full'; END $$",
        "CREATE CONSTRAINT TRIGGER broken AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION broken()",
    ],
}


@pytest.mark.parametrize("table", ["consent_uses", "consent_log_entries"])
async def test_what_cannot_be_written_down_is_not_told(world: World, table: str) -> None:
    app, siti = await world.app(), await world.citizen()
    token = (await world.tokens(app, siti))["access_token"]
    code = await world.code(app, siti, consent_id=world.consents[app.client_id], claims=ID_TOKEN)
    database = world.provider.database
    async with database.transaction() as session:
        for statement in BROKEN["sqlite" if database.is_sqlite else "postgresql"]:
            await session.execute(text(statement.format(table=table)))
    for asked in (world.userinfo(token), world.redeem(app, code)):
        with pytest.raises(Exception, match="disk is full"):
            await asked
    assert await uses_of(world, siti.account_id) == []


# --- what other agencies may disclose ---


async def expected(world: World) -> set[tuple[str, str, str]]:
    async with world.provider.database.reading() as session:
        rows = await session.scalars(select(ExpectedUse))
        return {(row.reference, row.provider_agency_id, row.kind) for row in rows}


async def another_agency(world: World, code: str) -> str:
    provider = world.provider
    async with provider.database.transaction() as session:
        return await write_agency(session, now=provider.clock(), entropy=provider.entropy, code=code)


async def test_a_token_for_another_agencys_api_is_noted_for_each_agency(world: World) -> None:
    siti = await world.citizen()
    others = [await another_agency(world, code) for code in ("pajak", "desa")]
    apis = [f"https://{number}.api.test" for number in range(4)]
    for api, agency in zip(apis, (others[0], others[0], others[1], world.agency_id), strict=True):
        await world.app(
            agency_id=agency,
            resources=(api,),
            purpose_codes=(),
            redirect_uris=(),
            grant_types=("client_credentials",),
            scopes=(),
        )
    app: App = await world.app(allowed_resources=(*apis, "https://nobodys.test"))
    consent_id = await world.consent(app, siti)
    tokens = await world.tokens(app, siti, consent_id=consent_id, resources=(*apis, "https://nobodys.test"))
    jti = claims_in(tokens["access_token"])["jti"]
    assert await expected(world) == {(jti, agency, "token") for agency in others}
    await world.tokens(app, siti, consent_id=consent_id)
    assert len(await expected(world)) == 2
