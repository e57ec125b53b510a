"""Which app is calling: by the method that it registered, and by nothing weaker."""

import asyncio
import base64
import hashlib
import hmac
import json
import statistics
import time
from datetime import timedelta
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import select

from idp.audit import AuditEvent
from idp.clients.authentication.authenticate import METHODS
from idp.clients.authentication.presented import Attempt, NotAuthenticated, Presented
from idp.clients.authentication.secrets import verify_secret
from idp.clients.management import disable_client, rotate_secret
from keys.local import LocalSigner
from tests.support.assertions import AssertionKey, carrying
from tests.support.clock import FakeClock
from tests.support.databases import only_sqlite
from tests.support.token_world import App, World, basic

pytestmark = pytest.mark.anyio
KEY = AssertionKey()


async def call(world: World, headers: dict[str, str] | None = None, /, **form: str) -> httpx2.Response:
    return await world.http.post("/token", data={"grant_type": "client_credentials", **form}, headers=headers or {})


def refused(answer: httpx2.Response, error: str = "invalid_client") -> bool:
    return answer.status_code == (401 if error == "invalid_client" else 400) and answer.json()["error"] == error


async def signing_app(world: World, key: AssertionKey = KEY, **changes: Any) -> App:
    return await world.app(token_endpoint_auth_method="private_key_jwt", jwks=key.jwks, **changes)


def test_there_are_four_methods() -> None:
    names = ("client_secret_basic", "client_secret_post", "private_key_jwt", "none")
    assert tuple(method.name for method in METHODS) == names


# --- secrets ---


@only_sqlite
async def test_basic_and_post_prove_a_secret(world: World) -> None:
    app, posting = await world.app(), await world.app(token_endpoint_auth_method="client_secret_post")
    assert (await call(world, app.basic)).status_code == 200
    assert (await call(world, app.basic, client_id=app.client_id)).status_code == 200
    assert (await call(world, client_id=posting.client_id, client_secret=posting.secret)).status_code == 200


@only_sqlite
@pytest.mark.threat("N53")
async def test_a_method_other_than_the_registered_one_is_refused(world: World) -> None:
    app, posting = await world.app(), await world.app(token_endpoint_auth_method="client_secret_post")
    signing, public = await signing_app(world), await world.public_app()
    assert refused(await call(world, client_id=app.client_id, client_secret=app.secret))
    assert refused(await call(world, posting.basic))
    assert refused(await call(world, client_id=app.client_id))
    assert refused(await call(world, client_id=signing.client_id))
    assert refused(await call(world, basic(public.client_id, "x")))


@only_sqlite
@pytest.mark.threat("N52")
async def test_two_methods_at_once_are_refused_even_when_both_are_right(world: World) -> None:
    app, signing = await world.app(), await signing_app(world)
    assert refused(await call(world, app.basic, client_secret=app.secret), "invalid_request")
    both = KEY.form(signing.client_id)
    assert refused(await call(world, basic(signing.client_id, "x"), **both), "invalid_request")
    assert refused(await call(world, client_id=signing.client_id, client_secret="x", **both), "invalid_request")
    two = [("Authorization", app.basic["Authorization"])] * 2
    answer = await world.http.post("/token", data={"grant_type": "client_credentials"}, headers=two)
    assert refused(answer, "invalid_request")
    assert refused(await call(world, app.basic, client_id="another"), "invalid_request")


@only_sqlite
@pytest.mark.threat("N52")
async def test_a_secret_in_the_address_is_refused(world: World) -> None:
    app = await world.app(token_endpoint_auth_method="client_secret_post")
    address = f"/token?client_id={app.client_id}&client_secret={app.secret}"
    answer = await world.http.post(address, data={"grant_type": "client_credentials"})
    assert refused(answer, "invalid_request")


def encoded(text: str | bytes) -> dict[str, str]:
    raw = text.encode() if isinstance(text, str) else text
    return {"Authorization": "Basic " + base64.b64encode(raw).decode()}


