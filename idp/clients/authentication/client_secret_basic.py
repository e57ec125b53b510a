"""`client_secret_basic`: id and secret in the Authorization header, each urlencoded before they are joined.

Spec: RFC 6749 §2.3.1; RFC 7617 §2.
"""

import base64
import binascii
import re
from typing import Final
from urllib.parse import unquote_plus

from starlette.requests import Request

from idp.clients.authentication.presented import Method, Presented
from idp.clients.authentication.secrets import verify_secret
from idp.errors import InvalidClient
from idp.protocol import Parameters

_STRAY_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


def read(request: Request, _parameters: Parameters) -> Presented | None:
    """The credentials of a Basic header. Error: `invalid_client` when the header is not what an encoder makes."""
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        raise InvalidClient("the Authorization header must use the Basic scheme")
    try:
        decoded = base64.b64decode(encoded.encode("ascii"), validate=True)
        joined = decoded.decode("utf-8")
    except (binascii.Error, ValueError):
        raise InvalidClient("the Basic credentials are not base64 of UTF-8") from None
    if base64.b64encode(decoded).decode("ascii") != encoded:
        # Python takes superfluous padding and stray bits: two headers would then be one credential.
        raise InvalidClient("the Basic credentials are not canonical base64")
    client_id, colon, secret = joined.partition(":")
    if not (client_id and colon and secret):
        raise InvalidClient("the Basic credentials need an id and a secret")
    return Presented(client_id=_decode(client_id), proof=_decode(secret))


def _decode(encoded: str) -> str:
    if _STRAY_PERCENT.search(encoded):
        raise InvalidClient("the Basic id and secret must be urlencoded")
    try:
        return unquote_plus(encoded, errors="strict")
    except UnicodeDecodeError:
        raise InvalidClient("the Basic id and secret must be urlencoded UTF-8") from None


CLIENT_SECRET_BASIC: Final = Method(name="client_secret_basic", read=read, verify=verify_secret)
