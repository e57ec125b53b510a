"""A day, two days, three: who does not stop is shown, then suspended by rule; and so is who said so and lied."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from consent.decisions import let_go, pause, resume
from consent.log.entry import Kind, commit
from consent.log.models import LogEntry
from consent.models import ConsentRecord
from consent.uses.disclosure import Disclosure, write
from consent.uses.models import Use
from consent.vault import key_of, vault_of
from consent.withdrawal.models import Delivery, Escalation
from consent.withdrawal.recipients import Recipient
from idp.audit import AuditEvent, AuditKind
from idp.clients.management import enable_client
from idp.provider import Provider
from idp.settings import Settings
from idp.withdrawals import compare_with_report
from keys.entropy import new_row_id
from tests.support.clock import FakeClock
from tests.support.databases import only_sqlite
from tests.support.withdrawal_world import WithdrawalWorld

pytestmark = pytest.mark.anyio


async def levels(stage: WithdrawalWorld) -> list[str]:
    async with stage.provider.database.reading() as session:
        return list((await session.scalars(select(Escalation.level).order_by(Escalation.at, Escalation.id))).all())


async def audited(stage: WithdrawalWorld, kind: AuditKind) -> Sequence[AuditEvent]:
    async with stage.provider.database.reading() as session:
        statement = select(AuditEvent).where(AuditEvent.kind == kind.value).order_by(AuditEvent.at, AuditEvent.id)
        return (await session.scalars(statement)).all()


async def app_lives(stage: WithdrawalWorld) -> bool:
    stage.provider.clients.forget()
    return await stage.provider.clients.get(stage.app.client_id, stage.provider.clock()) is not None


async def test_the_clock_strikes_at_one_two_and_three_days(stage: WithdrawalWorld, clock: FakeClock) -> None:
    consent_id = await stage.agree()
    await stage.withdraw(consent_id)
    heard = []
    for hours in (23.9, 0.2, 23.7, 0.4, 23.5, 0.6):
        clock.advance(hours=hours)
        await stage.sweep()
        heard.append((await stage.deliveries())[0].escalation)
    assert heard == ["none", "amber", "amber", "red", "red", "breach"]
    await stage.sweep()
    assert await levels(stage) == ["amber", "red", "breach"]
    written = await audited(stage, AuditKind.WITHDRAWAL_ESCALATED)
    assert [event.detail["level"] for event in written] == ["amber", "red", "breach"]
    assert (await stage.stopping(consent_id)).hours_left(clock()) == 0


async def test_every_stroke_is_a_leaf_that_opens_to_what_happened(stage: WithdrawalWorld, clock: FakeClock) -> None:
    await stage.withdraw(await stage.agree())
    clock.advance(hours=25)
    await stage.sweep()
    async with stage.provider.database.reading() as session:
        [row] = (await session.scalars(select(Escalation))).all()
        leaf = await session.get(LogEntry, row.id)
        opening = vault_of(session).nobodys.opening(row.id)
    assert leaf is not None
    assert leaf.kind == Kind.DELIVERY
    assert leaf.commitment == commit(opening, row.as_json())


async def test_who_comes_late_to_the_clock_hears_the_hour_that_it_is(stage: WithdrawalWorld, clock: FakeClock) -> None:
    await stage.withdraw(await stage.agree())
    clock.advance(days=4)
    await stage.sweep()
    assert await levels(stage) == ["breach"]


async def test_who_stopped_in_time_hears_nothing(stage: WithdrawalWorld, clock: FakeClock) -> None:
    await stage.withdraw(await stage.agree())
    [delivery] = await stage.deliveries()
    await stage.attest(delivery.jti, "stopped")
    clock.advance(days=4)
    await stage.sweep()
    assert await levels(stage) == []
    assert await app_lives(stage)


async def test_a_breach_suspends_the_app_and_its_tokens_are_dead(stage: WithdrawalWorld, clock: FakeClock) -> None:
    await stage.withdraw(await stage.agree())
    clock.advance(hours=71, minutes=59)
    await stage.sweep()
    tokens = await stage.world.tokens(stage.app, await stage.world.citizen("budi"))
    assert (await stage.world.userinfo(tokens["access_token"])).status_code == 200
    clock.advance(minutes=1)
    await stage.sweep()
    assert not await app_lives(stage)
    assert (await stage.world.userinfo(tokens["access_token"])).status_code == 401
    [event] = await audited(stage, AuditKind.CLIENT_SUSPENDED)
    assert event.detail["by"] == "rule"
    assert (await stage.deliveries())[0].id in event.detail["reason"]


async def test_whom_an_operator_reinstates_is_not_suspended_again_for_the_same(
    stage: WithdrawalWorld, clock: FakeClock
) -> None:
    await stage.withdraw(await stage.agree())
    clock.advance(hours=73)
    await stage.sweep()
    async with stage.provider.database.transaction() as session:
        await enable_client(session, stage.app.client_id, now=clock())
    for _ in range(3):
        clock.advance(hours=24)
        await stage.sweep()
    assert await app_lives(stage)


async def test_nobody_is_suspended_for_a_consent_that_ran_out_as_agreed(
    stage: WithdrawalWorld, clock: FakeClock
) -> None:
    await stage.agree()
    async with stage.provider.database.transaction() as session:
        await session.execute(update(ConsentRecord).values(valid_until=clock() + timedelta(hours=1)))
    clock.advance(hours=2)
    await stage.sweep()
    [delivery] = await stage.deliveries()
    assert delivery.kind == "expired"
    clock.advance(days=4)
    await stage.sweep()
    assert (await stage.deliveries())[0].escalation == "breach"
    assert await app_lives(stage)


class TestWithoutTheRule:
    """`withdrawal_suspends` off."""

    pytestmark = only_sqlite

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"withdrawal_suspends": False})

    async def test_a_breach_is_shown_and_nobody_is_suspended(self, stage: WithdrawalWorld, clock: FakeClock) -> None:
        await stage.withdraw(await stage.agree())
        clock.advance(days=4)
        await stage.sweep()
        assert await levels(stage) == ["breach"]
        assert await app_lives(stage)


# --- who lies ---


async def use(
    stage: WithdrawalWorld, consent_id: str | None, *, items: tuple[str, ...] = ("email",), **changes: Any
) -> None:
    """An agency reports that it gave the app data by this consent, just now."""
    provider: Provider = stage.provider
    async with provider.database.transaction() as session:
        key = await key_of(session, stage.siti.account_id, now=provider.clock())
        said: dict[str, Any] = {
            "id": new_row_id(provider.entropy, provider.clock()),
            "at": provider.clock(),
            "subject_id": stage.siti.account_id,
            "consent_id": consent_id,
            "purpose_version_id": stage.world.purpose.id,
            "agency_id": stage.world.agency_id,
            "client_id": stage.app.client_id,
            "provider_agency_id": stage.provider_agency_id,
            "evidence": "reported",
            "action": "read",
            "items": items,
        }
        written = write(Disclosure(**(said | changes)), key, entropy=provider.entropy)
        await session.execute(insert(Use), [written.use])


async def stopped(stage: WithdrawalWorld) -> Delivery:
    """The app says that it stopped."""
    delivery = next(one for one in reversed(await stage.deliveries()) if one.role == "recipient")
    assert (await stage.attest(delivery.jti, "stopped")).status_code == 201
    return delivery


async def report(stage: WithdrawalWorld, consent_id: str) -> int:
    async with stage.provider.database.transaction() as session:
        return await compare_with_report(stage.provider, session, [consent_id])


async def shown(stage: WithdrawalWorld, consent_id: str) -> Recipient:
    return (await stage.stopping(consent_id)).recipients[0]


async def test_a_use_after_stopped_is_found_when_it_is_reported(stage: WithdrawalWorld, clock: FakeClock) -> None:
    consent_id = await stage.agree()
    await stage.withdraw(consent_id)
    await stopped(stage)
    clock.advance(hours=1)
    await use(stage, consent_id)
    assert await report(stage, consent_id) == 1
    assert await report(stage, consent_id) == 0  # it is found out once
    recipient = await shown(stage, consent_id)
    assert (recipient.state, recipient.has_stopped) == ("contradicted", False)
    assert (await stage.stopping(consent_id)).stopped == 0
    assert await levels(stage) == ["contradicted"]


async def test_a_use_that_was_reported_late_is_found_by_housekeeping(stage: WithdrawalWorld, clock: FakeClock) -> None:
    consent_id = await stage.agree()
    await stage.withdraw(consent_id)
    await stopped(stage)
    await stage.sweep()
    clock.advance(hours=1)
    await use(stage, consent_id)
    await stage.sweep()
    assert (await shown(stage, consent_id)).state == "stopped"  # it was compared an hour ago
    clock.advance(hours=24)
    await stage.sweep()
    assert (await shown(stage, consent_id)).state == "contradicted"


async def test_an_honest_recipient_is_not_taken_for_a_liar(stage: WithdrawalWorld, clock: FakeClock) -> None:
    consent_id = await stage.agree()
    await stage.withdraw(consent_id)
    clock.advance(hours=1)
    await use(stage, consent_id)  # before it stopped: within its 72 hours
    clock.advance(hours=1)
    await stopped(stage)
    clock.advance(hours=1)
    await use(stage, None)  # on another basis than this consent
    await use(stage, consent_id, client_id="another-app")
    assert await report(stage, consent_id) == 0


async def test_what_is_used_after_the_pause_is_over_is_no_lie(stage: WithdrawalWorld, clock: FakeClock) -> None:
    consent_id = await stage.agree()
    said: dict[str, Any] = {
        "consent_id": consent_id,
        "subject_id": stage.siti.account_id,
        "entropy": stage.provider.entropy,
    }
    async with stage.provider.database.transaction() as session:
        await pause(session, now=clock(), **said)
    await stopped(stage)
    async with stage.provider.database.transaction() as session:
        await resume(session, now=clock.advance(hours=1), **said)
    clock.advance(hours=1)
    await use(stage, consent_id)
    assert await report(stage, consent_id) == 0


async def test_where_one_item_was_taken_back_only_its_use_is_a_lie(stage: WithdrawalWorld, clock: FakeClock) -> None:
    consent_id = await stage.agree()
    async with stage.provider.database.transaction() as session:
        await let_go(
            session,
            consent_id=consent_id,
            subject_id=stage.siti.account_id,
            item="gender",
            now=clock(),
            entropy=stage.provider.entropy,
        )
    delivery = await stopped(stage)
    assert delivery.items == ["gender"]
    clock.advance(hours=1)
    await use(stage, consent_id, items=("email",))
    assert await report(stage, consent_id) == 0
    await use(stage, consent_id, items=("email", "gender"))
    assert await report(stage, consent_id) == 1


async def test_who_is_found_out_three_times_is_suspended(stage: WithdrawalWorld, clock: FakeClock) -> None:
    alive = []
    for _ in range(3):
        consent_id = await stage.agree()
        await stage.withdraw(consent_id)
        await stopped(stage)
        clock.advance(hours=1)
        await use(stage, consent_id)
        assert await report(stage, consent_id) == 1
        alive.append(await app_lives(stage))
    assert alive == [True, True, False]
    async with stage.provider.database.reading() as session:
        suspended = (await session.scalars(select(Escalation.suspended).order_by(Escalation.at))).all()
    assert suspended == [False, False, True]
