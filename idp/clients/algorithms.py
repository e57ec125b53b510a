"""Which signature algorithms an app may choose, by its profile.

Spec: RFC 8725 §3.1; FAPI 2.0 Security Profile §5.4.1.
"""

from typing import Final

SIGNING_ALGORITHMS: Final = ("RS256", "PS256", "ES256", "EdDSA", "Ed25519")
FAPI2_ALGORITHMS: Final = ("PS256", "ES256", "EdDSA", "Ed25519")


def algorithms_for(profile: str) -> tuple[str, ...]:
    """The algorithms of a profile."""
    return FAPI2_ALGORITHMS if profile == "fapi2" else SIGNING_ALGORITHMS
