"""Signed notes: a text, a blank line, and lines that sign it.

Spec: C2SP signed-note
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from consent.log.checkpoint import Checkpoint
from consent.log.encoding import base64_of, from_base64
from consent.log.errors import FormatRefused, NoteRefused, UnknownSigner
from consent.log.vkey import VerifierKey, check_name

MAX_NOTE_BYTES: Final = 256 * 1024
# C2SP wants at least 16; each may cost a verification, so there is an end.
MAX_SIGNATURES: Final = 64
_LINE_START: Final = "— "
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")


@dataclass(frozen=True)
class Signature:
    """One signature line: who is said to have signed, the id of the key, and the signature's bytes."""

    name: str
    key_id: bytes
    signature: bytes

    @property
    def line(self) -> str:
        """The line, with its newline."""
        return f"{_LINE_START}{self.name} {base64_of(self.key_id + self.signature)}\n"

    @classmethod
    def parse(cls, line: str) -> "Signature":
        """Reads a line (without its newline). Raises `NoteRefused`."""
        dash, _, rest = line.partition(" ")
        name, space, encoded = rest.partition(" ")
        if dash != _LINE_START.strip() or not space:
            raise NoteRefused("a signature line is a dash, a name and a base64 text")
        try:
            check_name(name)
            blob = from_base64(encoded, what="a signature")
        except FormatRefused as refused:
            raise NoteRefused(refused.why) from None
        if len(blob) < 5:
            raise NoteRefused("a signature line without a signature")
        return cls(name, blob[:4], blob[4:])


@dataclass(frozen=True)
class Note:
    """A note as it is written. Nothing of it may be believed before `open_note` has verified it."""

    text: str
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, data: bytes | str, *, max_bytes: int = MAX_NOTE_BYTES) -> "Note":
        """Reads a note. Raises `NoteRefused`.

        Spec: C2SP signed-note, Format
        """
        try:
            raw = data.encode() if isinstance(data, str) else data
            if len(raw) > max_bytes:
                raise NoteRefused(f"a note of more than {max_bytes} bytes")
            whole = raw.decode()
        except UnicodeError:
            raise NoteRefused("a note is valid UTF-8") from None
        if _CONTROL.search(whole):
            raise NoteRefused("a note holds no control characters but newlines")
        text, blank, lines = whole.rpartition("\n\n")
        if not blank or not lines.endswith("\n"):
            raise NoteRefused("a note is a text, a blank line, and signature lines that end with a newline")
        # Not splitlines(): it would also split inside a name that holds U+2028.
        signatures = lines[:-1].split("\n")
        if len(signatures) > MAX_SIGNATURES:
            raise NoteRefused(f"a note with more than {MAX_SIGNATURES} signatures")
        return cls(text + "\n", tuple(Signature.parse(line) for line in signatures))

    def __str__(self) -> str:
        return f"{self.text}\n" + "".join(signature.line for signature in self.signatures)

    def signed_also(self, more: Iterable[Signature]) -> "Note":
        """The note with more signatures; one by the same key (name and id) takes the place of the earlier one."""
        by_key = {(signature.name, signature.key_id): signature for signature in (*self.signatures, *more)}
        return Note(self.text, tuple(by_key.values()))


@dataclass(frozen=True)
class VerifiedSignature:
    """A signature that was verified: by which key, and the time in it, if it has one."""

    key: VerifierKey
    timestamp: int | None
    signature: Signature


@dataclass(frozen=True)
class OpenNote:
    """A note that at least one known key has signed, and that no known key's signature contradicts."""

    note: Note
    verified: tuple[VerifiedSignature, ...]

    @property
    def text(self) -> str:
        """The text, which those keys have signed."""
        return self.note.text

    def signed_by(self, key: VerifierKey) -> bool:
        """Whether this very key has signed."""
        return any(verified.key == key for verified in self.verified)


@dataclass(frozen=True)
class OpenCheckpoint:
    """A checkpoint that a key of its log has signed, with the cosignatures that were verified along with it."""

    checkpoint: Checkpoint
    note: Note
    verified: tuple[VerifiedSignature, ...]


def new_note(text: str, signatures: Iterable[Signature]) -> Note:
    """Writes a note. Raises `NoteRefused` when a reader would not read the same text and signatures back."""
    note = Note(text, tuple(signatures))
    if Note.parse(str(note)) != note:
        raise NoteRefused("a note of this text would be read as another one")
    return note


def open_note(data: bytes | str | Note, keys: Collection[VerifierKey]) -> OpenNote:
    """Verifies a note by the keys that one knows. Raises `NoteRefused` and its kind.

    Lines of unknown keys are ignored, so that logs can bring new keys and witnesses in. A line that names a known
    key and is not by it refuses the whole note, and so does the lack of any line by a known key (`UnknownSigner`).

    Spec: C2SP signed-note, Signatures
    """
    note = data if isinstance(data, Note) else Note.parse(data)
    known = {(key.name, key.id): key for key in keys}
    if len(known) != len(set(keys)):
        raise NoteRefused("two of the known keys have the same name and id")
    verified: dict[VerifierKey, VerifiedSignature] = {}
    for signature in note.signatures:
        key = known.get((signature.name, signature.key_id))
        if key is not None:
            timestamp = key.verify(note.text, signature.signature)
            verified.setdefault(key, VerifiedSignature(key, timestamp, signature))
    if not verified:
        raise UnknownSigner("the note has no signature by a key that is known here")
    return OpenNote(note, tuple(verified.values()))


def open_checkpoint(
    data: bytes | str | Note, *, log_keys: Collection[VerifierKey], witness_keys: Collection[VerifierKey] = ()
) -> OpenCheckpoint:
    """Verifies a checkpoint by its log's keys. Raises `NoteRefused` and its kind, or `FormatRefused`.

    A log's key signs for the log of its own name only: the origin is the name, or two logs that share a reader could
    speak for each other. Cosignatures by `witness_keys` are verified along; how many are needed is a policy's to say.

    Spec: C2SP tlog-checkpoint; C2SP tlog-policy, Defining a log
    """
    opened = open_note(data, {*log_keys, *witness_keys})
    checkpoint = Checkpoint.parse(opened.text)
    if not any(verified.key in log_keys and verified.key.name == checkpoint.origin for verified in opened.verified):
        raise UnknownSigner(f"the checkpoint of {checkpoint.origin} has no signature by a known key of that log")
    return OpenCheckpoint(checkpoint, opened.note, opened.verified)
