"""The manners of `/token`: what it takes, how it refuses, whose scripts may read it, how much it asks the database."""

from typing import Any, Final

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.support.assertions import AssertionKey
from tests.support.databases import only_sqlite
from tests.support.statements import statements
from tests.support.token_world import VERIFIER, World, basic

pytestmark = pytest.mark.anyio
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
GRANT = b"grant_type=client_credentials"


@only_sqlite
@pytest.mark.threat("N86")
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "TRACE"])
async def test_only_post(world: World, method: str) -> None:
    app = await world.app()
    answer = await world.http.request(method, "/token", headers=app.basic)
    assert answer.status_code == 405
    assert "POST" in answer.headers["allow"]


@only_sqlite
@pytest.mark.threat("N86")
@pytest.mark.parametrize(
    "content_type",
    ["application/json", "text/plain", "multipart/form-data; boundary=x", "", "application/x-www-form-urlencodedx"],
)
async def test_only_forms(world: World, content_type: str) -> None:
    app = await world.app()
    headers = app.basic | {"Content-Type": content_type}
    answer = await world.http.post("/token", content=GRANT, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@only_sqlite
async def test_a_charset_beside_the_content_type_is_harmless(world: World) -> None:
    app = await world.app()
    headers = app.basic | {"Content-Type": "Application/X-WWW-Form-Urlencoded; charset=UTF-8"}
    assert (await world.http.post("/token", content=GRANT, headers=headers)).status_code == 200


@only_sqlite
@pytest.mark.threat("N13", "N87", "N89")
@pytest.mark.parametrize(
    "body",
    [
        GRANT + b"&grant_type=client_credentials",
        GRANT + b"&scope=reports:read&scope=reports:write",
        GRANT + b"&scope=%ff",
        GRANT + b"".join(b"&p%d=1" % number for number in range(200)),
        b"scope=reports:read",
        b"",
    ],
)
async def test_malformed_forms_are_refused_in_oauths_words(world: World, body: bytes) -> None:
    app = await world.app()
    answer = await world.http.post("/token", content=body, headers=app.basic | FORM)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"


@only_sqlite
@pytest.mark.threat("N89")
@pytest.mark.parametrize("name", ["grant_type", "scope", "code", "resource", "client_id", "refresh_token"])
async def test_hostile_text_never_breaks_anything(world: World, name: str) -> None:
    app = await world.app()
    for hostile in ("\x00", "'; DROP TABLE idp_clients; --", "<script>", "\r\nSet-Cookie: a=b", "é" * 2000, "%00"):
        for grant_type in ("client_credentials", "authorization_code", "refresh_token"):
            form = {"grant_type": grant_type, "code": "x", "refresh_token": "x", name: hostile}
            answer = await world.http.post("/token", data=form, headers=app.basic)
            assert answer.status_code in {200, 400, 401}, (name, hostile)
            assert "<script" not in answer.text


@only_sqlite
async def test_authorization_details_are_not_silently_ignored(world: World) -> None:
    app = await world.app()
    answer = await world.token(app, grant_type="client_credentials", authorization_details="[]")
    assert answer.json()["error"] == "invalid_authorization_details"


# --- other pages' scripts ---


@only_sqlite
@pytest.mark.threat("N85")
@pytest.mark.parametrize("path", ["/token", "/userinfo", "/revoke"])
async def test_a_preflight_is_answered_for_registered_origins_only(world: World, path: str) -> None:
    await world.public_app(web_origins=("https://app.test",))
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    good = await world.http.options(path, headers={"Origin": "https://app.test", **asked})
    assert good.headers["access-control-allow-origin"] == "https://app.test"
    assert "POST" in good.headers["access-control-allow-methods"]
    assert "access-control-allow-credentials" not in good.headers
    assert good.headers["vary"] == "Origin"
    for origin in (
        "null",
        "https://evil.rp.test",
        "https://app.test.evil.test",
        "http://app.test",
        "https://APP.test",
        "*",
    ):
        bad = await world.http.options(path, headers={"Origin": origin, **asked})
        assert "access-control-allow-origin" not in bad.headers, origin


@only_sqlite
@pytest.mark.threat("N85")
async def test_an_app_reads_its_own_answers_and_no_other_apps_page_does(world: World) -> None:
    app = await world.public_app(web_origins=("https://app.test",))
    await world.public_app(web_origins=("https://other.test",))
    siti = await world.citizen()
    consent_id = await world.consent(app, siti)
    form = {"grant_type": "authorization_code", "redirect_uri": app.redirect_uri, "code_verifier": VERIFIER}

    async def redeem(origin: str) -> Any:
        code = await world.code(app, siti, consent_id=consent_id)
        return await world.http.post(
            "/token", data={**form, "code": code, "client_id": app.client_id}, headers={"Origin": origin}
        )

    own = await redeem("https://app.test")
    assert own.status_code == 200
    assert own.headers["access-control-allow-origin"] == "https://app.test"
    foreign = await redeem("https://other.test")
    assert "access-control-allow-origin" not in foreign.headers
    assert "access-control-allow-origin" not in (await redeem("null")).headers

    bearer = {"Authorization": f"Bearer {own.json()['access_token']}"}
    seen = await world.http.get("/userinfo", headers={"Origin": "https://app.test", **bearer})
    assert seen.headers["access-control-allow-origin"] == "https://app.test"
    unseen = await world.http.get("/userinfo", headers={"Origin": "https://other.test", **bearer})
    assert "access-control-allow-origin" not in unseen.headers


@only_sqlite
@pytest.mark.threat("N85")
async def test_introspection_is_for_no_page(world: World) -> None:
    app = await world.app(web_origins=("https://app.test",))
    headers = app.basic | {"Origin": "https://app.test"}
    answer = await world.http.post("/introspect", data={"token": "x"}, headers=headers)
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


# --- how much the database is asked ---


async def test_the_hot_paths_ask_the_database_as_little_as_promised(world: World) -> None:
    app, siti = await world.app(), await world.citizen()
    scope = ("openid", "profile", "offline_access")
    code = await world.code(app, siti, scope=scope)
    await world.token(app, grant_type="client_credentials")  # the registration is in the cache from here on
    database = world.provider.database
    # A look, and then everything at once; SQLite needs a statement for each table.
    spending = 4 if database.is_sqlite else 2

    with statements(database) as seen:
        tokens = (await world.redeem(app, code)).json()
    assert len(seen) == spending, seen
    with statements(database) as seen:
        refreshed = (await world.refresh(app, tokens["refresh_token"])).json()
    assert len(seen) == spending, seen
    with statements(database) as seen:
        assert (await world.token(app, grant_type="client_credentials")).status_code == 200
    assert len(seen) == 1, seen
    with statements(database) as seen:
        assert (await world.userinfo(refreshed["access_token"])).status_code == 200
    # A look, and then the record of what went out: on SQLite what stands, and a statement for each table.
    assert len(seen) == spending, seen
    for token in (refreshed["access_token"], refreshed["refresh_token"]):
        with statements(database) as seen:
            assert (await world.introspect(app, token))["active"]
        assert len(seen) == 1, seen
    with statements(database) as seen:
        await world.http.post("/revoke", data={"token": refreshed["access_token"]}, headers=app.basic)
    assert len(seen) == 1, seen


@only_sqlite
async def test_a_flood_of_invented_clients_costs_one_look_up_each_and_pushes_nobody_out(world: World) -> None:
    app, database = await world.app(), world.provider.database
    await world.token(app, grant_type="client_credentials")
    with statements(database) as seen:
        for number in range(20):
            await world.http.post("/token", content=GRANT, headers=basic(f"app-{number}", "x") | FORM)
        for number in range(20):
            await world.http.post("/token", content=GRANT, headers=basic(f"app-{number}", "x") | FORM)
    assert sum("idp_clients" in statement for statement in seen) == 20
    with statements(database) as seen:
        assert (await world.token(app, grant_type="client_credentials")).status_code == 200
    assert len(seen) == 1


@only_sqlite
async def test_a_client_assertion_costs_one_statement_more(world: World) -> None:
    key = AssertionKey()
    app = await world.app(token_endpoint_auth_method="private_key_jwt", jwks=key.jwks)
    grant = {"grant_type": "client_credentials"}
    assert (await world.http.post("/token", data=grant | key.form(app.client_id))).status_code == 200
    with statements(world.provider.database) as seen:
        assert (await world.http.post("/token", data=grant | key.form(app.client_id))).status_code == 200
    assert len(seen) == 2, seen


# What the database does when a row is about to become durable: SQLite refuses it at once, PostgreSQL at the commit.
FAILING: Final = {
    "sqlite": ["CREATE TRIGGER failing BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"],
    "postgresql": [
        "CREATE FUNCTION failing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'the disk is full'; END $$",
        "CREATE CONSTRAINT TRIGGER failing AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION failing()",
    ],
}


async def break_inserts(world: World, table: str) -> None:
    async with world.provider.database.transaction() as session:
        for statement in FAILING["sqlite" if world.provider.database.is_sqlite else "postgresql"]:
            await session.execute(text(statement.format(table=table)))


@pytest.mark.threat("N92")
@pytest.mark.parametrize("table", ["idp_access_tokens", "idp_refresh_tokens"])
async def test_a_database_that_fails_at_commit_gives_no_token(world: World, table: str) -> None:
    app, siti = await world.app(), await world.citizen()
    code = await world.code(app, siti, scope=("openid", "profile", "offline_access"))
    await break_inserts(world, table)
    with pytest.raises(Exception, match="the disk is full"):
        await world.redeem(app, code)
    # Nothing of it happened: the code is as good as before.
    async with world.provider.database.transaction() as session:
        await session.execute(
            text("DROP TRIGGER failing" + ("" if world.provider.database.is_sqlite else f" ON {table}"))
        )
    assert (await world.redeem(app, code)).status_code == 200


@pytest.mark.threat("N92")
async def test_a_database_that_fails_at_commit_revokes_nothing_quietly(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = await world.app()

    class CommitFailed(Exception):
        pass

    async def failing(_session: AsyncSession) -> None:
        raise CommitFailed

    with monkeypatch.context() as patched:
        patched.setattr(AsyncSession, "commit", failing)
        with pytest.raises(CommitFailed):
            await world.http.post("/revoke", data={"token": "x"}, headers=app.basic)
