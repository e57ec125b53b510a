"""Whoever registers where events are sent chooses where the provider connects to; and gains nothing by it.

Canaries on this machine stand for whatever an attacker would like to have reached, and count who comes.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import update

from consent.withdrawal.models import Delivery, Stream
from idp.outbound.addresses import OutboundPolicy, read_target
from idp.outbound.errors import FetchRefused
from idp.outbound.fetch import Fetcher, Resolve
from idp.provider import Provider
from idp.settings import Settings
from tests.support.canary import Canary, answering, bomb, dripping, pouring
from tests.support.databases import only_sqlite
from tests.support.ports import free_port
from tests.support.settings import settings_for
from tests.support.token_world import new_world
from tests.support.withdrawal_world import Idle, WithdrawalWorld, new_withdrawal_world

pytestmark = [pytest.mark.anyio, only_sqlite]

HOME = OutboundPolicy(development=True, private_networks=(ip_network("127.0.0.0/8"), ip_network("::1/128")))
PUBLIC = OutboundPolicy(development=True)


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """A developer's provider, which may use high ports, and names no private network."""
    return settings_for(database_url, tmp_path)


@pytest.fixture
async def events(provider: Provider, client: httpx2.AsyncClient) -> WithdrawalWorld:
    """An app that may say where it wants to be told."""
    return await new_withdrawal_world(await new_world(provider, client))


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    """What should not be reached."""
    async with Canary() as opened:
        yield opened


async def register(events: WithdrawalWorld, url: str) -> int:
    """The app says where. Returns the status of the answer."""
    said = {"delivery": {"method": "urn:ietf:rfc:8935", "endpoint_url": url}}
    answer = await events.world.http.put("/consent/v1/stream", json=said, headers=await events.bearer())
    return answer.status_code


async def tell(
    events: WithdrawalWorld, *, policy: OutboundPolicy, resolve: Resolve | None = None, **caps: Any
) -> str | None:
    """A withdrawal is sent to where the app said. Returns what is kept of how that went."""
    outbound = Fetcher(policy, resolve=resolve, **caps)
    consent_id = await events.agree()
    await events.withdraw(consent_id)
    await Idle(replace(events.provider, outbound=outbound)).send_due()
    [delivery] = await events.deliveries(consent_id)
    return delivery.last_error


@pytest.mark.threat(41)
async def test_no_inner_address_is_connected_to_however_it_is_written(
    client: httpx2.AsyncClient, events: WithdrawalWorld, canary: Canary
) -> None:
    hosts = (
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "[::1]", "[::ffff:127.0.0.1]", "[fd00::1]", "[fe80::1]", "[64:ff9b::7f00:1]",
    )  # fmt: skip
    for host in hosts:
        assert (host, await register(events, f"https://{host}:{canary.port}/")) == (host, 400)
    # What only turns out to be inner once it is looked up is refused then.
    for host in ("localhost", "localhost.", "0x7f.1", "0177.0.0.1", "2130706433", "127.1"):
        assert (host, await register(events, f"https://{host}:{canary.port}/")) == (host, 200)
        assert await tell(events, policy=PUBLIC) == "the endpoint could not be reached"
        await deliveries_are_over(events)
    assert canary.connections == 0


@pytest.mark.threat(42)
async def test_a_redirect_leads_nowhere(client: httpx2.AsyncClient, events: WithdrawalWorld, canary: Canary) -> None:
    async with Canary() as outer:
        for status in ("301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"):
            outer.answer = answering(status, b"", f"Location: {canary.url}")
            at = {"resolve": resolving("127.0.0.1")}
            assert await register(events, f"https://outer.test:{outer.port}/") == 200
            # https is registered; the downgrade of the canary is the developer's, for want of a certificate.
            await http_instead(events, f"http://outer.test:{outer.port}/")
            assert await tell(events, policy=HOME, **at) == "the endpoint redirects; redirects are not followed"
            await deliveries_are_over(events)
        assert len(outer.visits) >= 5
    assert canary.connections == 0


