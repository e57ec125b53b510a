from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from keys.encoding import b64url_decode
from keys.entropy import SystemEntropy, constant_time_equals, new_id, new_row_id, new_token, sha256


class Fixed:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def token_bytes(self, n: int) -> bytes:
        assert len(self._data) == n
        return self._data


def test_the_row_id_of_rfc_9562_appendix_a_6_comes_out() -> None:
    noise = bytes.fromhex("0cc318c4dc0c0c07398f")
    moment = datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC)
    assert new_row_id(Fixed(noise), moment) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


def test_the_noise_cannot_change_the_version_or_the_variant() -> None:
    for noise in (b"\x00" * 10, b"\xff" * 10):
        made = UUID(new_row_id(Fixed(noise), datetime(2026, 1, 1, tzinfo=UTC)))
        assert (made.version, made.variant) == (7, "specified in RFC 4122")


def test_row_ids_sort_by_the_millisecond() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    made = [new_row_id(SystemEntropy(), start + timedelta(milliseconds=i)) for i in range(50)]
    assert made == sorted(made)
    assert len(set(made)) == 50


def test_a_row_id_needs_to_know_which_moment_it_is() -> None:
    with pytest.raises(ValueError, match="aware"):
        new_row_id(SystemEntropy(), datetime(2026, 1, 1))


def test_an_id_is_a_random_uuid() -> None:
    made = UUID(new_id(SystemEntropy()))
    assert made.version == 4
    assert new_id(Fixed(b"\xff" * 16)) == "ffffffff-ffff-4fff-bfff-ffffffffffff"


def test_a_token_is_256_bits_of_base64url() -> None:
    token = new_token(SystemEntropy())
    assert len(b64url_decode(token)) == 32
    assert len(b64url_decode(new_token(SystemEntropy(), 16))) == 16
    assert token != new_token(SystemEntropy())


def test_secrets_are_compared_by_value() -> None:
    assert constant_time_equals(b"a", b"a")
    assert not constant_time_equals(b"a", b"b")
    assert not constant_time_equals(b"a", b"")


def test_the_digest_is_sha_256() -> None:
    # FIPS 180-4's example "abc".
    assert sha256(b"abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
