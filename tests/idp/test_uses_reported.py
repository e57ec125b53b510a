"""`/consent/v1/uses`: what agencies report is written down once, with a basis, or shown as having none."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from consent.decisions import pause, resume, withdraw
from consent.log.audit_sources import read_delays
from consent.log.models import LogEntry
from consent.uses.disclosure import Disclosure
from consent.uses.models import Use, UseBatch, UseDelay
from consent.uses.report import NO_BASIS
from tests.idp.reports_world import CARD, LAW, Reports, new_reports
from tests.idp.uses_world import limit, record_of, uses_of
from tests.support.clock import FakeClock
from tests.support.databases import only_sqlite
from tests.support.token_world import World

pytestmark = pytest.mark.anyio

HOUR = 3600


@pytest.fixture
async def stage(world: World) -> Reports:
    return await new_reports(world)


async def written(stage: Reports) -> list[Disclosure]:
    return await uses_of(stage.world, stage.siti.account_id)


async def test_a_use_by_a_consent_that_stood_is_written_down_with_its_leaf(stage: Reports) -> None:
    consent_id = await stage.agree()
    at = stage.world.provider.clock() - timedelta(microseconds=0)
    result = await stage.one(stage.use(token_id="jti-1", system="SIAK", officer="7", reason="periksa", purpose="kartu"))
    (use,) = await written(stage)
    assert result == {"reference": "r-1", "status": "recorded", "id": use.id}
    assert (use.evidence, use.action, use.items, use.at) == ("reported", "lookup", (CARD,), at)
    assert (use.consent_id, use.legal_basis) == (consent_id, "consent")
    assert (use.agency_id, use.provider_agency_id) == (stage.agencies["kesehatan"], stage.agencies["dukcapil"])
    assert (use.jti, use.system, use.officer, use.reason, use.reference) == ("jti-1", "SIAK", "7", "periksa", "r-1")


async def test_a_use_by_a_law_needs_no_consent_and_says_which_law(stage: Reports) -> None:
    await stage.agree()
    await stage.do(withdraw)
    assert (await stage.one(stage.use(**LAW)))["status"] == "recorded"
    (use,) = await written(stage)
    assert (use.consent_id, use.legal_basis, use.legal_citation) == (None, *LAW.values())


async def test_what_counts_is_whether_the_consent_stood_at_that_moment(stage: Reports, clock: FakeClock) -> None:
    start = clock()
    await stage.agree()
    clock.advance(HOUR)
    await stage.do(pause)
    clock.advance(HOUR)
    await stage.do(resume)
    clock.advance(HOUR)
    await stage.do(withdraw)
    clock.advance(HOUR)
    moments = [start + timedelta(minutes=minutes) for minutes in (-1, 0, 30, 90, 150, 210)]
    uses = [stage.use(f"r-{number}", at=at.isoformat()) for number, at in enumerate(moments)]
    results = await stage.told(*uses)
    assert [one["status"] for one in results] == ["refused", "recorded", "recorded", "refused", "recorded", "refused"]
    assert {one["error"] for one in results if one["status"] == "refused"} == {"no_consent"}
    assert "paused" in results[3]["error_description"]
    assert "withdrawn" in results[5]["error_description"]


async def test_a_use_without_a_basis_is_refused_and_kept_as_what_it_is(stage: Reports, clock: FakeClock) -> None:
    consent_id = await stage.agree()
    await stage.do(withdraw)
    clock.advance(HOUR)
    refused = await stage.one()
    assert (refused["status"], refused["error"]) == ("refused", "no_consent")
    (use,) = await written(stage)
    assert (use.id, use.legal_basis, use.consent_id) == (refused["id"], NO_BASIS, consent_id)


async def test_items_that_were_not_granted_have_no_basis(stage: Reports) -> None:
    await stage.agree(granted=("name",))
    assert (await stage.one())["error"] == "no_consent"


@pytest.mark.threat("N31")
async def test_whoever_it_does_not_concern_learns_nothing_about_anybody(stage: Reports) -> None:
    nobody = await stage.one(stage.use("r-0", sub="nobody-at-all"), by="pajak", key="k-0")
    await stage.agree()
    somebody = await stage.one(stage.use("r-1"), by="pajak", key="k-1")
    other_app = await stage.one(stage.use("r-2", client_id=stage.callers["pajak"].client_id), by="pajak", key="k-2")
    others_consent = await stage.one(stage.use("r-3", consent_id="018f0000-0000-7000-8000-000000000001"), key="k-3")
    for result in (nobody, somebody, other_app, others_consent):
        assert {**result, "reference": ""} == {
            "reference": "",
            "status": "refused",
            "error": "unknown_person",
            "error_description": "no such person is known to this app, or not with this",
        }
    assert await written(stage) == []


@only_sqlite
async def test_an_agency_reports_only_what_it_gives(stage: Reports) -> None:
    await stage.agree(granted=("name", "email", CARD))
    assert (await stage.one(stage.use(items=["email"])))["error"] == "not_your_items"
    by_law = await stage.one(stage.use("r-2", **LAW), by="pajak", key="k-2")
    assert by_law["error"] == "not_your_items"
    assert (await stage.one(stage.use("r-3", items=["email"]), by="kesehatan", key="k-3"))["status"] == "recorded"


@only_sqlite
async def test_a_report_is_of_the_last_ninety_days_and_not_of_the_future(stage: Reports, clock: FakeClock) -> None:
    await stage.agree()
    now = clock()
    moments = [now - timedelta(days=90, seconds=1), now + timedelta(minutes=3)]
    uses = [stage.use(f"r-{number}", at=at.isoformat(), **LAW) for number, at in enumerate(moments)]
    assert [one["error"] for one in await stage.told(*uses)] == ["invalid_time"] * 2
    assert await written(stage) == []


# --- the same again ---


async def counts(stage: Reports) -> tuple[int, ...]:
    async with stage.world.provider.database.reading() as session:
        tables = (Use, UseBatch, LogEntry)
        return tuple([await session.scalar(select(func.count()).select_from(one)) or 0 for one in tables])


async def test_the_same_batch_again_has_the_same_answer_and_writes_nothing(stage: Reports) -> None:
    await stage.agree()
    uses = (stage.use("r-1"), stage.use("r-2", sub="nobody"), stage.use("r-3"))
    first = await stage.send(*uses)
    before = await counts(stage)
    stage.world.provider.clock.advance(HOUR)  # type: ignore[attr-defined]  # the test's own clock
    again = await stage.send(*uses, **{"Idempotency-Key": '"k-1"'})
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.text == first.text
    assert first.json()["accepted"] == 2
    assert await counts(stage) == before
    other = await stage.send(stage.use("r-9"))
    assert (other.status_code, other.json()["error"]) == (409, "idempotency_conflict")


async def test_the_same_batch_many_times_at_once_is_one(stage: Reports) -> None:
    await stage.agree()
    await stage.bearer("dukcapil")
    answers = await asyncio.gather(*(stage.send(stage.use("r-1"), stage.use("r-2")) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert len(await written(stage)) == 2


async def test_another_agencys_key_and_reference_are_its_own(stage: Reports) -> None:
    await stage.agree()
    assert (await stage.one())["status"] == "recorded"
    assert (await stage.one(by="kesehatan"))["status"] == "recorded"
    assert len(await written(stage)) == 2


async def test_a_use_is_known_again_by_its_reference(stage: Reports) -> None:
    await stage.agree()
    first = await stage.one()
    again, twice, other = await stage.told(stage.use(), stage.use(), stage.use(action="export"), key="k-2")
    assert again == twice == {"reference": "r-1", "status": "known", "id": first["id"]}
    assert (other["status"], other["error"]) == ("refused", "reference_conflict")
    changed = await stage.one(stage.use(items=["name"]), key="k-3")
    assert changed["error"] == "reference_conflict"
    assert len(await written(stage)) == 1


async def test_a_thousand_uses_are_one_batch(stage: Reports) -> None:
    await stage.agree()
    answer = await stage.send(*(stage.use(f"r-{number}", token_id=f"jti-{number}") for number in range(1000)))
    assert answer.status_code == 200, answer.text
    assert answer.json()["accepted"] == 1000
    assert (await stage.send(*(stage.use(f"s-{n}") for n in range(1001)), key="k-2")).status_code == 400


# --- what is counted ---


async def test_a_reported_use_ends_a_consent_to_one_use(stage: Reports, clock: FakeClock) -> None:
    consent_id = await stage.agree()
    await limit(stage.world, consent_id, fetch_type="onetime")
    assert (await stage.one())["status"] == "recorded"
    record = await record_of(stage.world, consent_id)
    assert (record.status, record.used) == ("expired", 1)
    clock.advance(60)
    assert (await stage.one(stage.use("r-2"), key="k-2"))["error"] == "no_consent"


async def test_reported_uses_count_against_the_limit(stage: Reports) -> None:
    consent_id = await stage.agree()
    await limit(stage.world, consent_id, use_limit=3, use_window_days=1)
    await stage.told(*(stage.use(f"r-{number}") for number in range(2)))
    await stage.told(*(stage.use(f"s-{number}") for number in range(2)), key="k-2")
    assert (await record_of(stage.world, consent_id)).used == 4


# --- malformed ---


@only_sqlite
@pytest.mark.parametrize(
    "changes",
    [
        {"sub": None},
        {"at": "yesterday"},
        {"at": "2026-11-24T00:00:00"},
        {"at": 1764000000},
        {"items": []},
        {"items": ["x"] * 101},
        {"extra": "x"},
        {"legal_basis": "consent", "legal_citation": "UU 27/2022 pasal 20"},
        {"legal_basis": "public_task"},
        {"legal_citation": "UU 27/2022 pasal 20"},
        {**LAW, "purpose": "kartu"},
        {"action": "Look Up"},
        {"reference": "r 1"},
        {"reference": "r" * 201},
        {"reason": "a\u0000b"},
        {**LAW, "delay": {"until": "2026-12-24T00:00:00Z", "basis": "short"}},
    ],
)
async def test_what_is_not_as_documented_is_refused_and_not_repeated(stage: Reports, changes: dict[str, Any]) -> None:
    await stage.agree()
    answer = await stage.send(stage.use(**changes))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert stage.sub not in answer.text
    assert await counts(stage) == (0, 0, (await counts(stage))[2])


@only_sqlite
async def test_a_report_needs_a_key_and_the_scope(stage: Reports) -> None:
    await stage.agree()
    http, use = stage.world.http, {"uses": [stage.use()]}
    bearer = await stage.bearer("dukcapil")
    assert (await http.post("/consent/v1/uses", json=use, headers=bearer)).status_code == 400
    for key in ("", "k k", "k" * 201):
        assert (
            await http.post("/consent/v1/uses", json=use, headers=bearer | {"Idempotency-Key": key})
        ).status_code == 400
    keyed = {"Idempotency-Key": "k"}
    assert (await http.post("/consent/v1/uses", json=use, headers=keyed)).status_code == 401
    audit = await stage.bearer("dukcapil", "consent:audit")
    assert (await http.post("/consent/v1/uses", json=use, headers=keyed | audit)).status_code == 403


# --- seen later ---


def delayed(stage: Reports, days: float, reference: str = "r-1", **changes: Any) -> dict[str, Any]:
    until = stage.world.provider.clock() + timedelta(days=days)
    delay = {"until": until.isoformat(), "basis": "UU 27/2022 pasal 15 ayat (1) huruf b"}
    return stage.use(reference, **{**LAW, "delay": delay, **changes})


async def hidden(stage: Reports) -> Any:
    answer = await stage.world.http.get("/consent/v1/uses/delayed")
    assert answer.status_code == 200
    return answer.json()


async def renew(stage: Reports, days: float, reference: str = "r-1", by: str = "dukcapil") -> Any:
    delay = delayed(stage, days)["delay"]
    body = {"reference": reference, "delay": delay}
    return await stage.world.http.post("/consent/v1/uses/delay", json=body, headers=await stage.bearer(by))


async def test_what_is_hidden_is_counted_in_public_until_it_is_due(stage: Reports, clock: FakeClock) -> None:
    await stage.agree()
    assert await hidden(stage) == {"at": clock().isoformat(), "total": 0, "agencies": []}
    assert [one["status"] for one in await stage.told(delayed(stage, 1), delayed(stage, 2, "r-2"))] == ["recorded"] * 2
    told = await hidden(stage)
    assert told["total"] == 2
    last = (clock() + timedelta(days=2)).isoformat()
    assert told["agencies"] == [{"agency": "dukcapil", "uses": 2, "last_visible_from": last}]
    clock.advance(24 * HOUR)
    assert (await hidden(stage))["total"] == 1
    clock.advance(24 * HOUR)
    assert (await hidden(stage))["total"] == 0


async def test_a_longer_delay_is_a_new_act_with_a_leaf_of_its_own(stage: Reports, clock: FakeClock) -> None:
    await stage.agree()
    await stage.one(delayed(stage, 1))
    before = await counts(stage)
    assert (await renew(stage, 0.5)).status_code == 409, "shorter"
    assert (await renew(stage, 181)).status_code == 409, "too long"
    assert (await renew(stage, 2, reference="r-9")).status_code == 404
    assert (await renew(stage, 2, by="pajak")).status_code == 404
    assert await counts(stage) == before
    answer = await renew(stage, 2)
    assert answer.status_code == 200, answer.text
    assert datetime.fromisoformat(answer.json()["visible_from"]) == clock() + timedelta(days=2)
    assert await counts(stage) == (*before[:2], before[2] + 1)
    clock.advance(24 * HOUR)
    assert (await hidden(stage))["total"] == 1
    clock.advance(24 * HOUR)
    assert (await renew(stage, 2)).status_code == 409, "what the person has seen cannot be hidden again"
    async with stage.world.provider.database.reading() as session:
        (row,) = (await session.execute(select(*UseDelay.__table__.columns))).all()
        (said,) = await read_delays(session, [row])
        assert said.commitment == await session.scalar(select(LogEntry.commitment).where(LogEntry.id == row.id))
    # What was reported first stays what it was.
    (use,) = await written(stage)
    assert use.seen_from == clock() - timedelta(days=1)


@only_sqlite
async def test_a_delay_needs_a_law_and_an_end(stage: Reports) -> None:
    await stage.agree()
    by_consent = delayed(stage, 1, legal_basis=None, legal_citation=None)
    results = await stage.told(by_consent, delayed(stage, 181, "r-2"), delayed(stage, 0, "r-3"))
    assert [one["error"] for one in results] == ["invalid_delay"] * 3
    assert await written(stage) == []
