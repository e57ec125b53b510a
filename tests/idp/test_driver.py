"""Hot statements: the same types and promises on both databases, and connections that come back clean or not at all."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import asyncpg
import pytest
from sqlalchemy import bindparam, insert, select, text, update

from idp.database import Database
from idp.driver.places import AllBusy, Places
from idp.driver.postgresql import PostgresqlDriver
from idp.driver.statement import Once, Statement
from idp.tokens.tables import ACCESS_TOKENS, AUTHORIZATIONS, REFRESH_TOKENS
from keys.entropy import Entropy, new_row_id, sha256
from tests.support.databases import only_postgresql, only_sqlite
from tests.support.statements import statements

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
JAKARTA = timezone(timedelta(hours=7))

INSERT_AUTHORIZATION = Statement(insert(AUTHORIZATIONS))
INSERT_ACCESS_TOKEN = Statement(insert(ACCESS_TOKENS))
READ_AUTHORIZATION = Statement(select(AUTHORIZATIONS).where(AUTHORIZATIONS.c.id == bindparam("family")))
READ_ACCESS_TOKEN = Statement(select(ACCESS_TOKENS).where(ACCESS_TOKENS.c.jti == bindparam("token_jti")))
READ_REFRESH_TOKEN = Statement(select(REFRESH_TOKENS).where(REFRESH_TOKENS.c.token_sha256 == bindparam("digest")))
REVOKE = Statement(
    update(AUTHORIZATIONS)
    .where(AUTHORIZATIONS.c.id == bindparam("family"), AUTHORIZATIONS.c.revoked_at.is_(None))
    .values(revoked_at=bindparam("at"), revoked_because="reason of a test")
    .returning(AUTHORIZATIONS.c.id)
)
REDEEM = Once(
    update(AUTHORIZATIONS)
    .where(AUTHORIZATIONS.c.code_sha256 == bindparam("code_digest"), AUTHORIZATIONS.c.redeemed_at.is_(None))
    .values(redeemed_at=bindparam("at"))
    .returning(AUTHORIZATIONS.c.id, AUTHORIZATIONS.c.amr, AUTHORIZATIONS.c.redeemed_at)
)
CODE = sha256(b"code")


def an_authorization(family: str, **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "id": family,
        "code_sha256": CODE,
        "code_expires_at": NOW + timedelta(seconds=60),
        "redeemed_at": None,
        "client_id": "sehat",
        "account_id": family,
        "session_id": family,
        "consent_id": family,
        "subject": "sub",
        "redirect_uri": "https://app.test/callback",
        "redirect_uri_was_sent": True,
        "code_challenge": None,
        "nonce": "tanda “petik” \N{GRINNING FACE}",
        "scope": "openid",
        "resources": [],
        "claims": {"id_token": {"name": None, "n": {"value": 2**60, "values": [1.5, True, "x"]}}},
        "authorization_details": [{"type": "t", "nested": {"a": ["b"]}}],
        "auth_time": NOW,
        "acr": "1",
        "amr": ["pwd"],
        "sid": "sid",
        "offline": False,
        "created_at": NOW,
        "refresh_expires_at": NOW,
        "revoked_at": None,
        "revoked_because": None,
    }
    return {**values, **changes}


def an_access_token(family: str | None, jti: str = "jti-1", **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "jti": jti,
        "authorization_id": family,
        "client_id": "sehat",
        "audiences": ["https://a", "https://b"],
        "scope": "",
        "issued_at": NOW,
        "expires_at": NOW,
        "revoked_at": None,
        "status_position": None,
    }
    return {**values, **changes}


def a_refresh_token(family: str, token: bytes = b"token", **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "token_sha256": sha256(token),
        "authorization_id": family,
        "client_id": "sehat",
        "issued_at": NOW,
        "expires_at": NOW,
        "rotated_at": None,
    }
    return {**values, **changes}


@pytest.fixture
async def family(database: Database, entropy: Entropy) -> str:
    """A row that was authorized, written through the driver."""
    family = new_row_id(entropy, NOW)
    await database.driver.row(INSERT_AUTHORIZATION, an_authorization(family))
    return family


async def test_every_type_of_ours_comes_back_as_it_went_in(database: Database, family: str) -> None:
    row = await database.driver.row(READ_AUTHORIZATION, {"family": family})
    assert row is not None
    assert dict(zip(AUTHORIZATIONS.c.keys(), row[:], strict=True)) == an_authorization(family)
    assert row.auth_time.tzinfo is UTC or row.auth_time.utcoffset() == timedelta(0)
    assert type(row.id) is str


async def test_the_driver_and_the_sessions_read_each_others_rows_alike(database: Database, family: str) -> None:
    async with database.reading() as session:
        theirs = (await session.execute(READ_AUTHORIZATION.core, {"family": family})).one()
    ours = await database.driver.row(READ_AUTHORIZATION, {"family": family})
    assert ours is not None
    assert tuple(theirs) == ours[:]
    async with database.transaction() as session:
        await session.execute(insert(ACCESS_TOKENS), an_access_token(family, issued_at=NOW.astimezone(JAKARTA)))
    token = await database.driver.row(READ_ACCESS_TOKEN, {"token_jti": "jti-1"})
    assert token is not None
    assert (token.issued_at, token.audiences) == (NOW, ["https://a", "https://b"])


async def test_what_was_written_is_committed_when_the_call_returns(database: Database, family: str) -> None:
    assert await database.driver.row(REVOKE, {"family": family, "at": NOW}) is not None
    async with database.reading() as session:
        found = (await session.execute(READ_AUTHORIZATION.core, {"family": family})).one()
    assert (found.revoked_at, found.revoked_because) == (NOW, "reason of a test")
    assert await database.driver.row(REVOKE, {"family": family, "at": NOW}) is None


async def test_a_look_up_that_finds_nothing_gives_nothing(database: Database, family: str) -> None:
    assert await database.driver.row(READ_ACCESS_TOKEN, {"token_jti": family}) is None
    with pytest.raises(AttributeError):
        _ = (await database.driver.row(READ_AUTHORIZATION, {"family": family})).no_such_column  # type: ignore[union-attr]  # it is there


async def test_a_moment_without_a_zone_is_refused(database: Database, family: str) -> None:
    with pytest.raises(Exception, match="naive datetime"):
        await database.driver.row(REVOKE, {"family": family, "at": NOW.replace(tzinfo=None)})
    row = await database.driver.row(READ_AUTHORIZATION, {"family": family})
    assert row is not None
    assert row.revoked_at is None


async def test_a_forgotten_value_is_a_fault_and_never_null(database: Database, family: str) -> None:
    with pytest.raises(Exception, match="at"):
        await database.driver.row(REVOKE, {"family": family})
    row = await database.driver.row(READ_AUTHORIZATION, {"family": family})
    assert row is not None
    assert row.revoked_at is None


async def test_a_choice_of_known_values_is_a_choice(database: Database, family: str) -> None:
    among = Statement(
        select(AUTHORIZATIONS.c.id).where(
            AUTHORIZATIONS.c.scope.in_(["openid", "profile"]),
            AUTHORIZATIONS.c.id == bindparam("family"),
            AUTHORIZATIONS.c.acr.in_(["1"]),
            AUTHORIZATIONS.c.created_at <= bindparam("at"),
        )
    )
    for at, found in ((NOW, family), (NOW - timedelta(microseconds=1), None)):
        row = await database.driver.row(among, {"family": family, "at": at})
        assert (row.id if row is not None else None) == found


# --- once, and what follows from it ---


async def test_what_follows_is_written_with_the_first_use_and_never_again(database: Database, family: str) -> None:
    asked = {"code_digest": CODE, "at": NOW}
    then = {ACCESS_TOKENS: an_access_token(family), REFRESH_TOKENS: a_refresh_token(family)}
    row = await database.driver.once(REDEEM, asked, then)
    assert row is not None
    assert (row.id, row.amr, row.redeemed_at) == (family, ["pwd"], NOW)
    again = {ACCESS_TOKENS: an_access_token(family, "jti-2"), REFRESH_TOKENS: a_refresh_token(family, b"second")}
    assert await database.driver.once(REDEEM, asked, again) is None
    assert await database.driver.row(READ_ACCESS_TOKEN, {"token_jti": "jti-1"}) is not None
    assert await database.driver.row(READ_ACCESS_TOKEN, {"token_jti": "jti-2"}) is None
    assert await database.driver.row(READ_REFRESH_TOKEN, {"digest": sha256(b"token")}) is not None
    assert await database.driver.row(READ_REFRESH_TOKEN, {"digest": sha256(b"second")}) is None


async def test_of_many_at_once_one_wins(database: Database, family: str) -> None:
    async def attempt(number: int) -> bool:
        then = {ACCESS_TOKENS: an_access_token(family, f"jti-{number}")}
        return await database.driver.once(REDEEM, {"code_digest": CODE, "at": NOW}, then) is not None

    assert sum(await asyncio.gather(*map(attempt, range(16)))) == 1
    found = [await database.driver.row(READ_ACCESS_TOKEN, {"token_jti": f"jti-{number}"}) for number in range(16)]
    assert sum(row is not None for row in found) == 1


async def test_when_what_follows_fails_the_first_use_did_not_happen(database: Database, family: str) -> None:
    await database.driver.row(INSERT_ACCESS_TOKEN, an_access_token(family))
    then = {REFRESH_TOKENS: a_refresh_token(family), ACCESS_TOKENS: an_access_token(family)}
    with pytest.raises(Exception, match=r"(?i)unique"):
        await database.driver.once(REDEEM, {"code_digest": CODE, "at": NOW}, then)
    row = await database.driver.row(READ_AUTHORIZATION, {"family": family})
    assert row is not None
    assert row.redeemed_at is None
    assert await database.driver.row(READ_REFRESH_TOKEN, {"digest": sha256(b"token")}) is None


@only_postgresql
async def test_once_is_one_statement(database: Database, family: str) -> None:
    with statements(database) as seen:
        await database.driver.once(
            REDEEM,
            {"code_digest": CODE, "at": NOW},
            {ACCESS_TOKENS: an_access_token(family), REFRESH_TOKENS: a_refresh_token(family)},
        )
    assert len(seen) == 1


# --- connections ---


def driver_of(database: Database) -> PostgresqlDriver:
    assert isinstance(database.driver, PostgresqlDriver)
    return database.driver


BACKEND = Statement(select(text("pg_backend_pid() AS pid")))


@only_postgresql
async def test_a_refused_statement_leaves_its_connection_usable(database: Database, family: str) -> None:
    before = await database.driver.row(BACKEND, {})
    with pytest.raises(asyncpg.UniqueViolationError):
        await database.driver.row(INSERT_AUTHORIZATION, an_authorization(family))
    after = await database.driver.row(BACKEND, {})
    assert before is not None
    assert after is not None
    assert before.pid == after.pid


@only_postgresql
async def test_a_cancelled_statement_takes_its_connection_with_it(database: Database, family: str) -> None:
    driver = driver_of(database)
    before = await driver.row(BACKEND, {})
    # The row is locked, so the statement waits until its request is given up.
    async with database.transaction() as session:
        await session.execute(REVOKE.core, {"family": family, "at": NOW})
        waiting = asyncio.create_task(driver.row(REVOKE, {"family": family, "at": NOW}))
        await asyncio.sleep(0.2)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    after = await driver.row(BACKEND, {})
    assert before is not None
    assert after is not None
    assert after.pid != before.pid


@only_postgresql
async def test_a_server_that_hangs_up_costs_one_answer_at_most(database: Database, family: str) -> None:
    driver = driver_of(database)
    backend = await driver.row(BACKEND, {})
    assert backend is not None
    async with database.transaction() as session:
        await session.execute(REVOKE.core, {"family": family, "at": NOW})
        waiting = asyncio.create_task(driver.row(REVOKE, {"family": family, "at": NOW}))
        await asyncio.sleep(0.2)
        await session.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": backend.pid})
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await waiting
    after = await driver.row(BACKEND, {})
    assert after is not None
    assert after.pid != backend.pid


@only_postgresql
async def test_a_connection_that_died_while_it_was_idle_is_not_handed_out(database: Database, family: str) -> None:
    driver = driver_of(database)
    backend = await driver.row(BACKEND, {})
    assert backend is not None
    async with database.reading() as session:
        await session.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": backend.pid})
    await asyncio.sleep(0.2)
    after = await driver.row(BACKEND, {})
    assert after is not None
    assert after.pid != backend.pid


@only_postgresql
async def test_no_more_connections_are_opened_than_allowed(database: Database, family: str) -> None:
    driver = driver_of(database)
    seen = await asyncio.gather(*(driver.row(BACKEND, {}) for _ in range(40)))
    assert len({row.pid for row in seen if row is not None}) <= 5


@only_sqlite
async def test_a_look_up_does_not_wait_for_a_writer(database: Database, family: str) -> None:
    async with database.transaction() as session:
        await session.execute(REVOKE.core, {"family": family, "at": NOW})
        row = await asyncio.wait_for(database.driver.row(READ_AUTHORIZATION, {"family": family}), 5)
    assert row is not None
    assert row.revoked_at is None


# --- places ---


async def test_nobody_waits_for_ever_for_a_place() -> None:
    places = Places(1, seconds=0.05)
    await places.take()
    with pytest.raises(AllBusy):
        await places.take()
    places.give_back()
    await asyncio.wait_for(places.take(), 1)


async def test_places_are_given_in_the_order_of_asking() -> None:
    places = Places(1, seconds=5)
    order: list[int] = []

    async def visit(number: int) -> None:
        await places.take()
        order.append(number)
        await asyncio.sleep(0)
        places.give_back()

    await asyncio.gather(*map(visit, range(5)))
    assert order == [0, 1, 2, 3, 4]


async def test_a_place_given_to_somebody_who_has_just_left_goes_to_the_next() -> None:
    places = Places(1, seconds=5)
    await places.take()
    leaving, staying = asyncio.create_task(places.take()), asyncio.create_task(places.take())
    await asyncio.sleep(0)
    places.give_back()
    leaving.cancel()
    await asyncio.wait_for(staying, 1)
    with pytest.raises(asyncio.CancelledError):
        await leaving
    places.give_back()
    await asyncio.wait_for(places.take(), 1)


async def test_who_left_while_waiting_takes_no_place() -> None:
    places = Places(1, seconds=5)
    await places.take()
    leaving = asyncio.create_task(places.take())
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    places.give_back()
    await asyncio.wait_for(places.take(), 1)
