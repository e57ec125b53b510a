import contextlib
import hashlib
import hmac
import inspect
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from keys.encoding import b64url_encode
from keys.errors import InvalidToken, UnknownKey
from keys.jws import VerifiedToken, sign_jwt, verify_jwt
from keys.key import ALGORITHMS, ALL_ALGS
from keys.verification import VerificationKeys
from tests.keys.making import (
    AUDIENCE,
    CLAIMS,
    ISSUER,
    NOW,
    SECONDS,
    forged,
    header,
    jwk,
    keys,
    private_key,
    segment,
    signer,
)

pytestmark = pytest.mark.anyio

RING = keys(*ALGORITHMS)
FLIPPED = str.maketrans("AQgw", "BRhx")


def verify(token: str, **more: Any) -> VerifiedToken:
    options: dict[str, Any] = {
        "keys": RING,
        "expected_algs": ALL_ALGS,
        "expected_typ": None,
        "expected_issuer": ISSUER,
        "expected_audience": AUDIENCE,
        "now": NOW,
    }
    return verify_jwt(token, **{**options, **more})


def refused(token: str, **more: Any) -> InvalidToken:
    with pytest.raises(InvalidToken) as caught:
        verify(token, **more)
    return caught.value


def with_claims(**more: object) -> str:
    return forged(header(), {**CLAIMS, **more})


def without_claim(name: str) -> str:
    return forged(header(), {k: v for k, v in CLAIMS.items() if k != name})


@pytest.mark.parametrize("alg", sorted(ALGORITHMS))
async def test_what_we_sign_we_verify(alg: str) -> None:
    token = await sign_jwt(signer(alg), CLAIMS, typ="at+jwt")
    verified = verify(token, expected_typ="at+jwt", expected_algs=frozenset({alg}))
    assert verified.claims == CLAIMS
    assert verified.header == {"alg": alg, "kid": signer(alg).kid, "typ": "at+jwt"}


async def test_a_token_without_a_kind_has_no_typ() -> None:
    assert "typ" not in verify(await sign_jwt(signer("ES256"), CLAIMS, typ=None)).header


@pytest.mark.threat("N36")
@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", "", " none", "none\x00"])
def test_an_unsigned_token_is_refused_however_it_is_spelled(name: str) -> None:
    for signature in ("", "AA", forged(header()).split(".")[2]):
        token = f"{segment(header() | {'alg': name})}.{segment(CLAIMS)}.{signature}"
        refused(token)
        refused(token, expected_algs=ALL_ALGS | {name})


@pytest.mark.threat("N36")
@pytest.mark.parametrize("alg", sorted(ALGORITHMS))
@pytest.mark.parametrize("signature", [b"", b"\x00", b"\x00" * 64, b"\xff" * 64, b"\x00" * 256, b"\x00" * 63 + b"\x01"])
def test_an_empty_or_trivial_signature_is_refused(alg: str, signature: bytes) -> None:
    refused(f"{segment(header(alg))}.{segment(CLAIMS)}.{b64url_encode(signature)}")


def secrets_of_a_public_key(alg: str) -> list[bytes]:
    public = private_key(alg).public_key()
    subject = (PublicFormat.SubjectPublicKeyInfo,)
    pem = public.public_bytes(Encoding.PEM, *subject)
    return [pem, pem.strip(), public.public_bytes(Encoding.DER, *subject), json.dumps(jwk(alg)).encode()]


@pytest.mark.threat("N37")
@pytest.mark.parametrize("alg", ["RS256", "ES256", "Ed25519"])
@pytest.mark.parametrize("encoding", range(4), ids=["PEM", "PEM stripped", "DER", "JWK"])
def test_our_public_key_is_nobodys_hmac_secret(alg: str, encoding: int) -> None:
    unsigned = f"{segment(header(alg) | {'alg': 'HS256'})}.{segment(CLAIMS)}"
    secret = secrets_of_a_public_key(alg)[encoding]
    token = f"{unsigned}.{b64url_encode(hmac.digest(secret, unsigned.encode(), hashlib.sha256))}"
    refused(token)
    refused(token, expected_algs=ALL_ALGS | {"HS256"})


