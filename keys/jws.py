"""Signed tokens: writing them fast, and believing them only after every check.

Claims can be had in one way only: `verify_jwt` returns a `VerifiedToken`, or raises.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NoReturn

import orjson

from keys.encoding import b64url_decode, b64url_encode, strict_json_loads
from keys.errors import InvalidToken, MalformedEncoding
from keys.key import MAX_KID_LENGTH
from keys.signer import Signer
from keys.verification import VerificationKeys

MAX_TOKEN_BYTES: Final = 16384
_END_OF_TIME: Final = 253_370_764_800  # 9999-01-01T00:00:00Z: later than this is a mistake or an attack
_DATES: Final = ("exp", "iat", "nbf", "auth_time")
_STRINGS: Final = ("iss", "sub", "jti")


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """A token whose signature and claims passed. Nothing but `verify_jwt` makes one."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]


async def sign_jwt(signer: Signer, claims: Mapping[str, Any], *, typ: str | None) -> str:
    """Signs claims as a compact JWS. `typ` tells kinds of token apart, such as `at+jwt`.

    Spec: RFC 7515 §7.1; RFC 7519 §7.1; RFC 8725 §3.11
    """
    unsigned = f"{_encoded_header(signer.alg, signer.kid, typ)}.{b64url_encode(orjson.dumps(claims))}"
    signature = await signer.sign(unsigned.encode("ascii"))
    return f"{unsigned}.{b64url_encode(signature)}"


@lru_cache(maxsize=256)
def _encoded_header(alg: str, kid: str, typ: str | None) -> str:
    header = {"alg": alg, "kid": kid} if typ is None else {"alg": alg, "kid": kid, "typ": typ}
    return b64url_encode(orjson.dumps(header))


def verify_jwt(
    token: str,
    *,
    keys: VerificationKeys,
    expected_algs: frozenset[str],
    now: datetime,
    expected_typ: str | frozenset[str] | None,
    expected_issuer: str | None = None,
    expected_audience: str | frozenset[str] | None = None,
    audience_exactly: bool = False,
    require: tuple[str, ...] = ("exp", "iat"),
    verify_expiry: bool = True,
    leeway_seconds: int = 10,
    future_iat_tolerance_seconds: int = 60,
    max_bytes: int = MAX_TOKEN_BYTES,
) -> VerifiedToken:
    """Believes a token, or raises `InvalidToken` (`UnknownKey` when only its key is not known).

    - `expected_typ` is compared without regard to case or to `application/`; a token without `typ` counts as `JWT`.
      None means a token of no particular kind, so `JWT` or missing: no kind of token stands in for another.
    - `expected_audience`: at least one of these is in `aud`; with `audience_exactly`, nobody else is.
    - `require` names claims that must be present. `verify_expiry=False` takes an expired token, for `id_token_hint`.

    The algorithm is the key's own. `jwk`, `jku`, `x5u` and `x5c` in the header are not looked at.

    Spec: RFC 7515 §5.2; RFC 7519 §7.2; RFC 8725 §3
    """
    signing_input, signature, header, payload = _take_apart(token, max_bytes=max_bytes)
    alg = _check_header(header, expected_algs=expected_algs, expected_typ=expected_typ)
    key = keys.find(header.get("kid"), alg)
    if not key.verifies(signing_input, signature, alg=alg):
        _refuse("the signature is not the key's")

    # Only now is the payload parsed: what nobody signed gets no further than this.
    claims = _json_object(payload, max_bytes=max_bytes)
    _check_form(claims, require=require)
    _check_times(
        claims,
        now=_seconds(now),
        leeway=leeway_seconds,
        future_iat_tolerance=future_iat_tolerance_seconds,
        verify_expiry=verify_expiry,
    )
    if expected_issuer is not None and claims.get("iss") != expected_issuer:
        _refuse(f"iss is {claims.get('iss')!r}, not {expected_issuer!r}")
    if expected_audience is not None:
        _check_audience(claims.get("aud"), expected=expected_audience, exactly=audience_exactly)
    return VerifiedToken(header=header, claims=claims)


