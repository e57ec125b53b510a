"""Shared builds: never older than the question, never more than their share."""

import asyncio

import pytest

from idp.status_list import builds
from idp.status_list.builds import SharedBuilds

pytestmark = pytest.mark.anyio


class Work:
    """A build that can be held up, and counts."""

    def __init__(self) -> None:
        self.state = 0
        self.begun = 0
        self.at_once = 0
        self.most_at_once = 0
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def __call__(self, _last: int | None = None) -> int:
        seen = self.state
        self.begun += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await self.may_end.wait()
        self.at_once -= 1
        return seen


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builds, "LONGEST_PAUSE", 0.01)


async def turns(number: int = 5) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_what_was_begun_before_the_question_is_no_answer() -> None:
    work, shared = Work(), SharedBuilds[int]()
    work.may_end.clear()
    early = asyncio.create_task(shared.fresh("list", work))
    await turns()
    work.state = 1  # a withdrawal commits while the list is being read
    late = asyncio.create_task(shared.fresh("list", work))
    await turns()
    work.may_end.set()
    assert (await early, await late) == (0, 1)


async def test_a_hundred_who_ask_during_one_build_share_the_next() -> None:
    work, shared = Work(), SharedBuilds[int]()
    work.may_end.clear()
    first = asyncio.create_task(shared.fresh("list", work))
    await turns()
    crowd = [asyncio.create_task(shared.fresh("list", work)) for _ in range(100)]
    await turns()
    work.may_end.set()
    await asyncio.gather(first, *crowd)
    assert work.begun == 2


async def test_few_are_built_at_once_whatever_is_asked_for() -> None:
    work, shared = Work(), SharedBuilds[int]()
    work.may_end.clear()
    asking = [asyncio.create_task(shared.fresh(number, work)) for number in range(20)]
    await turns()
    work.may_end.set()
    await asyncio.gather(*asking)
    assert (work.begun, work.most_at_once) == (20, builds.MOST_AT_ONCE)


async def test_building_leaves_most_of_the_time_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builds, "LONGEST_PAUSE", 1.0)
    shared, loop = SharedBuilds[int](), asyncio.get_running_loop()

    async def slow(_last: int | None) -> int:
        await asyncio.sleep(0.02)
        return 0

    began = loop.time()
    for _ in range(3):
        await shared.fresh("list", slow)
    assert loop.time() - began >= 3 * 0.02 + 2 * 4 * 0.02


async def test_a_failure_is_everybodys_and_not_for_ever() -> None:
    work, shared = Work(), SharedBuilds[int]()

    async def fails(_last: int | None) -> int:
        raise ConnectionError

    for answer in await asyncio.gather(*(shared.fresh("list", fails) for _ in range(3)), return_exceptions=True):
        assert isinstance(answer, ConnectionError)
    assert await shared.fresh("list", work) == 0


async def test_one_who_leaves_takes_nothing_from_the_others() -> None:
    work, shared = Work(), SharedBuilds[int]()
    work.may_end.clear()
    leaving, staying = (asyncio.create_task(shared.fresh("list", work)) for _ in range(2))
    await turns()
    leaving.cancel()
    await turns()
    work.may_end.set()
    assert await staying == 0
    assert work.begun == 1


async def test_a_build_is_handed_the_one_before() -> None:
    shared = SharedBuilds[int]()

    async def count(last: int | None) -> int:
        return (last or 0) + 1

    assert [await shared.fresh("list", count) for _ in range(3)] == [1, 2, 3]
    for other in range(builds.REMEMBERED):
        await shared.fresh(other, count)
    assert await shared.fresh("list", count) == 1
