"""Sessions: a new cookie at every login, two lifetimes, and an end that is an end."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from idp.accounts.directory import create_account
from idp.accounts.models import Account, RoleGrant
from idp.database import Database
from idp.sessions.models import LoginSession
from idp.sessions.store import CurrentSession, current_session, end_all, end_session, start_session
from keys.entropy import SystemEntropy, sha256
from tests.support.clock import FakeClock

pytestmark = pytest.mark.anyio

ENTROPY = SystemEntropy()
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
async def ani(database: Database, clock: FakeClock) -> Account:
    return await make(database, clock, "ani")


async def make(database: Database, clock: FakeClock, username: str) -> Account:
    async with database.transaction() as session:
        return await create_account(
            session, username=username, profile={"name": username.title()}, now=clock(), entropy=ENTROPY
        )


async def log_in(
    database: Database, account: Account, clock: FakeClock, *, previous: str | None = None, acr: str = "one"
) -> tuple[str, LoginSession]:
    async with database.transaction() as session:
        return await start_session(
            session,
            account_id=account.id,
            acr=acr,
            amr=("pwd",),
            previous_cookie=previous,
            lifetime=DAY,
            user_agent="x" * 1000,
            now=clock(),
            entropy=ENTROPY,
        )


async def who(database: Database, cookie: str | None, clock: FakeClock, **given: Any) -> CurrentSession | None:
    async with database.transaction() as session:
        return await current_session(session, cookie, now=clock(), idle=HOUR, absolute=DAY, **given)


async def test_a_session_says_who_is_signed_in_since_when_and_how(
    database: Database, clock: FakeClock, ani: Account
) -> None:
    cookie, started = await log_in(database, ani, clock)
    current = await who(database, cookie, clock)
    assert current is not None
    assert (current.id, current.account_id, current.username) == (started.id, ani.id, "ani")
    assert (current.display_name, current.acr, current.amr) == ("Ani", "one", ("pwd",))
    assert current.auth_time == clock()
    assert current.roles == frozenset()


async def test_roles_are_told_only_when_asked_for(database: Database, clock: FakeClock, ani: Account) -> None:
    async with database.transaction() as session:
        session.add(RoleGrant(account_id=ani.id, role="privacy_officer", granted_at=clock(), granted_by="test"))
    cookie, _ = await log_in(database, ani, clock)
    plain = await who(database, cookie, clock)
    asked = await who(database, cookie, clock, with_roles=True)
    assert plain is not None
    assert asked is not None
    assert plain.roles == frozenset()
    assert asked.roles == {"privacy_officer"}


@pytest.mark.threat("N66")
async def test_every_login_changes_the_cookie_and_the_old_one_is_dead(
    database: Database, clock: FakeClock, ani: Account
) -> None:
    first, _ = await log_in(database, ani, clock)
    second, _ = await log_in(database, ani, clock, previous=first)
    assert first != second
    assert await who(database, first, clock) is None
    assert await who(database, second, clock) is not None


@pytest.mark.threat("N66")
async def test_a_planted_cookie_is_never_taken_over(database: Database, clock: FakeClock, ani: Account) -> None:
    planted = "A" * 43
    cookie, _ = await log_in(database, ani, clock, previous=planted)
    assert cookie != planted
    assert await who(database, planted, clock) is None


async def test_logging_in_again_goes_on_with_the_session_so_that_other_apps_keep_theirs(
    database: Database, clock: FakeClock, ani: Account
) -> None:
    first, before = await log_in(database, ani, clock)
    clock.advance(600)
    second, after = await log_in(database, ani, clock, previous=first, acr="two")
    assert after.id == before.id
    current = await who(database, second, clock)
    assert current is not None
    assert (current.auth_time, current.acr) == (clock(), "two")


@pytest.mark.threat("N66")
async def test_another_persons_login_ends_the_session_that_was_there(
    database: Database, clock: FakeClock, ani: Account
) -> None:
    budi = await make(database, clock, "budi")
    first, before = await log_in(database, ani, clock)
    second, after = await log_in(database, budi, clock, previous=first)
    assert after.id != before.id
    assert await who(database, first, clock) is None
    current = await who(database, second, clock)
    assert current is not None
    assert current.username == "budi"
    async with database.reading() as session:
        ended = await session.scalar(select(LoginSession.ended_at).where(LoginSession.id == before.id))
    assert ended == clock()


async def test_an_ended_session_is_not_revived_by_logging_in_with_its_cookie(
    database: Database, clock: FakeClock, ani: Account
) -> None:
    first, before = await log_in(database, ani, clock)
    async with database.transaction() as session:
        assert await end_session(session, before.id, now=clock())
        assert not await end_session(session, before.id, now=clock())
    _, after = await log_in(database, ani, clock, previous=first)
    assert after.id != before.id


async def test_a_session_left_alone_for_too_long_is_over(database: Database, clock: FakeClock, ani: Account) -> None:
    cookie, _ = await log_in(database, ani, clock)
    for _ in range(5):
        clock.advance(50 * 60)
        assert await who(database, cookie, clock) is not None
    clock.advance(60 * 60)
    assert await who(database, cookie, clock) is None


async def test_a_session_is_over_after_its_absolute_lifetime_however_busy(
    database: Database, clock: FakeClock, ani: Account
) -> None:
    cookie, _ = await log_in(database, ani, clock)
    for _ in range(47):
        clock.advance(30 * 60)
        assert await who(database, cookie, clock) is not None
    clock.advance(30 * 60)
    assert await who(database, cookie, clock) is None


async def test_a_shortened_absolute_lifetime_counts_for_sessions_that_began_before(
    database: Database, clock: FakeClock, ani: Account
) -> None:
    cookie, _ = await log_in(database, ani, clock)
    clock.advance(1800)
    async with database.reading() as session:
        short = timedelta(minutes=20)
        assert await current_session(session, cookie, now=clock(), idle=HOUR, absolute=short) is None


async def test_being_seen_is_written_at_most_once_a_minute(database: Database, clock: FakeClock, ani: Account) -> None:
    cookie, started = await log_in(database, ani, clock)
    began = clock()

    async def last_seen() -> object:
        async with database.reading() as session:
            return await session.scalar(select(LoginSession.last_seen_at).where(LoginSession.id == started.id))

    clock.advance(59)
    await who(database, cookie, clock)
    assert await last_seen() == began
    clock.advance(1)
    await who(database, cookie, clock)
    assert await last_seen() == clock()


@pytest.mark.threat("N77")
async def test_a_disabled_persons_sessions_are_dead_even_if_nobody_ended_them(
    database: Database, clock: FakeClock, ani: Account
) -> None:
    cookie, _ = await log_in(database, ani, clock)
    async with database.transaction() as session:
        await session.execute(update(Account).where(Account.id == ani.id).values(disabled_at=clock()))
    assert await who(database, cookie, clock) is None


async def test_all_of_a_persons_sessions_end_and_nobody_elses(
    database: Database, clock: FakeClock, ani: Account
) -> None:
    budi = await make(database, clock, "budi")
    cookies = [(await log_in(database, ani, clock))[0] for _ in range(3)]
    other, _ = await log_in(database, budi, clock)
    async with database.transaction() as session:
        assert await end_all(session, ani.id, now=clock()) == 3
    assert [await who(database, cookie, clock) for cookie in cookies] == [None, None, None]
    assert await who(database, other, clock) is not None


@pytest.mark.threat("N84")
async def test_a_cookie_has_256_bits_and_the_row_keeps_only_its_digest(
    database: Database, clock: FakeClock, ani: Account
) -> None:
    cookie, started = await log_in(database, ani, clock)
    async with database.reading() as session:
        row = (await session.execute(select(LoginSession.__table__).where(LoginSession.id == started.id))).one()
    assert len(cookie) == 43
    assert cookie not in repr(row)
    assert row.token_sha256 != sha256(cookie.encode())
    assert len(row.user_agent) == 300


@pytest.mark.parametrize("cookie", [None, "", "x", "A" * 43, "A" * 44, "é" * 43, "' OR 1=1 --"])
async def test_no_or_a_made_up_cookie_is_nobody(
    database: Database, clock: FakeClock, ani: Account, cookie: str | None
) -> None:
    await log_in(database, ani, clock)
    assert await who(database, cookie, clock) is None
