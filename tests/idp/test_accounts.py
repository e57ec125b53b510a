"""People: made, found in whichever spelling, disabled; and their roles."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from idp.accounts.directory import (
    Role,
    create_account,
    disable_account,
    enable_account,
    find_by_username,
    grant_role,
    normalise_username,
    revoke_role,
    roles_of,
    set_password,
)
from idp.accounts.errors import AccountRefused, ProfileRefused, WeakPassword
from idp.accounts.models import Account
from idp.database import Database
from idp.sessions.store import current_session, start_session
from keys.entropy import SystemEntropy
from tests.support.clock import FakeClock

pytestmark = pytest.mark.anyio
ENTROPY = SystemEntropy()
DAY = timedelta(days=1)


async def make(database: Database, username: str, *, now: datetime, **given: Any) -> Account:
    async with database.transaction() as session:
        return await create_account(
            session, username=username, profile={"name": "Ani"}, now=now, entropy=ENTROPY, **given
        )


async def test_a_person_is_found_by_any_spelling_of_their_name(database: Database, clock: FakeClock) -> None:
    made = await make(database, "Ani.Straße", now=clock())
    async with database.reading() as session:
        for spelling in ("ani.strasse", "  ANI.STRASSE ", "ａｎｉ．straße"):
            found = await find_by_username(session, spelling)
            assert found is not None
            assert found.id == made.id
        assert await find_by_username(session, "ani") is None


async def test_two_people_cannot_have_spellings_of_one_name(database: Database, clock: FakeClock) -> None:
    await make(database, "ani", now=clock())
    with pytest.raises(AccountRefused, match="taken"):
        await make(database, "ＡＮＩ", now=clock())
    await make(database, "budi", now=clock())  # the refused transaction left nothing broken behind


@pytest.mark.parametrize("username", ["", "   ", "a b", "a\x00b", "a\nb", "a\u202eb", "x" * 201])
async def test_a_name_that_cannot_be_seen_or_typed_is_refused(
    database: Database, clock: FakeClock, username: str
) -> None:
    with pytest.raises(AccountRefused):
        await make(database, username, now=clock())


async def test_a_weak_password_or_a_foreign_claim_is_refused_before_anything_is_kept(
    database: Database, clock: FakeClock
) -> None:
    with pytest.raises(WeakPassword):
        await make(database, "ani", now=clock(), password="short", password_hash="x")
    async with database.transaction() as session:
        with pytest.raises(ProfileRefused):
            await create_account(session, username="ani", profile={"roles": "operator"}, now=clock(), entropy=ENTROPY)
    async with database.reading() as session:
        assert await find_by_username(session, "ani") is None


@pytest.mark.threat("N77")
async def test_disabling_a_person_ends_their_sessions_at_once_and_enabling_revives_none(
    database: Database, clock: FakeClock
) -> None:
    account = await make(database, "ani", now=clock())
    async with database.transaction() as session:
        cookie, _ = await start_session(
            session,
            account_id=account.id,
            acr="a",
            amr=("pwd",),
            previous_cookie=None,
            lifetime=DAY,
            now=clock(),
            entropy=ENTROPY,
        )
    async with database.transaction() as session:
        assert (await disable_account(session, username="ANI", now=clock.advance(5))).disabled_at == clock()
    async with database.transaction() as session:
        shut_since = (await disable_account(session, username="ani", now=clock.advance(5))).disabled_at
        assert shut_since == clock() - timedelta(seconds=5)
        await enable_account(session, username="ani")
    async with database.reading() as session:
        assert await current_session(session, cookie, now=clock(), idle=DAY, absolute=DAY) is None


async def test_a_new_password_ends_the_sessions_of_the_old_one(database: Database, clock: FakeClock) -> None:
    account = await make(database, "ani", now=clock(), password_hash="old")
    async with database.transaction() as session:
        cookie, _ = await start_session(
            session,
            account_id=account.id,
            acr="a",
            amr=("pwd",),
            previous_cookie=None,
            lifetime=DAY,
            now=clock(),
            entropy=ENTROPY,
        )
        await set_password(session, account.id, password_hash="new", now=clock())
    async with database.reading() as session:
        assert await current_session(session, cookie, now=clock(), idle=DAY, absolute=DAY) is None
        found = await find_by_username(session, "ani")
        assert found is not None
        assert found.password_hash == "new"


async def test_a_role_is_given_once_and_taken_back(database: Database, clock: FakeClock) -> None:
    account = await make(database, "ani", now=clock())
    async with database.transaction() as session:
        assert await roles_of(session, account.id) == frozenset()
        for _ in range(2):
            given = await grant_role(
                session, username="Ani", role="privacy_officer", granted_by="operator", now=clock()
            )
            assert given == account.id
        assert await roles_of(session, account.id) == {Role.PRIVACY_OFFICER}
        await revoke_role(session, username="ani", role="privacy_officer")
        assert await roles_of(session, account.id) == frozenset()


async def test_an_unknown_role_or_person_is_refused_in_words(database: Database, clock: FakeClock) -> None:
    await make(database, "ani", now=clock())
    async with database.transaction() as session:
        with pytest.raises(AccountRefused, match="the roles are: privacy_officer"):
            await grant_role(session, username="ani", role="king", granted_by="operator", now=clock())
        with pytest.raises(AccountRefused, match="nobody"):
            await revoke_role(session, username="nobody", role="privacy_officer")
        with pytest.raises(AccountRefused, match="nobody"):
            await disable_account(session, username="nobody", now=clock())


@pytest.mark.threat("N77")
async def test_ids_are_random_and_never_come_again(database: Database, clock: FakeClock) -> None:
    ids = {(await make(database, f"person{number}", now=clock())).id for number in range(20)}
    assert len(ids) == 20
    assert {identifier[14] for identifier in ids} == {"4"}  # random, and not a time or a counter


def test_normalising_a_name_twice_changes_nothing() -> None:
    for name in ("Ani", "ﬀoo", "İstanbul", "ẞ", "Ǆ", " x "):
        once = normalise_username(name)
        assert normalise_username(once) == once
