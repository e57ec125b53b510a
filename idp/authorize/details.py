"""`authorization_details` of our one type: the purpose that the data is asked for.

    [{"type": "satupintu_purpose", "purpose": "health-record", "datatypes": ["email"]}]

`datatypes` are claims asked for besides those of the scopes and of the `claims` parameter.
Spec: RFC 9396 §2, §3 (combined with `scope`), §5 (errors), §5.3 (unknown members).
"""

from dataclasses import dataclass
from typing import Any, Final

from idp.authorize.json_parameter import NotStrictJson, parse_json_parameter
from idp.errors import InvalidAuthorizationDetails

TYPE: Final = "satupintu_purpose"
MEMBERS: Final = frozenset({"type", "purpose", "datatypes"})
MAX_BYTES: Final = 16_384
MAX_DATATYPES: Final = 100
MAX_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class PurposeDetail:
    """The purpose that a request names, by its code."""

    purpose: str
    datatypes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As the client would write it."""
        said: dict[str, Any] = {"type": TYPE, "purpose": self.purpose}
        if self.datatypes:
            said["datatypes"] = list(self.datatypes)
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
    if not value.keys() <= MEMBERS:
        raise InvalidAuthorizationDetails(f"{TYPE} has the members type, purpose and datatypes only")
    purpose = value.get("purpose")
    if not isinstance(purpose, str) or not _is_name(purpose):
        raise InvalidAuthorizationDetails("purpose must be the code of a purpose")
    datatypes = value.get("datatypes", [])
    if not isinstance(datatypes, list) or len(datatypes) > MAX_DATATYPES or not all(map(_is_name, datatypes)):
        raise InvalidAuthorizationDetails("datatypes must be a JSON array of claim names")
    return PurposeDetail(purpose=purpose, datatypes=tuple(dict.fromkeys(datatypes)))


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME
