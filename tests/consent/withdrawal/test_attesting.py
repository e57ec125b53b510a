"""What a recipient signs is believed only after every check, kept as it was signed, and is a leaf of the log."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select

from consent.decisions import pause
from consent.log.entry import Kind, commit
from consent.log.models import LogEntry
from consent.vault import vault_of
from consent.withdrawal.models import Attestation, Delivery
from tests.support.clock import FakeClock
from tests.support.recipient import new_key
from tests.support.withdrawal_world import SCOPES, WithdrawalWorld

pytestmark = pytest.mark.anyio


@pytest.fixture
async def delivery(stage: WithdrawalWorld) -> Delivery:
    """A withdrawal that the app must answer for."""
    await stage.withdraw(await stage.agree())
    [found] = await stage.deliveries()
    return found


async def test_the_whole_way_acknowledged_stopped_erased(
    stage: WithdrawalWorld, delivery: Delivery, clock: FakeClock
) -> None:
    for state in ("acknowledged", "stopped", "erased"):
        assert (await stage.stopping(delivery.consent_id)).recipients[0].state != state
        clock.advance(hours=1)
        answer = await stage.attest(delivery.jti, state)
        assert answer.status_code == 201, answer.text
        assert answer.json()["closed"] is (state == "erased")
        assert (await stage.stopping(delivery.consent_id)).recipients[0].state == state
    [now] = await stage.deliveries()
    assert now.closed_at is not None
    assert now.sent_at is not None  # however it came


async def test_the_statement_is_kept_to_the_letter_and_the_log_commits_to_it(
    stage: WithdrawalWorld, delivery: Delivery
) -> None:
    jws = stage.recipient.attestation(delivery.jti, "stopped", at=stage.provider.clock())
    assert (await stage.attest(delivery.jti, "stopped", jws=jws)).status_code == 201
    async with stage.provider.database.reading() as session:
        [kept] = (await session.scalars(select(Attestation))).all()
        [leaf] = (await session.scalars(select(LogEntry).where(LogEntry.kind == Kind.DELIVERY))).all()
        opening = vault_of(session).nobodys.opening(kept.id)
    assert (kept.jws, kept.state) == (jws, "stopped")
    assert leaf.id == kept.id
    assert leaf.commitment == commit(opening, kept.as_json())


async def test_stopped_says_that_the_news_was_received_too(stage: WithdrawalWorld, delivery: Delivery) -> None:
    assert (await stage.attest(delivery.jti, "stopped")).status_code == 201
    [now] = await stage.deliveries()
    assert now.acknowledged_at == now.stopped_at is not None


async def test_a_statement_counts_from_when_it_came_not_from_what_it_says(
    stage: WithdrawalWorld, delivery: Delivery, clock: FakeClock
) -> None:
    """A backdated one would stop the clock that has run out."""
    long_ago = clock()
    clock.advance(hours=80)
    await stage.sweep()
    async with stage.provider.database.transaction() as session:
        from idp.clients.management import enable_client  # noqa: PLC0415 - the app was suspended by the sweep

        await enable_client(session, stage.app.client_id, now=clock())
    stage.provider.clients.forget()
    jws = stage.recipient.attestation(delivery.jti, "stopped", at=long_ago)
    assert (await stage.attest(delivery.jti, "stopped", jws=jws)).status_code == 201
    [now] = await stage.deliveries()
    assert now.stopped_at == clock()
    assert now.escalation == "breach"


async def refused(stage: WithdrawalWorld, delivery: Delivery, state: str = "stopped", /, **changes: object) -> str:
    before = (await stage.deliveries())[0].stopped_at
    answer = await stage.attest(delivery.jti, state, **changes)  # type: ignore[arg-type]
    assert answer.status_code in {400, 403, 404, 409}, answer.text
    assert (await stage.deliveries())[0].stopped_at == before
    return str(answer.json()["error"])


NOT_THE_APPS_OWN: tuple[dict[str, object], ...] = (
    {"key": new_key()},
    {"typ": "JWT"},
    {"typ": "secevent+jwt"},
    {"typ": "client-authentication+jwt"},
    {"aud": "https://other.test"},
    {"aud": ["https://idp.test", "https://other.test"]},
    {"aud": None},
    {"iss": "lain"},
    {"iss": None},
    {"iat": None},
    {"state": "forgotten"},
    {"state": None},
    {"delivery": None},
    {"delivery": 7},
    {"delivery": "x" * 100},
)


async def test_a_statement_that_is_not_the_apps_own_about_this_is_refused(
    stage: WithdrawalWorld, delivery: Delivery
) -> None:
    for changes in NOT_THE_APPS_OWN:
        assert (changes, await refused(stage, delivery, **changes)) == (changes, "invalid_attestation")


async def test_a_changed_statement_is_refused(stage: WithdrawalWorld, delivery: Delivery) -> None:
    head, body, signature = stage.recipient.attestation(delivery.jti, "stopped", at=stage.provider.clock()).split(".")
    other = stage.recipient.attestation(delivery.jti, "erased", at=stage.provider.clock()).split(".")[1]
    assert await refused(stage, delivery, jws=f"{head}.{other}.{signature}") == "invalid_attestation"
    assert await refused(stage, delivery, jws=f"{head}.{body}.") == "invalid_attestation"
    assert await refused(stage, delivery, jws="") == "invalid_attestation"


async def test_a_statement_from_the_future_or_from_before_the_event_is_refused(
    stage: WithdrawalWorld, delivery: Delivery, clock: FakeClock
) -> None:
    for when in (clock() + timedelta(seconds=70), clock() - timedelta(seconds=70)):
        jws = stage.recipient.attestation(delivery.jti, "stopped", at=when)
        assert await refused(stage, delivery, jws=jws) == "invalid_attestation"


async def test_a_replay_is_refused_and_changes_nothing(
    stage: WithdrawalWorld, delivery: Delivery, clock: FakeClock
) -> None:
    jws = stage.recipient.attestation(delivery.jti, "stopped", at=clock())
    assert (await stage.attest(delivery.jti, "stopped", jws=jws)).status_code == 201
    clock.advance(60)
    assert await refused(stage, delivery, jws=jws) == "already_attested"


async def test_of_many_at_once_one_counts(stage: WithdrawalWorld, delivery: Delivery) -> None:
    answers = await asyncio.gather(*(stage.attest(delivery.jti, "stopped") for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]


async def test_erased_wants_stopped_before_it_and_nothing_goes_back(stage: WithdrawalWorld, delivery: Delivery) -> None:
    assert await refused(stage, delivery, "erased") == "out_of_order"
    await stage.attest(delivery.jti, "stopped")
    assert await refused(stage, delivery, "acknowledged") == "out_of_order"
    await stage.attest(delivery.jti, "erased")
    assert await refused(stage, delivery, "stopped") == "already_attested"


async def test_another_apps_delivery_is_answered_like_none(stage: WithdrawalWorld, delivery: Delivery) -> None:
    key = new_key()
    jwks = {"keys": [key.as_dict(private=False)]}
    other = await stage.world.app(client_id="lain", scopes=SCOPES, jwks=jwks)
    theirs = {"app": other, "key": key, "iss": "lain"}
    foreign = await stage.attest(delivery.jti, "stopped", **theirs)  # type: ignore[arg-type]
    none = await stage.attest("there-is-none", "stopped", **theirs)  # type: ignore[arg-type]
    assert foreign.status_code == none.status_code == 404
    assert foreign.json() == none.json()
    assert (await stage.deliveries())[0].stopped_at is None


async def test_an_app_without_keys_cannot_attest_and_is_told_so(stage: WithdrawalWorld, delivery: Delivery) -> None:
    other = await stage.world.app(client_id="lain", scopes=SCOPES)
    answer = await stage.attest(delivery.jti, "stopped", app=other, iss="lain")
    assert answer.status_code == 403
    assert answer.json()["error"] == "no_keys"
    assert "jwks" in answer.json()["error_description"]


async def test_a_pause_is_not_erased(stage: WithdrawalWorld) -> None:
    consent_id = await stage.agree()
    async with stage.provider.database.transaction() as session:
        await pause(
            session,
            consent_id=consent_id,
            subject_id=stage.siti.account_id,
            now=stage.provider.clock(),
            entropy=stage.provider.entropy,
        )
    [delivery] = await stage.deliveries()
    assert (await stage.attest(delivery.jti, "stopped")).json()["closed"] is True
    assert (await stage.attest(delivery.jti, "erased")).json()["error"] == "not_expected"


async def test_what_is_attested_is_not_sent_any_more(stage: WithdrawalWorld) -> None:
    async with stage.recipient:
        await stage.listen()
        await stage.withdraw(await stage.agree())
        [delivery] = await stage.deliveries()
        await stage.attest(delivery.jti, "stopped")
        assert await stage.send() == 0


async def test_without_the_scope_nobody_attests(stage: WithdrawalWorld, delivery: Delivery) -> None:
    other = await stage.world.app(client_id="lain")
    headers = await stage.bearer(other, scope="reports:read")
    answer = await stage.world.http.post("/consent/v1/events/attestations", content="x", headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")
