"""A registry to decide about."""

import pytest

from consent.decisions import withdraw
from consent.purposes import PurposeVersionView
from idp.database import Database
from keys.entropy import Entropy
from tests.consent.desk import Desk
from tests.consent.registry import SITI, grant_to, write_registry
from tests.support.clock import FakeClock


@pytest.fixture
async def version(database: Database, clock: FakeClock, entropy: Entropy) -> PurposeVersionView:
    """A purpose on consent: `name` is required, `email` and `gender` are optional."""
    async with database.transaction() as session:
        return await write_registry(session, now=clock(), entropy=entropy)


@pytest.fixture
def desk(database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy) -> Desk:
    """Where things are done to Siti's consents."""
    return Desk(database, version, clock, entropy)


@pytest.fixture
async def withdrawn(database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy) -> str:
    """The id of a consent of Siti's that was granted and withdrawn a minute later."""
    async with database.transaction() as session:
        consent_id = await grant_to(session, version, now=clock(), entropy=entropy)
        await withdraw(session, consent_id=consent_id, subject_id=SITI, now=clock.advance(60), entropy=entropy)
    return consent_id
