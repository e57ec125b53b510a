from typing import Any

import pytest

from keys.errors import InvalidToken, KeyRefused, KeyUnsuitable, UnknownKey
from keys.key import ALL_ALGS
from keys.verification import VerificationKeys
from tests.keys.making import jwk, keys


def without(name: str, **more: object) -> dict[str, Any]:
    return {**{k: v for k, v in jwk("ES256").items() if k != name}, **more}


def test_a_key_is_found_by_its_exact_name() -> None:
    kid = jwk("ES256")["kid"]
    found = keys("ES256", "RS256").find(kid, "ES256")
    assert found.kid == kid
    for other in (kid.upper(), kid[:-1], kid + " ", ""):
        with pytest.raises(UnknownKey):
            keys("ES256", "RS256").find(other, "ES256")


@pytest.mark.threat("N37")
def test_a_known_name_with_another_algorithm_is_no_reason_to_reload() -> None:
    with pytest.raises(InvalidToken) as refused:
        keys("ES256", "RS256").find(jwk("RS256")["kid"], "PS256")
    assert not isinstance(refused.value, UnknownKey)


def test_a_token_without_a_name_finds_the_only_key_of_its_algorithm() -> None:
    assert keys("ES256", "RS256").find(None, "ES256").kid == jwk("ES256")["kid"]
    with pytest.raises(UnknownKey):
        keys("RS256").find(None, "ES256")


def test_a_token_without_a_name_that_could_be_of_two_keys_is_refused() -> None:
    several = VerificationKeys.from_jwks({"keys": [jwk("ES256"), without("kid", kid="other")]}, ALL_ALGS)
    with pytest.raises(InvalidToken, match="2 keys fit"):
        several.find(None, "ES256")


def test_two_keys_of_one_name_and_algorithm_are_refused_and_of_two_algorithms_taken() -> None:
    with pytest.raises(KeyRefused, match="same algorithm"):
        VerificationKeys.from_jwks({"keys": [jwk("ES256"), jwk("ES256")]}, ALL_ALGS)
    shared = VerificationKeys.from_jwks({"keys": [without("kid", kid="k"), {**jwk("RS256"), "kid": "k"}]}, ALL_ALGS)
    assert shared.find("k", "RS256").algs == {"RS256"}


@pytest.mark.parametrize("bad", [None, [], {}, {"keys": None}, {"keys": {}}, "keys"], ids=repr)
def test_what_is_not_a_jwk_set_is_refused(bad: object) -> None:
    with pytest.raises(KeyRefused):
        VerificationKeys.from_jwks(bad, ALL_ALGS)


def test_a_set_of_more_than_twenty_keys_is_refused_before_any_is_loaded() -> None:
    twenty = [without("kid", kid=f"k{i}") for i in range(20)]
    assert len(VerificationKeys.from_jwks({"keys": twenty}, ALL_ALGS)) == 20
    with pytest.raises(KeyRefused, match="more than 20"):
        VerificationKeys.from_jwks({"keys": [*twenty, {}]}, ALL_ALGS)


@pytest.mark.threat("N40")
def test_an_encryption_key_is_refused_at_registration_and_never_found_when_skipped() -> None:
    mixed = {"keys": [jwk("ES256"), {**jwk("RS256"), "use": "enc"}]}
    with pytest.raises(KeyUnsuitable):
        VerificationKeys.from_jwks(mixed, ALL_ALGS)
    lenient = VerificationKeys.from_jwks(mixed, ALL_ALGS, skip_unsuitable=True)
    assert len(lenient) == 1
    with pytest.raises(UnknownKey):
        lenient.find(jwk("RS256")["kid"], "RS256")


def test_skipping_what_is_unsuitable_still_refuses_what_is_private() -> None:
    with pytest.raises(KeyRefused, match="private"):
        VerificationKeys.from_jwks({"keys": [{**jwk("ES256"), "d": "AQ"}]}, ALL_ALGS, skip_unsuitable=True)
