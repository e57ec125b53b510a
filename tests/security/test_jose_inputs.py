"""N36 to N40: every door through which a signed token comes in refuses what its own key did not sign, as it stands.

The doors are a client's assertion, an ID token as a hint at `/authorize` and at `/end_session`, and an access token.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from sqlalchemy import update

from idp.clients.management import ClientRefused, ClientSpec, create_client
from idp.clients.models import Client
from keys.local import LocalSigner
from tests.security.doors import DOORS, ISSUER, Door, assertion_door, door_of
from tests.security.forging import (
    segment,
    signed,
    unsigned,
    with_other_signature,
    with_public_key_as_secret,
)
from tests.security.stage import Stage
from tests.support.assertions import AssertionKey, carrying
from tests.support.browser_user import BrowserUser
from tests.support.databases import only_sqlite
from tests.support.statements import statements
from tests.support.token_world import App

pytestmark = [pytest.mark.anyio, only_sqlite]

every_door = pytest.mark.parametrize("door", DOORS, indirect=True)


@pytest.fixture
async def door(request: pytest.FixtureRequest, stage: Stage, user: BrowserUser) -> Door:
    """The way in that the test is run at."""
    return await door_of(request.param, stage, user)


async def none_let_in(door: Door, tokens: list[str]) -> None:
    for token in tokens:
        # No client sends these in a header, and no server takes them.
        if door.name == "access token" and not (token.isprintable() and token.isascii()):
            continue
        assert not await door.lets_in(token), token[:300]
    # Without this, a door that is shut to all would pass. It comes last, since at the logout it ends the session.
    assert await door.lets_in(await door.genuine())


# --- N36, N37: the algorithm is the key's, never the token's ---


@every_door
@pytest.mark.threat("N36")
async def test_an_unsigned_token_is_refused(door: Door) -> None:
    forged = unsigned(door.claims(), typ=door.typ, kid=door.signer.kid)
    await none_let_in(door, [*forged, *with_other_signature(await door.genuine())])


@every_door
@pytest.mark.threat("N37")
async def test_a_token_signed_with_the_public_key_as_a_secret_is_refused(door: Door) -> None:
    await none_let_in(door, with_public_key_as_secret(door.claims(), door.jwk, typ=door.typ))


@every_door
@pytest.mark.threat("N37")
async def test_an_algorithm_other_than_the_keys_own_is_refused(door: Door) -> None:
    claims = door.claims()
    named = {"RS256", "PS256", "ES256", "RS512", "PS512", "ES384", "EdDSA", "HS256", "rs256", "RSA1_5"}
    forged = [await signed(door.signer, claims, typ=door.typ, alg=alg) for alg in sorted(named - {door.signer.alg})]
    private: Any = getattr(door.signer, "private", None)
    assert private is not None, "the tests' signers hold their keys"
    if door.signer.alg == "RS256":
        forged.append(await signed(LocalSigner("PS256", door.signer.kid, private), claims, typ=door.typ))
    await none_let_in(door, forged)


# --- N38: a key's name is looked up, and is nothing else ---


@every_door
@pytest.mark.threat("N38")
async def test_a_key_name_is_no_path_query_or_command(door: Door) -> None:
    names = (
        "../../dev/null",
        "/dev/null",
        "' OR '1'='1",
        '"; DROP TABLE keys_keys; --',
        "x" * 10_000,
        ["a"],
        {"a": 1},
        1,
        None,
        True,
        "",
        "\x00",
        "https://evil.test/key",
    )
    claims = door.claims()
    await none_let_in(door, [await signed(door.signer, claims, typ=door.typ, kid=name) for name in names])


@pytest.mark.threat("N38")
async def test_fifty_unknown_key_names_cost_one_look_at_the_database(stage: Stage) -> None:
    door = await assertion_door(stage)
    app = await stage.world.app()
    claims = {"iss": ISSUER, "aud": app.client_id, "sub": "x", "iat": 1, "exp": 2}
    await stage.authorize(app, prompt="none")
    with statements(stage.provider.database) as seen:
        for number in range(50):
            token = await signed(door.signer, claims, kid=f"invented-{number}")
            await stage.authorize(app, id_token_hint=token, prompt="none")
    assert sum("keys_" in statement for statement in seen) <= 2, seen


# --- N39: a token does not bring its own key ---


@contextmanager
def canary(body: bytes) -> Iterator[tuple[str, list[str]]]:
    """A server on loopback, in a thread of its own, that hands out the attacker's keys and notes who came for them."""
    hits: list[str] = []

    class Canary(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hits.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Canary) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/jwks", hits
        finally:
            server.shutdown()
            thread.join()


