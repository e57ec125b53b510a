"""N91 to N95: secrets stay secret at rest and in logs, faults fail closed, keys turn over, names fool nobody."""

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
from sqlalchemy import select, text
from structlog.testing import capture_logs

from idp.audit import AuditEvent
from idp.database import Database
from idp.housekeeping import advance_keys
from idp.provider import Provider, load_master_key
from idp.schema import METADATA
from keys.errors import KeysError
from keys.rotation import rotate
from keys.sealing import MasterKey
from tests.security.forging import signed
from tests.security.stage import PASSWORD, SCOPE, Stage, refusal, told_to_app
from tests.support.assertions import AssertionKey
from tests.support.browser_user import BrowserUser
from tests.support.databases import only_sqlite
from tests.support.service import Service
from tests.support.settings import MASTER_KEY, settings_for
from tests.support.token_world import VERIFIER, App, claims_in

pytestmark = pytest.mark.anyio

NewUser = Callable[[], BrowserUser]

HOST: Final = "https://idp.test"
OFFLINE: Final = f"{SCOPE} offline_access"


# --- N91: canaries ---


async def everything_in(database: Database) -> str:
    """Every value of every table, as text; bytes as hexadecimal digits and as the characters that they spell."""
    said = []
    async with database.reading() as session:
        for table in {**{name: one for base in METADATA for name, one in base.tables.items()}}.values():
            for row in (await session.execute(select(table))).all():
                for value in row:
                    if isinstance(value, bytes):
                        said += [value.hex(), value.decode("latin-1")]
                    else:
                        said.append(value if isinstance(value, str) else json.dumps(value, default=str))
    return "\n".join(said)


def cookies_of(user: BrowserUser) -> list[str]:
    return [cookie.value or "" for cookie in user.client.cookies.jar if cookie.name != "__Host-lang"]


@only_sqlite
@pytest.mark.processes
@pytest.mark.threat("N91", "N20")
async def test_no_secret_of_a_whole_journey_is_in_the_servers_log_or_in_its_database(service: Service) -> None:
    """A real server, its whole log, every table, and the bytes of the database's files."""
    canaries = {"wrong password": "CANARY-kata-sandi-salah", "password as username": "CANARY-di-kolom-nama"}
    user, app = service.browser(), service.app("health")
    await service.ask(user, app, "health")
    await user.log_in("siti", canaries["wrong password"])
    await user.log_in(canaries["password as username"], "x")
    await user.log_in('siti\r\n{"event": "forged"}', "x")
    await user.log_in("siti", service.password("siti"))
    canaries["password"] = service.password("siti")
    await user.allow()
    code = user.callback_parameters["code"]
    assert app.attempt is not None
    canaries |= {"code": code, "verifier": app.attempt.code_verifier}
    first = (await service.redeem(app, "health", code, at=0)).json()
    second = (await service.refresh("health", first["refresh_token"], at=0)).json()
    for number, tokens in enumerate((first, second)):
        canaries |= {f"{name} {number}": tokens[name] for name in ("access_token", "refresh_token", "id_token")}
    assert await service.lives("health", second["access_token"]) == {(200, True)}
    canaries["client secret"] = next(
        one.client_secret or "" for one in service.world.state.apps if one.name == "health"
    )
    canaries["basic"] = service.basic("health")["Authorization"].partition(" ")[2]
    for secret in ("CANARY-wrong-secret", canaries["client secret"]):
        form = {"client_id": "sehat-bersama", "client_secret": secret, "token": first["access_token"]}
        await service.post("/introspect", at=0, data=form)
        await service.post(f"/introspect?token={first['access_token']}&client_secret={secret}", at=0, data=form)
    canaries["wrong client secret"] = "CANARY-wrong-secret"
    await service.redeem(app, "health", code, at=0)
    await service.refresh("health", "CANARY-refresh-token", at=0)
    canaries["invented token"] = "CANARY-refresh-token"
    await user.open(f"/authorize?code={code}&client_id=CANARY%0d%0a&redirect_uri=x")
    await user.open("/my/consents")
    canaries |= {f"cookie {number}": value for number, value in enumerate(cookies_of(user))}
    await user.open("/end_session", id_token_hint=second["id_token"])
    canaries["master key"] = MASTER_KEY
    kept = await everything_in(service.database)
    log = service.processes[0].log
    assert "login.succeeded" in log
    assert "login.refused" in log
    assert "login.succeeded" in kept
    files = b"".join(path.read_bytes() for path in database_files(service))
    for name, canary in canaries.items():
        assert len(canary) > 8, name
        assert canary not in log, name
        assert canary not in kept, name
        assert canary.encode() not in files, name
    person = ("Siti Rahayu", "siti@warga.example", "9904035505900001", "1990-05-15", "Jalan Melati", "5550-0001")
    assert not any(datum in log for datum in person), "who a person is, is not in the log"
    for line in log.splitlines():
        assert line.startswith(("{", "satupintu: ")), line
        if line.startswith("{"):
            assert json.loads(line)["event"] != "forged"