@pytest.mark.threat("N37")
def test_the_algorithm_is_the_keys_and_not_the_headers() -> None:
    refused(forged(header("RS256") | {"alg": "PS256"}, alg="RS256"))
    # Ed25519 and EdDSA are the same mathematics, and still each key has one name for it.
    refused(forged(header("Ed25519") | {"alg": "EdDSA"}, alg="Ed25519"))


@pytest.mark.threat("N37")
def test_an_algorithm_that_the_caller_did_not_expect_is_refused() -> None:
    refused(forged(header()), expected_algs=frozenset({"RS256"}))


@pytest.mark.parametrize("alg", [None, 1, True, [], ["ES256"], {}, "es256", "ES256 "], ids=repr)
def test_an_algorithm_that_is_not_one_of_our_names_is_refused(alg: object) -> None:
    refused(forged(header() | {"alg": alg}))


@pytest.mark.threat("N38")
@pytest.mark.parametrize(
    "kid", ["../../dev/null", "' OR 1=1 --", "", "x" * 200, "\x00", "é"], ids=lambda kid: repr(kid)[:20]
)
def test_a_strange_kid_is_only_an_unknown_one(kid: str) -> None:
    assert isinstance(refused(forged(header(kid=kid))), UnknownKey)


@pytest.mark.threat("N38")
@pytest.mark.parametrize("kid", ["x" * 201, "x" * 10_000, [], ["a"], {}, 1, None, True], ids=lambda kid: repr(kid)[:20])
def test_a_kid_that_is_not_a_short_string_is_refused(kid: object) -> None:
    assert not isinstance(refused(forged(header(kid=kid))), UnknownKey)


@pytest.mark.threat("N39")
@pytest.mark.parametrize("member", ["jwk", "jku", "x5u", "x5c"])
def test_a_key_that_the_token_brings_along_is_not_looked_at(member: str) -> None:
    brought: dict[str, object] = {
        "jwk": jwk("ES256"),
        "jku": "https://canary.invalid/jwks",
        "x5u": "https://canary.invalid/x5u",
        "x5c": ["AAAA"],
    }
    token = forged({"alg": "ES256", member: brought[member]})
    refused(token, keys=keys("RS256"))
    # And is no reason to refuse when the token is sound without it.
    assert verify(token).claims == CLAIMS


@pytest.mark.threat("N40")
@pytest.mark.parametrize("crit", [[], ["exp"], ["b64"], None, "exp", {}, 0], ids=repr)
def test_crit_in_any_form_is_refused(crit: object) -> None:
    assert "crit" in refused(forged(header(crit=crit))).detail


@pytest.mark.threat("N40")
@pytest.mark.parametrize("value", [False, True, None, "false"], ids=repr)
def test_b64_in_any_form_is_refused(value: object) -> None:
    assert "b64" in refused(forged(header(b64=value))).detail


@pytest.mark.threat("N40")
def test_a_member_that_appears_twice_is_refused_in_header_and_claims() -> None:
    twice = json.dumps(header())[:-1] + ',"alg":"ES256"}'
    assert "twice" in refused(forged(twice.encode())).detail
    twice = json.dumps(CLAIMS)[:-1] + ',"sub":"s-2"}'
    assert "twice" in refused(forged(header(), twice.encode())).detail


@pytest.mark.threat("N40")
@pytest.mark.parametrize(
    "value", [[], [CLAIMS], "text", 1, None, b"{", b"\xff", b"[" * 5000], ids=lambda v: repr(v)[:12]
)
def test_a_header_or_payload_that_is_not_an_object_is_refused(value: object) -> None:
    refused(forged(header(), value))
    refused(forged(value))


@pytest.mark.threat("N40")
@pytest.mark.parametrize("name", ["exp", "iat", "nbf", "auth_time"])
@pytest.mark.parametrize(
    "value",
    [str(SECONDS + 100), "", None, True, False, [], [SECONDS], {}, -1, -0.5, 253_370_764_800, 10**30, 1e30],
    ids=repr,
)
def test_a_date_that_is_not_a_number_of_seconds_is_refused(name: str, value: object) -> None:
    refused(with_claims(**{name: value}))


