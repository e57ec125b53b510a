"""A withdrawal is told: signed, to whom it concerns, until it was taken, and nobody is told of others."""

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import insert, update

from consent.decisions import pause, resume
from consent.models import ConsentRecord
from consent.withdrawal.models import Delivery, Stream
from consent.withdrawal.streams import set_status
from consent.withdrawal.tokens import CAEP_SESSION_REVOKED, PAUSED, RESUMED, WITHDRAWN
from tests.support.canary import Canary, answering
from tests.support.clock import FakeClock
from tests.support.withdrawal_world import WithdrawalWorld

pytestmark = pytest.mark.anyio


async def test_the_app_is_told_in_a_token_that_an_independent_library_verifies(stage: WithdrawalWorld) -> None:
    async with stage.recipient:
        await stage.listen(authorization="Bearer the-apps-own-secret")
        consent_id = await stage.agree()
        await stage.withdraw(consent_id)
        assert await stage.send() == 1
    [delivery] = await stage.deliveries()
    assert stage.recipient.wrong == []
    claims = stage.recipient.events[delivery.jti]
    [visit] = stage.recipient.canary.visits
    assert visit.headers["content-type"] == "application/secevent+jwt"
    assert visit.headers["accept"] == "application/json"
    assert visit.headers["authorization"] == "Bearer the-apps-own-secret"
    assert claims["sub_id"] == {"format": "iss_sub", "iss": claims["iss"], "sub": stage.sub}
    assert {"sub", "exp"}.isdisjoint(claims)
    event = claims["events"][WITHDRAWN]
    assert event["consent_id"] == consent_id
    assert event["purpose"] == stage.world.purpose.code
    assert set(event["items"]) == set(stage.world.purpose.claims)
    assert (event["reason"], event["attest"]) == ("withdrawn", "erased")
    assert event["due_at"] - claims["toe"] == 72 * 3600
    assert claims["events"][CAEP_SESSION_REVOKED] == {"event_timestamp": claims["toe"], "initiating_entity": "user"}
    assert stage.siti.account_id not in json.dumps(claims)
    assert delivery.sent_at is not None
    assert delivery.acknowledged_at is None


async def test_the_outbox_is_written_with_the_withdrawal_or_not_at_all(stage: WithdrawalWorld) -> None:
    consent_id = await stage.agree()
    assert await stage.deliveries() == []
    await stage.withdraw(consent_id)
    [delivery] = await stage.deliveries()
    assert (delivery.role, delivery.client_id, delivery.awaits) == ("recipient", "sehat", "erased")
    assert delivery.next_attempt_at is None  # nobody said yet where


async def test_what_was_written_before_there_was_an_endpoint_is_sent_once_there_is_one(stage: WithdrawalWorld) -> None:
    await stage.withdraw(await stage.agree())
    assert await stage.send() == 0
    async with stage.recipient:
        await stage.listen()
        assert await stage.send() == 1
    assert stage.recipient.seen.total() == 1


async def test_a_delivery_that_the_stream_did_not_see_is_woken_by_housekeeping(stage: WithdrawalWorld) -> None:
    async with stage.recipient:
        await stage.listen()
        await stage.withdraw(await stage.agree())
        async with stage.provider.database.transaction() as session:
            await session.execute(update(Delivery).values(next_attempt_at=None))
        assert await stage.send() == 0
        await stage.sweep()
        assert await stage.send() == 1


async def test_an_endpoint_that_is_down_for_three_days_hears_of_it_when_it_comes_back(
    stage: WithdrawalWorld, clock: FakeClock
) -> None:
    async with stage.recipient:
        await stage.listen()
    consent_id = await stage.agree()
    await stage.withdraw(consent_id)
    tries = 0
    for _ in range(3 * 24 * 2):
        tries += await stage.send()
        clock.advance(minutes=30)
    assert 60 < tries < 3 * 24 * 2  # again and again, and more and more seldom
    await stage.sweep()
    [delivery] = await stage.deliveries()
    assert (delivery.sent_at, delivery.escalation) == (None, "breach")
    assert delivery.last_error == "the endpoint could not be reached"
    async with stage.recipient:
        clock.advance(hours=1)
        assert await stage.send() == 1
    assert stage.recipient.seen == {delivery.jti: 1}
    assert (await stage.deliveries())[0].sent_at is not None


async def test_the_pause_between_two_tries_outlives_the_process(stage: WithdrawalWorld, clock: FakeClock) -> None:
    """Each `send` is a sender of its own, as after a restart: what it knows is in the rows."""
    async with stage.recipient:
        await stage.listen()
    await stage.withdraw(await stage.agree())
    assert await stage.send() == 1
    assert await stage.send() == 0
    clock.advance(seconds=21)
    assert await stage.send() == 1


