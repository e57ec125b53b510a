"""Where an answer may be sent: to an address that the client registered, character for character.

No pattern, no decoding, no normalising: every clever comparison of addresses has once sent a code to a stranger.

Spec: RFC 6749 §3.1.2; RFC 9700 §2.1 and §4.1; RFC 8252 §7; OpenID Connect Core §3.1.2.1.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Final, Protocol
from urllib.parse import SplitResult, urlsplit

from idp.errors import PageRefusal

MAX_LENGTH: Final = 2000
LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "[::1]"})
DEVELOPMENT_HOSTS: Final = frozenset({"localhost", *LOOPBACK_HOSTS})

# The characters of RFC 3986, and a "%" only before two hexadecimal digits. No "[" or "]": they are looked at in the
# host alone. No backslash, space, control or non-ASCII character: browsers and libraries read those differently.
_CHARACTERS: Final = re.compile(r"(?:[A-Za-z0-9\-._~:/?#@!$&'()*+,;=\[\]]|%[0-9A-Fa-f]{2})+")
_LOOPBACK: Final = re.compile(r"http://(127\.0\.0\.1|\[::1\])(?::([0-9]{1,5}))?([/?].*)?", re.DOTALL)
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_CUSTOM_SCHEME: Final = re.compile(r"[a-z][a-z0-9+\-]*(?:\.[a-z0-9+\-]+)+")
# Encoded characters that a proxy or framework may decode into a path's structure, or into a new header line.
_ENCODED_STRUCTURE: Final = re.compile(r"%(?:[01][0-9A-F]|7F|2E|2F|5C)", re.IGNORECASE)


class Redirectable(Protocol):
    """What of a client decides where answers go."""

    @property
    def application_type(self) -> str:
        """`web`, `native` or `spa`."""
        ...

    @property
    def redirect_uris(self) -> Sequence[str]:
        """The registered addresses."""
        ...


class NotRegistrable(ValueError):
    """The address cannot be registered; the text says what to change."""


def match_redirect_uri(sent: str, client: Redirectable) -> str | None:
    """The address to answer to, when `sent` equals a registered one; nothing otherwise.

    The one exception: a native app listens on whichever port its system gives it, so `http://127.0.0.1` and
    `http://[::1]` may differ from the registered address in the port.
    Spec: RFC 9700 §2.1; RFC 8252 §7.3.
    """
    if len(sent) > MAX_LENGTH:
        return None
    if sent in client.redirect_uris:
        return sent
    if client.application_type != "native":
        return None
    portless = _without_loopback_port(sent)
    if portless is None:
        return None
    registered = (_without_loopback_port(uri) for uri in client.redirect_uris)
    return sent if portless in registered else None


def choose_redirect_uri(sent: str | None, client: Redirectable) -> str:
    """The address that this request is answered to.

    An app with a single registered address may leave the parameter out, as RFC 6749 allows and OpenID Connect does not.
    Error: `PageRefusal`; there is nowhere else to send an error to.
    Spec: RFC 6749 §3.1.2.3, §3.1.2.4; RFC 9700 §4.11.
    """
    if sent is None:
        if len(client.redirect_uris) == 1:
            return client.redirect_uris[0]
        raise PageRefusal(
            "The app did not say where to send you back to.",
            detail="redirect_uri is missing, and the client has not exactly one registered",
        )
    matched = match_redirect_uri(sent, client)
    if matched is None:
        raise PageRefusal(
            "The app asked to send you back to an address that it has not registered.",
            detail=f"redirect_uri is not registered: {sent[:200]!r}",
        )
    return matched


def check_registrable(uri: str, application_type: str, *, development: bool = False) -> None:
    """That an address may be registered: https for web apps, and no way to read it as another address.

    `development` allows http on this machine for web apps. Error: `NotRegistrable`.
    Spec: RFC 6749 §3.1.2; RFC 8252 §7 and §8.4; OpenID Connect Dynamic Client Registration §2 (application_type).
    """
    _check_characters(uri)
    scheme, colon, rest = uri.partition(":")
    if not colon:
        raise NotRegistrable("a redirect URI must be absolute")
    if scheme == "https":
        _check_host(_split(uri))
    elif scheme == "http":
        _check_http(_split(uri), application_type, development=development)
    elif application_type == "native":
        _check_custom_scheme(scheme, rest)
    else:
        raise NotRegistrable("a web app's redirect URI must begin with https://")


def _without_loopback_port(uri: str) -> tuple[str, str] | None:
    matched = _LOOPBACK.fullmatch(uri)
    if matched is None or _CHARACTERS.fullmatch(uri) is None:
        return None
    host, port, rest = matched.groups()
    if port is not None and not 1 <= int(port) <= 65535:
        return None
    return host, rest or ""


def _check_characters(uri: str) -> None:
    if len(uri) > MAX_LENGTH:
        raise NotRegistrable(f"a redirect URI has at most {MAX_LENGTH} characters")
    if "#" in uri:
        raise NotRegistrable("a redirect URI must have no fragment")
    if "*" in uri:
        raise NotRegistrable("a redirect URI must have no wildcard: each address is registered")
    if _CHARACTERS.fullmatch(uri) is None:
        raise NotRegistrable("a redirect URI has only the ASCII characters that RFC 3986 allows")
    if _ENCODED_STRUCTURE.search(uri):
        raise NotRegistrable("a redirect URI must have no encoded dot, slash, backslash or control character")


def _split(uri: str) -> SplitResult:
    try:
        parts = urlsplit(uri)
        port_is_possible = parts.port != 0
    except ValueError:
        raise NotRegistrable("a redirect URI must be a valid address") from None
    if not parts.hostname or not port_is_possible or parts.netloc.endswith(":"):
        raise NotRegistrable("a redirect URI must have a host, and a port from 1 to 65535 if any")
    if "@" in parts.netloc:
        raise NotRegistrable("a redirect URI must have no user before the host")
    if any(segment in {".", ".."} for segment in parts.path.split("/")):
        raise NotRegistrable('a redirect URI must have no "." or ".." in its path')
    return parts


def _check_host(parts: SplitResult) -> str:
    host = parts.netloc.removesuffix(f":{parts.port}") if parts.port is not None else parts.netloc
    if host.startswith("["):
        if not _is_ipv6(host):
            raise NotRegistrable("the redirect URI's host is no IPv6 address")
        return host
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise NotRegistrable("the redirect URI's host must be a plain host name in small ASCII letters")
    # A host that ends in a number is an IPv4 address to browsers, however it is written: 127.1, 0x7f.1, 2130706433.
    if (labels[-1].isdigit() or labels[-1].startswith("0x")) and not _is_ipv4(host):
        raise NotRegistrable("the redirect URI's host is no IPv4 address in its usual form")
    return host


def _check_http(parts: SplitResult, application_type: str, *, development: bool) -> None:
    host = _check_host(parts)
    if application_type == "native":
        if host not in LOOPBACK_HOSTS:
            raise NotRegistrable("a native app's http redirect URI must be at 127.0.0.1 or [::1]")
    elif not development:
        raise NotRegistrable("a web app's redirect URI must begin with https://")
    elif host not in DEVELOPMENT_HOSTS:
        raise NotRegistrable("a web app's http redirect URI must be on this machine (localhost)")


def _check_custom_scheme(scheme: str, rest: str) -> None:
    # The dot is what keeps javascript:, data:, vbscript:, file:, intent: and every scheme to come out.
    if _CUSTOM_SCHEME.fullmatch(scheme) is None:
        raise NotRegistrable("a native app's own scheme must be a domain name in reverse, like id.go.example.app")
    if not rest.startswith("/") or "@" in rest:
        raise NotRegistrable("after a native app's own scheme comes a path, like id.go.example.app:/callback")


def _is_ipv4(host: str) -> bool:
    try:
        return str(IPv4Address(host)) == host
    except ValueError:
        return False


def _is_ipv6(host: str) -> bool:
    try:
        # A zone ("%25eth0") means something on one machine only.
        return "%" not in host and f"[{IPv6Address(host[1:-1])}]" == host
    except ValueError:
        return False
