"""Who used my data: what the provider saw itself, what a ministry reports, and what it does not."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from idp.demo.registry import FAMILY_CARD
from tests.journeys.visiting import userinfo
from tests.support.browser_user import BrowserUser
from tests.support.clock import FakeClock
from tests.support.evidence_world import PURPOSE, EvidenceWorld
from tests.support.relying_party import Login
from tests.support.world import World

pytestmark = pytest.mark.anyio


def a_use(evidence: EvidenceWorld, login: Login, reference: str, **changes: Any) -> dict[str, Any]:
    """That the ministry gave the family card to the app just now."""
    said = {
        "reference": reference,
        "sub": login.sub,
        "client_id": evidence.app.client_id,
        "at": evidence.clock().isoformat(),
        "action": "lookup",
        "items": [FAMILY_CARD],
        "purpose": PURPOSE,
        "system": "SIAK",
    }
    return {name: value for name, value in (said | changes).items() if value is not None}


def bases(user: BrowserUser) -> list[str]:
    """On what basis each use on the page was, newest first."""
    return [values["data-basis"] for _, values in user.page.document.elements if "data-basis" in values]


async def reconciled(evidence: EvidenceWorld) -> dict[str, Any]:
    """What the ministry's own system is told of its gap, up to now."""
    now = evidence.clock()
    answer = await evidence.http.get(
        "/consent/v1/reconciliation",
        params={"since": (now - timedelta(days=2)).isoformat(), "until": (now + timedelta(seconds=1)).isoformat()},
        headers=await evidence.bearer(evidence.giver, "consent:audit"),
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_ministry_reports_what_it_gave_the_citizen_sees_it_and_the_gap_is_shown(
    world: World, user: BrowserUser, new_user: Callable[[], BrowserUser], evidence: EvidenceWorld, clock: FakeClock
) -> None:
    login = await evidence.agree(user, "siti", world.password("siti"), items={"phone_number"})
    own = await evidence.own_token(login)
    await userinfo(evidence.app, own["access_token"])
    first, second = await evidence.check(login.sub), await evidence.check(login.sub)
    assert first["permitted"] is second["permitted"] is True

    # The provider's own disclosure is there without anybody's work; the ministry's is not, and the gap says so.
    await user.open("/my/uses")
    assert bases(user) == ["consent"]
    assert "SIAK" not in user.page.text
    before = await reconciled(evidence)
    assert (before["checks"], before["answered"], before["reported"]) == (2, 0, 0)

    use = a_use(evidence, login, "2026/17", check=first["reference"])
    (result,) = await evidence.report(use, key="batch-1")
    assert result["status"] == "recorded"
    (again,) = await evidence.report(use, key="batch-1")
    (known,) = await evidence.report(use, key="batch-2")
    assert again == result
    assert (known["status"], known["id"]) == ("known", result["id"])
    after = await reconciled(evidence)
    assert (after["answered"], after["reported"], after["without_basis"]) == (1, 1, 0)
    assert after["gap"] == before["gap"] - 1 > 0

    await user.open("/my/uses")
    uses = user.page.document.text_by_id["uses"]
    assert "Nomor kartu keluarga" in uses
    assert "Kependudukan dan Pencatatan Sipil" in uses
    assert "SIAK" in uses
    budi = new_user()
    await budi.open("/my/uses")
    await budi.log_in("budi", world.password("budi"))
    assert budi.page.has("no-uses")

    # The law by which somebody looks without asking is named; what has no basis at all is kept, and shown as that.
    by_law = {"legal_basis": "legal_obligation", "legal_citation": "UU 8/1981 pasal 7 ayat (1) huruf j"}
    await user.open("/my/consents")
    (address,) = [href for href, text in user.page.document.links if text == "Posyandu Kita"]
    await user.open(address)
    await user.press("withdraw")
    clock.advance(60)
    lawful, unlawful = await evidence.report(
        a_use(evidence, login, "2026/18", purpose=None, **by_law), a_use(evidence, login, "2026/19"), key="batch-3"
    )
    assert lawful["status"] == "recorded"
    assert (unlawful["status"], "id" in unlawful) == ("refused", True)
    await user.open("/my/uses")
    assert sorted(bases(user)) == ["consent", "consent", "legal_obligation", "none"]
    assert (await reconciled(evidence))["without_basis"] == 1

    # A day later, everybody may read how large the gap is.
    clock.advance(days=1, hours=1)
    stranger = new_user()
    await stranger.open("/register/uses", lang="en")
    row = stranger.page.document.text_by_id["agencies"]
    assert "Directorate General of Population" in row
    assert "Siti" not in stranger.page.text
