"""Scopes as they travel: names with a space between.

Spec: RFC 6749 §3.3.
"""

import re
from collections.abc import Collection
from typing import Final

from idp.errors import InvalidScope

MAX_CHARS: Final = 2000
_SCOPES: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+(?: [\x21\x23-\x5B\x5D-\x7E]+)*")


def parse_scope(scope: str) -> tuple[str, ...]:
    """The names, each once, in the order sent. Error: `invalid_scope` when it is no list of scopes, or a huge one."""
    if len(scope) > MAX_CHARS or _SCOPES.fullmatch(scope) is None:
        raise InvalidScope("scope is malformed")
    return tuple(dict.fromkeys(scope.split(" ")))


def narrow(requested: str | None, *, allowed: Collection[str]) -> tuple[str, ...]:
    """What was requested, which must be within what is allowed; all of that when nothing was requested.

    Error: `invalid_scope`.
    """
    if requested is None:
        return tuple(allowed)
    scopes = parse_scope(requested)
    if not set(scopes) <= set(allowed):
        raise InvalidScope("the scope is more than was granted")
    return scopes
