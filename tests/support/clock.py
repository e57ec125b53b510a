"""A clock that tests set by hand."""

from datetime import UTC, datetime, timedelta


class FakeClock:
    """Stands still until told otherwise. `clock()` is now; `clock.advance(61)` lets a minute and a second pass.

    It starts at the true time, because independent clients in tests check `exp` against the wall clock.
    """

    def __init__(self, now: datetime | None = None) -> None:
        self.now = now or datetime.now(UTC).replace(microsecond=0)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float = 0, **units: float) -> datetime:
        """Lets time pass: `advance(30)`, `advance(days=2)`. Returns the new now."""
        self.now += timedelta(seconds=seconds, **units)
        return self.now

    def set(self, now: datetime) -> None:
        """Sets the time, forwards or backwards."""
        self.now = now
