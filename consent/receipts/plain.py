"""Frozen records to plain JSON values and back, by the types of their fields; what is not said is left out."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from consent.receipts.errors import RecordRefused

Record = TypeVar("Record")


def plain(value: Any) -> Any:
    """A value in plain JSON values."""
    if is_dataclass(value) and not isinstance(value, type):
        said = {field.name: plain(getattr(value, field.name)) for field in fields(value)}
        return {name: one for name, one in said.items() if one is not None}
    return [plain(one) for one in value] if isinstance(value, tuple) else value


def read(kind: type[Record], said: Any, what: str) -> Record:
    """Reads what `plain` wrote of a record of this kind. Error: `RecordRefused`, naming the member that is wrong.

    A member that is not one of the record's is refused: it would silently be lost on the way.
    """
    if not isinstance(said, Mapping):
        raise RecordRefused(f"{what} is an object")
    types = get_type_hints(kind)
    if strange := sorted(set(said) - set(types)):
        raise RecordRefused(f"{what} has no member {strange[0]}")
    values = {name: _read(wanted, said.get(name), f"{what}.{name}") for name, wanted in types.items()}
    return kind(**values)


def _read(wanted: Any, said: Any, what: str) -> Any:
    if isinstance(wanted, UnionType):
        if said is None:
            return None
        wanted = next(one for one in get_args(wanted) if one is not type(None))
    if get_origin(wanted) is tuple:
        if not isinstance(said, list):
            raise RecordRefused(f"{what} is a list")
        return tuple(_read(get_args(wanted)[0], one, f"{what}[{place}]") for place, one in enumerate(said))
    if is_dataclass(wanted) and isinstance(wanted, type):
        return read(wanted, said, what)
    # bool is an int in Python, and `true` is no number.
    if type(said) is not wanted:
        raise RecordRefused(f"{what} is a {wanted.__name__}" if said is not None else f"{what} is missing")
    return said
