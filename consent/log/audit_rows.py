"""The second half of an audit: the rows against the log. Each row has one entry, each entry its row, and they agree.

`consent.log.audit_sources` lists which tables are checked, and how a row of each is read.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, Table, func, select
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from consent.log.encoding import LARGEST
from consent.log.entry import Kind
from consent.log.findings import How, Progress, Report
from consent.log.models import LogCheckpoint, LogEntry

BATCH: Final = 1000
# How long an entry may wait for its place at most, the log being stopped meanwhile.
_SLACK: Final = timedelta(days=7)


class Said(NamedTuple):
    """What one row says, as far as it can be read.

    `commitment` is recomputed from its content; None when the person was erased, or when it cannot be opened (`fault`
    says why). `stored` is what the row itself says that its commitment is, where it does.
    """

    commitment: bytes | None
    stored: bytes | None = None
    fault: str | None = None


Read = Callable[[AsyncSession, Sequence[Row[Any]]], Awaitable[Sequence[Said]]]
"""Reads rows of a table, with all its columns; one answer for each, in their order."""

ReadsRules = Callable[[AsyncSession], Awaitable["Rightly"]]
"""Reads what the rules of retention and erasure have written down of themselves."""

Kinds = Callable[[Row[Any]], Kind]
"""Which kind of leaf a row has."""


@dataclass(frozen=True)
class Rightly:
    """What is missing by rule, and logged as such.

    `before`: entries of these kinds from before a moment (and so with a smaller id than its first) may have lost their
    row. `erased`: from how many rows of each table what they said of a person was taken; None while an erasure is under
    way, whose rows are still being counted.
    """

    before: Mapping[Kind, tuple[datetime, str]]
    erased: Mapping[str, int] | None


@dataclass(frozen=True)
class Source:
    """A table whose rows are in the log. `kind_of` a row is one of `kinds`."""

    table: Table
    kinds: frozenset[Kind]
    kind_of: Kinds
    read: Read


async def audit_rows(
    session: AsyncSession, report: Report, sources: Sequence[Source], by_rule: ReadsRules, *, progress: Progress
) -> None:
    """Checks every row of these tables against its entry, and that no entry has lost its row but by a rule.

    The rules' own record is read after the rows: what they take away meanwhile is in it.
    """
    for source in sources:
        await _check_rows(session, report, source, progress)
    rightly = await by_rule(session)
    for name in (source.table.name for source in sources):
        if rightly.erased is not None and report.erased[name] > rightly.erased.get(name, 0):
            ruled = rightly.erased.get(name, 0)
            why = f"{report.erased[name]} rows name nobody any more, and {ruled} were erased by a rule"
            report.add(How.EDITED, name, None, why)
    for kind in sorted({kind for source in sources for kind in source.kinds}):
        tables = [source.table for source in sources if kind in source.kinds]
        await _check_entries(session, report, kind, tables, by_rule)


async def _check_rows(session: AsyncSession, report: Report, source: Source, progress: Progress) -> None:
    table, after = source.table, None
    entry = (
        LogEntry.kind.label("entry_kind"),
        LogEntry.commitment.label("entry_commitment"),
        LogEntry.log_index.label("entry_place"),
    )
    statement: Select[Any] = select(*table.c, *entry).outerjoin(LogEntry, LogEntry.id == table.c.id)
    statement = statement.order_by(table.c.id)
    while rows := (
        await session.execute((statement if after is None else statement.where(table.c.id > after)).limit(BATCH))
    ).all():
        for row, said in zip(rows, await source.read(session, rows), strict=True):
            _check_row(report, source, row, said)
        after = rows[-1].id
        report.checked[table.name] += len(rows)
        progress(table.name, report.checked[table.name])


def _check_row(report: Report, source: Source, row: Row[Any], said: Said) -> None:
    name, place = source.table.name, row.entry_place

    def edited(why: str) -> None:
        report.add(How.EDITED, name, row.id, why, place=place)

    if row.entry_commitment is None:
        report.add(How.INSERTED, name, row.id, "the log has no entry for it: it, or its entry, was not written by us")
        return
    if row.entry_kind != source.kind_of(row):
        edited("it is of another kind than its entry")
    if said.fault is not None:
        edited(said.fault)
    elif said.stored is not None and said.stored != row.entry_commitment:
        edited("its hash is not what the log has")
    elif said.commitment is None:
        report.erased[name] += 1
    elif said.commitment != row.entry_commitment:
        edited("it does not say what was written")


async def _check_entries(
    session: AsyncSession,
    report: Report,
    kind: Kind,
    tables: Iterable[Table],
    by_rule: ReadsRules,
) -> None:
    """Entries without a row in any of the tables that their kind is of, and that no rule has deleted."""
    statement = select(LogEntry.id, LogEntry.log_index).where(LogEntry.kind == int(kind)).order_by(LogEntry.id)
    names = []
    for table in tables:
        statement = statement.where(~select(table.c.id).where(table.c.id == LogEntry.id).exists())
        names.append(table.name)
    # An id below all others, for there is no horizon yet.
    first, later, after = "", LARGEST, None
    while lost := (
        await session.execute((statement if after is None else statement.where(LogEntry.id > after)).limit(BATCH))
    ).all():
        if (horizon := (await by_rule(session)).before.get(kind)) is not None:
            moment, first = horizon
            later = await _later(session, moment)
        for entry_id, place in lost:
            if entry_id >= first or (place is not None and place >= later):
                why = "the log has it, and the row is gone"
                report.add(How.DELETED, " or ".join(names), entry_id, why, place=place)
        after = lost[-1].id


async def _later(session: AsyncSession, moment: datetime) -> int:
    """The first place that cannot be of an entry from before that moment, by the checkpoints signed since.

    An entry's id is in no leaf. Whoever deletes a row of yesterday might give its entry an id of years ago, which a
    rule would excuse; but its place in the tree says when it came.
    """
    since = select(func.min(LogCheckpoint.size)).where(LogCheckpoint.signed_at >= moment + _SLACK)
    return await session.scalar(since) or LARGEST
