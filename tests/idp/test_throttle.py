"""Guesses are counted before they are judged, and strangers cannot lock anybody out."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from idp.database import Database
from idp.throttle import (
    STRANGERS_FACTOR,
    Attempt,
    LoginBuckets,
    Throttle,
    count_attempt,
    give_back,
    login_buckets,
    network_of,
    throttle_key,
)
from tests.support.clock import FakeClock

pytestmark = pytest.mark.anyio

WINDOW = timedelta(minutes=15)
KEY = throttle_key(bytes(32))


def buckets(
    username: str = "ani", *, browser: bytes = b"b", known: bool = False, address: str = "203.0.113.9"
) -> LoginBuckets:
    return login_buckets(
        KEY,
        username=username,
        browser_digest=browser,
        browser_is_known=known,
        address=address,
        per_account=10,
        per_address=100,
    )


async def count(database: Database, limits: Sequence[Mapping[str, int]], clock: FakeClock) -> Attempt:
    return await count_attempt(database, limits, window=WINDOW, now=clock())


@pytest.mark.threat("N73")
async def test_of_fifty_guesses_at_once_ten_get_through(database: Database, clock: FakeClock) -> None:
    limits = buckets().stages
    attempts = await asyncio.gather(*(count(database, limits, clock) for _ in range(50)))
    assert sum(attempt.allowed for attempt in attempts) == 10
    assert sum(attempt.first_refused for attempt in attempts) == 1
    async with database.reading() as session:
        assert max((await session.scalars(select(Throttle.count))).all()) == 50


async def test_when_the_window_is_over_counting_begins_anew(database: Database, clock: FakeClock) -> None:
    for _ in range(12):
        last = await count(database, [{"one": 10}], clock)
    assert not last.allowed
    assert last.retry_after == WINDOW
    clock.advance(899)
    late = await count(database, [{"one": 10}], clock)
    assert not late.allowed
    assert late.retry_after == timedelta(seconds=1)
    clock.advance(1)
    assert (await count(database, [{"one": 10}], clock)).allowed
    async with database.reading() as session:
        assert await session.scalar(select(Throttle.count)) == 1


@pytest.mark.threat("N73")
async def test_strangers_cannot_lock_a_person_out_of_a_browser_they_have_used(
    database: Database, clock: FakeClock
) -> None:
    for number in range(200):
        await count(database, buckets(address=f"198.51.100.{number}").stages, clock)
        await count(database, buckets().stages, clock)
    assert not (await count(database, buckets().stages, clock)).allowed
    assert (await count(database, buckets(known=True).stages, clock)).allowed


@pytest.mark.threat("N73")
async def test_a_known_browser_has_its_own_limit(database: Database, clock: FakeClock) -> None:
    allowed = [(await count(database, buckets(known=True).stages, clock)).allowed for _ in range(12)]
    assert allowed == [True] * 10 + [False] * 2
    assert (await count(database, buckets(known=True, browser=b"other").stages, clock)).allowed


@pytest.mark.threat("N73")
async def test_one_address_cannot_spray_one_guess_over_everybody(database: Database, clock: FakeClock) -> None:
    allowed = [(await count(database, buckets(f"person{n}").stages, clock)).allowed for n in range(105)]
    assert allowed == [True] * 100 + [False] * 5
    assert (await count(database, buckets("person1", address="198.51.100.1").stages, clock)).allowed


@pytest.mark.threat("N73")
async def test_many_addresses_together_get_a_bounded_number_of_guesses_at_one_person(
    database: Database, clock: FakeClock
) -> None:
    limit = 10 * STRANGERS_FACTOR
    allowed = 0
    for number in range(limit + 20):
        address = f"198.51.{number // 200}.{number % 200}"
        allowed += (await count(database, buckets(address=address).stages, clock)).allowed
    assert allowed == limit <= 100


async def test_a_success_forgets_the_persons_own_count_and_gives_one_back_to_the_rest(
    database: Database, clock: FakeClock
) -> None:
    limits = buckets()
    for _ in range(5):
        await count(database, limits.stages, clock)
    async with database.transaction() as session:
        await give_back(session, own=limits.own, shared=limits.shared)
    async with database.reading() as session:
        rows = await session.execute(select(Throttle.bucket, Throttle.count))
        kept = dict(iter(rows))
    assert kept == dict.fromkeys(limits.shared, 4)


@pytest.mark.threat("N73")
async def test_an_attackers_own_logins_do_not_reset_the_count_of_their_address(
    database: Database, clock: FakeClock
) -> None:
    allowed = 0
    for number in range(120):
        allowed += (await count(database, buckets(f"victim{number}").stages, clock)).allowed
        own = buckets("attacker")
        if (await count(database, own.stages, clock)).allowed:
            async with database.transaction() as session:
                await give_back(session, own=own.own, shared=own.shared)
    assert allowed <= 100


@pytest.mark.threat("N91")
async def test_a_bucket_tells_neither_the_name_nor_the_address(database: Database, clock: FakeClock) -> None:
    await count(database, buckets("ani").stages, clock)
    async with database.reading() as session:
        kept = repr((await session.execute(select(Throttle.__table__))).all())
    assert "ani" not in kept
    assert "203.0.113" not in kept


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("203.0.113.9", "203.0.113.10", False),
        ("unknown", "unknown", True),
    ],
)
def test_an_ipv6_subscriber_is_one_address(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) is same


@pytest.mark.threat("N73")
async def test_one_address_cannot_fill_the_count_of_all_strangers(database: Database, clock: FakeClock) -> None:
    """Otherwise one machine could shut a citizen out of every browser that is new to them."""
    for _ in range(150):
        await count(database, buckets(address="198.51.100.7").stages, clock)
    assert (await count(database, buckets(address="198.51.100.8").stages, clock)).allowed


@pytest.mark.threat("N73")
async def test_an_address_without_room_leaves_no_trace_of_the_names_that_it_tries(
    database: Database, clock: FakeClock
) -> None:
    for number in range(150):
        await count(database, buckets(f"name{number}").stages, clock)
    async with database.reading() as session:
        rows = await session.scalar(select(func.count()).select_from(Throttle))
    assert rows == 1 + 2 * 100
