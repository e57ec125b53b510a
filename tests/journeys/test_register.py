"""The public register, and a proposal on its way into it, through the whole provider."""

import json

import pytest

from consent.purposes import versions_of
from consent.registry.projection import check_registry
from consent.registry.review import CODES
from consent.registry.versions import approve
from idp.demo.registry import ANSWERS, OFFICERS
from idp.provider import Provider
from tests.support.browser_user import BrowserUser
from tests.support.world import World

pytestmark = pytest.mark.anyio

CODE = "penyaluran-bantuan"


async def test_a_stranger_reads_who_may_ask_for_what_and_by_which_law(world: World, user: BrowserUser) -> None:
    await user.open("/")
    assert user.page.has("register")
    await user.open("/register")
    assert user.page.status == 200
    assert "Menyalurkan bantuan sosial" in user.page.text
    await user.open(f"/register/{CODE}")
    assert user.page.has("no-choice")
    assert "Diambil dari Direktorat Jenderal Kependudukan dan Pencatatan Sipil." in user.page.text
    await user.open("/register/kunjungan-puskesmas")
    assert user.page.has("choice")
    register = json.loads((await user.client.get(f"{world.issuer}/register.json")).text)
    assert {purpose["code"] for purpose in register["purposes"]} >= {CODE, "kunjungan-puskesmas"}


async def test_a_proposal_is_approved_in_the_console_and_then_in_the_register(
    world: World, provider: Provider, user: BrowserUser
) -> None:
    await user.open("/console/proposals")
    await user.log_in("ratna", world.password("ratna"))
    assert user.page.path == "/console/proposals"
    async with provider.database.reading() as session:
        proposed = (await versions_of(session, CODE))[0]
    assert (proposed.version, proposed.status) == (2, "proposed")
    await user.open(f"/console/proposals/{proposed.id}")
    await user.press(
        "approve",
        {"side": "operator", "public_task": "yes", "public_task_reason": "Tugas menurut undang-undang"},
        ticked={f"confirmed-{code}": ["yes"] for code in CODES},
    )
    assert user.page.path == f"/console/proposals/{proposed.id}"
    assert not user.page.has("refused"), user.page.text
    await user.open(f"/register/{CODE}")
    assert not user.page.has("version-2"), "one side is not both"
    async with provider.database.transaction() as session:
        active = await approve(
            session,
            proposed.id,
            side="agency",
            by=OFFICERS["kemensos"],
            review=ANSWERS[CODE].review,
            now=provider.clock(),
            entropy=provider.entropy,
        )
        assert active.status == "active"
        assert await check_registry(session) == []
    await user.open(f"/register/{CODE}")
    assert user.page.has("version-2")
    assert user.page.has("changes-2")
