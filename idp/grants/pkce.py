"""PKCE: whoever redeems the code is whoever asked for it.

Spec: RFC 7636 §4.1, §4.6; RFC 9700 §2.1.1 and §4.8.2 (downgrade).
"""

import hashlib
import re
from typing import Final

from idp.errors import InvalidGrant
from keys.encoding import b64url_encode
from keys.entropy import constant_time_equals

_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")


def check_verifier(verifier: str | None, *, expected_challenge: str | None, required: bool) -> None:
    """The verifier answers the challenge of the authorization request. Error: `invalid_grant`."""
    if expected_challenge is None:
        # A verifier without a challenge means that somebody stripped the challenge from the request on its way.
        if verifier is not None:
            raise InvalidGrant("code_verifier was sent, but the authorization request had no code_challenge")
        if required:
            raise InvalidGrant("this client must use PKCE")
        return
    if verifier is None:
        raise InvalidGrant("code_verifier is missing")
    if _VERIFIER.fullmatch(verifier) is None:
        raise InvalidGrant("code_verifier must be 43 to 128 unreserved characters")
    computed = b64url_encode(hashlib.sha256(verifier.encode("ascii")).digest())
    if not constant_time_equals(computed.encode("ascii"), expected_challenge.encode("ascii")):
        raise InvalidGrant("code_verifier does not match the code_challenge")
