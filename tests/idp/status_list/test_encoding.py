"""The encoding, held to the draft's own vectors.

The values are those of draft-ietf-oauth-status-list-20, §4.1 and its appendix "Test vectors for Status List encoding".
"""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.status_list.encoding import Status, encode
from keys.encoding import b64url_decode

SMALL_1 = [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]
SMALL_2 = [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]
LONG = 1 << 20
ONE_BIT = {
    0: 1,
    1993: 1,
    25460: 1,
    159495: 1,
    495669: 1,
    554353: 1,
    645645: 1,
    723232: 1,
    854545: 1,
    934534: 1,
    1000345: 1,
}
ONE_BIT_LST = (
    "eNrt3AENwCAMAEGogklACtKQPg9LugC9k_ACvreiogEAAKkeCQAAAAAAAAAAAAAAAAAAAIBylgQAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAXG9IAAAAAAAAAPwsJAAAAAAAAAAAAAAAvhsSAAAAAAAAAAAA7KpLAAAAAAAAAAAAAAAAAAAA"
    "AJsLCQAAAAAAAAAAADjelAAAAAAAAAAAKjDMAQAAAACAZC8L2AEb"
)
TWO_BITS = {
    0: 1,
    1993: 2,
    25460: 1,
    159495: 3,
    495669: 1,
    554353: 1,
    645645: 2,
    723232: 1,
    854545: 1,
    934534: 2,
    1000345: 3,
}
TWO_BITS_LST = (
    "eNrt2zENACEQAEEuoaBABP5VIO01fCjIHTMStt9ovGVIAAAAAABAbiEBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEB5"
    "WwIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAID0ugQAAAAAAAAAAAAAAAAAQG12SgAAAAAAAAAAAAAAAAAAAAAAAAAAAOCSIQEAAAAAAAAAAAAAAAAAAAAAAAD8ExIA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAwJEuAQAAAAAAAAAAAAAAAAAAAAAAAMB9SwIAAAAAAAAAAAAAAAAAAACoYUoA"
    "AAAAAAAAAAAAAEBqH81gAQw"
)
FOUR_BITS = {
    0: 1,
    1993: 2,
    35460: 3,
    459495: 4,
    595669: 5,
    754353: 6,
    845645: 7,
    923232: 8,
    924445: 9,
    934534: 10,
    1004534: 11,
    1000345: 12,
    1030203: 13,
    1030204: 14,
    1030205: 15,
}
FOUR_BITS_LST = (
    "eNrt0EENgDAQADAIHwImkIIEJEwCUpCEBBQRHOy35Li1EjoOQGabAgAAAAAAAAAAAAAAAAAAACC1SQEAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABADrsCAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAADoxaEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIIoCgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAACArpwKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAGhqVkAzlwIAAAAAiGVRAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAABx3AoAgLpVAQAAAAAAAAAAAAAAwM89rwMAAAAAAAAAAAjsA9xMBMA"
)


def array(lst: str) -> bytes:
    """What a reader of the list sees, whoever compressed it."""
    return zlib.decompress(b64url_decode(lst))


def read(lst: str, index: int, bits: int) -> int:
    """A status, read as §8.3 says: by someone who has not seen our code."""
    each = 8 // bits
    return (array(lst)[index // each] >> (index % each) * bits) & ((1 << bits) - 1)


@pytest.mark.parametrize(
    ("statuses", "bits", "hexadecimal", "lst"),
    [(SMALL_1, 1, "b9a3", "eNrbuRgAAhcBXQ"), (SMALL_2, 2, "c944f9", "eNo76fITAAPfAgc")],
)
def test_the_drafts_small_examples(statuses: list[int], bits: int, hexadecimal: str, lst: str) -> None:
    made = encode(dict(enumerate(statuses)), size=len(statuses), bits=bits)
    assert array(made).hex() == hexadecimal
    assert array(lst).hex() == hexadecimal


@pytest.mark.parametrize(
    ("statuses", "bits", "lst"),
    [(ONE_BIT, 1, ONE_BIT_LST), (TWO_BITS, 2, TWO_BITS_LST), (FOUR_BITS, 4, FOUR_BITS_LST)],
)
def test_the_drafts_test_vectors(statuses: dict[int, int], bits: int, lst: str) -> None:
    made = encode(statuses, size=LONG, bits=bits)
    assert array(made) == array(lst)
    assert {index: read(made, index, bits) for index in statuses} == statuses


@given(st.dictionaries(st.integers(0, 1023), st.sampled_from(Status)))
def test_every_place_says_what_was_put_there(statuses: dict[int, Status]) -> None:
    made = encode(statuses, size=1024)
    assert [read(made, index, 2) for index in range(1024)] == [statuses.get(index, 0) for index in range(1024)]


def test_a_list_is_as_long_for_one_token_as_for_many() -> None:
    assert len(array(encode({}, size=1024))) == len(array(encode({7: Status.INVALID}, size=1024))) == 256
    assert (Status.VALID, Status.INVALID, Status.SUSPENDED) == (0, 1, 2)