def database_files(service: Service) -> list[Path]:
    path = Path(service.settings.url.partition(":///")[2])
    found = list(path.parent.glob(f"{path.name}*"))
    assert found
    return found


@pytest.mark.threat("N91")
async def test_a_hostile_name_writes_no_second_line_into_the_log_or_the_audit(
    stage: Stage, web_app: App, user: BrowserUser, capsys: pytest.CaptureFixture[str]
) -> None:
    await stage.begin(user, web_app)
    for hostile in ("siti\r\n2026 [info] login.succeeded account_id=forged", "a\nb", "a\u2028b", "\x1b[2Ja"):
        await user.log_in(hostile, "wrong-password")
    strange = {"Authorization": "Basic Zm9yZ2VkXG46eA=="}
    await stage.http.post("/token", data={"grant_type": "a\r\nforged"}, headers=strange | web_app.basic)
    async with stage.provider.database.reading() as session:
        rows = (await session.execute(select(AuditEvent.detail, AuditEvent.client_id))).all()
    assert rows
    assert "forged" not in json.dumps([row.detail for row in rows])
    out, err = capsys.readouterr()
    assert not re.search(r"^\S*forged", out + err, re.MULTILINE)


# --- N92: when something breaks, nothing is given ---


CANARY: Final = "CANARY: relation at 10.1.2.3"


@asynccontextmanager
async def outage(database: Database, what: str) -> AsyncIterator[list[Any]]:
    """Breaks the database itself, so that no driver and no cache of ours is spared; afterwards it is whole again.

    Gives what was logged meanwhile.
    """
    tables = [name for base in METADATA for name in base.tables]
    begin, end = (_without_tables if what == "every statement" else _without_writing)(database, tables)
    await _run(database, begin)
    try:
        with capture_logs() as logs:
            yield logs
    finally:
        await _run(database, end)


async def _run(database: Database, statements: list[str]) -> None:
    async with database.transaction() as session:
        for statement in statements:
            await session.execute(text(statement))


def _without_tables(_database: Database, tables: list[str]) -> tuple[list[str], list[str]]:
    away = [f"ALTER TABLE {table} RENAME TO away_{table}" for table in tables]
    return away, [f"ALTER TABLE away_{table} RENAME TO {table}" for table in tables]


def _without_writing(database: Database, tables: list[str]) -> tuple[list[str], list[str]]:
    drop = [f"DROP TRIGGER outage_{table}_{verb}" for table in tables for verb in ("INSERT", "UPDATE", "DELETE")]
    if database.is_sqlite:
        make = [
            f"CREATE TRIGGER outage_{table}_{verb} BEFORE {verb} ON {table} BEGIN SELECT RAISE(ABORT, '{CANARY}'); END"
            for table in tables
            for verb in ("INSERT", "UPDATE", "DELETE")
        ]
        return make, drop
    raising = (
        f"CREATE FUNCTION outage() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{CANARY}'; END $$"
    )
    every = "BEFORE INSERT OR UPDATE OR DELETE"
    make = [
        f"CREATE TRIGGER outage {every} ON {table} FOR EACH STATEMENT EXECUTE FUNCTION outage()" for table in tables
    ]
    return [raising, *make], [*(f"DROP TRIGGER outage ON {table}" for table in tables), "DROP FUNCTION outage()"]


@pytest.fixture
async def outage_client(stage: Stage) -> Any:
    """A client that is told of faults as a visitor is: by a 500."""
    transport = httpx2.ASGITransport(stage.application, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url=HOST) as client:
        yield client


