"""A proof of logging: its text, and that nothing in it can be changed."""

from base64 import b64encode
from dataclasses import replace
from hashlib import sha256

import pytest

from consent.log.errors import FormatRefused, LogError, NoteRefused, ProofRefused, QuorumMissed, UnknownSigner
from consent.log.policy import Policy
from consent.log.proof import LogProof, verify_proof
from tests.consent.log.growing import LOG, NOW, ORIGIN, OTHER_LOG, WITNESSES, GrowingLog, numbered_leaves

POLICY = Policy.parse(
    f"log {LOG.vkey}\nwitness a {WITNESSES[0].vkey}\nwitness b {WITNESSES[1].vkey}\ngroup g all a b\nquorum g\n"
)
LEAVES = GrowingLog().append(*numbered_leaves(11))
PROOF = LEAVES.proof(7, extra=b"opening", cosigners=WITNESSES[:2])
CHECKPOINT = str(PROOF.checkpoint)


def encoded(data: bytes) -> str:
    """Base64."""
    return b64encode(data).decode()


def test_the_text_is_the_specifications() -> None:
    hashes = [sha256(name).digest() for name in (b"hash1", b"hash2")]
    lines = "".join(f"{encoded(value)}\n" for value in hashes)
    # github.com/transparency-dev/formats, proof/tlog_proof_test.go: the cases, with a whole checkpoint
    for proof, text in (
        (LogProof(5, tuple(hashes), PROOF.checkpoint), f"c2sp.org/tlog-proof@v1\nindex 5\n{lines}\n{CHECKPOINT}"),
        (
            LogProof(10, tuple(hashes[:1]), PROOF.checkpoint, b"extra information"),
            f"c2sp.org/tlog-proof@v1\nextra {encoded(b'extra information')}\nindex 10\n"
            f"{encoded(hashes[0])}\n\n{CHECKPOINT}",
        ),
        (LogProof(0, (), PROOF.checkpoint), f"c2sp.org/tlog-proof@v1\nindex 0\n\n{CHECKPOINT}"),
    ):
        assert str(proof) == text
        assert LogProof.parse(text) == proof


HASH = encoded(bytes(32))


@pytest.mark.parametrize(
    "head",
    [
        "",
        "wrong-header\nindex 0",
        "c2sp.org/tlog-proof@v1",
        "c2sp.org/tlog-proof@v2\nindex 0",
        "c2sp.org/tlog-proof@v1\nextra !!notbase64!!\nindex 0",
        "c2sp.org/tlog-proof@v1\nextra\nindex 0",
        "c2sp.org/tlog-proof@v1\nindex 0\nextra AAAA",
        "c2sp.org/tlog-proof@v1\nextra AAAA\nextra AAAA\nindex 0",
        f"c2sp.org/tlog-proof@v1\n{HASH}",
        "c2sp.org/tlog-proof@v1\nindex notanumber",
        "c2sp.org/tlog-proof@v1\nindex -5",
        "c2sp.org/tlog-proof@v1\nindex 05",
        f"c2sp.org/tlog-proof@v1\nindex {2**63}",
        "c2sp.org/tlog-proof@v1\nindex  5",
        "c2sp.org/tlog-proof@v1\nindex 0\n!!notbase64!!",
        f"c2sp.org/tlog-proof@v1\nindex 0\n{encoded(bytes(64))}",
        f"c2sp.org/tlog-proof@v1\nindex 0\n{HASH} ",
        "c2sp.org/tlog-proof@v1\nindex 0\n" + f"{HASH}\n" * 63 + HASH,
        "c2sp.org/tlog-proof@v1\nindex 0\n" + "a" * 65 * 1024,
        "c2sp.org/tlog-proof@v1\r\nindex 0",
    ],
)
def test_a_text_that_is_not_a_proof_is_refused(head: str) -> None:
    with pytest.raises(FormatRefused):
        LogProof.parse(f"{head}\n\n{CHECKPOINT}")


