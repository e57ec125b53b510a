"""Witnesses as settings name them: a vkey and the URL that they are asked at."""

from consent.http.witness_client import check_witness_url
from consent.log.errors import LogError
from consent.log.policy import TrustedWitness
from consent.log.vkey import VerifierKey


def read_witness(text: str) -> TrustedWitness:
    """Reads `<vkey> <url>`. Error: `ValueError`."""
    vkey, space, url = text.strip().partition(" ")
    if not space:
        raise ValueError("a witness is its vkey, a space, and the URL that it is asked at")
    try:
        key = VerifierKey.parse(vkey)
    except LogError as refused:
        raise ValueError(f"not the vkey of a witness: {refused.why}") from None
    if not key.type.timestamped:
        raise ValueError(f"the key of {key.name} is a log's and not a witness's")
    check_witness_url(url.strip())
    return TrustedWitness(key.name, key, url.strip())
