"""A citizen is erased while the provider runs: apps are shut out at once, and the clock does the rest."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from consent.erasure.person import Order, progress_of, request_erasure
from consent.models import ConsentRecord
from consent.vault import keys_of
from idp.accounts.directory import disable_account, require_account
from idp.erasure import end_what_rests_on, keep_of
from idp.housekeeping import sweep
from idp.provider import Provider
from tests.journeys.visiting import userinfo, visit
from tests.support.browser_user import BrowserUser
from tests.support.clock import FakeClock
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def test_a_citizen_is_erased_by_order_and_the_clock(
    world: World, new_user: Callable[[], BrowserUser], provider: Provider, clock: FakeClock
) -> None:
    siti, budi, app = new_user(), new_user(), world.app("health")
    hers = await visit(world, siti, app, scope=f"{world.scope('health')} offline_access")
    await visit(world, budi, app, who="budi")
    await userinfo(app, hers.access_token)

    async with provider.database.transaction() as session:
        account = await require_account(session, "siti")
        await disable_account(session, username="siti", now=clock())
        erasure_id = await request_erasure(
            session,
            account.id,
            keep=keep_of(provider.settings),
            wait=timedelta(days=provider.settings.erasure_wait_days),
            requested_by="operator",
            order=Order(citation="Penetapan 12/Pdt.P/2026/PN Contoh"),
            after_ending=end_what_rests_on,
            now=clock(),
            entropy=provider.entropy,
        )
    assert (await app.userinfo(hers.access_token)).status_code == 401
    assert await app.introspect(hers.refresh_token) == {"active": False}

    # The app has not taken the news: it is waited for, and then not any longer.
    done = await sweep(provider)
    assert done["erase_people"] == 0
    clock.advance(days=provider.settings.erasure_wait_days)
    assert (await sweep(provider))["erase_people"] > 0
    clock.advance(minutes=5)
    await sweep(provider)
    async with provider.database.reading() as session:
        assert (await progress_of(session, erasure_id)).finished_at is not None
        assert await keys_of(session, [account.id]) == {}
        people = set(await session.scalars(select(ConsentRecord.subject_id)))
        assert account.id not in people
        other = await require_account(session, "budi")
        assert other.id in people
        assert other.id in await keys_of(session, [other.id])
    await siti.open("/my/consents")
    await siti.log_in("siti", world.password("siti"))
    assert siti.page.path == "/login"
