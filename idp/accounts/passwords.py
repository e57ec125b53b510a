"""Hashing and verifying passwords: argon2id, off the event loop, bounded in parallel.

A hash takes 19 MiB and some 17 ms of a core. A burst of logins must cost neither the memory nor the other endpoints, so
hashing has a pool of its own and a queue of bounded length.
Spec: RFC 9106; OWASP Password Storage Cheat Sheet; NIST SP 800-63B-4 §3.1.1.
"""

import asyncio
import os
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from idp.accounts.errors import WeakPassword
from idp.errors import TemporarilyUnavailable

MAX_PASSWORD_BYTES: Final = 1024
MEMORY_KIB: Final = 19456
TIME_COST: Final = 2

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PasswordCheck:
    """Whether the password was right, and whether its hash should be made anew with today's parameters."""

    ok: bool
    needs_rehash: bool = False


def password_bytes(password: str) -> bytes | None:
    """What is hashed: the NFKC form, so that every keyboard's spelling of a password is the same password.

    Nothing when it is empty, longer than 1,024 bytes or not Unicode text. Never truncated.
    """
    # Capped before normalising too: NFKC can make a text eighteen times as long.
    if not 0 < len(password) <= MAX_PASSWORD_BYTES:
        return None
    try:
        normalised = unicodedata.normalize("NFKC", password).encode()
    except UnicodeEncodeError:
        return None
    return normalised if len(normalised) <= MAX_PASSWORD_BYTES else None


class Passwords:
    """The pool that hashes. `parallelism` is hashes at once (0: one for each core), `waiting` how many may queue."""

    def __init__(
        self,
        parallelism: int = 0,
        *,
        waiting: int = 200,
        memory_kib: int = MEMORY_KIB,
        time_cost: int = TIME_COST,
    ) -> None:
        self._hasher = PasswordHasher(
            time_cost=time_cost, memory_cost=memory_kib, parallelism=1, hash_len=32, salt_len=16, type=Type.ID
        )
        workers = parallelism or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="argon2")
        self._most = workers + waiting
        self._under_way = 0
        self._dummy = self._hasher.hash(b"nobody's password")

    async def verify(self, password: str, password_hash: str | None) -> PasswordCheck:
        """Whether this is the password. Without a hash (nobody of that name) it takes as long, and is never right.

        Error: `temporarily_unavailable` when too many are waiting.
        """
        given = password_bytes(password)
        if given is None:
            return PasswordCheck(ok=False)
        return await self._in_pool(lambda: self._verify(given, password_hash))

    async def hash(self, password: str) -> str:
        """The hash to keep, in the PHC string format. Error: `WeakPassword` for what could never be verified."""
        given = password_bytes(password)
        if given is None:
            raise WeakPassword("A password is at least one character and at most 1,024 bytes of text.")
        return await self._in_pool(lambda: self._hasher.hash(given))

    def close(self) -> None:
        """Lets the pool's threads end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _verify(self, given: bytes, password_hash: str | None) -> PasswordCheck:
        try:
            right = self._hasher.verify(password_hash or self._dummy, given)
        except (VerificationError, InvalidHashError):
            return PasswordCheck(ok=False)
        if password_hash is None:
            return PasswordCheck(ok=False)
        return PasswordCheck(ok=right, needs_rehash=self._hasher.check_needs_rehash(password_hash))

    async def _in_pool(self, work: Callable[[], T]) -> T:
        if self._under_way >= self._most:
            raise TemporarilyUnavailable("too many people are logging in at this moment")
        self._under_way += 1
        future = self._pool.submit(work)
        # Counted until the work itself is over: a caller that gave up does not free its place in the queue.
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: self._leave(loop))
        return await asyncio.wrap_future(future, loop=loop)

    def _leave(self, loop: asyncio.AbstractEventLoop) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._one_less)

    def _one_less(self) -> None:
        self._under_way -= 1
