"""The monitor: replays the database against its log, and says which row was edited, deleted, inserted or moved.

It believes nothing that the database says of itself but what the log's keys have signed, and what a file outside of it
remembers. Checkpoints that others have kept (a witness, a citizen's receipt) can be brought along: the operator who
rewrites everything, keys in hand, is found out by those alone.

It reads batch by batch and holds no lock, so it may run beside a living service: each statement sees rows and entries
of the same moment, and what is older than the head that was read at the start does not change.
"""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from consent.log.audit_projections import audit_consents, audit_registry
from consent.log.audit_rows import ReadsRules, Source, audit_rows
from consent.log.audit_tree import Expected, TreeAudit
from consent.log.errors import LogError
from consent.log.findings import How, Progress, Report
from consent.log.guard import Guard, RolledBack
from consent.log.keys import LogKeys
from consent.log.models import LogEntry
from consent.log.note import open_checkpoint
from consent.log.store import Head, head_of


class NotThisLog(LogError):
    """A checkpoint that was brought along is not of this log, or not signed by its keys."""


def nobody_listens(_part: str, _done: int) -> None:
    """Progress that is told to nobody."""


async def audit(
    session: AsyncSession,
    *,
    keys: LogKeys,
    guard: Guard,
    sources: Sequence[Source],
    by_rule: ReadsRules,
    brought: Sequence[str] = (),
    progress: Progress = nobody_listens,
) -> Report:
    """Checks everything. `brought` are notes from elsewhere. Raises `NotThisLog` when one of these is not the log's."""
    report = Report(origin=keys.origin)
    expected = [_verified(text, number, keys) for number, text in enumerate(brought, start=1)]
    # The file before the head: a process that goes on in between would look like a rollback.
    try:
        known = guard.known()
    except RolledBack as unreadable:
        known = None
        report.add(How.EDITED, str(guard.path), None, unreadable.why)
    if known is not None:
        expected.append(Expected(known, str(guard.path), str(known.size)))
    head = await head_of(session)
    if head is None:
        for one in expected:
            report.add(How.ROLLED_BACK, one.table, one.row, "the database has no log at all")
        head = Head(keys.origin)
    else:
        await TreeAudit(session, report, head=head, keys=keys, progress=progress).run(expected)
    await audit_rows(session, report, sources, by_rule, progress=progress)
    await audit_consents(session, report, by_rule, progress=progress)
    await audit_registry(session, report)
    waiting = select(func.count()).select_from(LogEntry).where(LogEntry.log_index.is_(None))
    report.waiting = await session.scalar(waiting) or 0
    return report


def _verified(text: str, number: int, keys: LogKeys) -> Expected:
    try:
        opened = open_checkpoint(text, log_keys=set(keys.vkeys))
    except LogError as refused:
        raise NotThisLog(f"checkpoint {number} that was brought along: {refused.why}") from None
    return Expected(opened.checkpoint, "a checkpoint from elsewhere", str(opened.checkpoint.size))
