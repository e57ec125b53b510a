"""Which addresses the provider may send to: public ones, and the networks that the settings name.

Whoever registers an endpoint chooses where the provider connects to. Without this they would choose the metadata
service of the cloud, the database, a ministry's inner network.
Spec: OWASP Server-Side Request Forgery Prevention; RFC 6890; RFC 6598; RFC 4193; RFC 6052.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from idp.outbound.errors import FetchRefused

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

MAX_URL: Final = 2000
HTTPS_PORT: Final = 443
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9.])?|\[[0-9A-Fa-f:.]{2,45}\]")

# Addresses that carry an IPv4 address inside them, and would be carried on to it; and what Python calls global though
# no packet should go there.
_NEVER: Final[tuple[Network, ...]] = tuple(
    ip_network(text)
    for text in (
        "192.0.0.0/24",
        "192.88.99.0/24",
        "100.64.0.0/10",
        "198.18.0.0/15",
        "240.0.0.0/4",
        "::/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2001::/23",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "fec0::/10",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundPolicy:
    """What the settings allow. `private_networks` is empty in production."""

    development: bool = False
    private_networks: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """An address that may be tried: everything but where its host lives was checked."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Host and port as the Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        standard = {"https": HTTPS_PORT, "http": 80}[self.scheme]
        return host if self.port == standard else f"{host}:{self.port}"


def read_target(url: str, policy: OutboundPolicy) -> Target:
    """Takes a URL apart, or says what is wrong with it. Error: `FetchRefused`.

    Ports: 443; in development also those above 1024. http is for the named private networks of a developer.
    """
    if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or "\\" in url or " " in url:
        raise FetchRefused("not_an_address", "the URL is too long, or has characters that no URL has")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise FetchRefused("not_an_address", "the URL does not parse") from None
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise FetchRefused("not_an_address", "the URL is not an https address")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise FetchRefused("not_an_address", "the URL has a user or a fragment")
    bare = parts.netloc if port is None else parts.netloc.rpartition(":")[0]
    if _HOST.fullmatch(bare) is None:
        raise FetchRefused("not_an_address", "the URL's host is not written as one")
    if parts.scheme == "http" and not (policy.development and policy.private_networks):
        raise FetchRefused("not_an_address", "the URL is not https")
    port = port if port is not None else {"https": HTTPS_PORT, "http": 80}[parts.scheme]
    if port != HTTPS_PORT and not (policy.development and port > 1024):
        raise FetchRefused("not_an_address", f"port {port} is not one that is sent to")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    target = Target(scheme=parts.scheme, host=parts.hostname, port=port, path=path)
    literal = _literal(parts.hostname)
    if literal is not None:
        check_address(literal, target, policy)
    return target


def check_address(address: Address, target: Target, policy: OutboundPolicy) -> None:
    """Refuses an address that the target's host turned out to have. Error: `FetchRefused`."""
    named = any(_within(address, network) for network in policy.private_networks)
    if not named and not is_public(address):
        raise FetchRefused("unreachable", f"{target.host} is at {address}, which is not public")
    if target.scheme == "http" and not named:
        raise FetchRefused("unreachable", "http is for the named private networks only")


def is_public(address: Address) -> bool:
    """Whether anybody on the internet could be there."""
    if isinstance(address, IPv6Address):
        # A zone (fe80::1%eth0) and an IPv4 address in IPv6's clothes are judged by what they are.
        if address.scope_id is not None:
            return False
        if address.ipv4_mapped is not None:
            return False
    if any(_within(address, network) for network in _NEVER):
        return False
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified or address.is_loopback
    )


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _within(address: Address, network: Network) -> bool:
    return address.version == network.version and address in network
