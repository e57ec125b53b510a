"""A registry to decide about."""

import pytest

from consent.purposes import PurposeVersionView
from idp.database import Database
from keys.entropy import Entropy
from tests.consent.registry import write_registry
from tests.support.clock import FakeClock


@pytest.fixture
async def version(database: Database, clock: FakeClock, entropy: Entropy) -> PurposeVersionView:
    """A purpose on consent: `name` is required, `email` and `gender` are optional."""
    async with database.transaction() as session:
        return await write_registry(session, now=clock(), entropy=entropy)
