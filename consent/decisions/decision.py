"""Who decides, how they were asked, and who acted for them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from consent.errors import DecisionRefused, NotMandated

SUBJECT: Final = "subject"
SYSTEM: Final = "system"
# An officer writes down what the person said, or signed; UU PDP article 22: written or recorded, the same force.
ASSISTED: Final = frozenset({"counter", "phone", "paper"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Who decides about which app's purpose, and how they were asked.

    `actor` is `subject` for the person, or who acted for them; `acr` is how surely the person was known. `subject_ref`
    is the `sub` by which the app's agency knows them. `representative_id` acts by the mandate `mandate_id`.
    `entered_by` is the officer who wrote down what was decided at a counter, on the phone or on paper, and
    `document_sha256` the SHA-256 of the scanned paper.
    """

    subject_id: str
    client_id: str
    agency_id: str
    purpose_id: str
    purpose_version_id: str
    language: str
    channel: str = "web"
    acr: str | None = None
    actor: str = SUBJECT
    subject_ref: str | None = None
    representative_id: str | None = None
    mandate_id: str | None = None
    document_sha256: bytes | None = None
    entered_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How something came about: what an event says besides the state that it leads to."""

    actor: str = SUBJECT
    channel: str = "web"
    language: str | None = None
    text_sha256: bytes | None = None
    acr: str | None = None
    reason: str | None = None
    document_sha256: bytes | None = None
    entered_by: str | None = None


BY_PERSON: Final = How()
BY_SYSTEM: Final = How(actor=SYSTEM, channel=SYSTEM)


class Mandates(Protocol):
    """Whether one person may decide for another, about this purpose, at this moment."""

    async def __call__(self, session: AsyncSession, who: Decision, /, *, now: datetime) -> bool: ...


async def no_mandates(_session: AsyncSession, _who: Decision, /, *, now: datetime) -> bool:  # noqa: ARG001 - the Protocol's
    """Nobody may act for anybody: there is no register of mandates yet."""
    return False


async def check_who(session: AsyncSession, who: Decision, *, mandates: Mandates, now: datetime) -> None:
    """Errors: `NotMandated`; `DecisionRefused` when what is said of an assisted decision does not fit together."""
    if (who.representative_id is None) != (who.mandate_id is None):
        raise NotMandated("a representative acts by a mandate, and a mandate has a representative")
    if who.representative_id is not None and not await mandates(session, who, now=now):
        raise NotMandated("there is no mandate to decide for this person")
    if who.channel in ASSISTED and who.entered_by is None:
        raise DecisionRefused(f"a decision by {who.channel} names the officer who entered it")
    if who.channel not in ASSISTED and who.entered_by is not None:
        raise DecisionRefused(f"nobody enters a decision by {who.channel} for somebody else")
    if who.entered_by is not None and who.entered_by == who.subject_id:
        raise DecisionRefused("an officer does not enter their own decisions")
    if (who.channel == "paper") != (who.document_sha256 is not None):
        raise DecisionRefused("a decision on paper has its scanned document, and no other has one")
