"""Userinfo: the person's data, as far as it was asked for and agreed to, as things stand now."""

from datetime import timedelta

import httpx2
import pytest
from sqlalchemy import update

from consent.models import ConsentRecord
from idp.accounts.directory import disable_account
from idp.authorize.details import PurposeDetail
from idp.clients.management import disable_client
from idp.sessions.store import end_session
from idp.tokens.access_token import NewAccessToken, Person, mint
from idp.tokens.models import AccessToken
from keys.jws import sign_jwt, verify_jwt
from tests.support.clock import FakeClock
from tests.support.databases import only_sqlite
from tests.support.token_world import World, claims_in

pytestmark = pytest.mark.anyio


def challenge(answer: httpx2.Response) -> str:
    return str(answer.headers["www-authenticate"])


async def test_what_was_asked_by_scope_and_agreed_to_is_told_with_the_sub(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    consent_id = await world.consent(app, siti, granted=("name", "email", "urn:satupintu:claims:nik"))
    tokens = await world.tokens(app, siti, consent_id=consent_id)
    answer = await world.userinfo(tokens["access_token"])
    assert answer.json() == {
        "sub": claims_in(tokens["id_token"])["sub"],
        "name": "Siti Rahayu",
        "email": "siti@example.id",
    }
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"


@only_sqlite
async def test_claims_and_datatypes_ask_for_more_and_still_not_beyond_the_consent(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    consent_id = await world.consent(app, siti, granted=("name", "gender", "urn:satupintu:claims:nik"))
    tokens = await world.tokens(
        app,
        siti,
        consent_id=consent_id,
        scope=("openid",),
        claims={"userinfo": {"gender": None, "email": {"essential": True}}, "id_token": {"name": None}},
        authorization_details=PurposeDetail(world.purpose.code, ("urn:satupintu:claims:nik",)),
    )
    told = (await world.userinfo(tokens["access_token"])).json()
    assert told.keys() == {"sub", "gender", "urn:satupintu:claims:nik"}


@only_sqlite
async def test_the_token_may_come_by_header_or_by_form(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    token = (await world.tokens(app, siti))["access_token"]
    header = {"Authorization": f"Bearer {token}"}
    answers = [
        await world.http.get("/userinfo", headers=header),
        await world.http.get("/userinfo", headers={"Authorization": f"bearer {token}"}),
        await world.http.post("/userinfo", headers=header),
        await world.http.post("/userinfo", data={"access_token": token}),
    ]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert all(answer.json() == answers[0].json() for answer in answers)


@only_sqlite
@pytest.mark.threat("N52")
async def test_a_token_in_the_address_or_sent_twice_is_refused(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    token = (await world.tokens(app, siti))["access_token"]
    header = {"Authorization": f"Bearer {token}"}
    for answer in (
        await world.http.get(f"/userinfo?access_token={token}"),
        await world.http.get(f"/userinfo?access_token={token}", headers=header),
        await world.http.post("/userinfo", data={"access_token": token}, headers=header),
        await world.http.get("/userinfo", headers=[("Authorization", header["Authorization"])] * 2),
        await world.http.post(
            "/userinfo",
            content=f"access_token={token}&access_token={token}".encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        ),
    ):
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
        assert 'error="invalid_request"' in challenge(answer)


@only_sqlite
@pytest.mark.threat("N32")
async def test_malformed_headers_are_400_or_401_and_never_500(world: World) -> None:
    for value in (
        "Bearer", "Bearer ", "Bearer  x", "Bearer x y", "bearer\tx", "Bearer é", "Basic QQ==", "", " ", "x",
        "Bearer ===", "Bearer a.b.c", "Bearer " + "a" * 20_000, "Bearer " + "." * 500, 'Bearer "x"', "Bearer x,y",
        "DPoP x", "Bearer eyJhbGciOiJub25lIn0.e30.", "Bearer eyJhbGciOiJub25lIn0.e30.AA",
    ):  # fmt: skip
        answer = await world.http.get("/userinfo", headers=[(b"Authorization", value.encode())])
        assert answer.status_code in {400, 401}, value
        assert challenge(answer).startswith("Bearer "), value


@only_sqlite
async def test_no_token_is_answered_without_an_error_code(world: World) -> None:
    answer = await world.http.get("/userinfo")
    assert answer.status_code == 401
    assert challenge(answer) == 'Bearer realm="satupintu"'
    assert answer.content == b""


@only_sqlite
@pytest.mark.threat("N30")
async def test_other_tokens_are_no_access_tokens(world: World, clock: FakeClock) -> None:
    app, siti = await world.app(), await world.citizen()
    tokens = await world.tokens(app, siti, scope=("openid", "offline_access"))
    claims = claims_in(tokens["access_token"])
    signer = world.provider.keys.signer_for("ES256")
    wrong = [tokens["id_token"], tokens["refresh_token"]]
    wrong += [await sign_jwt(signer, claims, typ=typ) for typ in ("JWT", "logout+jwt", "secevent+jwt", None)]
    wrong += [
        await sign_jwt(signer, claims | {"iss": iss}, typ="at+jwt") for iss in ("https://idp.test.x", "https://idp")
    ]
    wrong += [await sign_jwt(signer, claims | {"jti": "invented"}, typ="at+jwt")]
    wrong += [await sign_jwt(world.provider.keys.signer_for("RS256"), claims, typ="at+jwt")]
    good = tokens["access_token"]
    wrong += [good[:-1], good + "A", good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBB")]
    for token in wrong:
        answer = await world.userinfo(token)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token"), token[:60]
        assert 'error="invalid_token"' in challenge(answer)
    assert (await world.userinfo(await sign_jwt(signer, claims, typ="at+jwt"))).status_code == 200


@only_sqlite
@pytest.mark.threat("N30")
async def test_a_token_for_another_resource_is_not_for_us(world: World) -> None:
    api = "https://api.kesehatan.test"
    app, siti = await world.app(allowed_resources=(api,)), await world.citizen()
    tokens = await world.tokens(app, siti, resources=(api,))
    answer = await world.userinfo(tokens["access_token"])
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    widened = await world.redeem(app, await world.code(app, siti, resources=(api,)), resource="https://idp.test")
    assert widened.json()["error"] == "invalid_target"
    named = await world.redeem(app, await world.code(app, siti), resource="https://idp.test")
    assert (await world.userinfo(named.json()["access_token"])).status_code == 200


@only_sqlite
async def test_a_token_without_openid_reaches_too_short(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    without = await world.tokens(app, siti, scope=("profile",))
    own = (await world.token(app, grant_type="client_credentials")).json()
    for tokens in (without, own):
        answer = await world.userinfo(tokens["access_token"])
        assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")
        assert 'scope="openid"' in challenge(answer)


@only_sqlite
@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "EdDSA"])
async def test_a_signed_answer_is_bound_to_issuer_and_app(world: World, clock: FakeClock, alg: str) -> None:
    app, siti = await world.app(userinfo_signed_response_alg=alg), await world.citizen()
    tokens = await world.tokens(app, siti)
    answer = await world.userinfo(tokens["access_token"])
    assert answer.headers["content-type"] == "application/jwt"
    verified = verify_jwt(
        answer.text,
        keys=world.provider.keys.verification_keys(),
        expected_algs=frozenset({alg}),
        now=clock(),
        expected_typ="JWT",
        expected_issuer="https://idp.test",
        expected_audience=app.client_id,
        audience_exactly=True,
        require=("sub",),
    )
    assert verified.claims["name"] == "Siti Rahayu"


@pytest.mark.parametrize("cause", ["consent", "account", "client", "session", "consent ran out", "time"])
async def test_nothing_is_told_once_what_the_token_rests_on_has_ended(
    world: World, clock: FakeClock, cause: str
) -> None:
    app, siti = await world.app(), await world.citizen()
    token = (await world.tokens(app, siti))["access_token"]
    assert (await world.userinfo(token)).status_code == 200
    if cause == "consent":
        await world.withdraw(siti, world.consents[app.client_id])
    elif cause == "time":
        clock.advance(600)
    async with world.provider.database.transaction() as session:
        if cause == "account":
            await disable_account(session, username="siti", now=clock())
        elif cause == "client":
            await disable_client(session, app.client_id, now=clock())
        elif cause == "session":
            await end_session(session, siti.login.session_id, now=clock())
        elif cause == "consent ran out":
            await session.execute(update(ConsentRecord).values(valid_until=clock()))
    answer = await world.userinfo(token)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")


@only_sqlite
async def test_a_narrower_consent_narrows_what_a_live_token_tells(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    token = (await world.tokens(app, siti))["access_token"]
    async with world.provider.database.transaction() as session:
        await session.execute(update(ConsentRecord).values(granted=["name"]))
    assert (await world.userinfo(token)).json().keys() == {"sub", "name"}


@only_sqlite
async def test_a_recorded_token_that_is_revoked_is_dead(world: World, clock: FakeClock) -> None:
    app, siti = await world.app(), await world.citizen()
    token = (await world.tokens(app, siti))["access_token"]
    async with world.provider.database.transaction() as session:
        await session.execute(update(AccessToken).values(revoked_at=clock()))
    assert (await world.userinfo(token)).status_code == 401


@only_sqlite
async def test_a_signed_token_that_was_never_recorded_tells_nothing(world: World, clock: FakeClock) -> None:
    """A process that died between signing and writing leaves nothing that works."""
    app, siti = await world.app(), await world.citizen()
    await world.tokens(app, siti)
    person = Person(
        authorization_id="00000000-0000-4000-8000-000000000000",
        subject="x",
        auth_time=clock() - timedelta(seconds=1),
        acr="a",
        amr=("pwd",),
        authorization_details=(),
    )
    new = NewAccessToken(client_id=app.client_id, audiences=("https://idp.test",), scopes=("openid",), person=person)
    minted = await mint(world.provider, new, now=clock())
    assert (await world.userinfo(minted.token)).status_code == 401
