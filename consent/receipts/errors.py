"""What receipts refuse."""

from consent.errors import ConsentError


class RecordRefused(ConsentError):
    """A record, in one of its formats, that is not written as that format is."""


class NoReceipt(ConsentError):
    """There is no such consent or event, or what it said was erased: nothing can be certified any more."""


class NoReceiptKey(ConsentError):
    """No key for receipts has this name."""
