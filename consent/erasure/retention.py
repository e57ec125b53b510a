"""What is erased by the clock: one table of rules, run by housekeeping in batches, each batch written down and logged.

Evidence is kept as long as it can be needed (UU PDP article 24) and then erased (article 43). How long that is, the
settings say; the term is a lawyer's to choose. Entries of the log are never deleted, and hold nothing of anybody.

Where a person's last row goes, their key goes too, and what was committed to cannot be recomputed by anyone. Should
they come back, they get another key: they were not erased, only what had been kept of them.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, exists, literal_column, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from consent.erasure.entries import write_entry
from consent.erasure.holds import held
from consent.erasure.models import Erasure, Hold
from consent.erasure.rows import FORGOTTEN_LOOK, named_somewhere, shred_consents
from consent.models import ConsentEvent, ConsentRecord, OfficerAction, ShownText
from consent.uses.models import Use, UseBatch, UseDelay
from consent.vault import PersonKey
from keys.entropy import Entropy

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Periods:
    """How long what is kept: of a consent from its end, of a refusal from when it is not remembered any more."""

    evidence: timedelta
    uses: timedelta
    refusals: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What a rule is run with: rows from before `before`, at most `limit` of them."""

    before: datetime
    limit: int
    now: datetime
    entropy: Entropy


