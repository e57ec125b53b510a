"""The tables of the record of use for Core statements, and what must stand while one of their rows is written."""

from typing import Final, cast

from sqlalchemy import ColumnElement, Table, bindparam, exists, or_, select

from consent.gate import Facts
from consent.log.models import LogEntry
from consent.models import ConsentRecord
from consent.statuses import PERMITTING
from consent.uses.models import ExpectedUse, Use
from idp.driver.statement import Values

USES: Final = cast(Table, Use.__table__)
LOG_ENTRIES: Final = cast(Table, LogEntry.__table__)
EXPECTED_USES: Final = cast(Table, ExpectedUse.__table__)
CONSENTS: Final = cast(Table, ConsentRecord.__table__)

PERMITS: Final = or_(*(CONSENTS.c.status == status for status in sorted(PERMITTING)))


def consent_stands() -> ColumnElement[bool]:
    """That the consent of `standing_as` is as it was looked at, and cannot be changed before this is committed.

    Whoever ends it waits for this statement, or has ended it before: so what was released is always written before.
    """
    found = select(CONSENTS.c.id).where(
        CONSENTS.c.id == bindparam("consent"), CONSENTS.c.last_seq == bindparam("consent_seq"), PERMITS
    )
    return exists(found.with_for_update(read=True))


def standing_as(facts: Facts) -> Values:
    """The values of `consent_stands`."""
    return {"consent": facts.consent_id, "consent_seq": facts.last_seq}
