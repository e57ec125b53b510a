"""A withdrawal, seen by all whom it concerns: dead everywhere at once, told, attested, and shown to the person."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from authlib.integrations.base_client import OAuthError

from idp.clock import system_clock
from idp.demo.registry import FAMILY_CARD
from idp.settings import Settings
from tests.support.browser_user import BrowserUser
from tests.support.evidence_world import INVALID, VALID, EvidenceWorld, new_evidence_world
from tests.support.ports import free_port
from tests.support.relying_party import Login
from tests.support.service import Service
from tests.support.settings import settings_for

pytestmark = [pytest.mark.anyio, pytest.mark.processes, pytest.mark.xdist_group("processes")]

TOLD_WITHIN_SECONDS = 20


@pytest.fixture
def served_settings(database_url: str, tmp_path: Path) -> Settings:
    """Servers that may send to this machine, as a developer's may."""
    issuer = f"http://localhost:{free_port()}"
    return settings_for(database_url, tmp_path, issuer=issuer, outbound_private_networks=("127.0.0.0/8",))


@pytest.fixture
async def stage(service: Service) -> AsyncIterator[EvidenceWorld]:
    """The servers, the app with an endpoint that listens, and the ministry that gives."""
    async with AsyncExitStack() as opened:
        world = await new_evidence_world(
            service.database, issuer=service.issuer, clock=system_clock, transport=service.doors(), opened=opened
        )
        await opened.enter_async_context(world.recipient)
        await world.listen()
        yield world


@dataclass(frozen=True)
class Standing:
    """What each of those whom an app or a ministry may ask says."""

    userinfo: int
    access_token: bool
    refresh_token: bool
    token_at_giver: bool
    check: str
    authzen: bool
    status_list: int


ALIVE = Standing(200, True, True, True, "permitted", True, VALID)
DEAD = Standing(401, False, False, False, "withdrawn", False, INVALID)


async def ask_everybody(stage: EvidenceWorld, login: Login, own: dict[str, str]) -> Standing:
    """Whether it still stands: the app's own tokens, and what the giving ministry is told."""
    return Standing(
        userinfo=(await stage.app.userinfo(own["access_token"])).status_code,
        access_token=bool((await stage.app.introspect(own["access_token"]))["active"]),
        refresh_token=bool((await stage.app.introspect(own["refresh_token"]))["active"]),
        token_at_giver=bool((await stage.giver.introspect(login.access_token))["active"]),
        check=str((await stage.check(login.sub))["reason"]),
        authzen=await stage.authzen(login.sub),
        status_list=await stage.status(login.access_token),
    )


def shown(user: BrowserUser) -> dict[str, str]:
    """How far each recipient is, as the person's page says it."""
    found = {}
    for _, values in user.page.document.elements:
        if "data-recipient" in values:
            found[values["data-recipient"]] = values["data-state"]
    return found


async def until_shown(user: BrowserUser, address: str, expected: dict[str, str]) -> None:
    """Looks at the page until it says so: what was sent is written down a moment after it arrived."""
    for _ in range(TOLD_WITHIN_SECONDS * 10):
        await user.open(address)
        assert user.page.status == 200
        if shown(user) == expected:
            return
        await asyncio.sleep(0.1)
    assert shown(user) == expected


async def test_a_withdrawal_is_known_everywhere_at_once_told_and_attested(
    service: Service, stage: EvidenceWorld
) -> None:
    user = service.browser()
    login = await stage.agree(user, "siti", service.password("siti"))
    own = await stage.own_token(login)
    assert await ask_everybody(stage, login, own) == ALIVE

    await user.open("/my/consents")
    (address,) = [href for href, text in user.page.document.links if text == "Posyandu Kita"]
    await user.open(address)
    await user.press("withdraw")
    assert await ask_everybody(stage, login, own) == DEAD
    with pytest.raises(OAuthError, match="invalid_grant"):
        await stage.app.refresh(own["refresh_token"])

    # The app is told at its own endpoint; PyJWT and the published keys find nothing wrong with what came.
    event = await told(stage)
    assert stage.recipient.wrong == []
    assert event["sub_id"] == {"format": "iss_sub", "iss": service.issuer, "sub": login.sub}
    said = event["events"]["urn:satupintu:events:consent-withdrawn"]
    assert (said["reason"], said["attest"]) == ("withdrawn", "erased")
    assert FAMILY_CARD in said["items"]
    await until_shown(user, address, {"recipient": "sent", "provider": "waiting"})

    for state in ("stopped", "erased"):
        answer = await stage.attest(event["jti"], state)
        assert answer.status_code == 201, answer.text
    # The ministry that gave has no endpoint and asks what it must stop giving.
    (stop_giving,) = await stage.poll(stage.giver, agency=True)
    assert stop_giving["aud"] == "urn:satupintu:agency:dukcapil"
    assert stop_giving["sub_id"]["sub"] != login.sub
    assert await stage.poll(stage.giver, agency=True, ack=[stop_giving["jti"]]) == []
    await until_shown(user, address, {"recipient": "erased", "provider": "sent"})
    assert (await stage.attest(stop_giving["jti"], "stopped", as_giver=True)).status_code == 201
    await until_shown(user, address, {"recipient": "erased", "provider": "stopped"})
    assert user.page.document.text_by_id["stopped"].startswith("2 ")


async def told(stage: EvidenceWorld) -> dict[str, Any]:
    """What the app's endpoint received."""
    for _ in range(TOLD_WITHIN_SECONDS * 10):
        if stage.recipient.events:
            (event,) = stage.recipient.events.values()
            return event
        await asyncio.sleep(0.1)
    raise AssertionError("nobody told the app")
