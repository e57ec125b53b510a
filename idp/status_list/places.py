"""Places on the status lists, one for each access token, none of them ever given twice.

A process takes a block of them at a time and hands them out from memory: one statement for a thousand tokens, and no
row that all processes want at once. Within its block the order is random, so that two tokens' places do not tell which
came first.
Spec: draft-ietf-oauth-status-list-20 §12.5.1 (non-sequential indices), §13.3 (double allocation).
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import bindparam, insert

from idp.driver.statement import Driver, Statement
from idp.status_list.models import StatusBlock
from keys.entropy import Entropy

SIZE: Final = 1 << 17  # places on a list: 32 KiB of statuses, a few hundred bytes while nearly all are the same
BLOCK: Final = 1 << 10
USABLE: Final = timedelta(minutes=10)  # a block is not kept for longer, so that lists come to an end
# Processes' clocks may differ by this much.
APART: Final = timedelta(minutes=1)

_RESERVE: Final = Statement(
    insert(StatusBlock)
    .values(reserved_at=bindparam("reserved"), expires_at=bindparam("expires"))
    .returning(StatusBlock.id)
)


@dataclass(frozen=True, slots=True)
class Place:
    """A token's place. `position` counts over all lists, and is what the token's row keeps."""

    position: int

    @property
    def list_id(self) -> int:
        """Which list."""
        return self.position // SIZE

    @property
    def index(self) -> int:
        """Where on it."""
        return self.position % SIZE


def address(issuer: str, list_id: int) -> str:
    """Where a list is published, and what it is called."""
    return f"{issuer}/status-lists/{list_id}"


class Places:
    """Hands out places. `token_lifetime` is how long the tokens of this process live at most."""

    def __init__(self, driver: Driver, entropy: Entropy, *, token_lifetime: timedelta) -> None:
        self._driver = driver
        self._entropy = entropy
        self._lives = USABLE + token_lifetime + APART
        self._free: list[int] = []
        self._usable_from: datetime | None = None
        self._reserving = asyncio.Lock()

    async def next(self, now: datetime) -> Place:
        """A place that nobody has had."""
        if not self._is_usable(now):
            async with self._reserving:
                if not self._is_usable(now):
                    await self._reserve(now)
        return Place(self._free.pop())

    def _is_usable(self, now: datetime) -> bool:
        since = self._usable_from
        return bool(self._free) and since is not None and timedelta() <= now - since < USABLE

    async def _reserve(self, now: datetime) -> None:
        row: Any = await self._driver.row(_RESERVE, {"reserved": now, "expires": now + self._lives})
        first = row.id * BLOCK
        self._free = shuffled(range(first, first + BLOCK), self._entropy)
        self._usable_from = now


def shuffled(places: range, entropy: Entropy) -> list[int]:
    """The places in an order that nobody can guess (sorted by random keys)."""
    noise = entropy.token_bytes(8 * len(places))
    return [place for _, place in sorted((noise[8 * i : 8 * i + 8], place) for i, place in enumerate(places))]
