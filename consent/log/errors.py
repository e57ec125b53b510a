"""What the log's own formats refuse. Every refusal is one sentence that says what was wrong."""


class LogError(Exception):
    """The family. `why` may quote what a stranger sent, so it is for a log or a terminal, never for a page."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class FormatRefused(LogError):
    """A text or a file that is not written as its specification says."""


class NoteRefused(LogError):
    """A signed note that must not be believed: malformed, signed by nobody known, or signed wrongly."""


class UnknownSigner(NoteRefused):
    """A well-formed note without a signature by any key that the reader knows."""


class SignatureRefused(NoteRefused):
    """A signature line of a known key that this key did not make."""


class ProofRefused(LogError):
    """A Merkle proof that does not lead from what is known to what is claimed."""


class QuorumMissed(LogError):
    """A checkpoint that too few of the trusted witnesses have cosigned."""


class Unavailable(LogError):
    """This machine's `cryptography` cannot do what was asked."""
