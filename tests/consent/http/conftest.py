"""A window on a registry with one agency's purpose, at ten in the morning of 17 August 2026 in Jakarta."""

from datetime import UTC, datetime

import pytest

from consent.http.ports import Ports
from consent.purposes import PurposeVersionView
from idp.database import Database
from keys.entropy import Entropy
from tests.consent.http.window import (
    AGENCY_OF,
    DEAD_TOKENS,
    Window,
    app,
    apps,
    bury_tokens,
    carry_over,
    client_names,
    csrf_ok,
    find_citizen,
    render,
    require_login,
    subject_ref,
    viewer,
)
from tests.support.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    """A known day: pages and filters write days."""
    return FakeClock(datetime(2026, 8, 17, 3, tzinfo=UTC))


@pytest.fixture
async def window(database: Database, clock: FakeClock, entropy: Entropy, version: PurposeVersionView) -> Window:
    """The dashboard and the console over the test's database."""
    async with database.engine.begin() as connection:
        await connection.run_sync(DEAD_TOKENS.metadata.create_all)
    AGENCY_OF["*"] = version.agency_id
    ports = Ports(
        viewer=viewer,
        require_login=require_login,
        csrf_ok=csrf_ok,
        locale_of=lambda request: request.headers.get("x-locale", "en"),
        render=render,
        transaction=database.transaction,
        reading=database.reading,
        client_names=client_names,
        app=app,
        apps=apps,
        subject_ref=subject_ref,
        find_citizen=find_citizen,
        after_grant=carry_over,
        after_withdrawal=bury_tokens,
        clock=clock,
        entropy=entropy,
    )
    return Window(database=database, clock=clock, entropy=entropy, version=version, ports=ports)