@pytest.mark.threat(43)
async def test_a_name_that_changes_its_address_after_the_check_gains_nothing(
    client: httpx2.AsyncClient, events: WithdrawalWorld, canary: Canary
) -> None:
    first_public_then_loopback = resolving("::1", "127.0.0.1")
    only_the_first = OutboundPolicy(development=True, private_networks=(ip_network("::1/128"),))
    assert await register(events, f"https://rebind.test:{canary.port}/") == 200
    await http_instead(events, f"http://rebind.test:{canary.port}/")
    told = await tell(events, policy=only_the_first, resolve=first_public_then_loopback)
    assert told == "the endpoint could not be reached"
    assert canary.connections == 0


@pytest.mark.threat(44)
async def test_no_other_scheme_and_no_other_port(client: httpx2.AsyncClient, events: WithdrawalWorld) -> None:
    for url in (
        "file:///etc/passwd",
        "gopher://sehat.example/_GET",
        "ftp://sehat.example/",
        "data:text/plain,x",
        "unix:///var/run/docker.sock",
        "http+unix://%2Fvar%2Frun%2Fdocker.sock/",
        "http://sehat.example/",
        "https://sehat.example:22/",
        "https://sehat.example:25/",
        "https://user@sehat.example/",
    ):
        assert (url, await register(events, url)) == (url, 400)
    # In production not even a developer's high ports.
    with pytest.raises(FetchRefused):
        read_target("https://sehat.example:5432/", OutboundPolicy())


@pytest.mark.threat(45)
async def test_an_answer_without_end_is_cut_off_and_holds_up_nobody(
    client: httpx2.AsyncClient, events: WithdrawalWorld, canary: Canary
) -> None:
    assert await register(events, f"https://slow.test:{canary.port}/") == 200
    await http_instead(events, f"http://slow.test:{canary.port}/")
    for answer, told in (
        (dripping, "the endpoint did not answer in time"),
        (pouring, "the endpoint's answer is too large"),
        (bomb(), "the endpoint's answer cannot be read"),
    ):
        canary.answer = answer
        begun = time.monotonic()
        sending = asyncio.create_task(tell(events, policy=HOME, resolve=resolving("127.0.0.1"), total_seconds=1.0))
        while not sending.done():
            assert (await client.get("/.well-known/openid-configuration")).status_code == 200
            await asyncio.sleep(0.05)
        assert await sending == told
        assert time.monotonic() - begun < 10
        events.provider.clock.advance(hours=2)  # type: ignore[attr-defined]
        await deliveries_are_over(events)


@pytest.mark.threat(46)
async def test_what_is_said_of_a_failure_does_not_map_the_network(
    client: httpx2.AsyncClient, events: WithdrawalWorld, canary: Canary
) -> None:
    """A forbidden address, a shut port, a name that is nobody's: one sentence, kept where the app cannot read it."""
    said = set()
    for port, resolve in (
        (canary.port, resolving("10.0.0.1")),
        (free_port(), resolving("127.0.0.1")),
        (canary.port, resolving()),
    ):
        await register(events, f"https://somewhere.test:{port}/")
        await http_instead(events, f"http://somewhere.test:{port}/")
        said.add(await tell(events, policy=HOME, resolve=resolve))
        await deliveries_are_over(events)
    assert said == {"the endpoint could not be reached"}
    answer = await client.get("/consent/v1/stream", headers=await events.bearer())
    assert "reached" not in answer.text
    assert canary.connections == 0


def resolving(*answers: str) -> Resolve:
    """A name server that gives one address after the other."""
    left = list(answers)

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        if not left:
            raise OSError("no such name")
        return [left.pop(0)] if len(left) > 1 else left

    return resolve


async def http_instead(events: WithdrawalWorld, url: str) -> None:
    """The registered endpoint without TLS, as a developer may have it on this machine."""
    async with events.provider.database.transaction() as session:
        await session.execute(update(Stream).values(endpoint=url, rests_until=None, failures=0))


async def deliveries_are_over(events: WithdrawalWorld) -> None:
    """What was tried is not tried again in the next round."""
    async with events.provider.database.transaction() as session:
        await session.execute(update(Delivery).values(closed_at=events.provider.clock(), next_attempt_at=None))
        await session.execute(update(Stream).values(rests_until=None, failures=0))