@only_sqlite
@pytest.mark.threat("N52")
async def test_a_malformed_basic_header_is_401_and_never_500(world: World) -> None:
    app = await world.app()
    good = app.basic["Authorization"].removeprefix("Basic ")
    headers = [
        encoded(app.client_id),
        encoded(f"{app.client_id}:"),
        encoded(f":{app.secret}"),
        encoded(f"{app.client_id}:{app.secret}%"),
        encoded(f"{app.client_id}:{app.secret}%zz"),
        encoded(f"{app.client_id}:%ff{app.secret}"),
        encoded(b"\xff\xfe:x"),
        encoded(f"{app.client_id}:{app.secret} "),
        encoded(f" {app.client_id}:{app.secret}"),
        {"Authorization": f"Basic  {good}"},
        {"Authorization": f"Basic {good}="},
        {"Authorization": f"Basic {good[:-1]}!"},
        {"Authorization": "Basic"},
        {"Authorization": ""},
        {"Authorization": f"Bearer {good}"},
        {"Authorization": f"Digest {good}"},
    ]
    for header in headers:
        answer = await call(world, header)
        assert refused(answer), header
        assert answer.headers["www-authenticate"].startswith("Basic "), header
        assert answer.headers["cache-control"] == "no-store"


@only_sqlite
async def test_basic_is_urldecoded_before_it_is_compared(world: World) -> None:
    app = await world.app()
    escaped = "".join(f"%{ord(character):02x}" for character in app.secret)
    assert (await call(world, encoded(f"{app.client_id}:{escaped}"))).status_code == 200


@only_sqlite
@pytest.mark.threat("N51", "N54")
async def test_an_unknown_client_and_a_wrong_secret_get_one_answer_and_known_ones_are_recorded(world: World) -> None:
    app = await world.app()
    wrong = await call(world, basic(app.client_id, "x" * 43))
    unknown = await call(world, basic("app-nobody", "x" * 43))
    strange = await call(world, basic("a%00b", "x"))
    assert wrong.content == unknown.content == strange.content
    assert refused(wrong)
    assert app.client_id not in wrong.text
    async with world.provider.database.reading() as session:
        rows = (await session.execute(select(AuditEvent.kind, AuditEvent.client_id, AuditEvent.detail))).all()
    # What nobody is called is not recorded: anybody could fill the table.
    assert [(row.kind, row.client_id) for row in rows] == [("client.authentication_refused", app.client_id)]
    assert "x" * 43 not in json.dumps([row.detail for row in rows])


@only_sqlite
@pytest.mark.threat("N54")
async def test_wrong_secrets_and_unknown_clients_take_the_same_time(world: World) -> None:
    """The check itself, without HTTP and database, whose noise would hide any difference."""
    app, provider = await world.app(), world.provider
    client = await provider.clients.get(app.client_id, provider.clock())
    first_wrong, last_wrong = "!" + app.secret[1:], app.secret[:-1] + "!"
    cases = {"unknown": (None, last_wrong), "first": (client, first_wrong), "last": (client, last_wrong)}
    taken: dict[str, list[int]] = {name: [] for name in cases}
    for _ in range(700):
        for name, (registered, secret) in cases.items():
            attempt = Attempt(
                Presented("x", secret), registered, provider.settings, provider.database, provider.clock()
            )
            started = time.perf_counter_ns()
            with pytest.raises(NotAuthenticated):
                await verify_secret(attempt)
            taken[name].append(time.perf_counter_ns() - started)
    medians = {name: statistics.median(times) for name, times in taken.items()}
    assert max(medians.values()) < 1.5 * min(medians.values()), medians


@only_sqlite
async def test_two_secrets_are_valid_while_one_is_rotated_out(world: World, clock: FakeClock) -> None:
    app = await world.app()
    async with world.provider.database.transaction() as session:
        fresh = await rotate_secret(
            session,
            app.client_id,
            keep_old_for=timedelta(hours=1),
            now=clock(),
            entropy=world.provider.entropy,
        )
    clock.advance(6)
    for secret in (app.secret, fresh):
        assert (await call(world, basic(app.client_id, secret))).status_code == 200
    clock.advance(hours=1)
    assert refused(await call(world, app.basic))
    assert (await call(world, basic(app.client_id, fresh))).status_code == 200


@only_sqlite
async def test_a_disabled_app_is_shut_out_within_seconds(world: World, clock: FakeClock) -> None:
    app = await world.app()
    assert (await call(world, app.basic)).status_code == 200
    async with world.provider.database.transaction() as session:
        await disable_client(session, app.client_id, now=clock())
    clock.advance(world.provider.settings.client_cache_seconds)
    assert refused(await call(world, app.basic))


@only_sqlite
async def test_nobody_is_nobody(world: World) -> None:
    assert refused(await call(world))
    public = await world.public_app()
    answer = await call(world, client_id=public.client_id)
    assert answer.json()["error"] == "unauthorized_client"


