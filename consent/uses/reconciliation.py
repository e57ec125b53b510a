"""What agencies could have disclosed, held against what they report: the gap, for each, for everybody to see.

Expected is each token that opens an agency's API, and each check that it was answered with yes. A report answers what
it names (`token_id`, `check`). What no report names is the gap: reported logs fail by what they leave out.
Spec: Law 27/2022 (UU PDP) articles 31 and 32.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import CursorResult, Select, case, delete, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from consent.models import Agency
from consent.uses.disclosure import OBSERVED, REPORTED
from consent.uses.models import ExpectedUse, Use
from consent.uses.report import NO_BASIS

# How long an expectation is kept: a report may be 90 days late.
KEEP: Final = timedelta(days=92)
# A report is due within a day: what is younger is nobody's gap yet.
GRACE: Final = timedelta(days=1)
USUAL: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """From a moment to another, which does not belong to it any more."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """One agency that gives data, in one period.

    `expected` could have been disclosed; of these, `answered` were named by a report. `reported` are all its reports,
    `without_basis` those that had none.
    """

    agency_id: str
    agency_code: str
    agency_names: Mapping[str, str]
    tokens: int
    checks: int
    answered: int
    reported: int
    without_basis: int

    @property
    def expected(self) -> int:
        """How many disclosures there could have been."""
        return self.tokens + self.checks

    @property
    def gap(self) -> int:
        """How many of these no report names."""
        return self.expected - self.answered


def usual_period(now: datetime) -> Period:
    """The thirty days that reports are due of."""
    return Period(since=now - GRACE - USUAL, until=now - GRACE)


async def reconcile(session: AsyncSession, period: Period, *, agency_id: str | None = None) -> list[Reconciled]:
    """Every agency of which something was expected, or that reported something; or only one."""
    expected = _by_agency(
        select(
            ExpectedUse.provider_agency_id.label("agency_id"),
            func.count(case((ExpectedUse.kind == "token", 1))).label("tokens"),
            func.count(case((ExpectedUse.kind == "check", 1))).label("checks"),
            func.count(ExpectedUse.reported_at).label("answered"),
        ).where(ExpectedUse.at >= period.since, ExpectedUse.at < period.until),
        ExpectedUse.provider_agency_id,
        agency_id,
    )
    reported = _by_agency(
        select(
            Use.provider_agency_id.label("agency_id"),
            func.count().label("reported"),
            func.count(case((Use.legal_basis == NO_BASIS, 1))).label("without_basis"),
        ).where(Use.evidence == REPORTED, Use.at >= period.since, Use.at < period.until),
        Use.provider_agency_id,
        agency_id,
    )
    counts: dict[str, dict[str, int]] = {}
    for statement in (expected, reported):
        for row in (await session.execute(statement)).mappings():
            counts.setdefault(row["agency_id"], {}).update({k: v for k, v in row.items() if k != "agency_id"})
    agencies = await session.execute(
        select(Agency.id, Agency.code, Agency.names).where(Agency.id.in_(counts)).order_by(Agency.code)
    )
    nothing = dict.fromkeys(("tokens", "checks", "answered", "reported", "without_basis"), 0)
    return [
        Reconciled(
            agency_id=agency.id, agency_code=agency.code, agency_names=agency.names, **nothing | counts[agency.id]
        )
        for agency in agencies
    ]


async def observed(session: AsyncSession, period: Period) -> int:
    """How many disclosures the provider made itself, each of which it saw and wrote down."""
    seen = select(func.count()).select_from(Use).where(Use.evidence == OBSERVED)
    return await session.scalar(seen.where(Use.at >= period.since, Use.at < period.until)) or 0


async def forget_expected(session: AsyncSession, *, now: datetime, limit: int) -> int:
    """Deletes at most `limit` expectations that nobody can answer any more. Returns how many."""
    key = tuple_(ExpectedUse.reference, ExpectedUse.provider_agency_id)
    old = (
        select(ExpectedUse.reference, ExpectedUse.provider_agency_id)
        .where(ExpectedUse.at < now - KEEP)
        .order_by(ExpectedUse.at)
        .limit(limit)
    )
    done = await session.execute(delete(ExpectedUse).where(key.in_(old)).execution_options(synchronize_session=False))
    assert isinstance(done, CursorResult)
    return done.rowcount


def _by_agency(statement: Select[*tuple[Any, ...]], column: Any, agency_id: str | None) -> Select[*tuple[Any, ...]]:
    grouped = statement.where(column.is_not(None)).group_by(column)
    return grouped if agency_id is None else grouped.where(column == agency_id)
