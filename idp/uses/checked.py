"""What a provider was told that it may give: noted before it is told, and held against what it reports.

The note is written only while the consent stands. So whoever withdraws either waits for it, or is before it, and then
the provider is not told yes: there is no moment between the look and the answer.
"""

from collections.abc import Sequence
from typing import Final

from consent.uses.recorder import Recorder
from idp.driver.statement import Batch, Driver, Values
from idp.uses.tables import CONSENTS, EXPECTED_USES, PERMITS

_CHECKED: Final = Batch(
    tables=(EXPECTED_USES,),
    fixed={"kind": "check", "reported_at": None},
    key="reference",
    stands={"consent_id": CONSENTS.c.id},
    holds=PERMITS,
)


def checks_of(driver: Driver) -> Recorder[Values]:
    """A recorder of checks that were answered with yes."""

    async def write(rows: Sequence[Values], *, waits: bool) -> Sequence[bool]:
        written = await driver.batch(_CHECKED, rows, waits=waits)
        return [row["reference"] in written for row in rows]

    return Recorder(write)
