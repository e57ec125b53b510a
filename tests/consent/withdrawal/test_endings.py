"""What ends takes all its consents along: nobody is left out, nobody twice, wherever it is killed."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from consent.decisions import withdraw
from consent.errors import ConsentError
from consent.event_store import append
from consent.events import CARRIED, Event
from consent.models import Agency, ConsentEvent, ConsentRecord, PurposeVersion
from consent.registry.models import AgreementVersion
from consent.withdrawal.endings import (
    EndingView,
    approve_ending,
    list_endings,
    preview,
    propose_ending,
    reject_ending,
)
from consent.withdrawal.errors import EndingRefused
from consent.withdrawal.models import Delivery
from idp import withdrawals
from idp.withdrawals import run_endings, shut_client
from keys.entropy import new_id, new_row_id
from tests.consent.registry import write_agency
from tests.support.clock import FakeClock
from tests.support.provider_world import ProviderWorld
from tests.support.withdrawal_world import WithdrawalWorld

pytestmark = pytest.mark.anyio

INSTRUMENT = {"kind": "pks", "number": "1/2026", "title": "Kerja sama", "date": "2026-01-05", "url": None}
REASON = "The programme ended with the year."


async def many(stage: WithdrawalWorld, number: int, **changes: Any) -> list[str]:
    """Consents of as many people, with their first events, in few statements."""
    provider, now = stage.provider, stage.provider.clock()
    rows: list[dict[str, Any]] = [
        {
            "id": new_row_id(provider.entropy, now),
            "subject_id": new_id(provider.entropy),
            "client_id": stage.app.client_id,
            "agency_id": stage.world.agency_id,
            "purpose_id": stage.world.purpose.purpose_id,
            "purpose_version_id": stage.world.purpose.id,
            "status": "given",
            "granted": ["email", "name"],
            "refused": [],
            "offline_access": False,
            "fetch_type": "periodic",
            "used": 0,
            "decided_at": now,
            "valid_until": now + timedelta(days=30),
            "last_seq": 1,
        }
        | changes
        for _ in range(number)
    ]
    empty: dict[str, Any] = dict.fromkeys(CARRIED)
    events = [
        Event(
            id=new_row_id(provider.entropy, now),
            consent_id=row["id"],
            seq=1,
            kind="granted",
            at=now,
            channel="web",
            language="id",
            text_sha256=None,
            actor="subject",
            acr=None,
            reason=None,
            document_sha256=None,
            entered_by=None,
            **(empty | {name: row[name] for name in CARRIED if name in row} | {"granted": (), "refused": ()}),
        )
        for row in rows
    ]
    async with provider.database.transaction() as session:
        await session.execute(insert(ConsentRecord), rows)
        await append(session, events, now=now)
    return [row["id"] for row in rows]


async def propose(stage: WithdrawalWorld, kind: str, object_id: str, *, by: str = "Ratna") -> EndingView:
    async with stage.provider.database.transaction() as session:
        return await propose_ending(
            session,
            object_kind=kind,
            object_id=object_id,
            reason=REASON,
            proposed_by=by,
            now=stage.provider.clock(),
            entropy=stage.provider.entropy,
        )


async def approve(stage: WithdrawalWorld, ending: EndingView, *, by: str = "Bambang") -> EndingView:
    async with stage.provider.database.transaction() as session:
        return await approve_ending(
            session,
            ending.id,
            by=by,
            shut_client=shut_client(stage.provider.entropy, by="Bambang"),
            now=stage.provider.clock(),
            entropy=stage.provider.entropy,
        )


async def counts(stage: WithdrawalWorld) -> dict[str, int]:
    """Consents by status, and the events and deliveries that the endings wrote."""
    async with stage.provider.database.reading() as session:
        found = {
            row[0]: row[1]
            for row in await session.execute(select(ConsentRecord.status, func.count()).group_by(ConsentRecord.status))
        }
        revoked = ConsentEvent.kind == "revoked"
        found["events"] = await session.scalar(select(func.count()).select_from(ConsentEvent).where(revoked)) or 0
        found["told"] = await session.scalar(select(func.count(Delivery.event_id.distinct()))) or 0
    return found


async def test_thousands_of_consents_end_in_batches_that_are_killed_in_the_middle(
    stage: WithdrawalWorld, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await many(stage, 2500)
    ending = await approve(stage, await propose(stage, "purpose_version", stage.world.purpose.id))
    assert ending.preview == {
        "consents": 2500,
        "people": 2500,
        "by_app": {"sehat": 2500},
        "by_agency": {"kesehatan": 2500},
        "by_status": {"given": 2500},
    }

    class Killed(BaseException):
        """The process dies."""

    real = withdrawals.end_tokens
    batches = 0

    async def dies_at_times(session: AsyncSession, ids: Any, now: Any) -> None:
        nonlocal batches
        batches += 1
        await real(session, ids, now)
        if batches % 3 == 1:
            raise Killed

    monkeypatch.setattr(withdrawals, "end_tokens", dies_at_times)
    monkeypatch.setattr(withdrawals, "BATCH", 400)
    seen = []
    while True:
        try:
            async with stage.provider.database.transaction() as session:
                done = await run_endings(stage.provider, session)
        except Killed:
            now = await counts(stage)
            # What was killed is as if it had never begun: no half batch.
            assert now.get("revoked", 0) % 400 == 0
            assert now["events"] == now["told"] == now.get("revoked", 0)
            continue
        if not done:
            break
        seen.append(done)
    assert seen == [400] * 6 + [100]
    assert await counts(stage) == {"revoked": 2500, "events": 2500, "told": 2500}

    [running] = await endings(stage)
    assert (running.status, running.ended) == ("running", 2500)
    clock.advance(minutes=3)
    async with stage.provider.database.transaction() as session:
        assert await run_endings(stage.provider, session) == 0
    [done_with] = await endings(stage)
    assert done_with.status == "done"


async def endings(stage: WithdrawalWorld) -> list[EndingView]:
    async with stage.provider.database.reading() as session:
        return await list_endings(session)


async def test_a_consent_that_came_to_light_late_ends_too(stage: WithdrawalWorld, clock: FakeClock) -> None:
    await approve(stage, await propose(stage, "purpose_version", stage.world.purpose.id))
    await stage.sweep()
    await many(stage, 1)  # its transaction had read the status before the approval was committed
    clock.advance(minutes=1)
    await stage.sweep()
    assert (await counts(stage))["revoked"] == 1
    clock.advance(minutes=3)
    await stage.sweep()
    assert [one.status for one in await endings(stage)] == ["done"]


async def test_what_a_person_withdrew_themselves_is_not_ended_again(stage: WithdrawalWorld) -> None:
    consent_id = await stage.agree()
    await many(stage, 2, status="paused")
    await many(stage, 1, status="requested")
    await many(stage, 1, status="refused")
    ending = await propose(stage, "client", stage.app.client_id)
    assert ending.preview["by_status"] == {"given": 1, "paused": 2, "requested": 1}
    async with stage.provider.database.transaction() as session:
        await withdraw(
            session,
            consent_id=consent_id,
            subject_id=stage.siti.account_id,
            now=stage.provider.clock(),
            entropy=stage.provider.entropy,
        )
    await approve(stage, ending)
    await stage.sweep()
    found = await counts(stage)
    assert (found["withdrawn"], found["revoked"], found["refused"]) == (1, 3, 1)
    # Of what was only asked for, nobody has anything to erase.
    assert found["told"] == 3


async def test_two_people_and_nobody_twice(stage: WithdrawalWorld) -> None:
    ending = await propose(stage, "purpose_version", stage.world.purpose.id)
    for same in ("Ratna", "ratna", "RATNA"):
        with pytest.raises(EndingRefused, match="somebody else approves"):
            await approve(stage, ending, by=same)
    with pytest.raises(EndingRefused, match="under way already"):
        await propose(stage, "purpose_version", stage.world.purpose.id, by="Bambang")
    await approve(stage, ending)
    with pytest.raises(EndingRefused, match="the ending is running"):
        await approve(stage, ending)


async def test_a_proposal_changes_nothing_and_can_be_dropped(stage: WithdrawalWorld) -> None:
    consent_id = await stage.agree()
    ending = await propose(stage, "purpose_version", stage.world.purpose.id)
    await stage.sweep()
    assert await counts(stage) == {"given": 1, "events": 0, "told": 0}
    async with stage.provider.database.transaction() as session:
        await reject_ending(session, ending.id, by="Ratna", now=stage.provider.clock())
    with pytest.raises(EndingRefused, match="rejected"):
        await approve(stage, ending)
    await propose(stage, "purpose_version", stage.world.purpose.id)
    assert consent_id


async def test_what_is_not_there_or_has_ended_cannot_end(stage: WithdrawalWorld) -> None:
    for kind, object_id in (
        ("purpose_version", "01936f0c-7b1e-7c33-8d0e-3c1e6f0b9a51"),
        ("purpose_version", "x"),
        ("agency", "kesehatan"),
        ("ministry", stage.world.agency_id),
    ):
        with pytest.raises(EndingRefused):
            await propose(stage, kind, object_id)
    await approve(stage, await propose(stage, "purpose_version", stage.world.purpose.id))
    again = stage.world.purpose.id
    async with stage.provider.database.transaction() as session:
        await session.execute(update(PurposeVersion).values(status="ended"))
    async with stage.provider.database.reading() as session:
        assert (await preview(session, "purpose_version", again)).consents == 0


async def test_an_app_that_ends_is_shut_with_the_approval(stage: WithdrawalWorld) -> None:
    await stage.agree()
    await approve(stage, await propose(stage, "client", stage.app.client_id))
    stage.provider.clients.forget()
    assert await stage.provider.clients.get(stage.app.client_id, stage.provider.clock()) is None
    await stage.sweep()
    assert (await counts(stage))["revoked"] == 1


@pytest.fixture
async def country(stage: WithdrawalWorld) -> ProviderWorld:
    """Another agency that gives, and agreements with both."""
    agencies = {"kesehatan": stage.world.agency_id, "dukcapil": stage.provider_agency_id}
    async with stage.provider.database.transaction() as session:
        agencies["pajak"] = await write_agency(
            session, now=stage.provider.clock(), entropy=stage.provider.entropy, code="pajak"
        )
    return ProviderWorld(stage.world, stage.app, stage.siti, agencies, {})


async def test_an_agency_that_ends_takes_along_what_it_receives_and_what_it_gives(
    stage: WithdrawalWorld, country: ProviderWorld
) -> None:
    gives = await country.agreement(provider="dukcapil", instrument=INSTRUMENT)
    [by_agreement] = await many(stage, 1, agreement_version_id=gives)
    [of_its_own] = await many(stage, 1)
    await approve(stage, await propose(stage, "agency", country.agencies["dukcapil"]))
    async with stage.provider.database.reading() as session:
        assert await session.scalar(select(AgreementVersion.status).where(AgreementVersion.id == gives)) == "ended"
    await stage.sweep()
    async with stage.provider.database.reading() as session:
        rows = await session.execute(select(ConsentRecord.id, ConsentRecord.status))
        statuses = {row.id: row.status for row in rows}
    assert (statuses[by_agreement], statuses[of_its_own]) == ("revoked", "given")
    roles = sorted((one.role, one.client_id) for one in await stage.deliveries())
    assert roles == [("provider", ""), ("recipient", "sehat")]

    await approve(stage, await propose(stage, "agency", stage.world.agency_id))
    await stage.sweep()
    async with stage.provider.database.reading() as session:
        assert await session.scalar(select(Agency.status).where(Agency.id == stage.world.agency_id)) == "suspended"
    assert (await counts(stage))["revoked"] == 2


async def test_an_agreement_that_ends_takes_along_what_rests_on_it(
    stage: WithdrawalWorld, country: ProviderWorld
) -> None:
    one, other = await country.agreement(instrument=INSTRUMENT), await country.agreement(provider="pajak")
    await many(stage, 2, agreement_version_id=one)
    await many(stage, 1, agreement_version_id=other)
    await approve(stage, await propose(stage, "agreement_version", one))
    await stage.sweep()
    found = await counts(stage)
    assert (found["revoked"], found["given"]) == (2, 1)


async def test_the_registry_has_its_word(stage: WithdrawalWorld) -> None:
    """A version that no consent can rest on cannot be ended, whoever approves."""
    async with stage.provider.database.transaction() as session:
        await session.execute(update(PurposeVersion).values(status="proposed"))
    ending = await propose(stage, "purpose_version", stage.world.purpose.id)
    with pytest.raises(ConsentError):
        await approve(stage, ending)
    assert [one.status for one in await endings(stage)] == ["proposed"]
