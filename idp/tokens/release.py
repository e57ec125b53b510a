"""Which of a person's data goes out: what was asked for at that door, and agreed to. Never more.

Spec: OpenID Connect Core §5.3.2, §5.4, §5.5; RFC 9396 §2 (`datatypes`).
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from idp.accounts.profile import Person, claims_of, claims_of_scopes


def asked_at_userinfo(
    scopes: Iterable[str], requested_claims: Mapping[str, Any], authorization_details: Iterable[Mapping[str, Any]]
) -> frozenset[str]:
    """The claims that a request asked to find at userinfo: by scope, by the `claims` parameter, by `datatypes`."""
    named = frozenset(requested_claims.get("userinfo") or ())
    datatypes = frozenset(name for detail in authorization_details for name in detail.get("datatypes") or ())
    return claims_of_scopes(scopes) | named | datatypes


def asked_in_id_token(requested_claims: Mapping[str, Any]) -> frozenset[str]:
    """The claims that a request asked to find in the ID token."""
    return frozenset(requested_claims.get("id_token") or ())


def granted_details(details: Iterable[Mapping[str, Any]], granted: Collection[str]) -> list[dict[str, Any]]:
    """Authorization details as they were granted: `datatypes` keep what the person agrees to now, and lose the rest.

    Spec: RFC 9396 §7 (the answer says what was granted), §9.2 (so does introspection).
    """
    return [
        {**detail, "datatypes": [name for name in detail["datatypes"] if name in granted]}
        if "datatypes" in detail
        else dict(detail)
        for detail in details
    ]


def released(person: Person, *, asked: Collection[str], granted: Collection[str]) -> dict[str, Any]:
    """The person's values of what was both asked for and agreed to."""
    return claims_of(person, sorted(set(asked) & set(granted)))
