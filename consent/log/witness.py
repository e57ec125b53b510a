"""What a witness does: it cosigns a log's checkpoint only if that tree begins with the tree it cosigned before.

A log that shows two people two histories needs the cosignatures of its witnesses on both, and an honest witness, that
remembers one line of each log, gives them to one history alone.

Spec: C2SP tlog-witness
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final, Protocol

from consent.log.checkpoint import Checkpoint
from consent.log.encoding import base64_of, from_decimal, hash_from_base64
from consent.log.errors import FormatRefused, LogError, NoteRefused, ProofRefused, Unavailable
from consent.log.merkle import EMPTY_ROOT, verify_consistency
from consent.log.note import Note, open_checkpoint
from consent.log.signers import Signer
from consent.log.vkey import KeyType, VerifierKey, has_ml_dsa

MAX_PROOF_LINES: Final = 63
MAX_BODY_BYTES: Final = 256 * 1024
SIZE_TYPE: Final = "text/x.tlog.size"
TEXT_TYPE: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Submission:
    """What a log sends: the size that it believes the witness knows, the proof from there, the checkpoint."""

    old: int
    proof: tuple[bytes, ...]
    note: Note

    @classmethod
    def parse(cls, body: bytes) -> "Submission":
        """Reads a request body. Raises `FormatRefused` or `NoteRefused`.

        Spec: C2SP tlog-witness, add-checkpoint
        """
        if len(body) > MAX_BODY_BYTES:
            raise FormatRefused(f"a request of more than {MAX_BODY_BYTES} bytes")
        head, blank, note = body.partition(b"\n\n")
        if not blank:
            raise FormatRefused("a request is an old size, a proof, a blank line and a checkpoint")
        try:
            first, *lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError:
            raise FormatRefused("the lines before the checkpoint are ASCII") from None
        if not first.startswith("old "):
            raise FormatRefused("a request begins with the old size")
        if len(lines) > MAX_PROOF_LINES:
            raise FormatRefused(f"a consistency proof has at most {MAX_PROOF_LINES} hashes")
        old = from_decimal(first.removeprefix("old "), what="the old size")
        proof = tuple(hash_from_base64(line, what="a hash of the proof") for line in lines)
        return cls(old, proof, Note.parse(note))

    def body(self) -> bytes:
        """The request body."""
        return "\n".join([f"old {self.old}", *map(base64_of, self.proof), "", str(self.note)]).encode()


@dataclass(frozen=True)
class Answer:
    """What a witness answers, in HTTP's words."""

    status: int
    body: str
    content_type: str = TEXT_TYPE


@dataclass(frozen=True)
class Seen:
    """The latest tree of a log that the witness has cosigned."""

    size: int
    root: bytes


NOTHING_SEEN: Final = Seen(0, EMPTY_ROOT)


class WitnessState(Protocol):
    """A witness's memory. It must never go back: a witness restored from a backup would cosign a second history."""

    def latest(self, origin: str) -> Seen:
        """The latest tree that was cosigned; `NOTHING_SEEN` for a log that never came."""
        ...

    def advance(self, origin: str, *, expected: Seen, seen: Seen, note: str) -> bool:
        """Replaces `expected` by `seen`, durably before it returns; if it is not what is there, False and nothing done.

        Comparing and replacing is one step, also between processes.
        """
        ...

    def keep_evidence(self, origin: str, *, why: str, note: str, at: datetime) -> None:
        """Keeps a checkpoint that its log has signed and that contradicts an earlier one."""
        ...

    def cosigned(self, origin_hash: str) -> str | None:
        """The latest cosigned checkpoint, by the lower-case hex SHA-256 of the origin."""
        ...


