"""What a person is to see later: by a named law, until a date, counted in public, and shown when it is due.

Nothing has to happen for it to be shown: every list asks for what is due. To stay unseen for longer takes a new act
that is written down like the first, before the date has come.
Spec: Law 27/2022 (UU PDP) article 15; Estonia's data tracker (hidden queries).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from consent.errors import ConsentError
from consent.log.entries import append, entry_of
from consent.log.entry import Kind
from consent.models import Agency
from consent.uses.models import Use, UseDelay
from consent.uses.report import MOST_DELAY, Delay
from consent.vault import key_of
from keys.encoding import canonical_json, strict_json_loads
from keys.entropy import Entropy, new_row_id
from keys.personal import PersonalKey

_MOST_BYTES: Final = 65536


class DelayRefused(ConsentError):
    """The use cannot stay unseen for longer; `why` says why not."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class NoSuchUse(ConsentError):
    """The agency reported no use under this reference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """How many uses that an agency reported are to be seen later, and when the last of them is."""

    agency_id: str
    agency_code: str
    agency_names: Mapping[str, str]
    uses: int
    last_at: datetime | None


def is_due(now: datetime) -> ColumnElement[bool]:
    """The uses that their person may see."""
    return or_(Use.visible_from.is_(None), Use.visible_from <= now)


async def hidden_by_agency(session: AsyncSession, *, now: datetime) -> list[Hidden]:
    """What is hidden at this moment, in numbers: for everybody to read."""
    rows = await session.execute(
        select(Agency.id, Agency.code, Agency.names, func.count(), func.max(Use.visible_from))
        .join(Agency, Agency.id == Use.provider_agency_id)
        .where(Use.visible_from > now)
        .group_by(Agency.id, Agency.code, Agency.names)
        .order_by(Agency.code)
    )
    return [
        Hidden(agency_id=agency_id, agency_code=code, agency_names=names, uses=uses, last_at=last_at)
        for agency_id, code, names, uses, last_at in rows
    ]


async def renew_delay(
    session: AsyncSession,
    *,
    provider_agency_id: str,
    reference: str,
    delay: Delay,
    by: str,
    now: datetime,
    entropy: Entropy,
) -> str:
    """Lets a use stay unseen until a later moment. Returns the act's id. Errors: `NoSuchUse`; `DelayRefused`."""
    found = select(Use.id, Use.subject_id, Use.visible_from).where(
        Use.provider_agency_id == provider_agency_id, Use.reference == reference
    )
    use = (await session.execute(found.with_for_update())).one_or_none()
    if use is None:
        raise NoSuchUse("no use was reported under this reference")
    if use.visible_from is None or use.visible_from <= now:
        raise DelayRefused("the person sees it already")
    if not use.visible_from < delay.until <= now + MOST_DELAY:
        raise DelayRefused("a renewed delay is longer than the last, and ends within 180 days")
    key = await key_of(session, use.subject_id, now=now)
    act_id = new_row_id(entropy, now)
    said = content_of(act_id, use.id, use.subject_id, now, delay, by)
    personal = {"delay_basis": delay.basis, "by": by}
    await session.execute(
        insert(UseDelay).values(
            id=act_id,
            use_id=use.id,
            subject_id=use.subject_id,
            at=now,
            visible_from=delay.until,
            body=key.seal(canonical_json(personal), context=context_of(act_id), entropy=entropy),
        )
    )
    await append(session, [entry_of(Kind.ACCESS, act_id, said, key, at=now)])
    await session.execute(update(Use).where(Use.id == use.id).values(visible_from=delay.until, delay_basis=delay.basis))
    return act_id


def content_of(act_id: str, use_id: str, subject_id: str, at: datetime, delay: Delay, by: str) -> dict[str, Any]:
    """What the leaf of a renewal commits to."""
    return {
        "id": act_id,
        "use_id": use_id,
        "subject_id": subject_id,
        "at": at.astimezone(UTC).isoformat(timespec="microseconds"),
        "visible_from": delay.until.astimezone(UTC).isoformat(timespec="microseconds"),
        "delay_basis": delay.basis,
        "by": by,
    }


def read_delay(row: Any, key: PersonalKey) -> dict[str, Any]:
    """What a `UseDelay` row says, as its leaf commits to it. Errors: `SealBroken`, `MalformedEncoding`."""
    said = strict_json_loads(key.unseal(row.body, context=context_of(row.id)), max_bytes=_MOST_BYTES)
    delay = Delay(until=row.visible_from, basis=said["delay_basis"])
    return content_of(row.id, row.use_id, row.subject_id, row.at, delay, said["by"])


def context_of(act_id: str) -> bytes:
    """What the seal of a renewal's body is bound to."""
    return b"consent_use_delays/" + act_id.encode()
