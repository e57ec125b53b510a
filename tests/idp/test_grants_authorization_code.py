"""Codes become tokens: once, for the right party, while what was agreed still holds."""

import asyncio
import hashlib
from typing import Any

import pytest
from sqlalchemy import select, update

from idp.accounts.directory import disable_account, set_password
from idp.audit import AuditEvent
from idp.authorize.details import PurposeDetail
from idp.clients.management import disable_client
from idp.errors import InvalidGrant
from idp.grants.pkce import check_verifier
from idp.sessions.store import end_session
from idp.tokens.models import Authorization
from keys.encoding import b64url_decode, b64url_encode
from keys.jws import verify_jwt
from tests.support.clock import FakeClock
from tests.support.databases import only_sqlite
from tests.support.token_world import CHALLENGE, VERIFIER, World, claims_in

pytestmark = pytest.mark.anyio


async def kinds_of_audit(world: World) -> list[str]:
    async with world.provider.database.reading() as session:
        return list((await session.execute(select(AuditEvent.kind).order_by(AuditEvent.id))).scalars())


async def test_a_code_becomes_an_access_token_an_id_token_and_nothing_else_without_offline_access(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    answer = await world.redeem(app, await world.code(app, siti))
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    tokens = answer.json()
    assert set(tokens) == {"access_token", "token_type", "expires_in", "scope", "id_token"}
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 600
    assert tokens["scope"] == "openid profile email"


@only_sqlite
async def test_the_access_token_says_what_rfc_9068_wants_and_nothing_personal(world: World, clock: FakeClock) -> None:
    app, siti = await world.app(), await world.citizen()
    tokens = await world.tokens(app, siti)
    verified = verify_jwt(
        tokens["access_token"],
        keys=world.provider.keys.verification_keys(),
        expected_algs=frozenset({"ES256"}),
        now=clock(),
        expected_typ="at+jwt",
        expected_issuer="https://idp.test",
        expected_audience="https://idp.test",
        audience_exactly=True,
    )
    assert set(verified.claims) == {
        "iss", "aud", "sub", "client_id", "iat", "exp", "jti", "scope", "auth_time", "acr", "amr", "status",
    }  # fmt: skip
    assert verified.claims["client_id"] == app.client_id
    assert verified.claims["exp"] - verified.claims["iat"] == 600


@only_sqlite
@pytest.mark.parametrize(
    ("alg", "sha"),
    [
        ("RS256", hashlib.sha256),
        ("PS256", hashlib.sha256),
        ("ES256", hashlib.sha256),
        ("EdDSA", hashlib.sha512),
        ("Ed25519", hashlib.sha512),
    ],
)
async def test_the_id_token_is_signed_as_the_app_registered_and_bound_to_the_access_token(
    world: World, clock: FakeClock, alg: str, sha: Any
) -> None:
    app, siti = await world.app(id_token_signed_response_alg=alg), await world.citizen()
    tokens = await world.tokens(app, siti)
    verified = verify_jwt(
        tokens["id_token"],
        keys=world.provider.keys.verification_keys(),
        expected_algs=frozenset({alg}),
        now=clock(),
        expected_typ="JWT",
        expected_issuer="https://idp.test",
        expected_audience=app.client_id,
        audience_exactly=True,
    )
    digest = sha(tokens["access_token"].encode()).digest()
    assert verified.claims["at_hash"] == b64url_encode(digest[: len(digest) // 2])
    assert verified.claims["nonce"] == "n-0S6_WzA2Mj"
    assert verified.claims["sub"] == claims_in(tokens["access_token"])["sub"]
    assert verified.claims["acr"] == "urn:satupintu:acr:password"
    assert verified.claims["auth_time"] == int(siti.login.auth_time.timestamp())
    assert len(verified.claims["sid"]) == 43


@only_sqlite
async def test_a_client_that_names_no_algorithm_gets_rs256(world: World) -> None:
    app, siti = await world.app(id_token_signed_response_alg=""), await world.citizen()
    tokens = await world.tokens(app, siti)
    client = await world.provider.clients.get(app.client_id, world.provider.clock())
    assert client is not None
    assert client.id_token_signed_response_alg == "RS256"
    assert '"alg":"RS256"' in header_of(tokens["id_token"])


def header_of(token: str) -> str:
    return b64url_decode(token.split(".", maxsplit=1)[0]).decode()


@only_sqlite
async def test_the_id_token_has_only_claims_that_were_asked_for_there_and_agreed_to(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    consent_id = await world.consent(app, siti, granted=("name", "email"))
    asked = {"id_token": {"email": None, "gender": {"essential": True}, "sub": None}, "userinfo": {"name": None}}
    tokens = await world.tokens(app, siti, consent_id=consent_id, claims=asked)
    claims = claims_in(tokens["id_token"])
    assert claims["email"] == "siti@example.id"
    assert "gender" not in claims
    assert "name" not in claims


@pytest.mark.threat("N22")
async def test_a_code_cannot_be_redeemed_twice_and_trying_ends_what_came_of_it(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    code = await world.code(app, siti, scope=("openid", "profile", "offline_access"))
    tokens = (await world.redeem(app, code)).json()
    assert (await world.userinfo(tokens["access_token"])).status_code == 200

    again = await world.redeem(app, code)
    assert again.status_code == 400
    assert again.json()["error"] == "invalid_grant"

    assert (await world.userinfo(tokens["access_token"])).status_code == 401
    assert await world.introspect(app, tokens["access_token"]) == {"active": False}
    assert await world.introspect(app, tokens["refresh_token"]) == {"active": False}
    assert (await world.refresh(app, tokens["refresh_token"])).json()["error"] == "invalid_grant"
    async with world.provider.database.reading() as session:
        assert (await session.execute(select(Authorization.revoked_because))).scalar_one() == "code_reuse"
    assert "token.code_replayed" in await kinds_of_audit(world)


@pytest.mark.threat("N23")
async def test_of_twenty_parallel_redemptions_one_succeeds(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    code = await world.code(app, siti)
    answers = await asyncio.gather(*(world.redeem(app, code) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 19


@pytest.mark.threat("N24", "N99")
async def test_a_code_lives_for_a_minute_and_a_late_use_burns_it(world: World, clock: FakeClock) -> None:
    app, siti = await world.app(), await world.citizen()
    in_time, late = await world.code(app, siti), ""
    clock.advance(59)
    assert (await world.redeem(app, in_time)).status_code == 200
    late = await world.code(app, siti)
    clock.advance(61)
    assert (await world.redeem(app, late)).json()["error"] == "invalid_grant"
    async with world.provider.database.reading() as session:
        burned = await session.execute(select(Authorization.redeemed_at).where(Authorization.redeemed_at == clock()))
        assert burned.scalar_one() == clock()
    assert "token.grant_refused" in await kinds_of_audit(world)


@pytest.mark.threat("N25")
async def test_another_app_can_neither_redeem_a_code_nor_burn_it(world: World) -> None:
    app, other, siti = await world.app(), await world.app(), await world.citizen()
    code = await world.code(app, siti)
    stolen = await world.redeem(other, code)
    assert (stolen.status_code, stolen.json()["error"]) == (400, "invalid_grant")
    assert (await world.redeem(app, code)).status_code == 200


@only_sqlite
@pytest.mark.threat("N32")
@pytest.mark.parametrize(
    "spoil", [lambda c: c[:-1], lambda c: c + "A", lambda c: ("A" if c[0] != "A" else "B") + c[1:]]
)
async def test_a_code_that_is_not_exactly_ours_is_refused(world: World, spoil: Any) -> None:
    app, siti = await world.app(), await world.citizen()
    code = await world.code(app, siti)
    assert (await world.redeem(app, spoil(code))).json()["error"] == "invalid_grant"


@only_sqlite
@pytest.mark.threat("N26")
@pytest.mark.parametrize(
    "verifier",
    [None, "", "x" * 43, VERIFIER[:42], "x" * 129, VERIFIER + "!", VERIFIER + "é", CHALLENGE, VERIFIER + " "],
)
async def test_a_wrong_verifier_is_refused_and_the_code_stays_burned(world: World, verifier: str | None) -> None:
    app, siti = await world.app(), await world.citizen()
    code = await world.code(app, siti)
    refused = await world.redeem(app, code, code_verifier=verifier)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert (await world.redeem(app, code)).json()["error"] == "invalid_grant"


@only_sqlite
@pytest.mark.threat("N26")
async def test_a_verifier_for_a_request_without_challenge_is_a_downgrade(world: World) -> None:
    app, siti = await world.app(require_pkce=False), await world.citizen()
    code = await world.code(app, siti, code_challenge=None, code_challenge_method=None)
    assert (await world.redeem(app, code)).json()["error"] == "invalid_grant"
    plain = await world.code(app, siti, code_challenge=None, code_challenge_method=None)
    without = await world.redeem(app, plain, code_verifier=None)
    assert without.status_code == 200


@only_sqlite
@pytest.mark.threat("N25", "N26")
async def test_a_stripped_challenge_is_refused_for_an_app_that_must_use_pkce(world: World) -> None:
    app, siti = await world.public_app(), await world.citizen()
    code = await world.code(app, siti, code_challenge=None, code_challenge_method=None)
    refused = await world.redeem(app, code, code_verifier=None)
    assert refused.json()["error"] == "invalid_grant"


def test_a_challenge_is_never_compared_as_plain() -> None:
    with pytest.raises(InvalidGrant):
        check_verifier(VERIFIER, expected_challenge=VERIFIER, required=True)


@only_sqlite
@pytest.mark.parametrize(
    "sent", [None, "https://app.test/callback/", "https://app.test/CALLBACK", "https://evil.test/"]
)
async def test_the_redirect_uri_must_be_the_one_of_the_request(world: World, sent: str | None) -> None:
    app, siti = await world.app(), await world.citizen()
    refused = await world.redeem(app, await world.code(app, siti), redirect_uri=sent)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


@only_sqlite
async def test_a_redirect_uri_that_was_not_sent_may_be_left_out(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    code = await world.code(app, siti, redirect_uri_was_sent=False)
    assert (await world.redeem(app, code, redirect_uri=None)).status_code == 200


@pytest.mark.parametrize("cause", ["consent", "account", "client", "session", "password"])
async def test_a_code_is_worth_nothing_once_what_it_rests_on_has_ended(
    world: World, clock: FakeClock, cause: str
) -> None:
    app, siti = await world.app(), await world.citizen()
    code = await world.code(app, siti)
    clock.advance(1)
    async with world.provider.database.transaction() as session:
        if cause == "account":
            await disable_account(session, username="siti", now=clock())
        elif cause == "client":
            await disable_client(session, app.client_id, now=clock())
        elif cause == "session":
            await end_session(session, siti.login.session_id, now=clock())
        elif cause == "password":
            await set_password(session, siti.account_id, password_hash="x", now=clock())
    if cause == "consent":
        await world.withdraw(siti, world.consents[app.client_id])
    refused = await world.redeem(app, code)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


@only_sqlite
async def test_a_consent_that_ran_out_ends_the_code(world: World, clock: FakeClock) -> None:
    app, siti = await world.app(), await world.citizen()
    consent_id = await world.consent(app, siti)
    clock.advance(days=89, hours=23, minutes=59, seconds=30)
    code = await world.code(app, siti, consent_id=consent_id)
    clock.advance(31)
    assert (await world.redeem(app, code)).json()["error"] == "invalid_grant"


@only_sqlite
async def test_offline_access_outlives_the_session_and_other_access_does_not(world: World, clock: FakeClock) -> None:
    app, siti = await world.app(), await world.citizen()
    online = await world.tokens(app, siti)
    budi = await world.citizen("budi")
    offline = await world.tokens(app, budi, scope=("openid", "offline_access"))
    async with world.provider.database.transaction() as session:
        for person in (siti, budi):
            await end_session(session, person.login.session_id, now=clock())
    assert (await world.userinfo(online["access_token"])).status_code == 401
    assert (await world.userinfo(offline["access_token"])).status_code == 200


@only_sqlite
async def test_resources_are_narrowed_never_widened(world: World) -> None:
    allowed = ("https://api.kesehatan.test", "https://rekam.kesehatan.test", "https://lain.test")
    app, siti = await world.app(allowed_resources=allowed), await world.citizen()
    both: dict[str, Any] = {"resources": allowed[:2]}
    assert claims_in((await world.tokens(app, siti, **both))["access_token"])["aud"] == list(allowed[:2])
    one = (await world.redeem(app, await world.code(app, siti, **both), resource=allowed[1])).json()
    assert claims_in(one["access_token"])["aud"] == allowed[1]
    wider = await world.redeem(app, await world.code(app, siti, **both), resource=allowed[2])
    assert (wider.status_code, wider.json()["error"]) == (400, "invalid_target")
    foreign = await world.redeem(app, await world.code(app, siti), resource="https://somebody.test")
    assert foreign.json()["error"] == "invalid_target"


@only_sqlite
async def test_authorization_details_travel_to_the_answer_and_the_token(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    detail = PurposeDetail(purpose=world.purpose.code, datatypes=("email",))
    tokens = await world.tokens(app, siti, authorization_details=detail)
    said = [{"type": "satupintu_purpose", "purpose": world.purpose.code, "datatypes": ["email"], "purpose_version": 1}]
    assert tokens["authorization_details"] == said
    assert claims_in(tokens["access_token"])["authorization_details"] == said


@only_sqlite
async def test_a_bug_after_the_burning_gives_the_code_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    app, siti = await world.app(), await world.citizen()
    code = await world.code(app, siti)

    class Broken(Exception):
        pass

    async def broken(*_: object, **__: object) -> str:
        raise Broken

    with monkeypatch.context() as patched:
        patched.setattr("idp.tokens.id_token.mint", broken)
        with pytest.raises(Broken):
            await world.redeem(app, code)
    assert (await world.redeem(app, code)).status_code == 200


@only_sqlite
async def test_a_revoked_authorization_gives_no_tokens(world: World, clock: FakeClock) -> None:
    app, siti = await world.app(), await world.citizen()
    code = await world.code(app, siti)
    async with world.provider.database.transaction() as session:
        await session.execute(update(Authorization).values(revoked_at=clock(), revoked_because="test"))
    assert (await world.redeem(app, code)).json()["error"] == "invalid_grant"
