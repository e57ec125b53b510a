"""The `claims` parameter: single claims, asked for by name, for the ID token or for userinfo.

Spec: OpenID Connect Core §5.5, §5.5.1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from idp.authorize.json_parameter import NotStrictJson, parse_json_parameter
from idp.errors import InvalidRequest

MAX_BYTES: Final = 4_096
MAX_NAMES: Final = 100
MAX_NAME: Final = 200
DESTINATIONS: Final = ("userinfo", "id_token")


@dataclass(frozen=True, slots=True)
class Wish:
    """How much one claim is wanted. `acceptable` are the values that would do; empty when any would."""

    essential: bool = False
    acceptable: tuple[Any, ...] = ()

    def to_json(self) -> dict[str, Any] | None:
        """As the parameter would say it."""
        said: dict[str, Any] = {}
        if self.essential:
            said["essential"] = True
        if self.acceptable:
            said["values"] = list(self.acceptable)
        return said or None


@dataclass(frozen=True, slots=True)
class ClaimsRequest:
    """The claims asked for at each destination."""

    userinfo: Mapping[str, Wish] = field(default_factory=dict)
    id_token: Mapping[str, Wish] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """Every claim that is asked for anywhere."""
        return frozenset(self.userinfo) | frozenset(self.id_token)

    def to_json(self) -> dict[str, Any]:
        """The parameter's value, with all that has no meaning left out."""
        said: dict[str, Any] = {}
        for destination, wishes in (("userinfo", self.userinfo), ("id_token", self.id_token)):
            if wishes:
                said[destination] = {name: wish.to_json() for name, wish in wishes.items()}
        return said

    @classmethod
    def from_json(cls, value: Any) -> "ClaimsRequest":
        """Reads the parameter's value. Unknown members are ignored, wrong shapes refused with `invalid_request`."""
        if not isinstance(value, dict):
            raise InvalidRequest("claims must be a JSON object")
        read = {destination: _wishes(destination, value.get(destination)) for destination in DESTINATIONS}
        if sum(len(wishes) for wishes in read.values()) > MAX_NAMES:
            raise InvalidRequest(f"claims asks for more than {MAX_NAMES} claims")
        return cls(**read)


def parse_claims(text: str | None) -> ClaimsRequest:
    """The `claims` parameter as it was sent. Error: `invalid_request`."""
    if text is None:
        return ClaimsRequest()
    try:
        value = parse_json_parameter(text, max_bytes=MAX_BYTES)
    except NotStrictJson as problem:
        raise InvalidRequest(f"claims {problem}") from None
    return ClaimsRequest.from_json(value)


def _wishes(destination: str, value: Any) -> dict[str, Wish]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidRequest(f"claims: {destination} must be a JSON object")
    if any(not name or len(name) > MAX_NAME for name in value):
        raise InvalidRequest(f"claims: a name has 1 to {MAX_NAME} characters")
    return {name: _wish(value[name]) for name in value}


def _wish(value: Any) -> Wish:
    if value is None:
        return Wish()
    if not isinstance(value, dict):
        raise InvalidRequest("claims: a claim's value must be null or a JSON object")
    essential = value.get("essential", False)
    if not isinstance(essential, bool):
        raise InvalidRequest("claims: essential must be true or false")
    if "value" in value and "values" in value:
        raise InvalidRequest("claims: value and values exclude each other")
    if "value" in value:
        return Wish(essential, (value["value"],))
    values = value.get("values", [])
    if not isinstance(values, list):
        raise InvalidRequest("claims: values must be a JSON array")
    return Wish(essential, tuple(values))
