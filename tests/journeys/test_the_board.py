"""The officers' board of who must stop, and how two of them end a purpose; in both languages, without JavaScript."""

import re
from collections.abc import Callable

import pytest
from sqlalchemy import select

from consent.models import ConsentRecord, OfficerAction, PurposeVersion
from idp.accounts.directory import create_account, grant_role
from idp.housekeeping import sweep
from idp.provider import Provider
from tests.journeys.visiting import statuses, visit, withdraw
from tests.support.browser_user import BrowserUser
from tests.support.clock import FakeClock
from tests.support.databases import only_sqlite
from tests.support.world import World

pytestmark = pytest.mark.anyio

PASSWORD = "gunung-yang-tinggi-sekali"


@pytest.fixture
async def ratna(world: World, new_user: Callable[[], BrowserUser]) -> BrowserUser:
    """A privacy officer, signed in."""
    user = new_user()
    await user.open("/console/withdrawals")
    await user.log_in("ratna", world.password("ratna"))
    return user


@pytest.fixture
async def bambang(provider: Provider, new_user: Callable[[], BrowserUser]) -> BrowserUser:
    """Another privacy officer, signed in."""
    async with provider.database.transaction() as session:
        await create_account(
            session,
            username="bambang",
            password=PASSWORD,
            password_hash=await provider.passwords.hash(PASSWORD),
            profile={"name": "Bambang Wijaya"},
            now=provider.clock(),
            entropy=provider.entropy,
        )
        await grant_role(
            session, username="bambang", role="privacy_officer", granted_by="operator", now=provider.clock()
        )
    user = new_user()
    await user.open("/console/endings")
    await user.log_in("bambang", PASSWORD)
    return user


async def test_the_board_shows_who_has_not_stopped_and_how_late_it_is(
    world: World, user: BrowserUser, ratna: BrowserUser, provider: Provider, clock: FakeClock
) -> None:
    await ratna.open("/console/withdrawals")
    assert ratna.page.has("no-withdrawals")
    await visit(world, user, world.app("health"))
    await withdraw(user, "Sehat Bersama")
    shown = []
    for _ in range(3):
        clock.advance(hours=25)
        await sweep(provider)
        ratna = await again(world, ratna)
        shown += re.findall(r'data-escalation="(\w+)"', ratna.page.response.text)
    assert shown == ["amber", "red", "breach"]
    assert 'data-clock="breach" data-count="1"' in ratna.page.response.text
    [delivery] = re.findall(r'data-delivery="([^"]+)"', ratna.page.response.text)

    await ratna.open("/console/withdrawals", escalation="amber")
    assert ratna.page.has("no-withdrawals")
    await ratna.open("/console/withdrawals", state="waiting", agency="kemenkes", escalation="breach")
    assert delivery in ratna.page.response.text

    for language, words in (("id", "Pelanggaran"), ("en", "Breach of law: over 72 hours")):
        await ratna.open(f"/console/withdrawals/{delivery}", lang=language)
        assert ratna.page.status == 200
        assert words in ratna.page.text
    await ratna.open("/console/withdrawals/0198b3c2-4d5e-7f60-8123-456789abcdef")
    assert ratna.page.status == 404
    async with provider.database.reading() as session:
        looked = (await session.scalars(select(OfficerAction))).all()
    assert {one.filters["of"] for one in looked} == {"withdrawals"}
    assert {one.action for one in looked} == {"list", "open"}


async def again(world: World, officer: BrowserUser) -> BrowserUser:
    """The officer's session is over by the next day."""
    await officer.open("/console/withdrawals")
    if officer.page.path == "/login":
        await officer.log_in("ratna", world.password("ratna"))
    return officer


@only_sqlite
async def test_a_citizen_is_not_shown_the_board(world: World, user: BrowserUser) -> None:
    for path in ("/console/withdrawals", "/console/endings"):
        await user.open(path)
        if user.page.path == "/login":
            await user.log_in("siti", world.password("siti"))
        assert user.page.status == 403


async def test_one_officer_proposes_an_ending_and_another_approves_it(
    world: World, user: BrowserUser, ratna: BrowserUser, bambang: BrowserUser, provider: Provider
) -> None:
    await visit(world, user, world.app("health"))
    await ratna.open("/console/endings")
    assert ratna.page.has("no-endings")
    await ratna.open("/console/endings", kind="purpose_version", code="kunjungan-puskesmas", version="1", lang="en")
    assert ratna.page.has("preview")
    assert "Consents1 People1" in ratna.page.text
    await ratna.press("propose-it", fields={"reason": "The programme ended."})
    [ending] = re.findall(r"/console/endings/([0-9a-f-]{36})", ratna.page.response.text)[:1]
    assert ratna.page.has("own")
    assert not ratna.page.has("approve")
    # Whoever posts what the page does not offer is refused all the same.
    form = ratna.page.form_with("reject")
    pairs = [(name, value) for name, value in form.values() if name != "decision"]
    await ratna.send(form, [*pairs, ("decision", "approve")])
    assert ratna.page.status == 400
    assert ratna.page.has("refused")

    await bambang.open(f"/console/endings/{ending}")
    await bambang.press("approve")
    async with provider.database.reading() as session:
        version = (
            await session.scalars(
                select(PurposeVersion)
                .join(ConsentRecord, ConsentRecord.purpose_version_id == PurposeVersion.id)
                .limit(1)
            )
        ).one()
    assert version.status == "ended"
    await sweep(provider)
    await user.open("/my/consents")
    assert statuses(user) == ["revoked"]
    await bambang.open("/console/endings")
    assert f'data-ending="{ending}" data-status="running"' in bambang.page.response.text


@only_sqlite
async def test_what_is_not_there_is_said_and_nothing_proposed(ratna: BrowserUser) -> None:
    for kind, code, version in (
        ("purpose_version", "kunjungan-puskesmas", "9"),
        ("purpose_version", "unknown", "1"),
        ("agency", "unknown", ""),
        ("ministry", "x", "1"),
    ):
        await ratna.open("/console/endings", kind=kind, code=code, version=version)
        assert ratna.page.status == 400
        assert ratna.page.has("refused")
        assert not ratna.page.has("preview")


@only_sqlite
async def test_a_forged_form_ends_nothing(ratna: BrowserUser) -> None:
    await ratna.open("/console/endings", kind="agency", code="kemenkes")
    form = ratna.page.form_with("propose-it")
    await ratna.send(form, [("kind", "agency"), ("code", "kemenkes"), ("reason", "x"), ("csrf", "forged")])
    assert ratna.page.status == 403
