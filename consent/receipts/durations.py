"""Lengths of time as ISO 8601 writes them, exactly: days and below, no months or years, whose length is nobody's.

Spec: ISO 8601 (durations); ISO/IEC TS 27560 (retention_period, validity_duration).
"""

import re
from datetime import timedelta
from typing import Final

from consent.receipts.errors import RecordRefused

NOTHING: Final = "PT0S"
_DURATION: Final = re.compile(
    r"P(?:(?P<days>\d{1,9})D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d{1,2})H)?(?:(?P<minutes>\d{1,2})M)?(?:(?P<seconds>\d{1,2})(?:\.(?P<part>\d{6}))?S)?)?",
    re.ASCII,
)


def duration(length: timedelta) -> str:
    """Writes a length of time; one that is not longer than nothing is `PT0S`."""
    if length <= timedelta(0):
        return NOTHING
    minutes, seconds = divmod(length.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    part = f".{length.microseconds:06}" if length.microseconds else ""
    days = f"{length.days}D" if length.days else ""
    time = (
        (f"{hours}H" if hours else "")
        + (f"{minutes}M" if minutes else "")
        + (f"{seconds}{part}S" if seconds or part else "")
    )
    return f"P{days}" + (f"T{time}" if time else "")


def days(number: int) -> str:
    """Writes a number of days; none at all is `P0D`."""
    return f"P{number}D"


def read_duration(text: str) -> timedelta:
    """Reads what `duration` and `days` write. Error: `RecordRefused`."""
    match = _DURATION.fullmatch(text)
    if match is None or text == "P":
        raise RecordRefused(f"{text!r} is not a duration of days, hours, minutes and seconds")
    parts = {name: int(value) for name, value in match.groupdict().items() if value is not None}
    return timedelta(
        days=parts.get("days", 0),
        hours=parts.get("hours", 0),
        minutes=parts.get("minutes", 0),
        seconds=parts.get("seconds", 0),
        microseconds=parts.get("part", 0),
    )
