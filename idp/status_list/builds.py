"""Builds what many ask for at once, once for all of them, and never answers with what was built before they asked."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeVar

_T = TypeVar("_T")

MOST_AT_ONCE: Final = 2
SHARE: Final = 4.0  # after a build, this many times as long is left for other work
LONGEST_PAUSE: Final = 1.0  # seconds
REMEMBERED: Final = 64


class SharedBuilds(Generic[_T]):
    """Whoever asks while a build is under way waits for the next one, together with all others who ask by then.

    So each answer shows all that was committed before it was asked for, as if it had been built for that one asker; and
    however many ask for one thing, building it takes a fifth of the time at most. Without this, asking would be an
    attack that anybody could make.
    """

    def __init__(self) -> None:
        self._waiting: dict[object, asyncio.Task[_T]] = {}
        self._running: dict[object, asyncio.Task[_T]] = {}
        self._resting: dict[object, float] = {}
        self._last: OrderedDict[object, _T] = OrderedDict()
        self._places = asyncio.Semaphore(MOST_AT_ONCE)

    async def fresh(self, key: object, build: Callable[[_T | None], Awaitable[_T]]) -> _T:
        """What `build` makes, begun after this call. Its error goes to everybody who shares it.

        `build` is handed what it made last, if that is still remembered, and may find that nothing has changed.
        """
        task = self._waiting.get(key)
        if task is None:
            task = self._waiting[key] = asyncio.create_task(self._take_turn(key, build))
            task.add_done_callback(_look_at_the_error)
        # Shielded: one asker who leaves must not take the answer away from the others.
        return await asyncio.shield(task)

    async def _take_turn(self, key: object, build: Callable[[_T | None], Awaitable[_T]]) -> _T:
        if key in self._running:
            await asyncio.wait([self._running[key]])
        loop = asyncio.get_running_loop()
        if key in self._resting:
            await asyncio.sleep(self._resting[key] - loop.time())
        async with self._places:
            # From here on it is too late to join: what is read now may be older than the next question.
            self._running[key] = self._waiting.pop(key)
            began = loop.time()
            try:
                made = await build(self._last.get(key))
                self._remember(key, made)
                return made
            finally:
                del self._running[key]
                pause = min(SHARE * (loop.time() - began), LONGEST_PAUSE)
                self._resting[key] = loop.time() + pause
                loop.call_later(pause, self._resting.pop, key, None)

    def _remember(self, key: object, made: _T) -> None:
        self._last[key] = made
        self._last.move_to_end(key)
        if len(self._last) > REMEMBERED:
            self._last.popitem(last=False)


def _look_at_the_error(task: "asyncio.Task[Any]") -> None:
    # When every asker has left, nobody else does, and asyncio would complain.
    if not task.cancelled():
        task.exception()
