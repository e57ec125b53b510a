"""A witness: what it cosigns, what it turns away and how, and that it never goes back."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest

from consent.log.checkpoint import Checkpoint
from consent.log.errors import FormatRefused, LogError
from consent.log.merkle import EMPTY_ROOT
from consent.log.note import Note, new_note, open_checkpoint
from consent.log.signers import ed25519_signer, ml_dsa_signer
from consent.log.vkey import KeyType, VerifierKey
from consent.log.witness import (
    NOTHING_SEEN,
    SIZE_TYPE,
    Seen,
    Submission,
    Witness,
    origin_hash,
)
from consent.log.witness_state import MAX_EVIDENCE, SqliteWitnessState
from tests.consent.log.growing import (
    LOG,
    NOW,
    ORIGIN,
    OTHER_LOG,
    WITNESSES,
    GrowingLog,
    numbered_leaves,
    seed,
)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[SqliteWitnessState]:
    """A witness's memory, in a real file."""
    memory = SqliteWitnessState(tmp_path / "witness.sqlite")
    yield memory
    memory.close()


@pytest.fixture
def witness(state: SqliteWitnessState) -> Witness:
    """A witness of one log."""
    return Witness(log_keys=[LOG.vkey], signers=[WITNESSES[0]], state=state)


@pytest.fixture
def log() -> GrowingLog:
    """A log of twenty leaves."""
    return GrowingLog().append(*numbered_leaves(20))


def submission(log: GrowingLog, old: int, new: int) -> Submission:
    """What the log honestly submits."""
    proof = tuple(log.consistency(old, new)) if old else ()
    return Submission(old, proof, log.checkpoint(new))


def body(log: GrowingLog, old: int, new: int) -> bytes:
    """What the log honestly sends."""
    return submission(log, old, new).body()


def test_a_log_that_grows_is_cosigned_at_each_step(witness: Witness, log: GrowingLog) -> None:
    for old, new in ((0, 0), (0, 1), (1, 1), (1, 7), (7, 8), (8, 20), (20, 20)):
        answer = witness.add_checkpoint(body(log, old, new), now=NOW)
        assert (answer.status, answer.body.count("\n")) == (200, 1)
        opened = open_checkpoint(
            str(log.checkpoint(new)) + answer.body, log_keys=[LOG.vkey], witness_keys=[WITNESSES[0].vkey]
        )
        assert opened.verified[1].timestamp == int(NOW.timestamp())
        assert opened.checkpoint.size == new


def test_a_witness_with_two_keys_answers_with_two_lines(state: SqliteWitnessState, log: GrowingLog) -> None:
    signers = [WITNESSES[0], ml_dsa_signer(WITNESSES[0].vkey.name, seed("quantum"))]
    answer = Witness(log_keys=[LOG.vkey], signers=signers, state=state).add_checkpoint(body(log, 0, 5), now=NOW)
    opened = open_checkpoint(
        str(log.checkpoint(5)) + answer.body, log_keys=[LOG.vkey], witness_keys=[signer.vkey for signer in signers]
    )
    assert [verified.key.type for verified in opened.verified[1:]] == [KeyType.COSIGNATURE, KeyType.ML_DSA_44]


def test_the_request_is_the_specifications() -> None:
    # C2SP tlog-witness, add-checkpoint: the example, whose signatures are illustrations
    text = (
        "old 20852014\n"
        "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n"
        "jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n"
        "5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n"
        "/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n"
        "\n"
        "example.com/behind-the-sofa\n"
        "20852163\n"
        "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
        "\n"
        "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE"
        "+xeMcTOAYQ8=\n"
        "— example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovn"
        "zv++qbSzm9Q=\n"
    ).encode()
    parsed = Submission.parse(text)
    assert parsed.old == 20852014
    assert len(parsed.proof) == 4
    assert parsed.body() == text


