"""A status list as it is served."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Published:
    """A status list token, also compressed, with its entity tag. `lst` is what it says, for comparing with the next."""

    lst: str = field(repr=False)
    signed_at: datetime
    token: bytes = field(repr=False)
    packed: bytes = field(repr=False)
    tag: str
