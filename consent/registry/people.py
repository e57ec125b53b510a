"""Who acts in the registry, and whether two of them are one person: four eyes are worth what this comparison is worth.

A person with an account here is known by the account; others (an agency's lawyer, say) by the name that was written
down for them.
"""

import unicodedata
from dataclasses import dataclass
from typing import Final

from consent.errors import ReviewRefused
from consent.wording import fault_in

# Before anybody has an account, the first agencies are written by whoever installs the service.
OPERATOR: Final = "operator"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who acts. `account_id` is None for a person who has no account here."""

    name: str
    account_id: str | None = None

    @property
    def actor(self) -> str:
        """How events name them in their column."""
        return self.account_id or self.name

    def as_json(self) -> dict[str, str | None]:
        """What events keep of them."""
        return {"name": self.name, "account_id": self.account_id}


def person(who: Person | str) -> Person:
    """The person of that name. Error: `ReviewRefused` when it is no name."""
    found = who if isinstance(who, Person) else Person(who)
    fault = fault_in(found.name, most=200)
    if fault is not None:
        raise ReviewRefused(f"the name of who acts {fault}")
    return found


def same_person(one: Person, other: Person) -> bool:
    """Whether these are, or may be, one person.

    Two accounts are two people, whatever they are called. Where one of them has no account, the name is all there is,
    and neither capitals nor spaces nor another way to write a letter make a second person.
    """
    if one.account_id is not None and other.account_id is not None:
        return one.account_id == other.account_id
    return _folded(one.name) == _folded(other.name)


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
