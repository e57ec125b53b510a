"""Pages of ours that need a login, and the way back to them. Never an address of anybody else's.

Spec: RFC 9700 §4.11 (open redirectors).
"""

import re
from typing import Final

HOME: Final = "/"
# What a login may lead back to. Plain segments only: browsers read "//host", "/\host" and dots as other places.
_ALLOWED: Final = re.compile(r"/(?:(?:my|console)(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*/?(?:\?[A-Za-z0-9_.~%=&+:,-]*)?)?")
_MAX: Final = 500


def check_return_to(return_to: str | None) -> str:
    """The address when it is one of our own pages, or else the home page."""
    if return_to is None or len(return_to) > _MAX or _ALLOWED.fullmatch(return_to) is None:
        return HOME
    return return_to