def test_a_proof_without_a_whole_checkpoint_is_refused() -> None:
    for text in ("c2sp.org/tlog-proof@v1\nindex 0\n", "c2sp.org/tlog-proof@v1\nindex 0\n\ncheckpoint\n"):
        with pytest.raises((FormatRefused, NoteRefused)):
            LogProof.parse(text)


def test_every_leaf_of_a_witnessed_log_is_proven() -> None:
    for size in range(1, 12):
        for index in range(size):
            proof = LogProof.parse(str(LEAVES.proof(index, size, cosigners=WITNESSES)))
            proven = verify_proof(proof, leaf_data=LEAVES.leaves[index], policy=POLICY, expected_origin=ORIGIN)
            assert (proven.index, proven.checkpoint.size, proven.witnesses) == (index, size, ("a", "b"))
            assert proven.cosigned_at == (int(NOW.timestamp()),) * 2


def test_the_extra_line_is_not_trusted_and_not_needed() -> None:
    for extra in (None, b"", b"anything"):
        altered = LogProof.parse(str(replace(PROOF, extra=extra)))
        assert altered.extra == extra
        verify_proof(altered, leaf_data=LEAVES.leaves[7], policy=POLICY, expected_origin=ORIGIN)


def forged_tree() -> LogProof:
    """A proof in a tree that the log has not signed, under the checkpoint that it has."""
    other = GrowingLog().append(*numbered_leaves(7), b"never logged", *numbered_leaves(3))
    return replace(other.proof(7), checkpoint=PROOF.checkpoint)


@pytest.mark.parametrize(
    ("proof", "leaf", "refusal"),
    [
        (PROOF, b"another leaf", ProofRefused),
        (replace(PROOF, index=6), LEAVES.leaves[7], ProofRefused),
        (replace(PROOF, index=11), LEAVES.leaves[7], ProofRefused),
        (replace(PROOF, hashes=PROOF.hashes[:-1]), LEAVES.leaves[7], ProofRefused),
        (replace(PROOF, hashes=PROOF.hashes[::-1]), LEAVES.leaves[7], ProofRefused),
        (replace(PROOF, checkpoint=LEAVES.checkpoint(10, cosigners=WITNESSES)), LEAVES.leaves[7], ProofRefused),
        (forged_tree(), b"never logged", ProofRefused),
        (LEAVES.proof(7, cosigners=WITNESSES[:1]), LEAVES.leaves[7], QuorumMissed),
        (LEAVES.proof(7), LEAVES.leaves[7], QuorumMissed),
        (GrowingLog(signer=OTHER_LOG).append(b"x").proof(0, cosigners=WITNESSES), b"x", UnknownSigner),
    ],
)
def test_a_proof_that_proves_something_else_is_refused(proof: LogProof, leaf: bytes, refusal: type[LogError]) -> None:
    with pytest.raises(refusal):
        verify_proof(proof, leaf_data=leaf, policy=POLICY, expected_origin=ORIGIN)


def test_a_proof_of_another_trusted_log_is_not_one_of_this() -> None:
    both = Policy.parse(f"log {LOG.vkey}\nlog {OTHER_LOG.vkey}\nquorum none\n")
    proof = GrowingLog(signer=OTHER_LOG).append(b"x").proof(0)
    with pytest.raises(ProofRefused, match=r"log\.example/other"):
        verify_proof(proof, leaf_data=b"x", policy=both, expected_origin=ORIGIN)


def test_no_character_of_a_proof_can_be_changed() -> None:
    text = str(LEAVES.proof(7, cosigners=WITNESSES[:2]))
    for at, character in enumerate(text):
        altered = text[:at] + ("A" if character != "A" else "B") + text[at + 1 :]
        with pytest.raises(LogError):
            verify_proof(LogProof.parse(altered), leaf_data=LEAVES.leaves[7], policy=POLICY, expected_origin=ORIGIN)
