"""Places: each given once, by however many processes, with hardly a statement."""

import asyncio
import itertools
from datetime import timedelta

import pytest
from sqlalchemy import select

from idp.database import Database
from idp.status_list import places
from idp.status_list.models import StatusBlock
from idp.status_list.places import BLOCK, SIZE, USABLE, Place, Places, address
from keys.entropy import Entropy
from tests.support.clock import FakeClock
from tests.support.statements import statements

pytestmark = pytest.mark.anyio
LIFETIME = timedelta(minutes=10)


@pytest.fixture
def process(database: Database, entropy: Entropy) -> Places:
    return Places(database.driver, entropy, token_lifetime=LIFETIME)


async def test_two_processes_never_give_one_place_twice(database: Database, entropy: Entropy, clock: FakeClock) -> None:
    both = [Places(database.driver, entropy, token_lifetime=LIFETIME) for _ in range(2)]
    given = await asyncio.gather(*(both[turn % 2].next(clock()) for turn in range(3 * BLOCK)))
    assert len({place.position for place in given}) == 3 * BLOCK


async def test_a_thousand_places_cost_one_statement(process: Places, database: Database, clock: FakeClock) -> None:
    with statements(database) as seen:
        for _ in range(BLOCK):
            await process.next(clock())
    assert len(seen) == 1
    with statements(database) as seen:
        await process.next(clock())
    assert len(seen) == 1


async def test_many_who_ask_at_once_reserve_one_block(process: Places, database: Database, clock: FakeClock) -> None:
    with statements(database) as seen:
        await asyncio.gather(*(process.next(clock()) for _ in range(50)))
    assert len(seen) == 1


async def test_the_order_of_places_does_not_tell_the_order_of_tokens(process: Places, clock: FakeClock) -> None:
    given = [(await process.next(clock())).position for _ in range(BLOCK)]
    assert given != sorted(given)
    assert given != sorted(given, reverse=True)
    assert max(given) - min(given) == BLOCK - 1
    following = sum(abs(one - other) == 1 for one, other in itertools.pairwise(given))
    assert following < BLOCK // 50


@pytest.mark.parametrize("pause", [USABLE, timedelta(days=200), -timedelta(seconds=1)])
async def test_a_block_is_left_when_its_time_is_over(
    process: Places, database: Database, clock: FakeClock, pause: timedelta
) -> None:
    """Otherwise an idle process could give a place on a list that is not served any more."""
    first = await process.next(clock())
    later = await process.next(clock() + pause)
    assert first.position // BLOCK != later.position // BLOCK
    async with database.reading() as session:
        ends = (await session.scalars(select(StatusBlock.expires_at).order_by(StatusBlock.id))).all()
    assert ends[-1] == clock() + pause + USABLE + LIFETIME + places.APART


async def test_a_failed_reservation_gives_no_place_and_the_next_one_does(
    process: Places, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: object) -> None:
        raise ConnectionRefusedError

    with monkeypatch.context() as patched:
        patched.setattr(process._driver, "row", gone)
        with pytest.raises(ConnectionRefusedError):
            await process.next(clock())
    assert (await process.next(clock())).position >= 0


def test_a_place_is_on_one_list() -> None:
    assert SIZE % BLOCK == 0
    assert (Place(SIZE - 1).list_id, Place(SIZE - 1).index) == (0, SIZE - 1)
    assert (Place(SIZE).list_id, Place(SIZE).index) == (1, 0)
    assert address("https://idp.test/a", 7) == "https://idp.test/a/status-lists/7"