@every_door
@pytest.mark.threat("N39")
async def test_a_key_that_the_token_brings_or_points_at_is_neither_used_nor_fetched(door: Door) -> None:
    own = AssertionKey("RS256" if door.signer.alg == "RS256" else "ES256")
    signer = LocalSigner(own.alg, own.jwk["kid"], own.private)
    with canary(json.dumps(own.jwks).encode()) as (address, hits):
        headers: list[dict[str, Any]] = []
        for named in ({"kid": own.jwk["kid"]}, {"kid": door.signer.kid}, {"kid": ...}, {"kid": address}):
            headers += [
                {**named, "jwk": own.jwk},
                {**named, "jku": address},
                {**named, "x5u": address},
                {**named, "x5c": ["MIIB"], "x5t": "AAAA", "x5t#S256": "AAAA"},
                {**named, "jwk": own.jwk, "jku": address, "x5u": address, "jwks": own.jwks},
            ]
        claims = door.claims()
        await none_let_in(door, [await signed(signer, claims, typ=door.typ, **header) for header in headers])
    assert hits == []


# --- N40: what is signed is still read strictly ---


def malformed_claims(door: Door, now: int) -> list[dict[str, Any]]:
    """Changes to an honest token, each of which makes it worthless. `...` leaves the claim out."""
    changes: list[dict[str, Any]] = [
        *({"exp": value} for value in (..., "soon", str(now + 60), -1, True, [now + 60], None, 10**15, {"a": 1})),
        *({"iat": value} for value in (now + 61, "now", -1, [now])),
        *({"nbf": value} for value in (now + 61, "now", True)),
        *({"iss": value} for value in (..., door.iss[:-1], door.iss + "/", door.iss + ".evil.test", [door.iss], "", 1)),
        *({"sub": value} for value in (..., [door.claims()["sub"]], 1)),
    ]
    if door.name != "access token":  # its audience is in the database, where no token can change it
        others: tuple[Any, ...] = (
            ...,
            "",
            [],
            1,
            {},
            [door.aud, "https://evil.test"],
            [door.aud, 1],
            door.aud[:-1],
            door.aud + "/x",
        )
        changes += [{"aud": value} for value in others]
    if door.name == "assertion":
        changes += [{"sub": "app-other"}, {"jti": ...}, {"jti": ""}, {"jti": 1}, {"jti": ["x"]}, {"exp": now + 311}]
    if door.name == "access token":
        changes += [{"jti": ...}, {"jti": "x"}, {"jti": 1}, {"exp": now - 1}]
    return changes


def malformed_texts(door: Door) -> list[str]:
    """Payloads that two readers would read differently, or that would hurt a careless one."""
    text = json.dumps(door.claims())
    exp = f'"exp": {door.claims()["exp"]}'
    assert exp in text
    return [
        text[:-1] + f', "sub": "{door.claims()["sub"]}"}}',
        '{"iss": "https://evil.test", ' + text[1:],
        text.replace(exp, '"exp": 1e400'),
        text.replace(exp, '"exp": NaN'),
        text.replace(exp, '"exp": Infinity'),
        text.replace(exp, '"exp": ' + "9" * 5000),
        text[:-1] + ', "x": ' + "[" * 3000 + "]" * 3000 + "}",
        f"[{text}]",
        text + "x",
        "\ufeff" + text,
        text[:-1] + ', "x": "\\ud800"}',
        json.dumps(text),
        "null",
        "",
    ]


@every_door
@pytest.mark.threat("N40")
async def test_a_signed_token_that_says_the_wrong_thing_is_refused(stage: Stage, door: Door) -> None:
    now = int(stage.clock().timestamp())
    await none_let_in(door, [await door.genuine(**changes) for changes in malformed_claims(door, now)])


