"""Erasing a person: their key is destroyed, and every row that named them names nobody.

Why in this order, and why a crash between any two steps is harmless. Each step is a transaction of its own, bounded,
found again by what it left behind (`Erasure`), and harmless to repeat:

  1. asked       Everything in force ends, in the transaction that writes the request; recipients are owed the news.
  2. waiting     Whoever must be told is told by the `sub` that their agency knows, which the record still has. Nothing
                 is destroyed before they have taken it, or `wait` has passed: whoever did not answer by then was named
                 in public at 72 hours, and the person need not wait for them for ever.
  3. destroyed   The key is gone: no body opens, no commitment can be recomputed, in no copy of any table. That is the
                 erasure. Its row keeps a name that only the master key can derive from the person's id, so that the id
                 is never written about again.
  4. tidied      Batch by batch, rows get random ids in place of the person's. Dying here: the next batch goes on.
  5. finished    A while after the last such row, so that what was being written at that moment is found too. The
                 request forgets whom it was about.

A random id for each consent, not one for the person: one id for all would keep a person's whole pattern (which apps,
when, for what) together under a pseudonym, and whoever knows one of these moments would know them all. A consent, its
events and its uses stay together by the consent's id, for the chain of events is evidence; nothing joins two consents.
Spec: Law 27/2022 (UU PDP) articles 8, 24, 43 and 44.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Select, and_, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from consent.decisions import revoke_all, withdraw
from consent.erasure.entries import write_entry
from consent.erasure.errors import ErasureRefused
from consent.erasure.holds import holds_of
from consent.erasure.models import Erasure, Hold
from consent.erasure.rows import named_somewhere, tidy
from consent.errors import NotAChoice
from consent.locking import dialect_of, hold
from consent.models import ConsentRecord
from consent.statuses import CURRENT
from consent.uses.models import Use
from consent.vault import PersonKey, vault_of
from consent.withdrawal.models import Delivery
from consent.wording import fault_in
from keys.entropy import Entropy, new_row_id

RULE: Final = "person"
# A transaction that began before the key was destroyed, and wrote about the person, has ended by then.
SETTLED: Final = timedelta(minutes=5)
REASON: Final = "the person asked to be erased"

AfterEnding = Callable[[AsyncSession, str, datetime], Awaitable[None]]
OpensSession = Callable[[], AbstractAsyncContextManager[AsyncSession]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An authority's order to erase now. `citation` says which act it is, and names nobody: it is kept and logged."""

    citation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """How long evidence is kept after its end, before it may be erased (UU PDP article 24 before article 43)."""

    evidence: timedelta
    uses: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an erasure is. `waits_for` recipients have yet to take the news; they are waited for until then."""

    erasure_id: str
    waits_for: int
    wait_until: datetime
    destroyed_at: datetime | None
    finished_at: datetime | None


async def _nothing_more(_session: AsyncSession, _consent_id: str, _now: datetime) -> None:
    """Nothing rests on the consents that end."""


async def request_erasure(
    session: AsyncSession,
    subject_id: str,
    *,
    keep: Keep,
    wait: timedelta,
    requested_by: str,
    order: Order | None = None,
    after_ending: AfterEnding = _nothing_more,
    now: datetime,
    entropy: Entropy,
) -> str:
    """Begins to erase a person, and ends every consent of theirs that is in force. Returns the erasure's id.

    `after_ending` ends what rests on a consent (tokens). Error: `ErasureRefused` when nothing is kept of them, when a
    hold stands, or when evidence is younger than `keep` and no authority orders it.
    """
    await hold(session, f"erasure {subject_id}")
    if order is not None and (fault := fault_in(order.citation, most=500)) is not None:
        raise ErasureRefused(f"the citation {fault}")
    await _check(session, subject_id, keep=keep, order=order, now=now)
    await _end(session, subject_id, order=order, after_ending=after_ending, now=now, entropy=entropy)
    erasure_id = new_row_id(entropy, now)
    await session.execute(
        insert(Erasure).values(
            id=erasure_id,
            subject_id=subject_id,
            basis="request" if order is None else "order",
            citation=None if order is None else order.citation,
            requested_by=requested_by,
            requested_at=now,
            wait_until=now + wait,
        )
    )
    return erasure_id


async def advance_erasure(
    session: AsyncSession, *, only: str | None = None, now: datetime, entropy: Entropy, limit: int = 500
) -> int:
    """Takes one step of the erasure that has waited longest, or of `only` this one.

    Returns how many rows it changed; 0: nothing can be done now. A hold that was placed meanwhile stops it as long as
    the key is there.
    """
    erasure = await _next(session, only=only, now=now)
    if erasure is None or erasure.subject_id is None:
        return 0
    if erasure.destroyed_at is None:
        return await _destroy(session, erasure, now=now, entropy=entropy)
    counts = await tidy(session, erasure.subject_id, limit=limit, now=now, entropy=entropy)
    await write_entry(session, rule=RULE, rows=counts, erasure_id=erasure.id, now=now, entropy=entropy)
    done = sum(counts.values())
    if not done:
        # Nothing has named them for a while: `_next` would not have chosen this one otherwise.
        erasure.subject_id = None
        erasure.finished_at = now
        done = 1
    await session.flush()
    return done


async def erase_person(
    transaction: OpensSession,
    subject_id: str,
    *,
    keep: Keep,
    wait: timedelta,
    requested_by: str,
    order: Order | None = None,
    after_ending: AfterEnding = _nothing_more,
    now: datetime,
    entropy: Entropy,
    limit: int = 500,
) -> Progress:
    """Asks for the erasure, and takes every step of it that can be taken now; housekeeping takes the others.

    Each step is a transaction of its own: a person with a million uses holds up nobody. Error: `ErasureRefused`.
    """
    async with transaction() as session:
        erasure_id = await request_erasure(
            session,
            subject_id,
            keep=keep,
            wait=wait,
            requested_by=requested_by,
            order=order,
            after_ending=after_ending,
            now=now,
            entropy=entropy,
        )
    while True:
        async with transaction() as session:
            if not await advance_erasure(session, only=erasure_id, now=now, entropy=entropy, limit=limit):
                return await progress_of(session, erasure_id)


async def progress_of(session: AsyncSession, erasure_id: str) -> Progress:
    """How far an erasure is. Error: `ErasureRefused` when there is none."""
    erasure = await session.get(Erasure, erasure_id)
    if erasure is None:
        raise ErasureRefused(f"there is no erasure {erasure_id}")
    waits = 0
    if erasure.subject_id is not None and erasure.destroyed_at is None:
        waits = await waits_for(session, erasure.subject_id)
    return Progress(
        erasure_id=erasure.id,
        waits_for=waits,
        wait_until=erasure.wait_until,
        destroyed_at=erasure.destroyed_at,
        finished_at=erasure.finished_at,
    )


async def waits_for(session: AsyncSession, subject_id: str) -> int:
    """How many recipients have yet to take the news that a consent of this person ended."""
    untold = _untold(subject_id).with_only_columns(func.count(), maintain_column_froms=True)
    return await session.scalar(untold) or 0


def _untold(subject_id: Any) -> Select[Any]:
    return (
        select(Delivery.id)
        .join(ConsentRecord, ConsentRecord.id == Delivery.consent_id)
        .where(ConsentRecord.subject_id == subject_id, Delivery.sent_at.is_(None), Delivery.closed_at.is_(None))
    )


async def _check(session: AsyncSession, subject_id: str, *, keep: Keep, order: Order | None, now: datetime) -> None:
    known = await session.scalar(
        select(PersonKey.subject_id).where(PersonKey.subject_id == subject_id, PersonKey.sealed.is_not(None))
    )
    if known is None:
        raise ErasureRefused("nothing is kept of this person that could be erased")
    if await session.scalar(select(Erasure.id).where(Erasure.subject_id == subject_id)) is not None:
        raise ErasureRefused("this person is being erased already")
    holds = await holds_of(session, subject_id)
    if holds:
        raise ErasureRefused(f"a legal hold stands ({holds[0].citation}); it has to be lifted first")
    if order is None:
        until = await kept_until(session, subject_id, keep=keep, now=now)
        if until is not None and until > now:
            raise ErasureRefused(
                f"the proof of what was agreed is kept until {until:%Y-%m-%d}; then it is erased by rule. "
                "Consents can be withdrawn at once; only an authority's order erases their proof earlier"
            )


async def kept_until(session: AsyncSession, subject_id: str, *, keep: Keep, now: datetime) -> datetime | None:
    """Until when the proof of what this person agreed to must be kept; None when there is nothing to keep.

    What is in force ends now at the earliest.
    """
    mine = select(ConsentRecord).where(ConsentRecord.subject_id == subject_id, ConsentRecord.erased_at.is_(None))
    current = await session.scalar(
        mine.with_only_columns(func.count()).where(ConsentRecord.status.in_(sorted(CURRENT)))
    )
    ended = await session.scalar(
        mine.with_only_columns(func.max(func.coalesce(ConsentRecord.ended_at, ConsentRecord.decided_at)))
    )
    used = await session.scalar(select(func.max(Use.at)).where(Use.subject_id == subject_id))
    ends = [
        *([now + keep.evidence] if current else []),
        *([ended + keep.evidence] if ended is not None else []),
        *([used + keep.uses] if used is not None else []),
    ]
    return max(ends, default=None)


async def _end(
    session: AsyncSession,
    subject_id: str,
    *,
    order: Order | None,
    after_ending: AfterEnding,
    now: datetime,
    entropy: Entropy,
) -> None:
    rows = await session.execute(
        select(ConsentRecord.id, ConsentRecord.status)
        .where(
            ConsentRecord.subject_id == subject_id,
            ConsentRecord.status.in_([*sorted(CURRENT), "requested"]),
        )
        .order_by(ConsentRecord.id)
    )
    by_others = []
    current = rows.all()
    for consent_id, status in current:
        if order is not None or status == "requested":
            by_others.append(consent_id)
            continue
        try:
            await withdraw(
                session, consent_id=consent_id, subject_id=subject_id, reason=REASON, now=now, entropy=entropy
            )
        except NotAChoice:
            # It did not rest on consent, so it is not withdrawn; but whom it was about will not be there any more.
            by_others.append(consent_id)
    await revoke_all(
        session,
        consent_ids=by_others,
        actor="system" if order is None else "authority",
        reason=REASON if order is None else order.citation,
        now=now,
        entropy=entropy,
    )
    for consent_id, _status in current:
        await after_ending(session, consent_id, now)


async def _next(session: AsyncSession, *, only: str | None, now: datetime) -> Erasure | None:
    """The erasure whose turn it is: one that waits for nobody, or whose time of waiting is over."""
    told = or_(Erasure.wait_until <= now, ~_untold(Erasure.subject_id).correlate(Erasure).exists())
    held = exists().where(Hold.subject_id == Erasure.subject_id, Hold.lifted_at.is_(None))
    statement = (
        select(Erasure)
        .where(
            Erasure.finished_at.is_(None),
            or_(
                and_(Erasure.destroyed_at.is_(None), told, ~held),
                Erasure.destroyed_at <= now - SETTLED,
                and_(Erasure.destroyed_at.is_not(None), named_somewhere(Erasure.subject_id)),
            ),
        )
        .order_by(Erasure.requested_at, Erasure.id)
        .limit(1)
    )
    if only is not None:
        statement = statement.where(Erasure.id == only)
    if dialect_of(session) == "postgresql":
        statement = statement.with_for_update(skip_locked=True, of=Erasure)
    found: Erasure | None = await session.scalar(statement)
    return found


async def _destroy(session: AsyncSession, erasure: Erasure, *, now: datetime, entropy: Entropy) -> int:
    assert erasure.subject_id is not None
    vault = vault_of(session)
    await session.execute(
        update(PersonKey)
        .where(PersonKey.subject_id == erasure.subject_id)
        .values(subject_id=vault.name_of_erased(erasure.subject_id), sealed=None, destroyed_at=now)
    )
    erasure.destroyed_at = now
    await session.flush()
    await write_entry(
        session,
        rule=RULE,
        rows={PersonKey.__tablename__: 1},
        erasure_id=erasure.id,
        citation=erasure.citation,
        now=now,
        entropy=entropy,
    )
    return 1
