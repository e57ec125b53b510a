"""Nothing is released without its record: uses are written before the answer leaves, many requests' in one commit.

There is no timer. Whatever comes while one commit is under way waits, and goes with the next: alone, a use waits for
its own commit only; in a crowd, the commit is shared. A use whose consent ended meanwhile is not written, and its
request alone is refused; when the database fails, all who wait are.

A use whose consent somebody is changing at this moment is left out of the shared commit, so that nobody waits for a
stranger's withdrawal, and is then written by itself.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Generic, Protocol, TypeVar

from consent.errors import ConsentError

MOST_AT_ONCE: Final = 256
MOST_WAITING: Final = 4096

Record = TypeVar("Record")
Record_contra = TypeVar("Record_contra", contravariant=True)


class Writes(Protocol[Record_contra]):
    """Writes records while their consents stand, and says of each whether it was written.

    What somebody is changing at this moment is left out, or waited for. An error: none was written.
    """

    async def __call__(self, records: Sequence[Record_contra], /, *, waits: bool) -> Sequence[bool]: ...


class NotRecorded(ConsentError):
    """The use could not be written, because the consent has ended: nothing may be released."""


class TooManyUses(ConsentError):
    """More uses are waiting than can be written soon: nothing may be released now."""


class Recorder(Generic[Record]):
    """Takes records, and has them written together. One commit is under way at a time.

    What is made of a record (its row, sealed and committed to) is made by `write`, for all of them in one go.
    """

    def __init__(
        self, write: Writes[Record], *, most_at_once: int = MOST_AT_ONCE, most_waiting: int = MOST_WAITING
    ) -> None:
        self._write = write
        self._most_at_once = most_at_once
        self._most_waiting = most_waiting
        self._waiting: deque[tuple[Record, asyncio.Future[bool]]] = deque()
        self._wake: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def record(self, record: Record) -> None:
        """Returns when the use is committed. Errors: `NotRecorded`, `TooManyUses`, or the database's own."""
        if self._closed or len(self._waiting) >= self._most_waiting:
            raise TooManyUses("too many uses are waiting to be recorded")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bool] = loop.create_future()
        self._waiting.append((record, done))
        if self._task is None:
            self._task = loop.create_task(self._run(), name="uses")
        elif self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
        if not await done and not (await self._write([record], waits=True))[0]:
            raise NotRecorded("the consent has ended")

    async def close(self) -> None:
        """Writes what is waiting, and takes nothing more."""
        self._closed = True
        if self._task is None:
            return
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
        with suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        try:
            while True:
                while self._waiting:
                    await self._flush()
                if self._closed:
                    return
                self._wake = asyncio.get_running_loop().create_future()
                await self._wake
        finally:
            # Whoever still waits is told, whatever ended this task; the next use starts another.
            self._task = self._wake = None
            while self._waiting:
                _, done = self._waiting.popleft()
                if not done.done():
                    done.set_exception(TooManyUses("uses are not recorded any more"))

    async def _flush(self) -> None:
        waiting = [self._waiting.popleft() for _ in range(min(self._most_at_once, len(self._waiting)))]
        # Whoever was cancelled releases nothing, and so used nothing.
        waiting = [(record, done) for record, done in waiting if not done.done()]
        if not waiting:
            return
        try:
            written = await self._write([record for record, _ in waiting], waits=False)
        except asyncio.CancelledError:
            for _, done in waiting:
                done.cancel()
            raise
        except Exception as error:
            for _, done in waiting:
                if not done.done():
                    done.set_exception(error)
            return
        for (_, done), is_written in zip(waiting, written, strict=True):
            if not done.done():
                done.set_result(is_written)
