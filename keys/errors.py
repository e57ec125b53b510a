"""What can go wrong with keys and tokens. None of these knows a wire code: the caller maps the family once."""


class KeysError(Exception):
    """The family. `detail` is for the log, never for the client: it may quote what a stranger sent."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class InvalidToken(KeysError):
    """A token that must not be believed, whatever the reason."""


class UnknownKey(InvalidToken):
    """The token names a key that is not in the set. The set may be old: reloading it once is worth a try."""


class MalformedEncoding(KeysError):
    """Bytes that are not the strict base64url or the strict JSON that they should be."""


class SealBroken(KeysError):
    """A sealed value that does not open: another master key, another context, or tampering."""


class NoSigningKey(KeysError):
    """The ring has no key that signs with this algorithm."""


class NoSuchSecret(KeysError):
    """The ring has no secret of this name."""


class KeyRefused(KeysError):
    """A key that is weak, malformed, or private where a public one belongs."""


class KeyUnsuitable(KeyRefused):
    """A key that may be sound, yet is not one for verifying here: for encryption, of another type or algorithm."""
