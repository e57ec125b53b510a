"""N92: when something breaks, nothing is given, nothing confirmed and nothing forgotten."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from idp.database import Database
from idp.provider import Provider
from idp.schema import METADATA
from keys.errors import KeysError
from keys.sealing import MasterKey
from tests.security.stage import HOST, PASSWORD, SCOPE, Stage, refusal
from tests.support.assertions import AssertionKey
from tests.support.browser_user import BrowserUser
from tests.support.databases import only_sqlite
from tests.support.settings import settings_for
from tests.support.token_world import VERIFIER, App

pytestmark = pytest.mark.anyio

NewUser = Callable[[], BrowserUser]

OFFLINE: Final = f"{SCOPE} offline_access"


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
