"""However a consent ends, every kind of token that rests on it is dead with the same commit; and only by that.

The dashboard's way has a test for each kind of token in tests/journeys/test_withdrawal.py.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select

from consent.decisions import invalidate, pause, resume, revoke, withdraw
from consent.models import ConsentRecord
from consent.withdrawal.endings import approve_ending, propose_ending
from idp.housekeeping import sweep
from idp.status_list import builds
from idp.tokens.models import Authorization
from idp.withdrawals import shut_client
from tests.idp.status_list.reading import INVALID, SUSPENDED, VALID, status_of
from tests.support.clock import FakeClock
from tests.support.withdrawal_world import WithdrawalWorld

pytestmark = pytest.mark.anyio

SCOPE = ("openid", "profile", "email", "offline_access")


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A status list is made at most so often."""
    monkeypatch.setattr(builds, "LONGEST_PAUSE", 0.01)


@dataclass
class Held:
    """What the app holds: one consent, tokens by it, a code on its way, and a token of its own."""

    stage: WithdrawalWorld
    consent_id: str
    access_token: str
    refresh_token: str
    code: str
    own: str

    async def lives(self) -> dict[str, Any]:
        """What of it works."""
        world, app = self.stage.world, self.stage.app
        return {
            "userinfo": (await world.userinfo(self.access_token)).status_code,
            "introspection": (await world.introspect(app, self.access_token))["active"],
            "status": await status_of(world.http, self.access_token),
            "refresh token": (await world.introspect(app, self.refresh_token))["active"],
            "own token": (await world.introspect(app, self.own))["active"],
        }

    async def redeem(self) -> tuple[int, str | None]:
        """What redeeming the code and using the refresh token are answered."""
        world, app = self.stage.world, self.stage.app
        redeemed = await world.redeem(app, self.code)
        refreshed = await world.refresh(app, self.refresh_token)
        assert redeemed.status_code == refreshed.status_code, (redeemed.text, refreshed.text)
        return redeemed.status_code, redeemed.json().get("error")


ALIVE = {"userinfo": 200, "introspection": True, "status": VALID, "refresh token": True, "own token": True}
DEAD = {"userinfo": 401, "introspection": False, "status": INVALID, "refresh token": False, "own token": True}


@pytest.fixture
async def held(stage: WithdrawalWorld) -> Held:
    """All of it works."""
    world, app = stage.world, stage.app
    consent_id = await world.consent(app, stage.siti, offline_access=True)
    tokens = await world.tokens(app, stage.siti, consent_id=consent_id, scope=SCOPE)
    code = await world.code(app, stage.siti, consent_id=consent_id, scope=SCOPE)
    own = await world.token(app, grant_type="client_credentials", scope="consent:events")
    made = Held(stage, consent_id, tokens["access_token"], tokens["refresh_token"], code, own.json()["access_token"])
    assert await made.lives() == ALIVE
    return made


async def by_withdrawal(held: Held, said: dict[str, Any]) -> None:
    async with held.stage.provider.database.transaction() as session:
        await withdraw(session, consent_id=held.consent_id, subject_id=held.stage.siti.account_id, **said)


async def by_another_party(held: Held, said: dict[str, Any]) -> None:
    async with held.stage.provider.database.transaction() as session:
        await revoke(session, consent_id=held.consent_id, actor="operator", reason="The programme ended.", **said)


async def by_a_court(held: Held, said: dict[str, Any]) -> None:
    async with held.stage.provider.database.transaction() as session:
        await invalidate(session, consent_id=held.consent_id, actor="court", citation="123/PDT/2026", **said)


async def by_time(held: Held, said: dict[str, Any]) -> None:
    async with held.stage.provider.database.transaction() as session:
        row = await session.get(ConsentRecord, held.consent_id)
        assert row is not None
        row.valid_until = said["now"]


async def by_an_approved_ending(held: Held, said: dict[str, Any]) -> None:
    """The approval alone; the batches have not begun."""
    async with held.stage.provider.database.transaction() as session:
        ending = await propose_ending(
            session,
            object_kind="purpose_version",
            object_id=held.stage.world.purpose.id,
            reason="The programme ended.",
            proposed_by="Ratna",
            **said,
        )
        await approve_ending(
            session, ending.id, by="Bambang", shut_client=shut_client(held.stage.provider.entropy, by="Bambang"), **said
        )


async def by_a_batch_of_an_ending(held: Held, said: dict[str, Any]) -> None:
    await by_an_approved_ending(held, said)
    await sweep(held.stage.provider)


WAYS: tuple[Callable[[Held, dict[str, Any]], Awaitable[None]], ...] = (
    by_withdrawal,
    by_another_party,
    by_a_court,
    by_time,
    by_an_approved_ending,
    by_a_batch_of_an_ending,
)


@pytest.mark.parametrize("way", WAYS)
async def test_every_kind_of_token_is_dead_at_once_and_the_apps_own_is_not(
    held: Held, way: Callable[[Held, dict[str, Any]], Awaitable[None]]
) -> None:
    await way(held, {"now": held.stage.provider.clock(), "entropy": held.stage.provider.entropy})
    assert await held.lives() == DEAD
    assert await held.redeem() == (400, "invalid_grant")
    assert await held.lives() == DEAD


async def test_a_pause_suspends_and_its_end_brings_back_what_has_not_run_out(held: Held) -> None:
    said: dict[str, Any] = {
        "consent_id": held.consent_id,
        "subject_id": held.stage.siti.account_id,
        "now": held.stage.provider.clock(),
        "entropy": held.stage.provider.entropy,
    }
    async with held.stage.provider.database.transaction() as session:
        await pause(session, **said)
    assert await held.lives() == DEAD | {"status": SUSPENDED}
    assert await held.redeem() == (400, "invalid_grant")
    async with held.stage.provider.database.transaction() as session:
        await resume(session, **said)
    lives = await held.lives()
    assert lives["userinfo"] == 200
    assert lives["status"] == VALID


async def test_housekeeping_revokes_what_rested_on_an_ended_consent(held: Held, clock: FakeClock) -> None:
    """By the row too, not only by being looked up: also for who reads it in another way."""
    await by_time(held, {"now": clock()})
    await sweep(held.stage.provider)
    async with held.stage.provider.database.reading() as session:
        because = (await session.scalars(select(Authorization.revoked_because))).all()
    assert set(because) == {"consent_ended"}


async def test_an_app_that_revokes_its_tokens_does_not_withdraw_the_persons_consent(held: Held) -> None:
    world, app = held.stage.world, held.stage.app
    for token in (held.access_token, held.refresh_token):
        assert (await world.http.post("/revoke", data={"token": token}, headers=app.basic)).status_code == 200
    assert (await held.lives())["userinfo"] == 401
    async with held.stage.provider.database.reading() as session:
        row = await session.get(ConsentRecord, held.consent_id)
    assert row is not None
    assert (row.status, row.last_seq) == ("given", 1)
    assert await held.stage.deliveries() == []
