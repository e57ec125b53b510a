"""What an agency could have disclosed, held against what it reports: tokens, checks, and the gap between."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from consent.uses.models import ExpectedUse
from consent.uses.reconciliation import KEEP
from idp.housekeeping import sweep
from tests.idp.reports_world import API, CARD, Reports, new_reports
from tests.support.clock import FakeClock
from tests.support.databases import only_sqlite
from tests.support.token_world import World, claims_in

pytestmark = pytest.mark.anyio

DAY = 86_400


@pytest.fixture
async def stage(world: World) -> Reports:
    reports = await new_reports(world)
    await reports.agree()
    return reports


async def jti(stage: Reports) -> str:
    """A token of Siti's for dukcapil's API."""
    tokens = await stage.world.tokens(stage.app, stage.siti, consent_id=stage.consent_id, resources=(API,))
    return str(claims_in(tokens["access_token"])["jti"])


async def reconciliation(stage: Reports, by: str = "dukcapil", **asked: str) -> Any:
    headers = await stage.bearer(by, "consent:audit")
    return await stage.world.http.get("/consent/v1/reconciliation", params=asked, headers=headers)


async def numbers(stage: Reports, by: str = "dukcapil") -> dict[str, Any]:
    answer = await reconciliation(stage, by)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return {name: found[name] for name in ("tokens", "checks", "answered", "gap", "reported", "without_basis")}


async def test_what_no_report_names_is_the_gap(stage: Reports, clock: FakeClock) -> None:
    first, second, _third = [await jti(stage) for _ in range(3)]
    uses = [stage.use("r-1", token_id=first), stage.use("r-2", token_id=first), stage.use("r-3", token_id=second)]
    unnamed = [stage.use("r-4"), stage.use("r-5", token_id="another-token")]
    await stage.told(*uses, *unnamed)
    await stage.told(stage.use(token_id=_third), by="kesehatan", key="k-2")
    nothing = dict.fromkeys(("tokens", "checks", "answered", "gap", "reported", "without_basis"), 0)
    assert await numbers(stage) == nothing, "a report is due within a day"
    clock.advance(DAY + 1)
    assert await numbers(stage) == nothing | {"tokens": 3, "answered": 2, "gap": 1, "reported": 5}
    assert (await numbers(stage, "kesehatan"))["reported"] == 1
    assert await numbers(stage, "pajak") == nothing


async def test_a_late_report_closes_the_gap(stage: Reports, clock: FakeClock) -> None:
    token, at = await jti(stage), clock().isoformat()
    clock.advance(10 * DAY)
    assert (await numbers(stage))["gap"] == 1
    await stage.told(stage.use(token_id=token, at=at))
    assert (await numbers(stage))["gap"] == 0


async def test_a_use_without_a_basis_is_counted_as_such(stage: Reports, clock: FakeClock) -> None:
    await stage.told(stage.use(items=[CARD, "urn:satupintu:data:dukcapil:other"]))
    clock.advance(DAY + 1)
    counted = await numbers(stage)
    assert (counted["reported"], counted["without_basis"]) == (1, 1)


async def test_the_tokens_are_remembered_when_their_rows_are_gone_and_not_for_ever(
    stage: Reports, clock: FakeClock
) -> None:
    await jti(stage)
    clock.advance(3 * DAY)
    await sweep(stage.world.provider)
    assert (await numbers(stage))["gap"] == 1
    clock.advance(KEEP.total_seconds())
    await sweep(stage.world.provider)
    async with stage.world.provider.database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(ExpectedUse)) == 0


@only_sqlite
async def test_the_period_can_be_chosen_and_is_checked(stage: Reports, clock: FakeClock) -> None:
    await jti(stage)
    now = clock()
    asked = {"since": (now - timedelta(hours=1)).isoformat(), "until": (now + timedelta(hours=1)).isoformat()}
    assert (await reconciliation(stage, **asked)).json()["tokens"] == 1
    assert (await reconciliation(stage, until=asked["since"])).json()["tokens"] == 0
    for wrong in (
        {"since": asked["until"], "until": asked["since"]},
        {"since": (now - timedelta(days=93)).isoformat(), "until": now.isoformat()},
        {"since": "yesterday"},
        {"since": "2026-11-24T00:00:00"},
        {"since": "0001-01-01T00:00:00+23:59"},
        {"from": asked["since"]},
    ):
        assert (await reconciliation(stage, **wrong)).status_code == 400, wrong


@only_sqlite
async def test_reconciliation_needs_its_scope_and_shows_the_own_agency_only(stage: Reports) -> None:
    headers = await stage.bearer("dukcapil")
    answer = await stage.world.http.get("/consent/v1/reconciliation", headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")
    assert (await reconciliation(stage, "pajak")).json()["agency"] == "pajak"
