"""What erasing refuses."""

from consent.errors import ConsentError


class ErasureRefused(ConsentError):
    """This person cannot be erased now; the text says why, and what would have to be different."""


class HoldRefused(ConsentError):
    """The hold cannot be placed or lifted like this."""
