"""Taking the list away; and that no look goes unrecorded, whatever fails."""

import csv
import io
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from consent import export as writing
from consent.event_list import EventFilter
from consent.events import COMMITTED
from consent.http.export import FORMATS, export
from consent.http.ports import Viewer
from consent.log.entry import commit
from idp.database import Database
from tests.consent.http.window import AS_OFFICER, OFFICER, Window, render
from tests.consent.registry import BUDI, SITI, grant_to
from tests.support.postgres import run_apart
from tests.support.settings import a_vault

pytestmark = pytest.mark.anyio

OFFICER_VIEWER = Viewer(
    subject_id=OFFICER, display_name="Dewi", roles=frozenset({"privacy_officer"}), locale="en", csrf="-"
)
LOOKS = ("/console", "/console/consents/{}", "/console/export?format=csv", "/console/actions")


async def granted(window: Window, **changes: Any) -> str:
    """A consent of Siti's."""
    async with window.database.transaction() as session:
        return await grant_to(session, window.version, now=window.clock(), entropy=window.entropy, **changes)


async def test_a_csv_has_every_filtered_event_beyond_any_page(window: Window) -> None:
    consents = [await granted(window, client_id=f"app-{number}") for number in range(60)]
    await granted(window, subject_id=BUDI)
    answer = await window.get_as_officer(f"/console/export?format=csv&citizen={SITI}")
    assert answer.status_code == 200
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert sorted(row["consent_id"] for row in rows) == sorted(consents)
    assert {row["subject"] for row in rows} == {SITI}
    assert await window.looks() == [("export", None, {"format": "csv"}, 60)]


async def test_an_export_is_a_file_that_nothing_keeps_or_runs(window: Window) -> None:
    answer = await window.get_as_officer("/console/export?format=csv")
    assert answer.headers["content-type"].startswith("text/csv")
    disposition = answer.headers["content-disposition"]
    assert disposition == 'attachment; filename="satupintu-consent-events-20260817T030000Z.csv"'
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("client_id", ["=cmd|'/C calc'!A0", "+1", "-1", "@SUM(A1)", '"=1', "a,b"])
async def test_no_cell_of_a_csv_is_a_formula(window: Window, client_id: str) -> None:
    await granted(window, client_id=client_id)
    answer = await window.get_as_officer("/console/export?format=csv")
    (row,) = csv.DictReader(io.StringIO(answer.text, newline=""))
    assert row["client_id"].removeprefix("'") == client_id
    assert all(not cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row.values())


async def test_json_lines_carry_events_whose_hashes_anyone_can_recompute(window: Window) -> None:
    consents = [await granted(window, client_id=f'app "{number}"\u2028') for number in range(3)]
    answer = await window.get_as_officer("/console/export?format=jsonl")
    assert answer.headers["content-type"].startswith("application/jsonl")
    lines = [json.loads(line) for line in answer.text.split("\n")[:-1]]
    assert sorted(line["event"]["consent_id"] for line in lines) == sorted(consents)
    for line in lines:
        assert set(line["event"]) == set(COMMITTED)
        assert commit(bytes.fromhex(line["opening"]), line["event"]).hex() == line["hash"]


@pytest.mark.parametrize("query", ["", "format=xlsx", "format=csv&from=yesterday", "format=csv&citizen=Siti"])
async def test_an_export_that_is_not_understood_exports_nothing(window: Window, query: str) -> None:
    consent_id = await granted(window)
    answer = await window.get_as_officer(f"/console/export?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/html")
    assert consent_id not in answer.text
    assert await window.looks() == []


async def test_a_slow_reader_of_an_export_keeps_no_connection(window: Window) -> None:
    small = replace(FORMATS["csv"], pieces=partial(writing.csv_rows, batch=2))
    for number in range(5):
        await granted(window, client_id=f"app-{number}")
    answer = await export(window.ports, small, officer=OFFICER_VIEWER, filters=EventFilter())
    assert isinstance(answer, StreamingResponse)
    pieces = 0
    async for _piece in answer.body_iterator:
        pieces += 1
        assert window.database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # a queue pool's method
    assert pieces == 4


async def test_what_happens_after_an_export_was_recorded_is_not_in_it(window: Window) -> None:
    before = await granted(window)
    answer = await export(window.ports, FORMATS["jsonl"], officer=OFFICER_VIEWER, filters=EventFilter())
    window.clock.advance(1)
    after = await granted(window, subject_id=BUDI)
    assert isinstance(answer, StreamingResponse)
    body = "".join([str(piece) async for piece in answer.body_iterator])
    assert before in body
    assert after not in body
    assert [rows for *_, rows in await window.looks()] == [1]


@pytest.mark.threat(92)
@pytest.mark.parametrize("path", LOOKS)
async def test_a_look_that_cannot_be_recorded_shows_nothing(window: Window, path: str) -> None:
    consent_id = await granted(window)
    async with window.database.transaction() as session:
        await session.execute(text("DROP TABLE consent_officer_actions"))
    async with window.browser(AS_OFFICER, faults_are_answers=True) as browser:
        answer = await browser.get(path.format(consent_id))
    assert answer.status_code == 500
    assert SITI not in answer.text
    assert consent_id not in answer.text


@pytest.mark.threat(92)
@pytest.mark.parametrize("path", LOOKS)
async def test_a_look_whose_record_fails_to_commit_shows_nothing(window: Window, path: str) -> None:
    consent_id = await granted(window)

    @asynccontextmanager
    async def breaks_at_commit() -> AsyncIterator[AsyncSession]:
        async with window.database.transaction() as session:
            yield session
            raise ConnectionError("the database went away before it said that it had committed")

    broken = window.with_ports(transaction=breaks_at_commit)
    async with broken.browser(AS_OFFICER, faults_are_answers=True) as browser:
        answer = await browser.get(path.format(consent_id))
    assert answer.status_code == 500
    assert SITI not in answer.text
    assert await window.looks() == []


@pytest.mark.parametrize("path", ["/console", "/console/consents/{}", "/console/actions"])
async def test_the_record_of_a_look_is_committed_before_the_page_is_written(window: Window, path: str) -> None:
    consent_id = await granted(window)
    seen: list[int] = []

    async def committed() -> int:
        others = Database(window.database.url, vault=a_vault(), pool_size=1)
        try:
            return len(await replace(window, database=others).looks())
        finally:
            await others.dispose()

    def counts_first(
        request: Request, template: str, context: Mapping[str, Any], /, *, locale: str, status: int = 200
    ) -> Response:
        seen.append(run_apart(committed))
        return render(request, template, context, locale=locale, status=status)

    answer = await window.with_ports(render=counts_first).get_as_officer(path.format(consent_id))
    assert answer.status_code == 200
    assert seen == [1], "another connection saw it before the page was written"


async def test_the_record_of_an_export_is_committed_before_its_first_byte(window: Window) -> None:
    await granted(window)
    answer = await export(window.ports, FORMATS["csv"], officer=OFFICER_VIEWER, filters=EventFilter())
    assert await window.looks() == [("export", None, {"format": "csv"}, 1)]
    assert isinstance(answer, StreamingResponse)
    async for _piece in answer.body_iterator:
        assert len(await window.looks()) == 1
