"""`authorization_details` of our one type: the purpose that the data is asked for.

    [{"type": "satupintu_purpose", "purpose": "health-record", "datatypes": ["email"]}]

`datatypes` are claims asked for besides those of the scopes and of the `claims` parameter. An app that means one
version of the purpose says `purpose_version`, and is refused rather than given another. `locations` are the APIs that
the detail is for: a token for others does not carry it. What comes back has the version and the agreement that the
person agreed to, whether they were asked for or not.
Spec: RFC 9396 §2, §2.2 (common members), §3 (combined with `scope`), §5 (errors, unknown members), §7.1 (enriching).
"""

from dataclasses import dataclass
from typing import Any, Final

from idp.authorize.json_parameter import NotStrictJson, parse_json_parameter
from idp.errors import InvalidAuthorizationDetails

TYPE: Final = "satupintu_purpose"
MEMBERS: Final = ("type", "purpose", "purpose_version", "datatypes", "locations", "actions")
ACTIONS: Final = frozenset({"read"})
MAX_LOCATIONS: Final = 20
MAX_LOCATION: Final = 500
MAX_BYTES: Final = 16_384
MAX_DATATYPES: Final = 100
MAX_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class PurposeDetail:
    """The purpose that a request names, by its code."""

    purpose: str
    datatypes: tuple[str, ...] = ()
    purpose_version: int | None = None
    locations: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As the client would write it."""
        said: dict[str, Any] = {"type": TYPE, "purpose": self.purpose}
        if self.purpose_version is not None:
            said["purpose_version"] = self.purpose_version
        for name in ("datatypes", "locations", "actions"):
            if values := getattr(self, name):
                said[name] = list(values)
        return said


def parse_details(text: str | None) -> PurposeDetail | None:
    """The parameter as it was sent. Error: `invalid_authorization_details`."""
    if text is None:
        return None
    try:
        value = parse_json_parameter(text, max_bytes=MAX_BYTES)
    except NotStrictJson as problem:
        raise InvalidAuthorizationDetails(f"authorization_details {problem}") from None
    if not isinstance(value, list) or not all(isinstance(detail, dict) for detail in value):
        raise InvalidAuthorizationDetails("authorization_details must be a JSON array of objects")
    if any(detail.get("type") != TYPE for detail in value):
        raise InvalidAuthorizationDetails(f"the only type of authorization_details here is {TYPE}")
    if len(value) != 1:
        # One decision is about one purpose: a person cannot agree to two with one button (UU PDP article 22).
        raise InvalidAuthorizationDetails("authorization_details must name exactly one purpose")
    return read_detail(value[0])


def read_detail(value: dict[str, Any]) -> PurposeDetail:
    """One element of the array. Error: `invalid_authorization_details`."""
    if not value.keys() <= set(MEMBERS):
        raise InvalidAuthorizationDetails(f"{TYPE} has the members {', '.join(MEMBERS)} only")
    purpose = value.get("purpose")
    if not _is_name(purpose):
        raise InvalidAuthorizationDetails("purpose must be the code of a purpose")
    version = value.get("purpose_version")
    if "purpose_version" in value and not (type(version) is int and 0 < version < 1 << 31):
        raise InvalidAuthorizationDetails("purpose_version must be the number of a version")
    actions = _names(value, "actions", most=len(ACTIONS))
    if not ACTIONS.issuperset(actions):
        raise InvalidAuthorizationDetails("the only action here is read")
    return PurposeDetail(
        purpose=str(purpose),
        datatypes=_names(value, "datatypes", most=MAX_DATATYPES),
        purpose_version=version,
        locations=_names(value, "locations", most=MAX_LOCATIONS, longest=MAX_LOCATION),
        actions=actions,
    )


def _names(value: dict[str, Any], member: str, *, most: int, longest: int = MAX_NAME) -> tuple[str, ...]:
    """An array of names, each once, in the order sent."""
    names = value.get(member, [])
    if not isinstance(names, list) or len(names) > most or not all(_is_name(name, longest) for name in names):
        raise InvalidAuthorizationDetails(f"{member} must be a JSON array of names, at most {most} of them")
    return tuple(dict.fromkeys(names))


def _is_name(value: Any, longest: int = MAX_NAME) -> bool:
    return isinstance(value, str) and 0 < len(value) <= longest