@pytest.mark.threat("N92")
@pytest.mark.parametrize("broken", ["every statement", "every write"])
async def test_without_its_database_the_provider_gives_and_confirms_nothing(
    stage: Stage,
    web_app: App,
    user: BrowserUser,
    outage_client: httpx2.AsyncClient,
    broken: str,
) -> None:
    tokens = await stage.tokens(user, web_app, scope=OFFLINE)
    code = await stage.code(user, web_app, scope=OFFLINE)
    await stage.begin(user, web_app, prompt="consent")
    consent_form = [*user.page.form_with("allow").values(), ("decision", "allow")]
    cookies = {cookie.name: cookie.value or "" for cookie in user.client.cookies.jar}
    cookie_header = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": web_app.redirect_uri}
    requests: list[tuple[str, str, dict[str, str], dict[str, str]]] = [
        ("POST", "/token", {**form, "code_verifier": VERIFIER}, web_app.basic),
        ("POST", "/token", {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}, web_app.basic),
        ("POST", "/token", {"grant_type": "client_credentials", "scope": "reports:read"}, web_app.basic),
        ("POST", "/revoke", {"token": tokens["refresh_token"]}, web_app.basic),
        ("GET", stage.address(web_app, prompt="none"), {}, cookie_header),
        ("POST", "/consent", dict(consent_form), cookie_header),
        ("GET", f"/end_session?id_token_hint={tokens['id_token']}", {}, cookie_header),
    ]
    if broken == "every statement":
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        requests += [
            ("GET", "/userinfo", {}, bearer),
            ("POST", "/introspect", {"token": tokens["access_token"]}, web_app.basic),
            ("GET", "/my/consents", {}, cookie_header),
            ("GET", "/console", {}, cookie_header),
        ]
    before = await stage.issued()
    async with outage(stage.provider.database, broken) as logs:
        for method, address, sent, headers in requests:
            answer = await outage_client.request(method, address, data=sent or None, headers=headers)
            assert answer.status_code in {500, 503}, (address, answer.status_code)
            assert "location" not in answer.headers, address
            assert "CANARY" not in answer.text, address
            assert not re.search(r'"(access_token|refresh_token|id_token|active|sub)"', answer.text), address
            assert "set-cookie" not in answer.headers, address
            assert logs.pop()["event"] == "fault", address
    assert await stage.issued() == before
    assert await stage.sessions_alive() == 1
    redeemed = await stage.world.redeem(web_app, code)
    assert redeemed.status_code == 200, "what failed has used nothing up"
    assert (await stage.world.refresh(web_app, tokens["refresh_token"])).status_code == 200


@only_sqlite
@pytest.mark.threat("N92")
async def test_without_its_own_master_key_the_provider_does_not_open(stage: Stage, tmp_path: Path) -> None:
    other = MasterKey.generate(stage.provider.entropy)
    other.save(tmp_path / "other.key")
    settings = settings_for(
        stage.provider.settings.url, tmp_path, master_key=None, master_key_file=tmp_path / "other.key"
    )
    with pytest.raises(KeysError):
        await Provider.open(settings, clock=stage.clock)


@pytest.mark.threat("N92")
async def test_a_restart_forgets_no_replay_rotation_or_throttle(
    stage: Stage, web_app: App, user: BrowserUser, new_user: NewUser
) -> None:
    key = AssertionKey()
    signing = await stage.world.app(token_endpoint_auth_method="private_key_jwt", jwks=key.jwks)
    form = {**key.form(signing.client_id, now=stage.clock().timestamp()), "grant_type": "client_credentials"}
    assert (await stage.http.post("/token", data={**form, "scope": "reports:read"})).status_code == 200
    code = await stage.code(user, web_app, scope=OFFLINE)
    first = (await stage.world.redeem(web_app, code)).json()
    second = (await stage.world.refresh(web_app, first["refresh_token"])).json()
    attacker = new_user()
    await attacker.open("/login")
    for _ in range(stage.provider.settings.login_failures_per_account):
        await attacker.log_in("budi", "wrong-password")

    restarted = await Provider.open(stage.provider.settings, clock=stage.clock)
    stage.application.state.provider = restarted
    try:
        replayed = await stage.http.post("/token", data={**form, "scope": "reports:read"})
        assert refusal(replayed) == (401, "invalid_client")
        await attacker.log_in("budi", PASSWORD)
        assert attacker.page.status == 429
        stage.clock.advance(restarted.settings.refresh_retry_window + 1)
        assert refusal(await stage.world.refresh(web_app, first["refresh_token"])) == (400, "invalid_grant")
        assert await stage.is_dead(web_app, second)
        assert refusal(await stage.world.redeem(web_app, code)) == (400, "invalid_grant")
    finally:
        stage.application.state.provider = stage.provider
        await restarted.close()


