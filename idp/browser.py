"""What we know of a browser: its cookies, whether a form came from our own page, and its network address.

Every cookie has the `__Host-` prefix: a browser then refuses it from a neighbouring host or over plain http, so that
nobody but this provider can plant one.
Spec: RFC 6265bis §4.1.3.2; Fetch §3.1 (`Origin`); Fetch Metadata (`Sec-Fetch-Site`).
"""

import hashlib
import hmac
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from idp.errors import InvalidRequest, PageRefusal
from idp.protocol import parse_pairs, read_body
from keys.encoding import b64url_decode, b64url_encode
from keys.entropy import Entropy, constant_time_equals, sha256
from keys.errors import MalformedEncoding

BROWSER_COOKIE: Final = "__Host-browser"
SESSION_COOKIE: Final = "__Host-session"
LANGUAGE_COOKIE: Final = "__Host-lang"

SECRET_BYTES: Final = 32
BROWSER_MAX_AGE: Final = 400 * 86400  # the longest that browsers allow
CSRF_FIELD: Final = "csrf"

_LOST_COOKIE = (
    "This page has lost its connection to your browser. Please start again from the app, with cookies allowed."
)
_FOREIGN_FORM = "This form did not come from this site, so it was not accepted. Please start again from the app."

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def decode_secret(value: str | None) -> bytes | None:
    """The 32 bytes of a cookie's value, or nothing when it is not one of ours."""
    if value is None or len(value) != 43:
        return None
    try:
        return b64url_decode(value)
    except MalformedEncoding:
        return None


def browser_of(request: Request) -> bytes | None:
    """The secret that this browser was given, or nothing."""
    return decode_secret(request.cookies.get(BROWSER_COOKIE))


def browser_or_new(request: Request, entropy: Entropy) -> bytes:
    """The browser's secret, or a new one, which `set_browser` must then give to it."""
    return browser_of(request) or entropy.token_bytes(SECRET_BYTES)


def set_browser(response: Response, secret: bytes) -> None:
    """Gives the browser its secret; it outlives logins, so that a known browser is recognised."""
    _set(response, BROWSER_COOKIE, b64url_encode(secret), max_age=BROWSER_MAX_AGE)


def session_cookie_of(request: Request) -> str | None:
    """The value of the session cookie, as sent. It proves nothing until `current_session` has found its row."""
    return request.cookies.get(SESSION_COOKIE)


def set_session(response: Response, value: str) -> None:
    """Signs the browser in. No Max-Age: on a shared computer, closing the browser forgets it."""
    _set(response, SESSION_COOKIE, value)


def clear_session(response: Response) -> None:
    """Takes the session cookie away."""
    _set(response, SESSION_COOKIE, "", max_age=0)


def set_language(response: Response, language: str) -> None:
    """Remembers the language that the person chose."""
    _set(response, LANGUAGE_COOKIE, language, max_age=BROWSER_MAX_AGE)


def _set(response: Response, name: str, value: str, *, max_age: int | None = None) -> None:
    response.set_cookie(name, value, max_age=max_age, path="/", secure=True, httponly=True, samesite="lax")


def browser_digest(secret: bytes) -> bytes:
    """What rows keep of a browser's secret."""
    return sha256(secret)


def csrf_token(browser_secret: bytes, context: str) -> str:
    """The token of one form (`context` says which) in one browser. Nothing is stored."""
    mac = hmac.new(browser_secret, b"csrf\x00" + context.encode(), hashlib.sha256)
    return b64url_encode(mac.digest())


class Form(dict[str, list[str]]):
    """A posted form: every value that a name was sent with, in order."""

    def one(self, name: str) -> str:
        """The field's only value, empty when it was not sent. A repeated field is refused: whose value would count?"""
        values = self.get(name, [])
        if len(values) > 1:
            raise PageRefusal("This form was not filled in as expected.", detail=f"{name} was sent more than once")
        return values[0] if values else ""


async def read_form(request: Request, *, max_bytes: int) -> Form:
    """A form of one of our pages: urlencoded, capped while it is read, strictly UTF-8, at most 100 fields.

    Error: `PageRefusal` 400.
    """
    try:
        pairs = parse_pairs(await read_body(request, max_bytes=max_bytes))
    except InvalidRequest as refused:
        raise PageRefusal("This form was not filled in as expected.", detail=str(refused)) from None
    form = Form()
    for name, value in pairs:
        form.setdefault(name, []).append(value)
    return form


def origin_of(issuer: str) -> str:
    """The web origin of an address, as browsers send it."""
    parts = urlsplit(issuer)
    return f"{parts.scheme}://{parts.netloc}".lower()


def check_form_post(request: Request, form: Form, *, context: str, issuer: str) -> bytes:
    """That the form was filled in on our own page in this very browser; returns the browser's secret.

    Without this, another site could sign the victim in as somebody else (login CSRF) or agree in their name. The token
    alone would do; `Origin` and `Sec-Fetch-Site` hold when a token leaks.
    Error: `PageRefusal` 403.
    """
    secret = browser_of(request)
    if secret is None:
        raise PageRefusal(_LOST_COOKIE, status=403, detail="no browser cookie")
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site")
    # "null" is what a sandboxed frame sends. Our pages' Referrer-Policy is `same-origin`, so that our own forms do not;
    # should a proxy make it `no-referrer`, they do (Fetch §3.2), and then Sec-Fetch-Site must vouch for them.
    ours = {origin_of(issuer), "null"} if site == "same-origin" else {origin_of(issuer)}
    if origin is not None and origin.lower() not in ours:
        raise PageRefusal(_FOREIGN_FORM, status=403, detail="foreign Origin")
    if site not in {None, "same-origin"}:
        raise PageRefusal(_FOREIGN_FORM, status=403, detail="foreign Sec-Fetch-Site")
    sent = form.one(CSRF_FIELD)
    if not constant_time_equals(sent.encode(), csrf_token(secret, context).encode()):
        raise PageRefusal(_FOREIGN_FORM, status=403, detail="wrong or missing CSRF token")
    return secret


def client_address(request: Request, trusted_proxies: Sequence[str]) -> str:
    """The network address that the request came from, `unknown` when there is none (a Unix socket).

    `X-Forwarded-For` is believed only as far as our own proxies wrote it: from the right, the first address that is not
    a trusted proxy's. Whatever stands to the left of it, the client wrote, and may have made up.
    """
    peer = _address(request.client.host) if request.client else None
    if peer is None:
        return "unknown"
    networks = _networks(tuple(trusted_proxies))
    if not _is_in(peer, networks):
        return str(peer)
    nearest = peer
    hops = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    for hop in reversed(hops):
        address = _address(hop.strip())
        if address is None:
            break
        nearest = address
        if not _is_in(address, networks):
            break
    return str(nearest)


def _address(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # ::ffff:192.0.2.1 is the same machine as 192.0.2.1, and must not have a second bucket.
    return getattr(address, "ipv4_mapped", None) or address


def _is_in(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


@lru_cache(maxsize=16)
def _networks(cidrs: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ip_network(cidr) for cidr in cidrs)
