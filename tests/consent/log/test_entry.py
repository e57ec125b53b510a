"""A leaf: what it says, what it hides, and that it cannot be taken for another."""

import hmac
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.log.entry import (
    COMMITMENT_KEY,
    LEAF_SIZE,
    Kind,
    commit,
    event_bytes,
    event_sha256,
    leaf_data,
    read_leaf,
)
from consent.log.errors import FormatRefused

OPENING = bytes(range(32))
EVENT = {"seq": 1, "type": "granted", "items": ["name", "address"]}


def test_the_leafs_bytes_never_change() -> None:
    # Our own vector: a change here would make every receipt that was ever given out worthless.
    assert COMMITMENT_KEY.hex() == "509a7cd5a59854bb569698cb5d476cd2997e55f455b85ac8e9afc0881758988f"
    commitment = commit(OPENING, EVENT)
    assert commitment.hex() == "8b3fb78ad3d995a101e98ebce7e342e722a1cb79fbb58ac92705189a8acc0641"
    assert leaf_data(Kind.CONSENT, commitment) == b"consentlog/v1\n\x01" + commitment
    assert {kind.name: int(kind) for kind in Kind} == {
        "CONSENT": 1,
        "ACCESS": 2,
        "PURPOSE": 3,
        "AGREEMENT": 4,
        "OFFICER": 5,
        "ERASURE": 6,
        "AGENCY": 7,
        "DELIVERY": 8,
    }


def test_a_commitment_is_the_hmac_that_the_format_says() -> None:
    text = b'{"items":["name","address"],"seq":1,"type":"granted"}'
    assert event_bytes(EVENT) == text
    assert event_sha256(EVENT) == sha256(text).digest()
    assert commit(OPENING, EVENT) == hmac.digest(COMMITMENT_KEY, b"consentlog commit v1" + OPENING + text, "sha256")


def test_the_same_event_with_another_opening_cannot_be_recognised() -> None:
    assert commit(OPENING, EVENT) != commit(OPENING[::-1], EVENT)


@given(st.dictionaries(st.text(max_size=5), st.integers(-9, 9) | st.text(max_size=5), max_size=4))
def test_another_event_has_another_commitment_and_the_order_of_members_does_not_matter(
    event: dict[str, int | str],
) -> None:
    assert commit(OPENING, event) == commit(OPENING, dict(reversed(event.items())))
    assert commit(OPENING, event) != commit(OPENING, {**event, "more": 1})


@pytest.mark.parametrize("opening", [b"", OPENING[:-1], OPENING + b"x"])
def test_an_opening_of_another_length_is_refused(opening: bytes) -> None:
    with pytest.raises(FormatRefused, match="opening"):
        commit(opening, EVENT)


@pytest.mark.parametrize("event", [{"a": 0.5}, {"a": 2**60}, {"a": b"x"}, {"a": "\ud800"}])
def test_an_event_without_one_text_is_refused(event: dict[str, object]) -> None:
    with pytest.raises(FormatRefused, match="canonical"):
        commit(OPENING, event)


def test_a_leaf_is_read_back() -> None:
    for kind in Kind:
        data = leaf_data(kind, OPENING)
        assert len(data) == LEAF_SIZE
        assert read_leaf(data) == (kind, OPENING)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"consentlog/v1\n\x01",
        b"consentlog/v2\n\x01" + OPENING,
        b"consentlog/v1\n\x00" + OPENING,
        b"consentlog/v1\n\x09" + OPENING,
        b"consentlog/v1\n\x01" + OPENING + b"x",
    ],
)
def test_what_is_not_a_leaf_is_refused(data: bytes) -> None:
    with pytest.raises(FormatRefused):
        read_leaf(data)


def test_a_leaf_without_a_whole_commitment_is_not_made() -> None:
    with pytest.raises(FormatRefused):
        leaf_data(Kind.CONSENT, OPENING[:-1])
