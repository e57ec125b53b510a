"""A receipt: the record of one event, signed, with the event itself and the proof that the log has it.

Its file is what `consent.log.verify` and `docs/integrate/verify_receipt.py` check. The signature stands at once; the
proof is added once the event's leaf is in a tree that the witnesses have seen, seconds later. Both are made anew each
time, for nothing but the event is kept: a receipt that was lost is fetched again.
Spec: ISO/IEC TS 27560:2023 §6.2; RFC 7515; C2SP tlog-proof.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from consent.event_store import events_of
from consent.events import Event
from consent.identifiers import is_id
from consent.log.entry import Kind, event_sha256
from consent.log.errors import LogError
from consent.log.proof import LogProof
from consent.log.prove import NoSuchEntry, NotYet, proof_for
from consent.log.publish import PublishedLog
from consent.log.receipt_jws import TYPE
from consent.log.verify import RECEIPT_FORMAT
from consent.receipts.compose import Addresses, compose_record
from consent.receipts.errors import NoReceipt, NoReceiptKey
from consent.receipts.keys import receipt_signer
from consent.receipts.record import ConsentDocument
from keys.encoding import b64url_encode
from keys.entropy import Entropy, new_token
from keys.jws import sign_jwt

# What the app's agency gets: see `IssuedReceipt.signed_record`.
RECORD_FORMAT: Final = "satupintu-record/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedReceipt:
    """A receipt. `proof` is None while the event is not yet in the log; then `waits_for` says what it waits for."""

    event: Event
    record: ConsentDocument
    jws: str
    proof: LogProof | None = None
    waits_for: str | None = None

    @property
    def commitment(self) -> str:
        """The commitment to the event, in base64url."""
        return b64url_encode(self.event.hash)

    def file(self) -> dict[str, Any]:
        """The receipt file: all that is needed to check it offline, but for the keys that its reader trusts."""
        return {
            "format": RECEIPT_FORMAT,
            "receipt": self.jws,
            "event": self.event.as_json(),
            "kind": int(Kind.CONSENT),
            "proof": None if self.proof is None else str(self.proof),
        }

    def signed_record(self) -> dict[str, Any]:
        """What the app's agency gets: the signed record, and the proof that its commitment is in the log.

        Without the event and the opening: the event names the person by our own id, and the same id given to two
        agencies would join what they know. The commitment stands in the signed record, so nothing is lost of the proof.
        """
        proof = None
        if self.proof is not None:
            proof = str(LogProof(self.proof.index, self.proof.hashes, self.proof.checkpoint))
        return {"format": RECORD_FORMAT, "receipt": self.jws, "kind": int(Kind.CONSENT), "proof": proof}

    @property
    def file_name(self) -> str:
        """What a browser should call the file: it tells nothing about anybody."""
        return f"satupintu-receipt-{self.event.consent_id}-{self.event.seq}.json"


async def events_up_to(session: AsyncSession, consent_id: str, seq: int | None = None) -> tuple[Event, ...]:
    """The events of a consent up to number `seq`, or all of them. Error: `NoReceipt` when there is no such event."""
    events = await events_of(session, consent_id) if is_id(consent_id) else ()
    if seq is not None:
        events = events[:seq] if 1 <= seq <= len(events) else ()
    if not events:
        raise NoReceipt("there is no such consent or event")
    return events


async def sign_receipt(
    session: AsyncSession,
    events: tuple[Event, ...],
    *,
    addresses: Addresses,
    origin: str,
    now: datetime,
    entropy: Entropy,
) -> IssuedReceipt:
    """The receipt of the last of these events, which are a consent's first ones (`events_up_to`), still without proof.

    `origin` is the log's name. Errors: `NoReceipt` when the event was erased, or is not what was written;
    `NoReceiptKey` before the first key was made (`ensure_receipt_key`).
    """
    event = events[-1]
    record = await compose_record(session, events, addresses=addresses, origin=origin)
    if event.computed_hash() != event.hash:
        # Signing it would lend our name to whoever edited the row.
        raise NoReceipt("the event is not what was written")
    signer = await receipt_signer(session)
    if signer is None:
        raise NoReceiptKey("there is no key for receipts yet")
    claims = {
        **record.as_json(),
        "iss": addresses.base,
        "iat": int(now.timestamp()),
        "jti": new_token(entropy, 16),
        "event_sha256": b64url_encode(event_sha256(event.as_json())),
    }
    return IssuedReceipt(event=event, record=record, jws=await sign_jwt(signer, claims, typ=TYPE))


async def prove(receipt: IssuedReceipt, log: PublishedLog) -> IssuedReceipt:
    """The receipt with the proof that the log has its event, or with what the event still waits for.

    It reads by sessions of the log's own, so it is called when the caller's is closed. Error: `NoReceipt` when the log
    never heard of the event.
    """
    try:
        proof = await proof_for(log, receipt.event.id, extra=receipt.event.opening)
    except NoSuchEntry:
        # An event is written with its leaf, or not at all: this one was put here past the program.
        raise NoReceipt("the event is not in the log, and never will be") from None
    except LogError:
        # The log was stopped, because something is wrong with it. What was signed is right all the same.
        return replace(receipt, waits_for="the log is not served until an operator has looked")
    if isinstance(proof, NotYet):
        return replace(receipt, waits_for=proof.why)
    return replace(receipt, proof=proof)