# --- N93: keys ---


async def published(stage: Stage) -> list[dict[str, Any]]:
    keys: list[dict[str, Any]] = (await stage.http.get("/jwks")).json()["keys"]
    return keys


@only_sqlite
@pytest.mark.threat("N93")
async def test_a_key_is_shown_before_it_signs_and_believed_no_longer_than_its_tokens_live(
    stage: Stage, web_app: App, user: BrowserUser
) -> None:
    provider, settings = stage.provider, stage.provider.settings

    async def step() -> None:
        async with provider.database.transaction() as session:
            await advance_keys(provider, session)
        await provider.ring.refresh_if_stale(provider.database.reading, now=stage.clock())

    tokens = await stage.tokens(user, web_app)
    old = provider.keys.signer_for("ES256")
    async with provider.database.transaction() as session:
        new = await rotate(session, load_master_key(settings), alg="ES256", now=stage.clock(), entropy=provider.entropy)
    stage.clock.advance(settings.key_refresh_seconds + 1)
    await step()
    assert {old.kid, new} <= {key["kid"] for key in await published(stage)}
    assert provider.keys.signer_for("ES256").kid == old.kid, "a key that nobody has seen must not sign"
    stage.clock.advance(settings.jwks_max_age + 2 * settings.key_refresh_seconds)
    await step()
    assert provider.keys.signer_for("ES256").kid == new
    assert {old.kid, new} <= {key["kid"] for key in await published(stage)}
    assert (await stage.world.userinfo(tokens["access_token"])).status_code == 200, "the overlap"
    assert told_to_app(await stage.authorize(web_app, prompt="none", id_token_hint=tokens["id_token"]))["error"] == (
        "login_required"
    )
    stage.clock.advance(settings.session_absolute_lifetime + 121)
    await step()
    assert old.kid not in {key["kid"] for key in await published(stage)}
    now = int(stage.clock().timestamp())
    leaked = {"iat": now, "exp": now + 600}
    forged = await signed(old, {**claims_in(tokens["access_token"]), **leaked}, typ="at+jwt")
    assert refusal(await stage.world.userinfo(forged)) == (401, "invalid_token"), "a key that leaks later is worthless"
    hint = await signed(old, {**claims_in(tokens["id_token"]), **leaked})
    assert told_to_app(await stage.authorize(web_app, prompt="none", id_token_hint=hint))["error"] == "invalid_request"


@only_sqlite
@pytest.mark.threat("N93")
async def test_nothing_private_or_ambiguous_is_published(stage: Stage) -> None:
    keys = await published(stage)
    assert {key["alg"] for key in keys} == stage.provider.keys.algs
    for key in keys:
        assert not {"d", "p", "q", "dp", "dq", "qi", "oth", "k"} & key.keys()
        assert key["use"] == "sig"
        assert key["kid"]
    assert len({key["kid"] for key in keys}) == len(keys)
    documents = [await stage.http.get(path) for path in ("/jwks", "/.well-known/openid-configuration")]
    async with stage.provider.database.reading() as session:
        sealed = [value for (value,) in await session.execute(text("SELECT sealed_private FROM keys_signing_keys"))]
    assert sealed
    assert not any(bytes(value).hex() in document.text for value in sealed if value for document in documents)


# --- N94: our name is ours ---