# github.com/FiloSottile/torchwood, cmd/litewitness/testdata/litewitness.txt: requests in order, with the answers of
# another witness. The status of an unknown log is today's, 404.
SIGSUM = "sigsum.org/v1/tree/4d6d8825a6bb689d459628312889dfbb0bcd41b5211d9e1ce768b0ff0309e562"
SIGSUM_KEY = VerifierKey(
    SIGSUM, KeyType.ED25519, bytes.fromhex("ffdc2d4d98e4124d3feaf788c0c2f9abfd796083d1f0495437f302ec79cf100f")
)
ROOTS = {
    1: "KgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    3: "RcCI1Nk56ZcSmIEfIn0SleqtV7uvrlXNccFx595Iwl0=",
    5: "QrtXrQZCCvpIgsSmOsah7HdICzMLLyDfxToMql9WTjY=",
}
SIGNATURES = {
    1: "UgIom7fPZTqpxWWhyjWduBvTvGVqsokMbqTArsQilegKoFBJQjUFAmQ0+YeSPM3wfUQMFSzVnnNuWRTYrajXpNUbIQY=",
    3: "UgIom2VbtIcdFbwFAy1n7s6IkAxIY6J/GQOTuZF2ORV39d75cbAj2aQYwyJre36kezNobZs4SUUdrcawfAB8WVrx6go=",
    5: "UgIomw/EOJmWi0i1FQsOj+etB7F8IccFam/jgd6wzRns4QPVmyEZtdvl1U2KEmLOZ/ASRcWJi0tW90dJWAShei7sDww=",
}
N1, N2, N3, N4 = (b64encode(bytes([42, number, *[0] * 30])).decode() for number in (1, 2, 3, 4))
FALSE_2 = "KgIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABA="
NODE_23 = "+fUDV+k970B4I3uKrqJM4aP1lloPZP8mvr2Z4wRw2LI="
NODE_01 = "wgiIFdZfYNv6WU1OllBKsWnLYIS/DBMqt8Uh/S4OukE="


def request_of(old: int, proof: list[str], size: int, *, origin: str = SIGSUM) -> bytes:
    """One of the recorded requests."""
    lines = [f"old {old}", *proof, "", origin, str(size), ROOTS[size], "", f"— {origin} {SIGNATURES[size]}", ""]
    return "\n".join(lines).encode()


def test_another_implementations_recorded_exchange_is_answered_alike(state: SqliteWitnessState) -> None:
    assert SIGSUM_KEY.id == b64decode("UgIomw==")
    witness = Witness(log_keys=[SIGSUM_KEY], signers=[WITNESSES[0]], state=state)
    exchange = [
        (request_of(0, [], 1), 200, None),
        (request_of(1, [N1, N2], 3).replace(b"6go=\n", b"6gw=\n"), 403, None),
        (request_of(1, [N1, N2], 3, origin=SIGSUM[:-1] + "3"), 404, None),
        (request_of(1, [], 3), 422, None),
        (request_of(1, [N1, FALSE_2], 3), 422, None),
        (request_of(1, [N1, N2], 3), 200, None),
        (request_of(1, [N1, NODE_23, N4], 5), 409, "3\n"),
        (request_of(3, [N2, N3, NODE_01, N4], 5), 200, None),
        (request_of(0, [], 5), 409, "5\n"),
    ]
    for request, status, said in exchange:
        answer = witness.add_checkpoint(request, now=NOW)
        assert answer.status == status
        assert said is None or (answer.body, answer.content_type) == (said, SIZE_TYPE)
    assert state.latest(SIGSUM) == Seen(5, b64decode(ROOTS[5]))


def altered_bytes(change: Callable[[bytes], bytes]) -> Callable[[GrowingLog], bytes]:
    """What the log honestly sends from 5 to 9, with a change."""
    return lambda log: change(body(log, 5, 9))


def checkpoint_of(log: GrowingLog, size: int, root: bytes) -> Note:
    """Any checkpoint, signed by the log's own key."""
    text = Checkpoint(ORIGIN, size, root).text()
    return new_note(text, [log.signer.sign(text, now=NOW)])


def another_history(log: GrowingLog) -> GrowingLog:
    """The same log, with its third leaf edited, and longer."""
    return GrowingLog().append(*log.leaves[:2], b"edited", *log.leaves[3:], b"more")


