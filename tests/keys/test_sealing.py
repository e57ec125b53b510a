import base64
import copy
import pickle
import stat
from pathlib import Path

import pytest

from keys.encoding import b64url_encode
from keys.entropy import SystemEntropy
from keys.errors import KeyRefused, SealBroken
from keys.sealing import MasterKey, seal, unseal

ENTROPY = SystemEntropy()
RAW = bytes(range(32))


def test_a_sealed_value_opens_in_its_own_place(master: MasterKey) -> None:
    sealed = seal(master, b"hello", context=b"here", entropy=ENTROPY)
    assert unseal(master, sealed, context=b"here") == b"hello"
    assert b"hello" not in sealed


def test_sealing_twice_gives_two_texts(master: MasterKey) -> None:
    assert seal(master, b"", context=b"c", entropy=ENTROPY) != seal(master, b"", context=b"c", entropy=ENTROPY)


def test_a_value_moved_to_another_place_does_not_open(master: MasterKey) -> None:
    sealed = seal(master, b"hello", context=b"here", entropy=ENTROPY)
    with pytest.raises(SealBroken):
        unseal(master, sealed, context=b"there")


def test_another_master_key_does_not_open_it(master: MasterKey) -> None:
    sealed = seal(master, b"hello", context=b"here", entropy=ENTROPY)
    with pytest.raises(SealBroken):
        unseal(MasterKey.generate(ENTROPY), sealed, context=b"here")


def test_no_bit_of_a_sealed_value_can_change(master: MasterKey) -> None:
    sealed = seal(master, b"hi", context=b"here", entropy=ENTROPY)
    for bit in range(len(sealed) * 8):
        altered = bytearray(sealed)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SealBroken):
            unseal(master, bytes(altered), context=b"here")


def test_no_part_of_a_sealed_value_opens(master: MasterKey) -> None:
    sealed = seal(master, b"hi", context=b"here", entropy=ENTROPY)
    for length in range(len(sealed)):
        with pytest.raises(SealBroken):
            unseal(master, sealed[:length], context=b"here")


def test_a_saved_master_key_is_its_owners_alone_and_reads_back(tmp_path: Path, master: MasterKey) -> None:
    path = tmp_path / "master.key"
    master.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["master.key"]
    sealed = seal(master, b"hello", context=b"c", entropy=ENTROPY)
    assert unseal(MasterKey.from_file(path), sealed, context=b"c") == b"hello"


def test_saving_never_overwrites_a_master_key(tmp_path: Path, master: MasterKey) -> None:
    path = tmp_path / "master.key"
    master.save(path)
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        MasterKey.generate(ENTROPY).save(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["master.key"]


@pytest.mark.parametrize(
    "text",
    [
        base64.b64encode(RAW).decode(),
        b64url_encode(RAW),
        b64url_encode(RAW) + "\n",
        base64.b64encode(RAW).decode() + "\r\n",
    ],
)
def test_both_kinds_of_base64_are_read(text: str) -> None:
    sealed = seal(MasterKey(RAW), b"hello", context=b"c", entropy=ENTROPY)
    assert unseal(MasterKey.from_base64(text), sealed, context=b"c") == b"hello"


@pytest.mark.parametrize(
    "text", ["", "short", b64url_encode(b"x" * 32), b64url_encode(bytes(32)), b64url_encode(RAW + b"!"), "é" * 43]
)
def test_what_is_not_a_random_256_bit_key_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(KeyRefused):
        MasterKey.from_base64(text)
    path = tmp_path / "master.key"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(KeyRefused):
        MasterKey.from_file(path)


def test_a_master_key_is_not_shown_copied_or_pickled() -> None:
    key = MasterKey(RAW)
    assert repr(key) == str(key) == "<MasterKey, not shown>"
    for leave in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="does not leave"):
            leave(key)


def test_a_refused_master_key_is_not_in_the_error() -> None:
    text = b64url_encode(b"secret-canary-secret-canary-secr") + "*"
    with pytest.raises(KeyRefused) as refused:
        MasterKey.from_base64(text)
    assert "canary" not in str(refused.value)
    assert text not in str(refused.value)
