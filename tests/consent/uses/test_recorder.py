"""The recorder: nobody is let go before their use is committed, and nobody pays for another's trouble."""

import asyncio
from collections.abc import Sequence

import pytest

from consent.uses.recorder import NotRecorded, Recorder, TooManyUses

pytestmark = pytest.mark.anyio


class Database:
    """A database of the test's own, which answers when it is told to. `ended` are rows whose consent is gone."""

    def __init__(self) -> None:
        self.flushes: list[tuple[list[str], bool]] = []
        self.ended: set[str] = set()
        self.busy: set[str] = set()
        self.fails = False
        self.answers = asyncio.Event()
        self.answers.set()

    async def write(self, rows: Sequence[str], *, waits: bool) -> Sequence[bool]:
        self.flushes.append((list(rows), waits))
        await self.answers.wait()
        if self.fails:
            raise ConnectionError("the database is gone")
        left_out = self.ended | (set() if waits else self.busy)
        return [row not in left_out for row in rows]


def a_row(number: int) -> str:
    return str(number)


async def asked(recorder: Recorder[str], numbers: range) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(recorder.record(a_row(number))) for number in numbers]
    await asyncio.sleep(0.01)
    return tasks


async def test_what_comes_during_a_flush_goes_with_the_next_and_nobody_is_let_go_before_it() -> None:
    database = Database()
    recorder = Recorder(database.write)
    database.answers.clear()
    first = await asked(recorder, range(1))
    rest = await asked(recorder, range(1, 10))
    assert database.flushes == [(["0"], False)]
    assert not any(task.done() for task in (*first, *rest))
    database.answers.set()
    await asyncio.gather(*first, *rest)
    assert [len(ids) for ids, _ in database.flushes] == [1, 9]
    await recorder.close()


async def test_a_use_alone_waits_for_no_timer() -> None:
    database = Database()
    recorder = Recorder(database.write)
    for number in range(3):
        await asyncio.wait_for(recorder.record(a_row(number)), 1)
    assert [ids for ids, _ in database.flushes] == [["0"], ["1"], ["2"]]
    await recorder.close()


async def test_a_flush_is_bounded() -> None:
    database = Database()
    recorder = Recorder(database.write, most_at_once=4)
    database.answers.clear()
    tasks = await asked(recorder, range(10))
    database.answers.set()
    await asyncio.gather(*tasks)
    assert [len(ids) for ids, _ in database.flushes] == [4, 4, 2]
    await recorder.close()


async def test_a_use_whose_consent_has_ended_is_refused_and_the_others_are_not() -> None:
    database = Database()
    database.ended = {"3"}
    recorder = Recorder(database.write)
    outcomes = await asyncio.gather(*(recorder.record(a_row(n)) for n in range(6)), return_exceptions=True)
    assert [isinstance(one, NotRecorded) for one in outcomes] == [n == 3 for n in range(6)]
    assert (["3"], True) in database.flushes, "it was left out, and never looked at by itself"
    await recorder.close()


async def test_a_use_whose_consent_is_being_changed_waits_by_itself() -> None:
    database = Database()
    database.busy = {"2"}
    recorder = Recorder(database.write)
    await asyncio.gather(*(recorder.record(a_row(n)) for n in range(4)))
    assert database.flushes[-1] == (["2"], True)
    await recorder.close()


async def test_a_database_that_fails_refuses_all_who_wait_and_is_asked_again_by_the_next() -> None:
    database = Database()
    database.fails = True
    recorder = Recorder(database.write)
    outcomes = await asyncio.gather(*(recorder.record(a_row(n)) for n in range(4)), return_exceptions=True)
    assert all(isinstance(one, ConnectionError) for one in outcomes)
    database.fails = False
    await recorder.record(a_row(9))
    await recorder.close()


async def test_a_queue_that_is_full_refuses_at_once() -> None:
    database = Database()
    recorder = Recorder(database.write, most_waiting=3)
    database.answers.clear()
    first = await asked(recorder, range(1))
    waiting = await asked(recorder, range(1, 4))
    with pytest.raises(TooManyUses):
        await recorder.record(a_row(4))
    database.answers.set()
    await asyncio.gather(*first, *waiting)
    await recorder.close()


async def test_whoever_leaves_while_waiting_is_not_written() -> None:
    database = Database()
    recorder = Recorder(database.write)
    database.answers.clear()
    first = await asked(recorder, range(1))
    leaving, staying = await asked(recorder, range(1, 3))
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    database.answers.set()
    await asyncio.gather(*first, staying)
    assert [ids for ids, _ in database.flushes] == [["0"], ["2"]]
    await recorder.close()


async def test_closing_writes_what_waits_and_takes_nothing_more() -> None:
    database = Database()
    recorder = Recorder(database.write)
    database.answers.clear()
    first = await asked(recorder, range(1))
    waiting = await asked(recorder, range(1, 4))
    closing = asyncio.create_task(recorder.close())
    await asyncio.sleep(0.01)
    with pytest.raises(TooManyUses):
        await recorder.record(a_row(9))
    database.answers.set()
    await asyncio.gather(closing, *first, *waiting)
    assert sum(len(ids) for ids, _ in database.flushes) == 4


async def test_a_recorder_that_was_never_used_closes() -> None:
    await Recorder(Database().write).close()
