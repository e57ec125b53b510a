"""What a factor proves. A value of this type exists only after a verification."""

from dataclasses import dataclass
from typing import Final

ACR_PASSWORD: Final = "urn:satupintu:acr:password"  # noqa: S105 - the name of an assurance level, not a password

ACR_VALUES: Final = (ACR_PASSWORD,)


@dataclass(frozen=True, slots=True)
class VerifiedFactor:
    """Who it is, and how we know: `acr` and `amr` say what was really verified, never what was asked for.

    Spec: OpenID Connect Core §2 (`acr`, `amr`); RFC 8176.
    """

    account_id: str
    acr: str
    amr: tuple[str, ...]
    hash_is_outdated: bool = False