@pytest.mark.parametrize(
    ("request_from", "status"),
    [
        pytest.param(altered_bytes(lambda sent: b""), 400, id="empty"),
        pytest.param(altered_bytes(lambda sent: sent.replace(b"old 5", b"old 05")), 400, id="leading zero"),
        pytest.param(altered_bytes(lambda sent: sent.replace(b"old 5", b"old -5")), 400, id="negative"),
        pytest.param(altered_bytes(lambda sent: sent.replace(b"old 5", b"new 5")), 400, id="keyword"),
        pytest.param(altered_bytes(lambda sent: sent.replace(b"old 5\n", b"old 5\r\n")), 400, id="CRLF"),
        pytest.param(altered_bytes(lambda sent: sent.replace(b"old 5\n", b"old 5\nxx\n")), 400, id="not a hash"),
        pytest.param(altered_bytes(lambda sent: sent.replace(b"old 5\n", b"old 5\n\xff\n")), 400, id="not ASCII"),
        pytest.param(
            altered_bytes(lambda sent: sent.replace(b"old 5\n", b"old 5\n" + (b64encode(EMPTY_ROOT) + b"\n") * 64)),
            400,
            id="64 hashes",
        ),
        pytest.param(altered_bytes(lambda sent: sent.rpartition(b"\n\n")[0]), 400, id="no signature"),
        pytest.param(altered_bytes(lambda sent: sent + b"x" * 300_000), 400, id="too long"),
        pytest.param(lambda log: replace(submission(log, 5, 9), old=10).body(), 400, id="old larger than new"),
        pytest.param(lambda log: body(GrowingLog(signer=OTHER_LOG).append(b"x"), 0, 1), 404, id="unknown log"),
        pytest.param(
            altered_bytes(lambda sent: sent.replace(LOG.vkey.name.encode() + b" ", b"log.example/x ")),
            403,
            id="signed by nobody known",
        ),
        pytest.param(
            lambda log: Submission(
                5, tuple(log.consistency(5, 9)), Note(log.checkpoint(9).text, log.checkpoint(8).signatures)
            ).body(),
            403,
            id="another checkpoint's signature",
        ),
        pytest.param(
            lambda log: Submission(
                5, (), new_note(log.checkpoint(9).text, [ed25519_signer(ORIGIN, seed("?")).sign("x\n", now=NOW)])
            ).body(),
            403,
            id="another key of the name",
        ),
        pytest.param(lambda log: body(log, 4, 9), 409, id="an older size"),
        pytest.param(lambda log: body(log, 0, 9), 409, id="from nothing"),
        pytest.param(lambda log: body(log, 6, 9), 409, id="a size that never was cosigned"),
        pytest.param(lambda log: body(log, 3, 4), 409, id="rolled back"),
        pytest.param(lambda log: Submission(0, (), log.checkpoint(4)).body(), 409, id="rolled back from nothing"),
        pytest.param(lambda log: replace(submission(log, 5, 9), proof=()).body(), 422, id="no proof"),
        pytest.param(
            lambda log: replace(submission(log, 5, 9), proof=tuple(log.consistency(5, 8))).body(),
            422,
            id="another tree's proof",
        ),
        pytest.param(lambda log: body(another_history(log), 5, 9), 422, id="edited history"),
        pytest.param(
            lambda log: Submission(5, (), checkpoint_of(log, 5, another_history(log).root(5))).body(),
            422,
            id="fork at the same size",
        ),
        pytest.param(
            lambda log: Submission(5, (EMPTY_ROOT,), log.checkpoint(5)).body(), 422, id="a proof between equal sizes"
        ),
    ],
)
def test_what_is_not_the_logs_honest_growth_is_turned_away_and_changes_nothing(
    state: SqliteWitnessState,
    witness: Witness,
    log: GrowingLog,
    request_from: Callable[[GrowingLog], bytes],
    status: int,
) -> None:
    assert witness.add_checkpoint(body(log, 0, 5), now=NOW).status == 200
    before = state.latest(ORIGIN), state.cosigned(origin_hash(ORIGIN))
    answer = witness.add_checkpoint(request_from(log), now=NOW)
    assert answer.status == status
    assert "—" not in answer.body
    if status == 409:
        assert (answer.body, answer.content_type) == ("5\n", SIZE_TYPE)
    assert (state.latest(ORIGIN), state.cosigned(origin_hash(ORIGIN))) == before
    assert witness.add_checkpoint(body(log, 5, 9), now=NOW).status == 200


@pytest.mark.parametrize(
    "request_from",
    [
        lambda log: Submission(0, (EMPTY_ROOT,), log.checkpoint(5)).body(),
        lambda log: Submission(0, (), checkpoint_of(log, 0, log.root(1))).body(),
    ],
)
def test_a_first_submission_proves_nothing_and_an_empty_tree_has_its_root(
    witness: Witness, log: GrowingLog, request_from: Callable[[GrowingLog], bytes]
) -> None:
    assert witness.add_checkpoint(request_from(log), now=NOW).status == 422


