"""A place in a list that is read by keyset: a page costs the same at the first and at the billionth row."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self
from uuid import UUID

from sqlalchemy import and_, or_
from sqlalchemy.orm import InstrumentedAttribute

from consent.errors import UnknownCursor

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CURSOR: Final = re.compile(r"(\d{1,19})-([0-9a-f]{32})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a list: the moment and the id of the last row that was read."""

    at: datetime
    id: str

    def __str__(self) -> str:
        microseconds = (self.at - _EPOCH) // timedelta(microseconds=1)
        return f"{microseconds}-{UUID(self.id).hex}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads what `str(cursor)` wrote into an address. Error: `UnknownCursor`."""
        match = _CURSOR.fullmatch(text)
        if match is None:
            raise UnknownCursor("this is no place in the list")
        try:
            at = _EPOCH + timedelta(microseconds=int(match[1]))
        except OverflowError as error:
            raise UnknownCursor("this is no place in the list") from error
        return cls(at, str(UUID(match[2])))


def older_than(at: InstrumentedAttribute[datetime], row_id: InstrumentedAttribute[str], place: Cursor) -> Any:
    """The rows that come after a place, when the newest come first."""
    # `at <= …` first: an index on (at, id) can start there, which an OR alone would not let it.
    return and_(at <= place.at, or_(at < place.at, row_id < place.id))


def newer_than(at: InstrumentedAttribute[datetime], row_id: InstrumentedAttribute[str], place: Cursor) -> Any:
    """The rows that come before a place, when the newest come first."""
    return and_(at >= place.at, or_(at > place.at, row_id > place.id))