@pytest.mark.threat("N40")
@pytest.mark.parametrize("number", ["1e400", "-1e400", "NaN", "Infinity", "9" * 5000])
def test_a_date_beyond_all_numbers_is_refused(number: str) -> None:
    claims = json.dumps({**CLAIMS, "exp": 0}).replace('"exp": 0', f'"exp": {number}')
    refused(forged(header(), claims.encode()))


@pytest.mark.threat("N40")
def test_exp_and_iat_are_required_unless_the_caller_says_otherwise() -> None:
    assert "exp" in refused(without_claim("exp")).detail
    assert "iat" in refused(without_claim("iat")).detail
    assert verify(without_claim("iat"), require=("exp",)).claims["exp"] == CLAIMS["exp"]
    assert "jti" in refused(with_claims(), require=("exp", "jti")).detail


@pytest.mark.threat("N40", "N99")
@pytest.mark.parametrize(("late", "believed"), [(0, True), (309.9, True), (310, False), (361, False)])
def test_a_token_ends_at_exp_with_ten_seconds_for_wrong_clocks(late: float, believed: bool) -> None:
    token = with_claims(exp=SECONDS + 300)
    now = NOW + timedelta(seconds=late)
    if believed:
        verify(token, now=now)
    else:
        assert "expired" in refused(token, now=now).detail
        assert verify(token, now=now, verify_expiry=False).claims["exp"] == SECONDS + 300


@pytest.mark.threat("N40", "N99")
@pytest.mark.parametrize(
    ("name", "ahead", "believed"), [("iat", 60, True), ("iat", 61, False), ("nbf", 10, True), ("nbf", 11, False)]
)
def test_a_token_from_the_future_is_refused(name: str, ahead: int, believed: bool) -> None:
    token = with_claims(**{name: SECONDS + ahead})
    if believed:
        verify(token)
    else:
        refused(token)
        refused(token, verify_expiry=False)


def test_dates_may_have_fractions() -> None:
    assert verify(with_claims(exp=SECONDS + 0.5)).claims["exp"] == SECONDS + 0.5


@pytest.mark.threat("N40")
@pytest.mark.parametrize(
    "issuer",
    [ISSUER + "/", ISSUER + ".evil.test", ISSUER[:-1], ISSUER.upper(), [ISSUER], None, "", 1, {ISSUER: 1}],
    ids=repr,
)
def test_the_issuer_is_the_exact_string_or_refused(issuer: object) -> None:
    refused(with_claims(iss=issuer))


def test_a_token_without_an_issuer_is_refused_when_one_is_expected() -> None:
    refused(without_claim("iss"))
    verify(without_claim("iss"), expected_issuer=None)


@pytest.mark.threat("N40")
@pytest.mark.parametrize(
    "audience",
    [AUDIENCE + "/", AUDIENCE[:-1], "", None, 1, [], [[AUDIENCE]], [AUDIENCE, 1], [AUDIENCE, None], {AUDIENCE: 1}],
    ids=repr,
)
def test_an_audience_that_is_not_ours_or_malformed_is_refused(audience: object) -> None:
    refused(with_claims(aud=audience))


def test_a_token_without_an_audience_is_refused_when_one_is_expected() -> None:
    refused(without_claim("aud"))
    verify(without_claim("aud"), expected_audience=None)


@pytest.mark.threat("N40")
def test_an_audience_with_somebody_else_in_it_is_refused_where_it_must_be_ours_alone() -> None:
    shared = with_claims(aud=[AUDIENCE, "https://evil.example"])
    verify(shared)
    refused(shared, audience_exactly=True)
    verify(with_claims(aud=AUDIENCE), audience_exactly=True)
    verify(with_claims(aud=[AUDIENCE]), audience_exactly=True)


def test_any_of_several_expected_audiences_will_do() -> None:
    ours = frozenset({AUDIENCE, "https://other.example"})
    verify(with_claims(), expected_audience=ours, audience_exactly=True)
    verify(with_claims(aud=sorted(ours)), expected_audience=ours, audience_exactly=True)
    refused(with_claims(), expected_audience=frozenset())