def test_two_at_once_one_wins_and_the_other_is_told_the_size(tmp_path: Path, log: GrowingLog) -> None:
    forked = GrowingLog().append(*log.leaves[:5], *numbered_leaves(15, "of another history"))
    start = Barrier(2)

    class Slow(SqliteWitnessState):
        """Both have looked before either writes."""

        def latest(self, origin: str) -> Seen:
            seen = super().latest(origin)
            if seen.size == 5:
                start.wait(5)
            return seen

    # Two processes would have two connections too.
    states = [Slow(tmp_path / "witness.sqlite") for _ in range(2)]
    witnesses = [Witness(log_keys=[LOG.vkey], signers=[WITNESSES[0]], state=state) for state in states]
    assert witnesses[0].add_checkpoint(body(log, 0, 5), now=NOW).status == 200
    sent = [body(log, 5, 12), body(forked, 5, 9)]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda n: witnesses[n].add_checkpoint(sent[n], now=NOW), range(2)))
    assert sorted(answer.status for answer in answers) == [200, 409]
    winner = 12 if answers[0].status == 200 else 9
    assert next(answer.body for answer in answers if answer.status == 409) == f"{winner}\n"
    for state in states:
        assert SqliteWitnessState.latest(state, ORIGIN).size == winner
        state.close()


def test_the_latest_cosigned_checkpoint_is_for_everyone_to_read(
    state: SqliteWitnessState, witness: Witness, log: GrowingLog
) -> None:
    assert witness.checkpoint(origin_hash(ORIGIN)).status == 404
    stranger = WITNESSES[3]
    sent = Submission(0, (), log.checkpoint(5, cosigners=[stranger]))
    cosignature = witness.add_checkpoint(sent.body(), now=NOW).body
    answer = witness.checkpoint(origin_hash(ORIGIN))
    assert (answer.status, answer.body) == (200, str(log.checkpoint(5)) + cosignature)
    witness.add_checkpoint(body(log, 5, 9), now=NOW)
    assert "\n9\n" in witness.checkpoint(origin_hash(ORIGIN)).body


def test_what_the_log_signed_and_cannot_prove_is_kept_as_evidence(
    state: SqliteWitnessState, witness: Witness, log: GrowingLog
) -> None:
    witness.add_checkpoint(body(log, 0, 5), now=NOW)
    forged = checkpoint_of(log, 5, another_history(log).root(5))
    for _ in range(2):
        witness.add_checkpoint(Submission(5, (), forged).body(), now=NOW)
    assert state.evidence() == [(ORIGIN, "two different trees of 5 leaves", str(forged), NOW.isoformat())]


def test_evidence_does_not_fill_the_disk(state: SqliteWitnessState) -> None:
    for number in range(MAX_EVIDENCE + 5):
        state.keep_evidence("one", why="x", note=str(number), at=NOW + timedelta(seconds=number))
    state.keep_evidence("two", why="x", note="x", at=NOW)
    assert len(state.evidence()) == MAX_EVIDENCE + 1


def test_the_memory_survives_being_closed(tmp_path: Path) -> None:
    path = tmp_path / "witness.sqlite"
    first = SqliteWitnessState(path)
    assert first.latest(ORIGIN) == NOTHING_SEEN
    assert first.advance(ORIGIN, expected=NOTHING_SEEN, seen=Seen(3, b"a" * 32), note="x")
    first.close()
    second = SqliteWitnessState(path)
    assert second.latest(ORIGIN) == Seen(3, b"a" * 32)
    assert not second.advance(ORIGIN, expected=NOTHING_SEEN, seen=Seen(4, b"b" * 32), note="x")
    assert not second.advance(ORIGIN, expected=Seen(3, b"b" * 32), seen=Seen(4, b"b" * 32), note="x")
    assert second.latest(ORIGIN) == Seen(3, b"a" * 32)
    second.close()


def test_a_file_that_is_not_a_witnesss_memory_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("a letter" * 200)
    with pytest.raises(LogError, match="not a witness's memory"):
        SqliteWitnessState(path)
    assert path.read_text() == "a letter" * 200


def test_a_witness_needs_a_key_whose_signatures_say_when(state: SqliteWitnessState) -> None:
    with pytest.raises(ValueError, match="has a key"):
        Witness(log_keys=[LOG.vkey], signers=[], state=state)
    with pytest.raises(ValueError, match="when"):
        Witness(log_keys=[LOG.vkey], signers=[ed25519_signer("w", seed("w"))], state=state)


@pytest.mark.parametrize("sent", [b"old 5", b"old 5\n\n", b"\n\nold 5\n\n"])
def test_a_submission_that_is_none_is_refused(sent: bytes) -> None:
    with pytest.raises((FormatRefused, LogError)):
        Submission.parse(sent)