class Turned(LogError):
    """A submission that is not cosigned, with the status that says why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Witness:
    """A witness for some logs, each known by the name of its keys, which is its origin."""

    def __init__(self, *, log_keys: Collection[VerifierKey], signers: Sequence[Signer], state: WitnessState) -> None:
        if not signers:
            raise ValueError("a witness has a key")
        if not all(signer.vkey.type.timestamped for signer in signers):
            raise ValueError("a witness's signatures say when they were made")
        if any(key.type is KeyType.ML_DSA_44 for key in log_keys) and not has_ml_dsa():
            raise Unavailable("a log signs with ML-DSA-44, which needs a newer `cryptography` than is here")
        keys: dict[str, set[VerifierKey]] = {}
        for key in log_keys:
            keys.setdefault(key.name, set()).add(key)
        self._log_keys: Mapping[str, set[VerifierKey]] = keys
        self._signers = tuple(signers)
        self._state = state

    @property
    def vkeys(self) -> tuple[VerifierKey, ...]:
        """The keys by which others believe this witness."""
        return tuple(signer.vkey for signer in self._signers)

    def add_checkpoint(self, body: bytes, *, now: datetime) -> Answer:
        """Answers `POST /add-checkpoint`.

        The order of the steps is what makes a crash harmless: the cosignature is made, then the tree that it is for is
        made durable, and only then does the cosignature leave. A crash before the second step leaves the old state and
        a signature that nobody has; one after it leaves a new state, from which the log is cosigned again by asking.

        Spec: C2SP tlog-witness, add-checkpoint
        """
        try:
            submission, checkpoint = self._admit(body)
        except Turned as turned:
            return Answer(turned.status, f"{turned.why}\n")
        latest = self._state.latest(checkpoint.origin)
        if submission.old != latest.size:
            return _conflict(latest)
        try:
            check_growth(submission, checkpoint, latest)
        except Turned as turned:
            # The log's key has signed this, so it may be the proof that it keeps two histories.
            self._state.keep_evidence(checkpoint.origin, why=turned.why, note=str(submission.note), at=now)
            return Answer(turned.status, f"{turned.why}\n")
        cosignatures = [signer.sign(submission.note.text, now=now) for signer in self._signers]
        cosigned = self._only_known(submission.note, checkpoint.origin).signed_also(cosignatures)
        seen = Seen(checkpoint.size, checkpoint.root)
        if not self._state.advance(checkpoint.origin, expected=latest, seen=seen, note=str(cosigned)):
            return _conflict(self._state.latest(checkpoint.origin))
        return Answer(200, "".join(signature.line for signature in cosignatures))

    def checkpoint(self, origin_hash: str) -> Answer:
        """Answers `GET /<origin hash>/checkpoint`.

        Spec: C2SP tlog-witness, Monitor Retrieval Mechanism
        """
        note = self._state.cosigned(origin_hash)
        return Answer(404, "no checkpoint of that log was cosigned here\n") if note is None else Answer(200, note)

    def _admit(self, body: bytes) -> tuple[Submission, Checkpoint]:
        try:
            submission = Submission.parse(body)
            checkpoint = Checkpoint.parse(submission.note.text)
        except (FormatRefused, NoteRefused) as refused:
            raise Turned(400, refused.why) from None
        keys = self._log_keys.get(checkpoint.origin)
        if keys is None:
            raise Turned(404, "this log is not known here")
        try:
            open_checkpoint(submission.note, log_keys=keys)
        except NoteRefused as refused:
            raise Turned(403, refused.why) from None
        if submission.old > checkpoint.size:
            raise Turned(400, "the old size is larger than the checkpoint's")
        return submission, checkpoint

    def _only_known(self, note: Note, origin: str) -> Note:
        """The note with the log's own, verified signatures: strangers' lines are not the witness's to publish."""
        known = {(key.name, key.id) for key in self._log_keys[origin]}
        return Note(note.text, tuple(s for s in note.signatures if (s.name, s.key_id) in known))


def check_growth(submission: Submission, checkpoint: Checkpoint, latest: Seen) -> None:
    """Checks that the checkpoint's tree begins with the latest one, whose size is the submission's. Raises `Turned`.

    Spec: C2SP tlog-witness, add-checkpoint
    """
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        raise Turned(422, "the root of an empty tree is another one")
    if submission.old == 0:
        # Every tree begins with the empty one.
        if submission.proof:
            raise Turned(422, "the consistency proof from an empty tree is empty")
        return
    try:
        verify_consistency(
            old=latest.size,
            new=checkpoint.size,
            proof=submission.proof,
            old_root=latest.root,
            new_root=checkpoint.root,
        )
    except ProofRefused as refused:
        raise Turned(422, refused.why) from None


def origin_hash(origin: str) -> str:
    """How a witness's read API names a log.

    Spec: C2SP tlog-witness, Monitor Retrieval Mechanism
    """
    return sha256(origin.encode()).hexdigest()


def _conflict(latest: Seen) -> Answer:
    return Answer(409, f"{latest.size}\n", SIZE_TYPE)