@only_sqlite
@pytest.mark.threat("N94")
async def test_no_header_changes_our_name_or_where_anything_leads(
    stage: Stage, web_app: App, user: BrowserUser
) -> None:
    await stage.tokens(user, web_app)
    lies = (
        {"Host": "evil.test"},
        {"Host": "idp.test:8443"},
        {"Host": "idp.test@evil.test"},
        {"Host": ""},
        {"X-Forwarded-Host": "evil.test", "X-Forwarded-Proto": "http", "X-Forwarded-Port": "81"},
        {"Forwarded": "host=evil.test;proto=http"},
        {"X-Original-URL": "/console", "X-Rewrite-URL": "/console", "X-Forwarded-Prefix": "//evil.test"},
        {"X-Host": "evil.test", "X-HTTP-Host-Override": "evil.test"},
    )
    paths = (
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
        "/jwks",
        "/",
        "/login",
        "/end_session",
        "/my/consents",
        stage.address(web_app, prompt="none"),
        stage.address(web_app, prompt="login"),
        "/nowhere",
    )
    for path in paths:
        honest = await user.client.get(f"{HOST}{path}", follow_redirects=False)
        for lie in lies:
            answer = await user.client.get(f"{HOST}{path}", headers=lie, follow_redirects=False)
            assert "evil.test" not in answer.text + str(answer.headers), (path, lie)
            assert answer.status_code == honest.status_code, (path, lie)
            shape = re.compile(r"(interaction|code)=[\w-]+")
            assert shape.sub("", answer.headers.get("location", "")) == shape.sub(
                "", honest.headers.get("location", "")
            ), (path, lie)
            if "well-known" in path:
                assert answer.content == honest.content
                assert answer.json()["issuer"] == HOST
    tokens = await stage.world.redeem(web_app, await stage.code(user, web_app))
    assert claims_in(tokens.json()["id_token"])["iss"] == HOST
    stage.http.headers["Host"] = "evil.test"
    lied = await stage.world.redeem(web_app, await stage.code(user, web_app))
    assert claims_in(lied.json()["id_token"])["iss"] == claims_in(lied.json()["access_token"])["iss"] == HOST


# --- N95: one address, one way to write it ---


@only_sqlite
@pytest.mark.threat("N95")
async def test_no_way_of_writing_an_address_gets_past_what_guards_it(
    stage: Stage, web_app: App, user: BrowserUser, new_user: NewUser
) -> None:
    await stage.tokens(user, web_app)
    account_id = await stage.account("siti")
    spellings = (
        "/console;x",
        "/console;/",
        "//console",
        "///console",
        "/./console",
        "/x/../console",
        "/%2e/console",
        "/x/%2e%2e/console",
        "/%63onsole",
        "/%2563onsole",
        "/console%2f",
        "/console%2f..%2fconsole",
        "/console/",
        "/console//",
        "/CONSOLE",
        "/Console/export",
        "/console.",
        "/console%00",
        "/console%0a",
        "/console%20",
        "/console\\",
        "/console%5c",
        "/my/../console",
        "/my/consents/..%2f..%2fconsole",
        "/static/../console",
        "/static/%2e%2e/console",
        "/static/..%2f..%2fapp.py",
        "/static/..%2f..%2f..%2fpyproject.toml",
        "/static/%2fetc%2fpasswd",
        "/static//etc/passwd",
        "/static/....//app.py",
    )
    for spelling in spellings:
        for one in (user, new_user()):
            answer = await raw_get(stage, one, spelling)
            assert answer.status_code in {303, 307, 400, 403, 404, 405}, (spelling, answer.status_code)
            assert answer.status_code != 307, spelling
            location = answer.headers.get("location", "")
            assert location == "" or location.startswith("/sign-in?to="), (spelling, location)
            for leaked in (account_id, "import ", "[project]", "root:"):
                assert leaked not in answer.text, spelling
    for spelling in ("/token/", "/TOKEN", "//token", "/token;x", "/token%2f", "/authorize/", "/userinfo/x", "/jwks/"):
        answer = await stage.http.post(f"{HOST}{spelling}", data={"grant_type": "x"}, headers=web_app.basic)
        assert answer.status_code in {404, 405}, spelling


async def raw_get(stage: Stage, user: BrowserUser, target: str) -> httpx2.Response:
    """A GET whose path is sent as it is written: clients tidy addresses up, attackers do not."""
    path, _, query = target.partition("?")
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in user.client.cookies.jar)
    sent: list[Any] = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": httpx2.URL(f"{HOST}/").copy_with(raw_path=path.encode()).path if "\\" not in path else path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"idp.test"), (b"cookie", cookies.encode()), (b"accept", b"text/html")],
        "server": ("idp.test", 443),
        "client": ("203.0.113.1", 5000),
    }

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await stage.application(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent)
    return httpx2.Response(sent[0]["status"], headers=sent[0]["headers"], content=body)