async def test_a_dead_endpoint_holds_up_nobody_else(stage: WithdrawalWorld) -> None:
    for _ in range(3):
        await stage.withdraw(await stage.agree())
    async with Canary() as dead, stage.recipient:

        async def never(_visit: object, _writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(3600)

        dead.answer = never
        await stage.listen()
        other = await stage.world.app(client_id="lain")
        async with stage.provider.database.transaction() as session:
            await session.execute(
                insert(Stream).values(
                    id="01936f0c-7b1e-7c33-8d0e-3c1e6f0b9a51",
                    agency_id=stage.world.agency_id,
                    client_id=other.client_id,
                    delivery="push",
                    endpoint=dead.url,
                    status="enabled",
                    failures=0,
                    created_at=stage.provider.clock(),
                    updated_at=stage.provider.clock(),
                )
            )
        for _ in range(3):
            consent = await stage.world.consent(other, stage.siti)
            await stage.world.withdraw(stage.siti, consent)
        object.__setattr__(stage.provider.outbound, "_total_seconds", 1.0)
        assert await stage.send() >= 4
        # The dead one was asked once, and the others of its deliveries were not tried in vain.
        assert dead.connections == 1
        assert stage.recipient.seen.total() == 3


async def test_a_refusal_of_one_token_is_kept_and_the_next_one_is_sent(stage: WithdrawalWorld) -> None:
    body = json.dumps({"err": "invalid_audience", "description": "not\nmine"}).encode()
    async with stage.recipient:
        stage.recipient.canary.answer = answering("400 Bad Request", body)
        await stage.listen()
        for _ in range(2):
            await stage.withdraw(await stage.agree())
        assert await stage.send() == 2
    assert {one.last_error for one in await stage.deliveries()} == {"the endpoint refused: invalid_audience: not?mine"}
    assert len(stage.recipient.canary.visits) == 2


async def test_only_202_is_a_yes(stage: WithdrawalWorld, clock: FakeClock) -> None:
    async with stage.recipient:
        await stage.listen()
        await stage.withdraw(await stage.agree())
        for status in ("200 OK", "204 No Content", "404 Not Found", "500 Oops", "302 Found"):
            stage.recipient.canary.answer = answering(status, b"", "Location: https://instansi.example/")
            assert await stage.send() == 1
            [delivery] = await stage.deliveries()
            assert (status, delivery.sent_at) == (status, None)
            assert delivery.next_attempt_at is not None
            clock.advance(hours=1)


async def test_a_pause_and_its_end_are_told_and_a_pause_that_is_over_is_not(
    stage: WithdrawalWorld, clock: FakeClock
) -> None:
    consent_id = await stage.agree()
    said: dict[str, Any] = {
        "consent_id": consent_id,
        "subject_id": stage.siti.account_id,
        "entropy": stage.provider.entropy,
    }
    async with stage.recipient:
        await stage.listen()
        async with stage.provider.database.transaction() as session:
            await pause(session, now=stage.provider.clock(), **said)
        await stage.send()
        async with stage.provider.database.transaction() as session:
            for happens in (resume, pause, resume):
                await happens(session, now=clock.advance(60), **said)
        await stage.send()
    kinds = [next(iter(claims["events"])) for claims in stage.recipient.events.values()]
    assert kinds == [PAUSED, RESUMED, RESUMED]
    assert (await stage.stopping(consent_id)).recipients == ()
    assert [one.closed_at is not None for one in await stage.deliveries()] == [True, False, True, False]


async def test_a_paused_stream_is_sent_nothing_and_its_clock_runs_on(stage: WithdrawalWorld, clock: FakeClock) -> None:
    own = {"agency_id": stage.world.agency_id, "client_id": stage.app.client_id}
    async with stage.recipient:
        await stage.listen()
        async with stage.provider.database.transaction() as session:
            await set_status(session, **own, status="paused", now=clock())
        await stage.withdraw(await stage.agree())
        assert await stage.send() == 0
        clock.advance(hours=25)
        await stage.sweep()
        assert (await stage.deliveries())[0].escalation == "amber"
        async with stage.provider.database.transaction() as session:
            await set_status(session, **own, status="enabled", now=clock())
        assert await stage.send() == 1


async def test_of_an_erased_person_only_the_consent_is_named(stage: WithdrawalWorld) -> None:
    consent_id = await stage.agree()
    await stage.withdraw(consent_id)
    async with stage.provider.database.transaction() as session:
        await session.execute(update(ConsentRecord).values(erased_at=stage.provider.clock()))
    async with stage.recipient:
        await stage.listen()
        assert await stage.send() == 1
    [claims] = stage.recipient.events.values()
    assert "sub_id" not in claims
    assert claims["events"][WITHDRAWN]["consent_id"] == consent_id
