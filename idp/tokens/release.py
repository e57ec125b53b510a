"""Which of a person's data goes out: what was asked for at that door, and agreed to. Never more.

Spec: OpenID Connect Core §5.3.2, §5.4, §5.5; RFC 9396 §2 (`datatypes`).
"""

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from consent.models import PurposeVersion
from consent.registry.models import AgreementVersion
from idp.accounts.profile import Person, claims_of, claims_of_scopes


def asked_at_userinfo(
    scope: str, requested_claims: Mapping[str, Any], authorization_details: Iterable[Mapping[str, Any]]
) -> frozenset[str]:
    """The claims that a request asked to find at userinfo: by scope, by the `claims` parameter, by `datatypes`."""
    named = frozenset(requested_claims.get("userinfo") or ())
    datatypes = frozenset(name for detail in authorization_details for name in detail.get("datatypes") or ())
    return _claims_of(scope) | named | datatypes


@lru_cache(maxsize=1024)
def _claims_of(scope: str) -> frozenset[str]:
    # Apps ask for the same few scopes all day.
    return claims_of_scopes(scope.split())


def asked_in_id_token(requested_claims: Mapping[str, Any]) -> frozenset[str]:
    """The claims that a request asked to find in the ID token."""
    return frozenset(requested_claims.get("id_token") or ())


class Agreed(NamedTuple):
    """The version of the purpose that a person agreed to, and the agreement that data flows by, as `AGREED` reads."""

    purpose_version: int | None
    agreement_id: str | None


AGREED: Final = (
    PurposeVersion.version.label("agreed_version"),
    AgreementVersion.agreement_id.label("agreed_agreement_id"),
)


def granted_details(
    details: Iterable[Mapping[str, Any]], granted: Collection[str], agreed: Agreed
) -> list[dict[str, Any]]:
    """Authorization details as they were granted.

    `datatypes` keep what the person agrees to now, and lose the rest; the version and the agreement are added.
    Spec: RFC 9396 §7 (the answer says what was granted), §7.1 (it may say more), §9.2 (so does introspection).
    """
    return [
        {
            **detail,
            **{name: value for name, value in agreed._asdict().items() if value is not None},
            **(
                {"datatypes": [name for name in detail["datatypes"] if name in granted]}
                if "datatypes" in detail
                else {}
            ),
        }
        for detail in details
    ]


def details_for(details: Iterable[Mapping[str, Any]], audiences: Collection[str]) -> tuple[Mapping[str, Any], ...]:
    """The details that concern whom a token is for: each API sees its own. Spec: RFC 9396 §9.1 and §14."""
    return tuple(
        detail
        for detail in details
        if not detail.get("locations") or not set(audiences).isdisjoint(detail["locations"])
    )


def released(person: Person, items: Collection[str]) -> dict[str, Any]:
    """The person's values of what the gate permits (`Permit.items`): asked for at that door, and agreed to."""
    return claims_of(person, sorted(items))
