"""A checkpoint's text: which log, how many leaves, what root. Signed, it is the log's word for everything before it.

Spec: C2SP tlog-checkpoint
"""

from dataclasses import dataclass
from typing import Final

from consent.log.encoding import HASH_SIZE, LARGEST, base64_of, from_decimal, hash_from_base64, utf8_size
from consent.log.errors import FormatRefused

MAX_ORIGIN_BYTES: Final = 255  # what an ML-DSA cosignature can hold
CONTENT_TYPE: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Checkpoint:
    """A tree's head: the `root` hash at `size` leaves of the log named `origin`. Refuses to be made wrong."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.size <= LARGEST:
            raise FormatRefused("a checkpoint's size is a number of at most 63 bits")
        if len(self.root) != HASH_SIZE:
            raise FormatRefused(f"a checkpoint's root has {len(self.root)} bytes and not {HASH_SIZE}")
        if utf8_size(self.origin, what="a checkpoint's origin") > MAX_ORIGIN_BYTES:
            raise FormatRefused(f"a checkpoint's origin is longer than {MAX_ORIGIN_BYTES} bytes")
        for line in (self.origin, *self.extensions):
            if not line or any(character < " " for character in line):
                raise FormatRefused("a checkpoint's lines are not empty and hold no control characters")

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Reads a note's text as a checkpoint. Raises `FormatRefused`.

        Spec: C2SP tlog-checkpoint, Note text
        """
        # Not splitlines(): it also splits at characters that are not a line's end here.
        lines = text.split("\n")
        if lines.pop() != "" or len(lines) < 3:
            raise FormatRefused("a checkpoint has at least three lines, each with a newline")
        origin, size, root, *extensions = lines
        return cls(
            origin,
            from_decimal(size, what="the checkpoint's size"),
            hash_from_base64(root, what="the checkpoint's root"),
            tuple(extensions),
        )

    def text(self) -> str:
        """The text that is signed.

        Spec: C2SP tlog-checkpoint, Note text
        """
        return "".join(f"{line}\n" for line in (self.origin, self.size, base64_of(self.root), *self.extensions))
