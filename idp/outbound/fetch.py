"""The one way out: every request to an address that somebody else chose goes through here.

The name is resolved once and the connection goes to the address that was checked, so that a name which answers
differently a moment later (DNS rebinding) changes nothing. Redirects are not followed, no proxy of the environment is
used, and time and size have an end whatever the other side does.
Spec: OWASP Server-Side Request Forgery Prevention; RFC 9325 (TLS).
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Final, Self

import httpx2

from idp.outbound.addresses import Address, OutboundPolicy, Target, check_address, read_target
from idp.outbound.errors import FetchRefused
from idp.settings import Settings

CONNECT_SECONDS: Final = 5.0
TOTAL_SECONDS: Final = 15.0
MAX_BYTES: Final = 64 * 1024
_MOST_ADDRESSES: Final = 3

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host, as text, best first. Raises `OSError` when there are none."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer, read whole. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Fetcher:
    """Sends one request at a time to where it may go. Many may run at once; each has a connection of its own."""

    def __init__(
        self,
        policy: OutboundPolicy,
        *,
        ca_file: Path | None = None,
        resolve: Resolve | None = None,
        total_seconds: float = TOTAL_SECONDS,
        connect_seconds: float = CONNECT_SECONDS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.policy = policy
        self._tls = ssl.create_default_context()
        if ca_file is not None:
            self._tls.load_verify_locations(cafile=ca_file)
        # Its own threads: a name server that does not answer must not hold up what else the process does in threads.
        self._names = ThreadPoolExecutor(4, thread_name_prefix="outbound-names")
        self._resolve = resolve or self._system_resolve
        self._total_seconds = total_seconds
        self._connect_seconds = connect_seconds
        self._max_bytes = max_bytes

    @classmethod
    def of(cls, settings: Settings, *, resolve: Resolve | None = None) -> Self:
        """The fetcher that the settings describe."""
        return cls(policy_of(settings), ca_file=settings.outbound_ca_file, resolve=resolve)

    def check(self, url: str) -> None:
        """Refuses a URL that could never be sent to, without sending anything. Error: `FetchRefused`."""
        read_target(url, self.policy)

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Fetched:
        """Sends a request and reads the answer. Error: `FetchRefused`."""
        target = read_target(url, self.policy)
        try:
            # The client's own time-outs are for each read; one that drips would outlast them.
            async with asyncio.timeout(self._total_seconds):
                addresses = await self._addresses(target)
                return await self._send_to_first(addresses, target, method, headers or {}, body)
        except TimeoutError:
            raise FetchRefused("too_slow", f"{target.host} took longer than {self._total_seconds} s") from None

    async def _addresses(self, target: Target) -> list[Address]:
        try:
            found = [ip_address(text) for text in await self._resolve(target.host, target.port)]
        except (OSError, ValueError, UnicodeError) as broken:
            raise FetchRefused("unreachable", f"{target.host} does not resolve: {broken}") from None
        if not found:
            raise FetchRefused("unreachable", f"{target.host} has no address")
        # One forbidden address among allowed ones is no accident of an honest name server.
        for address in found:
            check_address(address, target, self.policy)
        return found[:_MOST_ADDRESSES]

    async def _send_to_first(
        self, addresses: Sequence[Address], target: Target, method: str, headers: Mapping[str, str], body: bytes | None
    ) -> Fetched:
        for address in addresses[:-1]:
            try:
                return await self._exchange(address, target, method, headers, body)
            except httpx2.ConnectError:  # nothing was sent yet: the next address may answer
                continue
            except (httpx2.HTTPError, OSError) as broken:
                raise _refused(target, broken) from None
        try:
            return await self._exchange(addresses[-1], target, method, headers, body)
        except (httpx2.HTTPError, OSError) as broken:
            raise _refused(target, broken) from None

    async def _exchange(
        self, address: Address, target: Target, method: str, headers: Mapping[str, str], body: bytes | None
    ) -> Fetched:
        host = f"[{address}]" if address.version == 6 else str(address)
        request = httpx2.Request(
            method,
            f"{target.scheme}://{host}:{target.port}{target.path}",
            # Never compressed: what must be unpacked before it can be measured cannot be bounded.
            headers={**headers, "Host": target.authority, "Accept-Encoding": "identity", "Connection": "close"},
            content=body,
            extensions={
                "sni_hostname": target.host,
                "timeout": dict.fromkeys(("connect", "pool", "write"), self._connect_seconds)
                | {"read": self._total_seconds},
            },
        )
        # A transport for one request: a connection that is kept was proven to be one host's, and would be found again
        # by its address alone.
        async with httpx2.AsyncHTTPTransport(verify=self._tls, trust_env=False, retries=0) as transport:
            response = await transport.handle_async_request(request)
            try:
                return await self._read(response, target)
            finally:
                await response.aclose()

    async def _read(self, response: httpx2.Response, target: Target) -> Fetched:
        if 300 <= response.status_code < 400:
            raise FetchRefused("redirected", f"{target.host} answered {response.status_code}")
        if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise FetchRefused("unreadable", f"{target.host} sent a content-encoding that was not asked for")
        read = bytearray()
        async for chunk in response.aiter_raw():
            read += chunk
            if len(read) > self._max_bytes:
                raise FetchRefused("too_large", f"{target.host} sent more than {self._max_bytes} bytes")
        return Fetched(
            response.status_code, {name.lower(): value for name, value in response.headers.items()}, bytes(read)
        )

    async def _system_resolve(self, host: str, port: int) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._names, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        )
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    def close(self) -> None:
        """Lets go of the threads, without waiting for a name server."""
        self._names.shutdown(wait=False, cancel_futures=True)


def policy_of(settings: Settings) -> OutboundPolicy:
    """What the settings allow."""
    return OutboundPolicy(
        development=settings.mode == "development",
        private_networks=tuple(ip_network(cidr) for cidr in settings.outbound_private_networks),
    )


def _refused(target: Target, broken: Exception) -> FetchRefused:
    reason = "too_slow" if isinstance(broken, httpx2.TimeoutException) else "unreachable"
    if isinstance(broken, httpx2.ProtocolError | httpx2.DecodingError):
        reason = "unreadable"
    return FetchRefused(reason, f"{target.host}: {type(broken).__name__} {broken}")
