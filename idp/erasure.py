"""What erasing needs from the provider: how long what is kept, and what dies with the consents that end."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from consent.erasure.person import Keep
from consent.erasure.retention import Periods
from idp.settings import Settings
from idp.tokens.revoke import revoke_resting_on

YEAR: Final = timedelta(days=365)


def periods_of(settings: Settings) -> Periods:
    """The periods of retention."""
    return Periods(
        evidence=settings.evidence_years * YEAR,
        uses=settings.use_years * YEAR,
        refusals=settings.refusal_years * YEAR,
    )


def keep_of(settings: Settings) -> Keep:
    """How long proof is kept, whoever asks to be erased."""
    return Keep(evidence=settings.evidence_years * YEAR, uses=settings.use_years * YEAR)


async def end_what_rests_on(session: AsyncSession, consent_id: str, now: datetime) -> None:
    """Ends every token that rests on a consent which an erasure ended."""
    await revoke_resting_on(session, [consent_id], because="consent_ended", now=now)