def _take_apart(token: str, *, max_bytes: int) -> tuple[bytes, bytes, dict[str, Any], bytes]:
    if not token.isascii():
        _refuse("a token is ASCII text")
    if len(token) > max_bytes:
        _refuse(f"a token of more than {max_bytes} bytes")
    parts = token.split(".")
    if len(parts) != 3 or not all(parts):
        _refuse("not three non-empty parts")
    try:
        header, payload, signature = (b64url_decode(part) for part in parts)
    except MalformedEncoding as error:
        raise InvalidToken(error.detail) from error
    signing_input = token.rpartition(".")[0].encode("ascii")
    return signing_input, signature, _json_object(header, max_bytes=max_bytes), payload


def _json_object(data: bytes, *, max_bytes: int) -> dict[str, Any]:
    try:
        value = strict_json_loads(data, max_bytes=max_bytes)
    except MalformedEncoding as error:
        raise InvalidToken(error.detail) from error
    if not isinstance(value, dict):
        _refuse("not a JSON object")
    return value


def _check_header(
    header: dict[str, Any], *, expected_algs: frozenset[str], expected_typ: str | frozenset[str] | None
) -> str:
    alg = header.get("alg")
    if not isinstance(alg, str) or alg not in expected_algs:
        _refuse(f"alg {alg!r} is not one of {sorted(expected_algs)}")
    # `crit` announces extensions that must be understood, and we understand none; `b64` changes what is signed.
    for name in ("crit", "b64"):
        if name in header:
            _refuse(f"{name} in the header")
    kid = header.get("kid")
    if "kid" in header and not (isinstance(kid, str) and len(kid) <= MAX_KID_LENGTH):
        _refuse("kid is not a string of at most 200 characters")
    _check_typ(header.get("typ", "JWT"), expected_typ)
    return alg


def _check_typ(typ: object, expected: str | frozenset[str] | None) -> None:
    wanted = expected if isinstance(expected, frozenset) else {"JWT" if expected is None else expected}
    if not isinstance(typ, str) or _media_type(typ) not in {_media_type(one) for one in wanted}:
        _refuse(f"typ {typ!r} is not one of {sorted(wanted)}")


def _media_type(typ: str) -> str:
    # RFC 7515 §4.1.9: `application/` is left out, and a reader puts it back when there is no other slash.
    lowered = typ.lower()
    return lowered if "/" in lowered else f"application/{lowered}"


def _check_form(claims: dict[str, Any], *, require: tuple[str, ...]) -> None:
    if missing := [name for name in require if claims.get(name) is None]:
        _refuse(f"claims {missing} are missing")
    for name in _DATES:
        if name in claims and not _is_date(claims[name]):
            _refuse(f"{name} is not a date in seconds")
    for name in _STRINGS:
        if name in claims and not isinstance(claims[name], str):
            _refuse(f"{name} is not a string")


def _is_date(value: object) -> bool:
    # bool is an int in Python, and `true` would be the first second of 1970.
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _END_OF_TIME


def _check_times(
    claims: dict[str, Any], *, now: float, leeway: int, future_iat_tolerance: int, verify_expiry: bool
) -> None:
    if verify_expiry and "exp" in claims and now >= claims["exp"] + leeway:
        _refuse(f"expired at {claims['exp']}, it is {now:.0f}")
    if claims.get("nbf", 0) > now + leeway:
        _refuse(f"not valid before {claims['nbf']}, it is {now:.0f}")
    if claims.get("iat", 0) > now + future_iat_tolerance:
        _refuse(f"issued in the future, at {claims['iat']}, it is {now:.0f}")


def _seconds(now: datetime) -> float:
    if now.utcoffset() is None:
        raise ValueError("now must be aware")
    return now.timestamp()


def _check_audience(aud: object, *, expected: str | frozenset[str], exactly: bool) -> None:
    ours = {expected} if isinstance(expected, str) else expected
    theirs = [aud] if isinstance(aud, str) else aud
    if not isinstance(theirs, list) or not all(isinstance(one, str) for one in theirs):
        _refuse("aud is not a string or an array of strings")
    if ours.isdisjoint(theirs):
        _refuse(f"aud {theirs!r} does not name {sorted(ours)}")
    # A token that is also for somebody else can be replayed to us by that somebody.
    if exactly and not ours.issuperset(theirs):
        _refuse(f"aud {theirs!r} names others beside {sorted(ours)}")


def _refuse(detail: str) -> NoReturn:
    raise InvalidToken(detail)
