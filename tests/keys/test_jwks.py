import json

import pytest

from keys.errors import KeyRefused
from keys.jwks import etag, jwks_document
from keys.key import ALGORITHMS
from tests.keys.making import jwk

EVERY = [jwk(alg) for alg in sorted(ALGORITHMS)]


def test_the_document_is_the_same_whatever_order_the_keys_come_in() -> None:
    document = jwks_document(EVERY)
    assert json.dumps(document) == json.dumps(jwks_document(reversed(EVERY)))
    assert [key["kid"] for key in document["keys"]] == sorted(key["kid"] for key in EVERY)
    assert {key["kid"]: key for key in document["keys"]} == {key["kid"]: key for key in EVERY}


@pytest.mark.threat("N93")
@pytest.mark.parametrize("member", ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv", "seed", "sealed_private"])
def test_a_private_or_unknown_member_is_never_published(member: str) -> None:
    with pytest.raises(KeyRefused, match=member):
        jwks_document([*EVERY, {**jwk("RS256"), member: "AQ"}])


def test_the_etag_is_strong_and_of_the_exact_bytes() -> None:
    assert etag(b"{}") == etag(b"{}") != etag(b"{} ")
    assert etag(b"{}")[0] == etag(b"{}")[-1] == '"'
