"""An agreement between two ministries ends, and with it every consent that rested on it."""

import re
from collections.abc import Callable

import pytest
from authlib.integrations.base_client import OAuthError

from idp.housekeeping import sweep
from idp.provider import Provider
from tests.journeys.visiting import statuses, visit
from tests.support.browser_user import BrowserUser
from tests.support.evidence_world import AGREEMENT, EvidenceWorld
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def officer(world: World, user: BrowserUser, name: str) -> BrowserUser:
    """A privacy officer, at the page of endings."""
    await user.open("/console/endings")
    await user.log_in(name, world.password(name))
    assert user.page.path == "/console/endings"
    return user


async def test_an_agreement_ends_by_two_officers_and_its_consents_with_it(
    world: World, new_user: Callable[[], BrowserUser], evidence: EvidenceWorld, provider: Provider
) -> None:
    people = {name: new_user() for name in ("siti", "budi")}
    logins = {name: await evidence.agree(user, name, world.password(name)) for name, user in people.items()}
    await visit(world, people["siti"], world.app("health"))

    ratna = await officer(world, new_user(), "ratna")
    await ratna.open("/console/endings", kind="agreement_version", code=AGREEMENT, version="1", lang="en")
    assert "Consents2 People2" in ratna.page.text.replace("Consents 2", "Consents2").replace("People 2", "People2")
    await ratna.press("propose-it", fields={"reason": "Perjanjian tidak diperpanjang."})
    ending = re.findall(r"/console/endings/([0-9a-f-]{36})", str(ratna.page.url))[0]
    assert not ratna.page.has("approve"), "nobody approves what they proposed"
    assert [(await evidence.check(login.sub))["permitted"] for login in logins.values()] == [True, True]

    wayan = await officer(world, new_user(), "wayan")
    await wayan.open(f"/console/endings/{ending}")
    await wayan.press("approve")
    # With the approval nothing flows, before a single consent has its event.
    for login in logins.values():
        assert (await evidence.check(login.sub))["permitted"] is False
        assert await evidence.authzen(login.sub) is False
    await sweep(provider)
    await sweep(provider)

    for name, user in people.items():
        await user.open("/my/consents")
        assert ("revoked" in statuses(user), "given" in statuses(user)) == (True, name == "siti")
        (address,) = [href for href, text in user.page.document.links if text == "Posyandu Kita"]
        await user.open(address)
        assert user.page.has("stopped"), "they see who still has to stop"
        with pytest.raises(OAuthError, match="invalid_grant"):
            await evidence.own_token(logins[name])
    events = await evidence.poll()
    said = [event["events"]["urn:satupintu:events:consent-withdrawn"] for event in events]
    assert [one["reason"] for one in said] == ["revoked", "revoked"]
    assert {event["sub_id"]["sub"] for event in events} == {login.sub for login in logins.values()}
    assert len(await evidence.poll(evidence.giver, agency=True)) == 2

    await wayan.open("/console/endings")
    await sweep(provider)
    await wayan.open(f"/console/endings/{ending}", lang="en")
    assert "Ended so far2" in wayan.page.text.replace("Ended so far 2", "Ended so far2")
    # Nobody is asked anew for what no answer could make flow: the app is told why.
    await evidence.ask(people["budi"])
    told = people["budi"].callback_parameters
    assert (told["error"], "agreement" in told["error_description"]) == ("unauthorized_client", True)
