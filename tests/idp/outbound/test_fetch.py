"""The one way out, against servers that do what servers should not."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_network

import pytest

from idp.outbound.addresses import OutboundPolicy
from idp.outbound.errors import FetchRefused
from idp.outbound.fetch import Fetcher, Resolve
from tests.support.authority import Authority
from tests.support.canary import Canary, answering, bomb, dripping, pouring, silent
from tests.support.ports import free_port

pytestmark = pytest.mark.anyio

AT_HOME = OutboundPolicy(development=True, private_networks=(ip_network("127.0.0.0/8"), ip_network("::1/128")))


class Names:
    """A name server that tells what a test wants, and counts the questions. The last answer stays."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def __call__(self, _host: str, _port: int) -> Sequence[str]:
        self.asked += 1
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def fetcher(resolve: Resolve | None = None, *, policy: OutboundPolicy = AT_HOME, seconds: float = 5) -> Fetcher:
    return Fetcher(policy, resolve=resolve, total_seconds=seconds, connect_seconds=2)


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    async with Canary() as opened:
        yield opened


async def refused(sending: Fetcher, url: str) -> str:
    with pytest.raises(FetchRefused) as caught:
        await sending.send("POST", url, body=b"x")
    return caught.value.reason


async def test_what_may_be_sent_arrives_as_it_was_sent(canary: Canary) -> None:
    canary.answer = answering("200 OK", b'{"err":"none"}', "Content-Type: application/json")
    got = await fetcher().send("POST", canary.url, headers={"Content-Type": "text/plain"}, body=b"hello")
    assert (got.status, got.body, got.headers["content-type"]) == (200, b'{"err":"none"}', "application/json")
    [visit] = canary.visits
    assert (visit.method, visit.path, visit.body) == ("POST", "/events", b"hello")
    assert visit.headers["host"] == f"127.0.0.1:{canary.port}"
    assert visit.headers["accept-encoding"] == "identity"


async def test_a_private_address_gets_no_connection_at_all(canary: Canary) -> None:
    production = fetcher(policy=OutboundPolicy(development=True))
    for host in ("127.0.0.1", "localhost", "localhost.", "0x7f.1", "2130706433", "127.1"):
        assert await refused(production, f"https://{host}:{canary.port}/") == "unreachable"
    assert canary.connections == 0


async def test_a_name_that_changes_its_address_between_check_and_use_gains_nothing(canary: Canary) -> None:
    """DNS rebinding: the first answer is allowed, the second is the loopback. There is no second question."""
    names = Names(["::1"], ["127.0.0.1"])
    one = OutboundPolicy(development=True, private_networks=(ip_network("::1/128"),))
    assert await refused(fetcher(names, policy=one), f"http://rebind.test:{canary.port}/") == "unreachable"
    assert names.asked == 1
    assert canary.connections == 0


async def test_the_connection_goes_to_the_address_that_was_checked(canary: Canary) -> None:
    names = Names(["127.0.0.1"])
    got = await fetcher(names).send("POST", f"http://instansi.test:{canary.port}/events", body=b"x")
    assert got.status == 202
    assert canary.visits[0].headers["host"] == f"instansi.test:{canary.port}"


async def test_one_forbidden_address_among_allowed_ones_is_refused(canary: Canary) -> None:
    names = Names(["127.0.0.1", "10.0.0.1"])
    assert await refused(fetcher(names), f"http://mixed.test:{canary.port}/") == "unreachable"
    assert canary.connections == 0


async def test_the_next_address_is_tried_when_nobody_listens_at_the_first(canary: Canary) -> None:
    names = Names(["::1", "127.0.0.1"])
    assert (await fetcher(names).send("POST", f"http://two.test:{canary.port}/", body=b"x")).status == 202


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_redirects_are_not_followed(canary: Canary, status: str) -> None:
    async with Canary() as inner:
        canary.answer = answering(status, b"", f"Location: {inner.url}")
        assert await refused(fetcher(), canary.url) == "redirected"
        assert inner.connections == 0


async def test_an_answer_that_drips_is_cut_off(canary: Canary) -> None:
    canary.answer = dripping
    begun = time.monotonic()
    assert await refused(fetcher(seconds=0.5), canary.url) == "too_slow"
    assert time.monotonic() - begun < 3


async def test_an_endpoint_that_says_nothing_is_left(canary: Canary) -> None:
    canary.answer = silent
    assert await refused(fetcher(seconds=0.5), canary.url) == "too_slow"


async def test_an_answer_without_end_is_cut_off(canary: Canary) -> None:
    canary.answer = pouring
    assert await refused(fetcher(), canary.url) == "too_large"


async def test_a_compressed_answer_is_not_unpacked(canary: Canary) -> None:
    canary.answer = bomb()
    assert await refused(fetcher(), canary.url) == "unreadable"


async def test_a_slow_name_server_holds_nobody_up(canary: Canary) -> None:
    async def never(_host: str, _port: int) -> Sequence[str]:
        await asyncio.sleep(3600)
        return ()

    begun = time.monotonic()
    assert await refused(fetcher(never, seconds=0.5), "https://slow.test/") == "too_slow"
    assert time.monotonic() - begun < 3
    assert (await fetcher().send("POST", canary.url, body=b"x")).status == 202


async def test_a_shut_port_and_a_forbidden_address_are_told_alike() -> None:
    shut = await refused(fetcher(), f"http://127.0.0.1:{free_port()}/")
    forbidden = await refused(fetcher(), "https://10.0.0.1/")
    assert shut == forbidden == "unreachable"


async def test_a_proxy_of_the_environment_is_not_used(canary: Canary, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Canary() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert (await fetcher().send("POST", canary.url, body=b"x")).status == 202
        assert proxy.connections == 0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority of the country's own."""
    return Authority(tmp_path_factory.mktemp("authority"))


async def test_a_certificate_of_the_named_authority_is_believed(authority: Authority) -> None:
    async with Canary(tls=authority.server("instansi.test")) as secure:
        own = Fetcher(AT_HOME, ca_file=authority.file, resolve=Names(["127.0.0.1"]))
        assert (await own.send("POST", f"https://instansi.test:{secure.port}/", body=b"x")).status == 202
        assert secure.visits[0].headers["host"] == f"instansi.test:{secure.port}"


async def test_a_certificate_of_another_name_or_authority_gets_nothing(authority: Authority) -> None:
    async with Canary(tls=authority.server("lain.test")) as secure:
        own = Fetcher(AT_HOME, ca_file=authority.file, resolve=Names(["127.0.0.1"]))
        assert await refused(own, f"https://instansi.test:{secure.port}/") == "unreachable"
        assert await refused(fetcher(Names(["127.0.0.1"])), f"https://lain.test:{secure.port}/") == "unreachable"
        assert secure.visits == []


async def test_what_does_not_speak_http_is_unreadable(canary: Canary) -> None:
    async def smtp(_visit: object, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await writer.drain()

    canary.answer = smtp
    assert await refused(fetcher(), canary.url) == "unreadable"
