"""Which claims there are, which scope asks for which, and a person's claims in their right JSON types.

Whether a claim may be released is not decided here: that is the consent's word.
Spec: OpenID Connect Core §5.1, §5.1.1, §5.4; the national claims: docs/integrate.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, Protocol

from idp.accounts.errors import ProfileRefused

NIK: Final = "urn:satupintu:claims:nik"
VERIFIED: Final = "urn:satupintu:claims:verified"

PROFILE_CLAIMS: Final = (
    "name",
    "family_name",
    "given_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "profile",
    "picture",
    "website",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "updated_at",
)

CLAIMS_OF_SCOPE: Final[Mapping[str, tuple[str, ...]]] = {
    "openid": (),  # `sub` is in every answer, and is no data item that one could refuse
    "profile": PROFILE_CLAIMS,
    "email": ("email", "email_verified"),
    "phone": ("phone_number", "phone_number_verified"),
    "address": ("address",),
    "identity": (NIK, VERIFIED),
    "offline_access": (),
}

CLAIMS: Final = tuple(claim for claims in CLAIMS_OF_SCOPE.values() for claim in claims)

ADDRESS_MEMBERS: Final = frozenset({"formatted", "street_address", "locality", "region", "postal_code", "country"})

_BOOLEANS: Final = frozenset({"email_verified", "phone_number_verified", VERIFIED})


class Person(Protocol):
    """What of an account makes claims; the table's row has it, and so has a row of a joined select."""

    @property
    def profile(self) -> Any:
        """The person's data, by claim."""
        ...

    @property
    def locale(self) -> str | None:
        """The language that the person prefers."""
        ...

    @property
    def updated_at(self) -> datetime:
        """When any of it last changed."""
        ...


def claims_of_scopes(scopes: Iterable[str]) -> frozenset[str]:
    """The claims that these scopes ask for. Unknown scopes ask for none."""
    return frozenset(claim for scope in scopes for claim in CLAIMS_OF_SCOPE.get(scope, ()))


def claims_of(person: Person, names: Collection[str]) -> dict[str, Any]:
    """The person's values of these claims; a claim that we have no value for is left out, never sent as null or empty.

    Spec: OpenID Connect Core §5.3.2.
    """
    claims: dict[str, Any] = {}
    for name in names:
        value = _value(person, name)
        if value is not None:
            claims[name] = value
    return claims


def _value(person: Person, name: str) -> Any:
    if name == "updated_at":
        return int(person.updated_at.timestamp())
    if name == "locale" and person.locale:
        return person.locale
    if name not in CLAIMS:
        return None
    value = person.profile.get(name)
    # A value of a wrong type breaks strict clients at the worst moment; better that they learn it is missing.
    return value if _type_of(name)(value) else None


def check_profile(profile: Mapping[str, Any]) -> dict[str, Any]:
    """A profile fit to be kept. Error: `ProfileRefused`, with what is wrong."""
    for name, value in profile.items():
        if name not in CLAIMS or name == "updated_at":
            raise ProfileRefused(f"{name} is not a claim that an account can have")
        if not _type_of(name)(value):
            raise ProfileRefused(f"{name} has a value of a wrong type")
    return dict(profile)


def _type_of(name: str) -> Callable[[Any], bool]:
    if name in _BOOLEANS:
        return _is_boolean
    return _is_address if name == "address" else _is_text


def _is_boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 2000 and value.isprintable()


def _is_address(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and value.keys() <= ADDRESS_MEMBERS
        and all(_is_lines(part) for part in value.values())
    )


def _is_lines(value: Any) -> bool:
    # Line breaks are allowed in an address, and nowhere else (§5.1.1).
    return isinstance(value, str) and _is_text(value.replace("\r\n", " ").replace("\n", " "))
