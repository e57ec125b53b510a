"""What is refused about telling, attesting and ending. Each says in one sentence what to change."""

from consent.errors import ConsentError


class StreamRefused(ConsentError):
    """The stream cannot be like this."""


class NoStream(ConsentError):
    """There is no such stream."""


class NoDelivery(ConsentError):
    """There is no such delivery, or it is somebody else's; the answer is the same."""


class AttestationRefused(ConsentError):
    """The attestation is not believed, or says what cannot be. `code` is its word on the wire."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


class EndingRefused(ConsentError):
    """This cannot be ended, or not so."""
