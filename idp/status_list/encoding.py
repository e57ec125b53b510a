"""A status list as it travels: two bits for each token, packed from the low end of each byte, deflated, in base64url.

Spec: draft-ietf-oauth-status-list-20 §4.1 (byte array), §4.2 (JSON), §7.1 (values).
"""

import zlib
from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from keys.encoding import b64url_encode

BEST: Final = 9


class Status(IntEnum):
    """What a list says of a token. 3 is for each application to give a meaning, and has none here."""

    VALID = 0
    INVALID = 1
    SUSPENDED = 2


BITS: Final = 2  # the fewest that can say SUSPENDED


def encode(statuses: Mapping[int, int], *, size: int, bits: int = BITS) -> str:
    """`lst`: the statuses of `size` tokens, of which those that are not named are VALID.

    The list is as long for one token as for many: nobody can count them by it.
    """
    array = bytearray(size * bits // 8)
    in_a_byte = 8 // bits
    for index, status in statuses.items():
        array[index // in_a_byte] |= status << (index % in_a_byte * bits)
    return b64url_encode(zlib.compress(array, BEST))