# --- assertions ---


@pytest.mark.parametrize("alg", ["ES256", "RS256", "PS256", "EdDSA"])
@only_sqlite
async def test_a_signed_assertion_proves_the_app(world: World, alg: str) -> None:
    key = AssertionKey(alg)
    app = await signing_app(world, key)
    assert (await call(world, **key.form(app.client_id))).status_code == 200
    assert (await call(world, client_id=app.client_id, **key.form(app.client_id))).status_code == 200
    to_endpoint = key.form(app.client_id, aud=["https://idp.test/token"])
    assert (await call(world, **to_endpoint)).status_code == 200


@pytest.mark.threat("N57")
async def test_an_assertion_can_be_used_once_also_in_parallel(world: World) -> None:
    app = await signing_app(world)
    form = KEY.form(app.client_id)
    answers = await asyncio.gather(*(call(world, **form) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7
    assert refused(await call(world, **form))


@only_sqlite
@pytest.mark.threat("N57")
async def test_an_assertion_is_spent_even_when_the_request_is_refused_later(world: World) -> None:
    app = await signing_app(world)
    form = KEY.form(app.client_id)
    assert (await call(world, scope="nonsense", **form)).json()["error"] == "invalid_scope"
    assert refused(await call(world, **form))
    elsewhere = KEY.form(app.client_id)
    assert (await world.http.post("/introspect", data={"token": "x", **elsewhere})).status_code == 200
    assert refused(await call(world, **elsewhere))


WRONG: dict[str, dict[str, Any]] = {
    "expired": {"exp": timedelta(seconds=-20)},
    "no exp": {"exp": ...},
    "too long": {"exp": timedelta(seconds=3600)},
    "exp is a string": {"exp": "9999999999"},
    "exp is true": {"exp": True},
    "exp is negative": {"exp": -1},
    "exp is beyond time": {"exp": 10**15},
    "no jti": {"jti": ...},
    "jti is a number": {"jti": 1},
    "empty jti": {"jti": ""},
    "iat in the future": {"iat": timedelta(seconds=90)},
    "nbf in the future": {"nbf": timedelta(seconds=90)},
    "another server": {"aud": "https://other.test"},
    "a second audience": {"aud": ["https://idp.test", "https://other.test"]},
    "no audience": {"aud": ...},
    "nobody": {"aud": []},
    "prefix": {"aud": "https://idp.test.evil.test"},
    "slash": {"aud": "https://idp.test/"},
    "sub": {"sub": "somebody"},
    "no sub": {"sub": ...},
    "no iss": {"iss": ...},
    "typ": {"header": {"typ": "at+jwt"}},
    "logout": {"header": {"typ": "logout+jwt"}},
    "crit": {"header": {"crit": ["x"], "x": 1}},
    "b64": {"header": {"b64": False}},
    "unknown kid": {"header": {"kid": "../../dev/null"}},
    "quoted kid": {"header": {"kid": "' OR 1=1 --"}},
    "huge kid": {"header": {"kid": "k" * 10_000}},
}


@only_sqlite
@pytest.mark.threat("N38", "N40", "N55", "N99")
@pytest.mark.parametrize("wrong", WRONG)
async def test_an_assertion_with_one_thing_wrong_is_refused(world: World, wrong: str) -> None:
    app, now = await signing_app(world), world.provider.clock()
    changes = {
        name: int((now + value).timestamp()) if isinstance(value, timedelta) else value
        for name, value in WRONG[wrong].items()
    }
    form = KEY.form(app.client_id, now=now.timestamp(), **changes)
    answer = await call(world, client_id=app.client_id, **form)
    assert refused(answer)


@only_sqlite
@pytest.mark.threat("N99")
async def test_ten_seconds_of_skew_are_accepted(world: World) -> None:
    app, now = await signing_app(world), int(world.provider.clock().timestamp())
    assert (await call(world, **KEY.form(app.client_id, iat=now + 9, nbf=now + 9))).status_code == 200
    assert (await call(world, **KEY.form(app.client_id, exp=now - 8))).status_code == 200


@only_sqlite
@pytest.mark.threat("N56")
async def test_an_app_cannot_sign_for_another(world: World) -> None:
    mine, other = AssertionKey(), AssertionKey()
    _app, victim = await signing_app(world, mine), await signing_app(world, other)
    assert refused(await call(world, **mine.form(victim.client_id)))
    disguised = mine.form(victim.client_id, header={"kid": other.jwk["kid"]})
    assert refused(await call(world, **disguised))


def segment(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@only_sqlite
@pytest.mark.threat("N36", "N37", "N39")
async def test_forged_assertions_are_refused(world: World) -> None:
    app = await signing_app(world)
    good = KEY.sign(app.client_id)
    claims = good.split(".")[1]
    public = KEY.private.public_key()
    serialised = [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        json.dumps(KEY.jwk).encode(),
    ]
    forged = [f"{segment({'alg': alg})}.{claims}.{end}" for alg in ("none", "None", "nOnE") for end in ("", "AA")]
    for secret in serialised:
        head = f"{segment({'alg': 'HS256', 'kid': KEY.jwk['kid']})}.{claims}"
        mac = hmac.digest(secret, head.encode(), hashlib.sha256)
        forged.append(f"{head}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}")
    own = AssertionKey()
    forged.append(own.sign(app.client_id, header={"jwk": own.jwk, "kid": own.jwk["kid"]}))
    forged.append(own.sign(app.client_id, header={"jku": "https://canary.test/jwks"}))
    forged.append(own.sign(app.client_id, header={"x5u": "https://canary.test/x5u", "x5c": ["AA"]}))
    forged.append(f"{good.rpartition('.')[0]}.{base64.urlsafe_b64encode(bytes(64)).rstrip(b'=').decode()}")
    forged += [good.rpartition(".")[0], good[:-2], good + "A", good + ".", "x.y.z", "é.é.é", "." * 3]
    for assertion in forged:
        assert refused(await call(world, client_id=app.client_id, **carrying(assertion))), assertion[:80]


@only_sqlite
@pytest.mark.threat("N37")
async def test_the_algorithm_is_the_keys_own(world: World) -> None:
    key = AssertionKey("PS256")
    app = await signing_app(world, key)
    claims = jwt.decode(key.sign(app.client_id), options={"verify_signature": False})
    rs256 = jwt.encode(claims, key.private, algorithm="RS256", headers={"kid": key.jwk["kid"]})
    assert refused(await call(world, **carrying(rs256)))


@only_sqlite
@pytest.mark.threat("N40")
async def test_json_that_two_readers_would_read_differently_is_refused(world: World) -> None:
    app = await signing_app(world)
    now = int(time.time())
    start = f'{{"iss":"{app.client_id}","aud":"https://idp.test","exp":{now + 60},"jti":"a","sub":'
    twice = f'{start}"x","sub":"{app.client_id}"}}'
    beyond = f'{{"iss":"{app.client_id}","sub":"{app.client_id}","aud":"https://idp.test","exp":1e400,"jti":"b"}}'
    listed = (
        f'{{"iss":["{app.client_id}"],"sub":"{app.client_id}","aud":"https://idp.test","exp":{now + 60},"jti":"c"}}'
    )
    for text in (twice, beyond, listed):
        head = (
            f"{segment({'alg': 'ES256', 'kid': KEY.jwk['kid']})}."
            + base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
        )
        signature = LocalSigner("ES256", "x", KEY.private).sign_now(head.encode())
        token = f"{head}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
        assert refused(await call(world, client_id=app.client_id, **carrying(token)))


@only_sqlite
@pytest.mark.threat("N55")
async def test_fapi2_takes_the_issuer_alone_and_no_rs256(world: World) -> None:
    app = await signing_app(world, profile="fapi2", id_token_signed_response_alg="")
    assert (await call(world, **KEY.form(app.client_id))).status_code == 200
    assert (await call(world, **KEY.form(app.client_id, aud=["https://idp.test"]))).status_code == 200
    for audience in (
        "https://idp.test/token",
        ["https://idp.test/token"],
        ["https://idp.test", "https://idp.test/token"],
    ):
        assert refused(await call(world, **KEY.form(app.client_id, aud=audience)))


@only_sqlite
async def test_half_an_assertion_is_a_malformed_request(world: World) -> None:
    app = await signing_app(world)
    form = KEY.form(app.client_id)
    only_assertion = {"client_assertion": form["client_assertion"]}
    only_type = {"client_assertion_type": form["client_assertion_type"]}
    other_type = form | {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}
    for wrong in (only_assertion, only_type, other_type):
        assert refused(await call(world, client_id=app.client_id, **wrong), "invalid_request")
