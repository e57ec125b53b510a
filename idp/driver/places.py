"""A limit on how many may be at something at once, and on how long anybody waits for a place.

`asyncio.Semaphore` with `asyncio.timeout` around it would do, and cost a tenth of a whole request.
"""

import asyncio
from collections import deque


class AllBusy(Exception):
    """Nobody gave a place back in time. Not a `TimeoutError`: the caller was not slow, we were."""


class Places:
    """A number of places, given in the order of asking."""

    def __init__(self, number: int, *, seconds: float) -> None:
        self._free = number
        self._seconds = seconds
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self) -> None:
        """Takes a place; whoever takes one gives it back. Error: `AllBusy` when none is free for too long."""
        if self._free:
            self._free -= 1
            return
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._waiting.append(turn)
        timer = loop.call_later(self._seconds, _too_long, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                # The place came in the very moment in which the wish for it ended.
                self.give_back()
            raise
        finally:
            timer.cancel()

    def give_back(self) -> None:
        """Hands the place to whoever has waited longest: nobody who has just come can overtake them."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


def _too_long(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_exception(AllBusy("every connection to the database was busy for too long"))
