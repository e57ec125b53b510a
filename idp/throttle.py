"""Counting guesses, so that a burst of a thousand counts a thousand, and nobody can lock another person out.

A guess is counted, and that count committed, before the password is looked at: guesses that arrive together are told
apart by the database, not by luck. Who is refused depends on where the guess comes from:

- a browser in which this account has logged in before has a count of its own, so that strangers who guess at a
  citizen's account never shut the citizen out;
- any other browser shares the counts of its network address (for all accounts together, which bounds spraying, and for
  this account) and of all strangers at this account, which bounds guessing from many addresses.

The wider a count, the later it is touched: a guess that its own address has no room for does not count against the
others, or one machine could fill the count of all strangers and shut everybody else out.

Spec: NIST SP 800-63B-4 §3.2.2; OWASP Authentication Cheat Sheet.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from sqlalchemy import Index, Integer, String, case, delete, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from idp.database import Base, Database
from keys.columns import UtcDateTime

# NIST's ceiling is 100 failures at one account; strangers together get ten times what one address gets.
STRANGERS_FACTOR: Final = 10


class Throttle(Base):
    """How often something was tried within a window. `bucket` is a keyed hash that names nobody and no address."""

    __tablename__ = "idp_throttle"
    __table_args__ = (Index("ix_idp_throttle_window_started_at", "window_started_at"),)

    bucket: Mapped[str] = mapped_column(String(64), primary_key=True)
    count: Mapped[int] = mapped_column(Integer)
    window_started_at: Mapped[datetime] = mapped_column(UtcDateTime)


@dataclass(frozen=True, slots=True)
class Attempt:
    """Whether an attempt may go on. `first_refused` is true for the one that was the first too many in its window."""

    allowed: bool
    first_refused: bool
    retry_after: timedelta


_ALLOWED: Final = Attempt(allowed=True, first_refused=False, retry_after=timedelta(0))


async def count_attempt(
    database: Database, stages: Sequence[Mapping[str, int]], *, window: timedelta, now: datetime
) -> Attempt:
    """Counts one attempt, stage by stage, until one has no room; says whether all had.

    A stage is buckets with their limits: one statement in a transaction of its own, committed when this returns.
    """
    for buckets in stages:
        counted = await _count(database, buckets, window=window, now=now)
        if not counted.allowed:
            return counted
    return _ALLOWED


async def _count(database: Database, buckets: Mapping[str, int], *, window: timedelta, now: datetime) -> Attempt:
    # In one order everywhere, or two attempts that share two buckets wait for each other for ever.
    values = [{"bucket": name, "count": 1, "window_started_at": now} for name in sorted(buckets)]
    insert = sqlite_insert if database.is_sqlite else postgresql_insert
    statement = insert(Throttle).values(values)
    over = Throttle.window_started_at <= now - window
    counted = statement.on_conflict_do_update(
        index_elements=[Throttle.bucket],
        set_={
            "count": case((over, 1), else_=Throttle.count + 1),
            "window_started_at": case((over, statement.excluded.window_started_at), else_=Throttle.window_started_at),
        },
    ).returning(Throttle.bucket, Throttle.count, Throttle.window_started_at)
    async with database.transaction() as session:
        rows = (await session.execute(counted)).all()
    full = [(bucket, count, started_at) for bucket, count, started_at in rows if count > buckets[bucket]]
    if not full:
        return _ALLOWED
    return Attempt(
        allowed=False,
        first_refused=any(count == buckets[bucket] + 1 for bucket, count, _ in full),
        retry_after=max(started_at + window - now for _, _, started_at in full),
    )


async def give_back(session: AsyncSession, *, own: Iterable[str], shared: Iterable[str]) -> None:
    """After a success: forgets the person's `own` counts, and takes this one attempt back from the `shared` ones.

    The shared ones are not forgotten, or an attacker would log in as themselves now and then and guess for ever.
    """
    await session.execute(delete(Throttle).where(Throttle.bucket.in_(sorted(own))))
    for bucket in sorted(shared):
        await session.execute(
            update(Throttle).where(Throttle.bucket == bucket, Throttle.count > 0).values(count=Throttle.count - 1)
        )


@dataclass(frozen=True, slots=True)
class LoginBuckets:
    """The counts that one login attempt is subject to, with their limits, in the order in which they are touched."""

    address: Mapping[str, int]
    own: Mapping[str, int]
    strangers: Mapping[str, int]

    @property
    def stages(self) -> tuple[Mapping[str, int], ...]:
        """The stages of `count_attempt`."""
        return tuple(stage for stage in (self.address, self.own, self.strangers) if stage)

    @property
    def shared(self) -> tuple[str, ...]:
        """The buckets that are other people's too."""
        return (*self.address, *self.strangers)


def login_buckets(
    key: bytes,
    *,
    username: str,
    browser_digest: bytes,
    browser_is_known: bool,
    address: str,
    per_account: int,
    per_address: int,
) -> LoginBuckets:
    """The buckets of an attempt at this (normalised) username, whether or not there is such a person."""
    if browser_is_known:
        own = {_bucket(key, "known", username, browser_digest.hex()): per_account}
        return LoginBuckets(address={}, own=own, strangers={})
    network = network_of(address)
    return LoginBuckets(
        address={_bucket(key, "address", network): per_address},
        own={_bucket(key, "account and address", username, network): per_account},
        strangers={_bucket(key, "strangers", username): per_account * STRANGERS_FACTOR},
    )


def network_of(address: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 that one IPv6 subscriber can pick from at will."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, 64), strict=False))
    return str(parsed)


def _bucket(key: bytes, *parts: str) -> str:
    return hmac.new(key, b"\x00".join(part.encode() for part in parts), hashlib.sha256).hexdigest()


def throttle_key(secret: bytes) -> bytes:
    """The key of the buckets, derived from a secret of the ring: nobody can look names up in a stolen table."""
    return hmac.digest(secret, b"throttle buckets", hashlib.sha256)