@every_door
@pytest.mark.threat("N40")
async def test_a_token_that_can_be_read_two_ways_is_refused(door: Door) -> None:
    claims = door.claims()
    headers: list[dict[str, Any]] = [
        {"crit": ["x"], "x": 1},
        {"crit": []},
        {"crit": "exp"},
        {"crit": ["b64"], "b64": False},
        {"b64": False},
        {"typ": "logout+jwt"},
        {"typ": "secevent+jwt"},
        {"typ": "dpop+jwt"},
        {"typ": ["JWT"]},
        {"typ": "JWT" if door.typ == "at+jwt" else "at+jwt"},
        {"alg": [door.signer.alg]},
        {"alg": ...},
    ]
    forged = [await signed(door.signer, claims, **{"typ": door.typ, **header}) for header in headers]
    forged += [await signed(door.signer, text, typ=door.typ) for text in malformed_texts(door)]
    genuine = await door.genuine()
    head, payload, signature = genuine.split(".")
    forged += [
        f"{head}.{payload}=.{signature}",
        f" {genuine}",
        f"{head}..{signature}",
        f".{payload}.{signature}",
        "..",
        "é.é.é",
        "x" * 20_000,
        json.dumps({"payload": payload, "protected": head, "signature": signature}),
    ]
    await none_let_in(door, forged)


@every_door
@pytest.mark.threat("N40")
async def test_an_encrypted_token_is_refused_without_work(door: Door) -> None:
    headers: list[dict[str, Any]] = [
        {"alg": "dir", "enc": "A128GCM", "zip": "DEF"},
        {"alg": "RSA1_5", "enc": "A128CBC-HS256"},
        {"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 2**31 - 1, "p2s": "AAAA"},
        {"alg": "ECDH-ES", "enc": "A128GCM", "epk": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}},
    ]
    payload = segment(door.claims())
    forged = [f"{segment({**header, 'kid': door.signer.kid})}.AAAA.AAAA.{payload}.AAAA" for header in headers]
    started = time.process_time()
    for token in forged:
        assert not await door.lets_in(token)
    assert time.process_time() - started < 2
    await none_let_in(door, forged)


def weak_keys() -> dict[str, dict[str, Any]]:
    """Keys that no app may prove itself with. Each is complete but for what is wrong with it."""
    small = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    good = AssertionKey().jwk
    private = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True)
    odd = RSAAlgorithm.to_jwk(rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key(), as_dict=True)
    p384 = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()).public_key(), as_dict=True)
    return {
        "1024 bits": {**RSAAlgorithm.to_jwk(small.public_key(), as_dict=True), "alg": "RS256", "kid": "k"},
        "e=1": {**odd, "e": "AQ", "alg": "RS256", "kid": "k"},
        "for encryption": {**good, "use": "enc"},
        "another curve": {**p384, "alg": "ES256", "kid": "k"},
        "off the curve": {**good, "y": good["x"]},
        "private": {**private, "alg": "ES256", "kid": "k"},
        "a secret": {"kty": "oct", "k": "AAAA", "alg": "HS256", "kid": "k"},
    }


@pytest.mark.threat("N40")
async def test_a_weak_or_unfit_client_key_is_refused_even_when_the_row_was_written_by_hand(stage: Stage) -> None:
    door = await assertion_door(stage)
    assert await door.lets_in(await door.genuine())
    for name, jwk in weak_keys().items():
        spec = ClientSpec(
            agency_id=stage.world.agency_id,
            names={"en": "Weak"},
            grant_types=("client_credentials",),
            token_endpoint_auth_method="private_key_jwt",
            scopes=("reports:read",),
            jwks={"keys": [jwk]},
        )
        with pytest.raises(ClientRefused, match="jwks"):
            async with stage.provider.database.transaction() as session:
                await create_client(session, spec, now=stage.clock(), entropy=stage.provider.entropy)
        async with stage.provider.database.transaction() as session:
            by_hand = update(Client).where(Client.client_id == door.iss).values(jwks={"keys": [jwk]})
            await session.execute(by_hand)
        stage.provider.clients.forget()
        renamed = await signed(door.signer, door.claims(), kid=jwk.get("kid", "k"))
        assert not await door.lets_in(renamed), name


async def test_an_app_that_exists_is_told_nothing_more(stage: Stage) -> None:
    """The refusal of a forged assertion is the same, byte for byte, as that of an unknown app."""
    door = await assertion_door(stage)
    unknown = App("app-000000000000000000000000", "")
    forged = await signed(door.signer, {**door.claims(), "aud": "https://evil.test"})
    nobody = await signed(door.signer, {**door.claims(), "iss": unknown.client_id, "sub": unknown.client_id})
    form = {"grant_type": "client_credentials"}
    answers = [await stage.http.post("/token", data={**form, **carrying(token)}) for token in (forged, nobody)]
    assert answers[0].status_code == answers[1].status_code == 401
    assert answers[0].content == answers[1].content