Run = Callable[[AsyncSession, Due], Awaitable[dict[str, int]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: which rows, how long after what, and what is done with them."""

    name: str
    rows: str
    after: str
    kept: Callable[[Periods], timedelta]
    done: str
    run: Run


async def _uses(session: AsyncSession, due: Due) -> dict[str, int]:
    # By the id, which grows with the time of writing: an index on the primary key is there anyway.
    cut = first_id_of(due.before)
    # The log's monitor excuses rows from before the cut only, so what a use's delay says goes with it, or keeps it.
    delayed = exists().where(UseDelay.use_id == Use.id, UseDelay.id >= cut)
    rows = await session.execute(
        select(Use.id, Use.subject_id)
        .where(Use.id < cut, Use.subject_id.not_in(held()), ~delayed)
        .order_by(Use.id)
        .limit(due.limit)
    )
    whose = {row.id: row.subject_id for row in rows}
    if not whose:
        return {}
    await session.execute(delete(UseDelay).where(UseDelay.use_id.in_(whose)))
    await session.execute(delete(Use).where(Use.id.in_(whose)))
    return {Use.__tablename__: len(whose), **await _forget_keys(session, whose.values())}


# Written out, and not as a parameter: else no partial index is taken for it.
async def _refusals(session: AsyncSession, due: Due) -> dict[str, int]:
    forgotten = or_(
        ConsentRecord.valid_until < due.before,
        # From before refusals were remembered for a time.
        and_(ConsentRecord.valid_until.is_(None), ConsentRecord.id < first_id_of(due.before)),
    )
    return await _shred(session, and_(ConsentRecord.status == literal_column("'refused'"), forgotten), due)


async def _questions(session: AsyncSession, due: Due) -> dict[str, int]:
    unanswered = and_(ConsentRecord.status == literal_column("'requested'"), ConsentRecord.id < first_id_of(due.before))
    return await _shred(session, unanswered, due)


async def _ended(session: AsyncSession, due: Due) -> dict[str, int]:
    # While a use is kept its consent is: the trail that a person may ask for must say on what ground.
    unused = ~exists().where(Use.consent_id == ConsentRecord.id)
    return await _shred(session, and_(ConsentRecord.ended_at < due.before, unused), due)


async def _shred(session: AsyncSession, where: ColumnElement[bool], due: Due) -> dict[str, int]:
    statement = (
        select(ConsentRecord.id, ConsentRecord.subject_id)
        .where(where, ConsentRecord.erased_at.is_(None), ConsentRecord.subject_id.not_in(held()))
        .limit(due.limit)
    )
    whose = {row.id: row.subject_id for row in await session.execute(statement)}
    if not whose:
        return {}
    counts = await shred_consents(session, whose, now=due.now, entropy=due.entropy)
    return {**counts, **await _forget_keys(session, whose.values())}


async def _looks(session: AsyncSession, due: Due) -> dict[str, int]:
    # What the officer did stays; whom they looked for goes.
    rows = await session.execute(
        select(OfficerAction.id, OfficerAction.subject_id)
        .where(
            OfficerAction.at < due.before,
            OfficerAction.subject_id.is_not(None),
            OfficerAction.subject_id.not_in(held()),
        )
        .order_by(OfficerAction.at)
        .limit(due.limit)
    )
    whose = {row.id: row.subject_id for row in rows}
    if not whose:
        return {}
    await session.execute(update(OfficerAction).where(OfficerAction.id.in_(whose)).values(**FORGOTTEN_LOOK))
    return {OfficerAction.__tablename__: len(whose), **await _forget_keys(session, whose.values())}


async def _batches(session: AsyncSession, due: Due) -> dict[str, int]:
    unused = ~exists().where(Use.batch_id == UseBatch.id)
    ids = await session.scalars(
        select(UseBatch.id).where(UseBatch.id < first_id_of(due.before), unused).order_by(UseBatch.id).limit(due.limit)
    )
    found = ids.all()
    if found:
        await session.execute(delete(UseBatch).where(UseBatch.id.in_(found)))
    return {UseBatch.__tablename__: len(found)}


async def _holds(session: AsyncSession, due: Due) -> dict[str, int]:
    rows = await session.execute(select(Hold.id, Hold.subject_id).where(Hold.lifted_at < due.before).limit(due.limit))
    whose = {row.id: row.subject_id for row in rows}
    if not whose:
        return {}
    await session.execute(delete(Hold).where(Hold.id.in_(whose)))
    return {Hold.__tablename__: len(whose), **await _forget_keys(session, whose.values())}


async def _texts(session: AsyncSession, due: Due) -> dict[str, int]:
    unread = ~exists().where(ConsentEvent.text_sha256 == ShownText.sha256)
    digests = await session.scalars(
        select(ShownText.sha256).where(ShownText.first_shown_at < due.before, unread).limit(due.limit)
    )
    found = digests.all()
    if found:
        await session.execute(delete(ShownText).where(ShownText.sha256.in_(found)))
    return {ShownText.__tablename__: len(found)}


async def _forget_keys(session: AsyncSession, subject_ids: Iterable[str]) -> dict[str, int]:
    """Deletes the keys of those of these people of whom nothing is kept any more."""
    keys = select(PersonKey.subject_id).where(PersonKey.subject_id.in_(set(subject_ids)))
    # Locked first, and only then looked for: whoever is just writing about the person holds the key's row (`key_of`),
    # and what they wrote is seen by the second statement, or they find no key any more and make another.
    locked = (await session.scalars(keys.order_by(PersonKey.subject_id).with_for_update())).all()
    if not locked:
        return {}
    gone = await session.scalars(
        delete(PersonKey)
        .where(PersonKey.subject_id.in_(locked), ~named_somewhere(PersonKey.subject_id))
        .where(~exists().where(Erasure.subject_id == PersonKey.subject_id))
        .returning(PersonKey.subject_id)
        .execution_options(synchronize_session=False)
    )
    return {PersonKey.__tablename__: len(gone.all())}


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        name="uses",
        rows="the record of each disclosure",
        after="it was written",
        kept=lambda periods: periods.uses,
        done="deleted; the log keeps its leaf, which says nothing of it",
        run=_uses,
    ),
    Rule(
        name="refusals",
        rows="answers of no",
        after="they stopped being remembered (the time in which nobody may ask again)",
        kept=lambda periods: periods.refusals,
        done="what was refused and by whom is erased; that there was an answer stays, as a link of its chain",
        run=_refusals,
    ),
    Rule(
        name="questions",
        rows="questions that nobody answered",
        after="they were asked",
        kept=lambda periods: periods.refusals,
        done="as with answers of no",
        run=_questions,
    ),
    Rule(
        name="ended",
        rows="consents that ended, once none of their uses is kept any more",
        after="they ended",
        kept=lambda periods: periods.evidence,
        done="what was agreed and by whom is erased; that there was a consent stays, as a chain of links",
        run=_ended,
    ),
    Rule(
        name="looks",
        rows="whom an officer looked for",
        after="the officer looked",
        kept=lambda periods: periods.evidence,
        done="the person and the reason are erased; that the officer looked stays",
        run=_looks,
    ),
    Rule(
        name="batches",
        rows="reports of uses, once none of their uses is kept any more",
        after="they came",
        kept=lambda periods: periods.uses,
        done="deleted",
        run=_batches,
    ),
    Rule(
        name="holds",
        rows="legal holds that were lifted",
        after="they were lifted",
        kept=lambda periods: periods.evidence,
        done="deleted",
        run=_holds,
    ),
    Rule(
        name="texts",
        rows="texts that were shown, once no event that is kept refers to them",
        after="they were first shown",
        kept=lambda periods: periods.evidence,
        done="deleted",
        run=_texts,
    ),
)


async def apply_rule(
    session: AsyncSession, rule: Rule, periods: Periods, *, now: datetime, entropy: Entropy, limit: int
) -> int:
    """Erases at most `limit` rows by one rule, and writes down how many. Returns that; 0: nothing is due."""
    before = now - rule.kept(periods)
    counts = await rule.run(session, Due(before=before, limit=limit, now=now, entropy=entropy))
    await write_entry(session, rule=rule.name, rows=counts, before=before, now=now, entropy=entropy)
    return sum(counts.values())


def first_id_of(moment: datetime) -> str:
    """The id that every row of this moment or later comes after.

    Spec: RFC 9562 §5.7 (UUIDv7)
    """
    milliseconds = (moment - _EPOCH) // timedelta(milliseconds=1)
    return str(UUID(bytes=milliseconds.to_bytes(6, "big") + bytes.fromhex("7000") + bytes.fromhex("8000") + bytes(6)))