@pytest.mark.parametrize("name", ["iss", "sub", "jti"])
def test_a_name_that_is_not_a_string_is_refused(name: str) -> None:
    strange: tuple[object, ...] = (1, None, ["a"], {})
    for value in strange:
        refused(with_claims(**{name: value}), expected_issuer=None)


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"])
def test_typ_is_compared_without_case_or_prefix(typ: str) -> None:
    verify(forged(header(typ=typ)), expected_typ="at+jwt")
    verify(forged(header(typ=typ)), expected_typ=frozenset({"JWT", "application/at+jwt"}))


@pytest.mark.parametrize("typ", ["JWT", "jwt", "dpop+jwt", "at+jwt ", "text/at+jwt", "", None, 1, ["at+jwt"]], ids=repr)
def test_another_kind_of_token_is_refused(typ: object) -> None:
    refused(forged(header(typ=typ)), expected_typ="at+jwt")


def test_a_token_of_no_particular_kind_is_not_one_of_some_kind() -> None:
    verify(forged(header(typ="JWT")))
    verify(forged(header()), expected_typ="JWT")
    refused(forged(header()), expected_typ="at+jwt")
    for typ in ("at+jwt", "dpop+jwt", "logout+jwt"):
        refused(forged(header(typ=typ)))


@pytest.mark.parametrize(
    "change",
    [
        lambda t: "",
        lambda t: ".",
        lambda t: "..",
        lambda t: t + ".",
        lambda t: "." + t,
        lambda t: t + ".AAAA.AAAA",
        lambda t: t.rpartition(".")[0],
        lambda t: t.rpartition(".")[0] + ".",
        lambda t: t + "=",
        lambda t: t + "\n",
        lambda t: " " + t,
        lambda t: t.replace(".", ". "),
        lambda t: t[:-1] + t[-1].translate(FLIPPED),
        lambda t: t[:-1] + "é",
        lambda t: t[:9] + "+" + t[10:],
    ],
)
def test_a_token_in_any_other_form_is_refused(change: Callable[[str], str]) -> None:
    refused(change(forged(header())))


def test_a_token_is_measured_before_it_is_parsed() -> None:
    token = forged(header())
    verify(token, max_bytes=len(token))
    assert "more than" in refused(token, max_bytes=len(token) - 1).detail
    assert "more than" in refused("." * 16385).detail


@pytest.mark.threat("N40")
def test_the_signature_covers_header_and_claims() -> None:
    one, other = forged(header()).split("."), forged(header(typ="JWT"), {**CLAIMS, "sub": "s-2"}).split(".")
    for parts in ([other[0], *one[1:]], [one[0], other[1], one[2]], [*one[:2], other[2]]):
        assert "signature" in refused(".".join(parts)).detail


def test_a_signature_of_another_key_of_the_same_algorithm_is_refused() -> None:
    other = VerificationKeys.from_jwks({"keys": [{**jwk("Ed25519"), "kid": "k"}]}, ALL_ALGS)
    refused(forged(header("EdDSA", kid="k") | {"alg": "Ed25519"}, alg="EdDSA"), keys=other)


def test_claims_are_not_even_parsed_before_the_signature_is_verified() -> None:
    token = f"{segment(header())}.{segment(b'not json')}.{b64url_encode(b'x' * 64)}"
    assert "signature" in refused(token).detail


def test_verifying_needs_to_know_which_moment_it_is() -> None:
    with pytest.raises(ValueError, match="aware"):
        verify(forged(header()), now=datetime(2026, 8, 17))


def test_algorithms_time_and_kind_cannot_be_left_out() -> None:
    parameters = inspect.signature(verify_jwt).parameters
    for name in ("keys", "expected_algs", "expected_typ", "now"):
        assert parameters[name].default is inspect.Parameter.empty


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda b: f"{segment(header())}.{b64url_encode(b)}.AAAA"))
def test_no_text_whatever_raises_anything_but_invalid_token(text: str) -> None:
    refused(text)


@given(
    st.dictionaries(
        st.sampled_from(["iss", "aud", "exp", "iat", "nbf", "sub", "jti"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.lists(st.text(), max_size=2),
    )
)
def test_no_signed_claims_raise_anything_but_invalid_token(claims: dict[str, object]) -> None:
    with contextlib.suppress(InvalidToken):
        verify(forged(header(), claims), require=())
