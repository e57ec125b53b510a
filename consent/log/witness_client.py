"""How a log asks a witness: the words of the exchange, without the wire. `consent.http.witness_client` is the wire.

Spec: C2SP tlog-witness
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from consent.log.checkpoint import Checkpoint
from consent.log.encoding import from_decimal
from consent.log.errors import FormatRefused, LogError, NoteRefused
from consent.log.note import Note, VerifiedSignature, open_note
from consent.log.vkey import VerifierKey
from consent.log.witness import SIZE_TYPE, Submission

MAX_ANSWER_BYTES: Final = 64 * 1024
MAX_AHEAD: Final = timedelta(minutes=10)
_MAX_SIZE_BYTES: Final = 32
_MAX_QUOTED: Final = 200


@dataclass(frozen=True)
class WireAnswer:
    """What came back over the wire."""

    status: int
    content_type: str
    body: bytes


Post = Callable[[bytes], Awaitable[WireAnswer]]
"""Sends a body to the witness's `add-checkpoint`. Raises `WitnessUnreachable`."""

ProveFrom = Callable[[int], Awaitable[Sequence[bytes]]]
"""The consistency proof from a tree of that size to the checkpoint's; not asked for 0."""


class WitnessRefused(LogError):
    """The witness answered, and not with a cosignature that can be used."""


class WitnessUnreachable(LogError):
    """The witness gave no answer in time. It is worth asking again."""


class WitnessAhead(WitnessRefused):
    """The witness has cosigned a larger tree of this log than the log itself knows.

    The log has gone back, as it does when its database is restored from a backup. It must not sign anything more.
    """

    def __init__(self, *, size: int, knows: int) -> None:
        super().__init__(f"the witness has cosigned this log at {knows} leaves, and it offers a tree of {size}")
        self.size = size
        self.knows = knows


async def ask_for_cosignatures(
    note: Note,
    *,
    old: int,
    prove_from: ProveFrom,
    post: Post,
    witness_keys: Collection[VerifierKey],
    now: datetime,
) -> tuple[VerifiedSignature, ...]:
    """Gets a signed checkpoint cosigned by one witness; returns the verified cosignatures, to add to the note.

    `old` is the size that the log last had cosigned there; if the witness says that it is another one, the log believes
    it and asks once more. After an answer, the size to remember for this witness is the checkpoint's.

    Raises `WitnessRefused` and its kind, or `WitnessUnreachable`.

    Spec: C2SP tlog-witness, add-checkpoint
    """
    checkpoint = Checkpoint.parse(note.text)
    # The log's own lines only: cosignatures that came before mean nothing to a witness, some take no more than 10 kB,
    # and one ML-DSA line has more than three.
    note = Note(note.text, tuple(line for line in note.signatures if line.name == checkpoint.origin))
    answer = await _ask(note, checkpoint, old, prove_from, post)
    if answer.status == 409:
        told = _told_size(answer)
        if told == old:
            raise WitnessRefused(f"the witness says that {old} is the wrong size, and that {told} is the right one")
        answer = await _ask(note, checkpoint, told, prove_from, post)
    if answer.status != 200:
        raise WitnessRefused(f"the witness answers {answer.status}: {_quoted(answer.body)}")
    return read_cosignatures(note, answer.body, witness_keys=witness_keys, now=now)


def read_cosignatures(
    note: Note, body: bytes, *, witness_keys: Collection[VerifierKey], now: datetime
) -> tuple[VerifiedSignature, ...]:
    """Verifies the signature lines that a witness answered with. Raises `WitnessRefused`.

    Spec: C2SP tlog-witness, add-checkpoint; C2SP tlog-cosignature, Format
    """
    try:
        opened = open_note(note.text.encode() + b"\n" + body, witness_keys)
    except NoteRefused as refused:
        raise WitnessRefused(f"what the witness answers is not its cosignature: {refused.why}") from None
    if opened.text != note.text:
        # A body with an empty line would move the place where the text ends.
        raise WitnessRefused("what the witness answers is more than signature lines")
    latest = int((now.astimezone(UTC) + MAX_AHEAD).timestamp())
    for verified in opened.verified:
        if not verified.timestamp or verified.timestamp > latest:
            raise WitnessRefused(f"the cosignature of {verified.key.name} has a time that cannot be")
    return opened.verified


async def _ask(note: Note, checkpoint: Checkpoint, old: int, prove_from: ProveFrom, post: Post) -> WireAnswer:
    if old > checkpoint.size:
        raise WitnessAhead(size=checkpoint.size, knows=old)
    proof = await prove_from(old) if 0 < old < checkpoint.size else ()
    answer = await post(Submission(old, tuple(proof), note).body())
    if len(answer.body) > MAX_ANSWER_BYTES:
        raise WitnessRefused("the witness answers more than a witness has to say")
    return answer


def _told_size(answer: WireAnswer) -> int:
    kind = answer.content_type.partition(";")[0].strip().lower()
    if kind != SIZE_TYPE or len(answer.body) > _MAX_SIZE_BYTES or not answer.body.endswith(b"\n"):
        raise WitnessRefused("the witness answers 409 and does not say the size that it knows")
    try:
        return from_decimal(answer.body[:-1].decode("ascii", "replace"), what="the size that the witness knows")
    except FormatRefused as refused:
        raise WitnessRefused(refused.why) from None


def _quoted(body: bytes) -> str:
    return repr(body[:_MAX_QUOTED].decode("utf-8", "replace"))
