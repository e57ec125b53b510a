"""The privacy officer sees every event, proves one, takes the list away; and whoever looks is seen."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from idp.housekeeping import sweep
from idp.provider import Provider
from tests.journeys.visiting import HEALTH_SCOPE, statuses, visit, withdraw
from tests.support.browser_user import BrowserUser
from tests.support.clock import FakeClock
from tests.support.databases import only_sqlite
from tests.support.world import World

pytestmark = pytest.mark.anyio


@dataclass
class Console:
    """An officer at work, after a year in which everything happened that can happen."""

    officer: BrowserUser
    siti: BrowserUser
    world: World

    async def listed(self, **filters: str) -> list[str]:
        """The kinds of the listed events, in the page's order."""
        await self.officer.open("/console", **filters)
        assert self.officer.page.status == 200, self.officer.page.text
        return [KINDS[text] for text in self.tags()]

    def tags(self) -> list[str]:
        """The words of the table's second column."""
        _, *rows = self.officer.page.response.text.split("<tr>")[1:] or [""]
        return [next(word for word in KINDS if f">{word}<" in row) for row in rows]

    async def export(self, format_: str, **filters: str) -> str:
        """The file that the officer takes away."""
        answer = await self.officer.client.get(
            f"{self.world.issuer}/console/export", params={"format": format_, **filters}
        )
        assert answer.status_code == 200
        assert answer.headers["content-disposition"].startswith("attachment;")
        return answer.text


KINDS = {
    "Disetujui": "granted",
    "Ditolak": "refused",
    "Ditarik": "withdrawn",
    "Habis masa berlakunya": "expired",
    "Digantikan": "superseded",
}
NEWEST_FIRST = ["expired", "refused", "withdrawn", "granted", "superseded", "granted"]


@pytest.fixture
async def console(world: World, new_user: Callable[[], BrowserUser], provider: Provider, clock: FakeClock) -> Console:
    """Siti agreed, changed her mind, took it back, refused the other app; Budi's agreement ran out."""
    siti, budi, officer = new_user(), new_user(), new_user()
    health, population = world.app("health"), world.app("population")
    await visit(world, siti, health)
    clock.advance(60)
    await siti.open(await health.authorization_url(scope=HEALTH_SCOPE, prompt="consent"))
    await siti.allow(items={"gender"})
    clock.advance(60)
    await withdraw(siti, "Sehat Bersama")
    clock.advance(60)
    await siti.open(await population.authorization_url(scope=world.scope("population")))
    await siti.deny()
    clock.advance(60)
    await visit(world, budi, population, who="budi", scope=world.scope("population"))
    clock.advance(days=91)
    await sweep(provider)
    await officer.open("/console")
    assert officer.page.path == "/login"
    await officer.log_in("ratna", world.password("ratna"))
    assert officer.page.path == "/console"
    return Console(officer, siti, world)


async def test_every_kind_of_event_is_there_and_filters_narrow_the_list(console: Console) -> None:
    everything = await console.listed()
    assert sorted(everything) == sorted([*NEWEST_FIRST, "granted"])
    assert everything[0] == "expired"
    assert await console.listed(kind="withdrawn") == ["withdrawn"]
    assert sorted(await console.listed(agency="dukcapil")) == ["expired", "granted", "refused"]
    assert len(await console.listed(purpose="kunjungan-puskesmas")) == 4
    assert len(await console.listed(client="sehat-bersama", kind="granted")) == 2
    lines = [json.loads(line) for line in (await console.export("jsonl", kind="refused")).splitlines()]
    assert len(await console.listed(citizen=lines[0]["event"]["subject_id"])) == 5
    today = lines[0]["event"]["at"][:10]
    assert await console.listed(to="2020-01-01") == []
    assert "expired" in await console.listed(**{"from": today})
    await console.officer.open("/console", kind="nonsense")
    assert console.officer.page.status == 400


async def test_an_opened_consent_shows_the_text_the_history_and_that_nobody_altered_it(console: Console) -> None:
    await console.listed(kind="withdrawn")
    (address,) = [href for href, text in console.officer.page.document.links if text.startswith("Buka")]
    await console.officer.open(address)
    page = console.officer.page
    assert page.has("chain-intact")
    assert [values["data-kind"] for _, values in page.document.elements if "data-kind" in values] == [
        "granted",
        "withdrawn",
    ]
    shown = page.document.text_by_id["shown-text"]
    assert "Mendaftar kunjungan ke puskesmas" in shown
    assert "Untuk memanggil Anda saat giliran tiba" in shown


async def test_the_filtered_list_leaves_as_csv_and_as_json_lines(console: Console) -> None:
    rows = list(csv.DictReader(io.StringIO(await console.export("csv", agency="kemenkes"))))
    lines = [json.loads(line) for line in (await console.export("jsonl", agency="kemenkes")).splitlines()]
    kinds = ["withdrawn", "granted", "superseded", "granted"]
    assert sorted(row["kind"] for row in rows) == sorted(kinds)
    assert [row["kind"] for row in rows] == [line["event"]["kind"] for line in lines]
    assert [row["hash"] for row in rows] == [line["hash"] for line in lines]
    assert {row["agency"] for row in rows} == {"kemenkes"}
    # Evidence names nobody: no name, no national id number, no username.
    for exported in (await console.export("csv"), await console.export("jsonl")):
        for personal in ("Siti", "Budi", "9904035505900001", "siti", "budi"):
            assert personal not in exported


async def test_looking_is_itself_recorded(console: Console, clock: FakeClock) -> None:
    clock.advance(1)
    await console.listed(kind="withdrawn")
    (address,) = [href for href, text in console.officer.page.document.links if text.startswith("Buka")]
    clock.advance(1)
    await console.officer.open(address)
    clock.advance(1)
    await console.export("csv", agency="kemenkes")
    clock.advance(1)
    await console.officer.open("/console/actions")
    actions = [values["data-action"] for _, values in console.officer.page.document.elements if "data-action" in values]
    assert actions == ["export", "open", "list", "list"]
    clock.advance(1)
    await console.officer.open("/console/actions")
    again = [values["data-action"] for _, values in console.officer.page.document.elements if "data-action" in values]
    assert again == ["list", *actions]


@only_sqlite
async def test_a_citizen_is_shown_nothing_and_a_stranger_the_login(
    console: Console, new_user: Callable[[], BrowserUser]
) -> None:
    for path in ("/console", "/console/actions", "/console/export?format=csv", "/console/consents/x"):
        await console.siti.open(path)
        if console.siti.page.path == "/login":  # after 91 days
            await console.siti.log_in("siti", console.world.password("siti"))
        assert console.siti.page.status == 403
        assert statuses(console.siti) == []
        stranger = new_user()
        await stranger.open(path)
        assert stranger.page.path == "/login"
