"""A leaf of the log: which kind of event happened, and a commitment to it. Never a word of the event itself.

A leaf is public for ever, so it may not hold personal data, nor a plain hash of it: a person's number has sixteen
structured digits, and all of them can be tried. The commitment hides behind a random opening; whoever holds the
opening and the event can show that they are what was logged, and once the opening is destroyed nobody can.
"""

import hashlib
import hmac
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Final

from consent.log.encoding import HASH_SIZE
from consent.log.errors import FormatRefused
from keys.encoding import canonical_json
from keys.errors import MalformedEncoding

LEAF_PREFIX: Final = b"consentlog/v1\n"
LEAF_SIZE: Final = len(LEAF_PREFIX) + 1 + HASH_SIZE
OPENING_SIZE: Final = 32
# Public, and the same for every log: it separates these commitments from any other HMAC. Secrecy is the opening's.
COMMITMENT_KEY: Final = hashlib.sha256(
    b"Satu Pintu: what was agreed, and what was done with it, in a log that its keeper cannot rewrite."
).digest()
_COMMITMENT_LABEL: Final = b"consentlog commit v1"


class Kind(IntEnum):
    """What happened. The number is part of the leaf, so it never changes its meaning."""

    CONSENT = 1
    ACCESS = 2
    PURPOSE = 3
    AGREEMENT = 4
    OFFICER = 5
    ERASURE = 6
    AGENCY = 7
    DELIVERY = 8


def event_bytes(content: Mapping[str, Any]) -> bytes:
    """The one text of an event, which is what is committed to and what a receipt's `event_sha256` is of.

    Spec: RFC 8785 §3.2
    """
    try:
        return canonical_json(dict(content))
    except MalformedEncoding as refused:
        raise FormatRefused(f"the event has no canonical form: {refused}") from None


def event_sha256(content: Mapping[str, Any]) -> bytes:
    """The SHA-256 of an event's one text."""
    return hashlib.sha256(event_bytes(content)).digest()


def commit(opening: bytes, content: Mapping[str, Any]) -> bytes:
    """Commits to an event: binding, because HMAC-SHA256 is collision resistant; hiding, because the opening is random.

    `opening` is 32 bytes that nobody can guess, new for every event.
    """
    return commit_to(opening, event_bytes(content))


def commit_to(opening: bytes, event: bytes) -> bytes:
    """Commits to an event of which the caller has the one text already."""
    if len(opening) != OPENING_SIZE:
        # A length that varies would make the boundary between opening and event movable.
        raise FormatRefused(f"an opening has {OPENING_SIZE} bytes, this one {len(opening)}")
    return hmac.digest(COMMITMENT_KEY, _COMMITMENT_LABEL + opening + event, hashlib.sha256)


def leaf_data(kind: Kind, commitment: bytes) -> bytes:
    """The bytes of a leaf: the format's name, one byte for the kind, the commitment."""
    if len(commitment) != HASH_SIZE:
        raise FormatRefused(f"a commitment has {HASH_SIZE} bytes, this one {len(commitment)}")
    return LEAF_PREFIX + bytes([kind]) + commitment


def read_leaf(data: bytes) -> tuple[Kind, bytes]:
    """The kind and the commitment of a leaf. Raises `FormatRefused` on anything that `leaf_data` does not write."""
    if len(data) != LEAF_SIZE or not data.startswith(LEAF_PREFIX):
        raise FormatRefused("not a leaf of this log's format")
    try:
        kind = Kind(data[len(LEAF_PREFIX)])
    except ValueError:
        raise FormatRefused(f"a leaf of a kind that does not exist: {data[len(LEAF_PREFIX)]}") from None
    return kind, data[-HASH_SIZE:]
