"""Checks a receipt offline: no network, no database, only the file, what its reader trusts, and this code.

`python -m consent.log.verify FILE --trust TRUST.json`; the standard library and `cryptography` are enough.
Exit codes: 0 it holds, 1 refused, 2 it was asked wrongly, 3 signed but not yet in the log.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from consent.log.entry import OPENING_SIZE, Kind, commit, event_sha256, leaf_data
from consent.log.errors import FormatRefused, LogError, Unavailable
from consent.log.policy import Policy
from consent.log.proof import LogProof, ProvenLeaf, verify_proof
from consent.log.receipt_jws import ReceiptKey, receipt_keys, verify_receipt
from consent.log.vkey import VerifierKey
from keys.encoding import b64url_encode, strict_json_loads
from keys.errors import MalformedEncoding

RECEIPT_FORMAT: Final = "satupintu-receipt/1"
TRUST_FORMAT: Final = "satupintu-trust/1"
MAX_FILE_BYTES: Final = 4 * 1024 * 1024
_MEMBERS: Final = frozenset({"format", "receipt", "event", "kind", "proof"})
_REQUIRED: Final = _MEMBERS - {"proof"}

HELD, REFUSED, USAGE, NOT_YET_LOGGED = 0, 1, 2, 3

Result = TypeVar("Result")


class ReceiptRefused(LogError):
    """A receipt that does not hold. `step` names the check that failed, `why` is the sentence for people."""

    def __init__(self, step: str, why: str) -> None:
        super().__init__(f"{step}: {why}")
        self.step = step


class NotYetLogged(ReceiptRefused):
    """The receipt is rightly signed, and has no proof yet: its event waits for the log's next checkpoint."""


@dataclass(frozen=True)
class Trust:
    """What a reader must have from elsewhere than the receipt: the log's key, the witnesses, the keys for receipts."""

    log: VerifierKey
    policy: Policy
    keys: tuple[ReceiptKey, ...]

    @classmethod
    def parse(cls, data: bytes) -> "Trust":
        """Reads a trust file. Raises `FormatRefused`."""
        document = _object(data, TRUST_FORMAT, "the trust file")
        if strange := document.keys() - {"format", "log", "policy", "receipts"}:
            raise FormatRefused(f"the trust file has members that mean nothing here: {sorted(strange)}")
        log, policy = document.get("log"), document.get("policy")
        if not isinstance(log, str) or not isinstance(policy, str | None):
            raise FormatRefused("the trust file names the log's key, and may hold a policy, both as text")
        key = VerifierKey.parse(log)
        rules = Policy() if policy is None else Policy.parse(policy)
        return cls(key, rules.of_log(key), receipt_keys(document.get("receipts")))


@dataclass(frozen=True)
class Receipt:
    """What a receipt file holds, nothing of it verified."""

    jws: str
    event: Mapping[str, Any]
    kind: Kind
    proof: str | None

    @classmethod
    def parse(cls, data: bytes) -> "Receipt":
        """Reads a receipt file. Raises `FormatRefused`.

        Members that are not verified are refused: a reader would take them for part of what was proven.
        """
        document = _object(data, RECEIPT_FORMAT, "the receipt file")
        if not _REQUIRED <= document.keys() <= _MEMBERS:
            raise FormatRefused(f"the receipt file has exactly the members {sorted(_MEMBERS)}")
        jws, event, kind, proof = (document.get(name) for name in ("receipt", "event", "kind", "proof"))
        if not isinstance(jws, str) or not isinstance(event, dict) or not isinstance(proof, str | None):
            raise FormatRefused("a member of the receipt file is not of its type")
        if isinstance(kind, bool) or not isinstance(kind, int) or kind not in set(Kind):
            raise FormatRefused("the receipt file is about a kind of event that does not exist")
        return cls(jws, event, Kind(kind), proof)


@dataclass(frozen=True)
class Verified:
    """A receipt that holds: signed as it stands, about an event that is in a log that witnesses have seen."""

    kid: str
    claims: Mapping[str, Any]
    event: Mapping[str, Any]
    kind: Kind
    leaf: ProvenLeaf

    def told(self) -> dict[str, Any]:
        """What to tell, for people and programs."""
        checkpoint = self.leaf.checkpoint
        return {
            "result": "verified",
            "log": checkpoint.origin,
            "index": self.leaf.index,
            "tree_size": checkpoint.size,
            "root": checkpoint.root.hex(),
            "witnesses": list(self.leaf.witnesses),
            "cosigned_at": list(self.leaf.cosigned_at),
            "receipt_signed_by": self.kid,
            "kind": self.kind.name.lower(),
            "event": dict(self.event),
            "claims": dict(self.claims),
        }


def verify(data: bytes, trust: Trust) -> Verified:
    """Checks a receipt file. Raises `ReceiptRefused`, whose sentence says which step failed, or `NotYetLogged`.

    Raises `Unavailable` when this machine cannot check a signature, which says nothing about the receipt.
    """
    receipt = _step("the file", lambda: Receipt.parse(data))
    kid, claims = _step("the receipt's signature", lambda: verify_receipt(receipt.jws, keys=trust.keys))
    if claims.get("event_sha256") != b64url_encode(_step("the event", lambda: event_sha256(receipt.event))):
        raise ReceiptRefused("the event", "it is not the event that the signed receipt is about")
    named = claims.get("log")
    if not isinstance(named, dict) or named.get("origin") != trust.log.name:
        raise ReceiptRefused("the log", f"the signed receipt is not about the trusted log {trust.log.name}")
    if receipt.proof is None:
        raise NotYetLogged("the proof", "the receipt is signed, and its event is not yet in the log; fetch it again")
    text = receipt.proof
    proof = _step("the proof", lambda: LogProof.parse(text))
    opening = proof.extra
    if opening is None or len(opening) != OPENING_SIZE:
        raise ReceiptRefused("the commitment", f"the proof carries no opening of {OPENING_SIZE} bytes")
    commitment = commit(opening, receipt.event)
    if named.get("commitment") != b64url_encode(commitment):
        raise ReceiptRefused("the commitment", "the opening and the event do not give the commitment that was signed")
    leaf = _step(
        "the log",
        lambda: verify_proof(
            proof,
            leaf_data=leaf_data(receipt.kind, commitment),
            policy=trust.policy,
            expected_origin=trust.log.name,
        ),
    )
    return Verified(kid, claims, receipt.event, receipt.kind, leaf)


def _step(name: str, check: Callable[[], Result]) -> Result:
    try:
        return check()
    except Unavailable:
        raise
    except LogError as refused:
        raise ReceiptRefused(name, refused.why) from None


def _object(data: bytes, expected_format: str, what: str) -> dict[str, Any]:
    try:
        document = strict_json_loads(data, max_bytes=MAX_FILE_BYTES)
    except MalformedEncoding as refused:
        raise FormatRefused(f"{what} is not JSON that can be read one way only: {refused}") from None
    if not isinstance(document, dict) or document.get("format") != expected_format:
        raise FormatRefused(f"{what} does not say that its format is {expected_format}")
    return document


def tell(told: Mapping[str, Any], *, as_json: bool) -> str:
    """What to write out. Text of a stranger cannot move the cursor or turn the reading direction of a terminal."""
    if as_json:
        return json.dumps(told, ensure_ascii=True, indent=2) + "\n"
    lines = []
    for name, value in told.items():
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        lines.append(f"{name.replace('_', ' ')}: {printable(shown)}\n")
    return "".join(lines)


def printable(text: str) -> str:
    """The text with every character that is not shown as itself written as its escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def run(file: Path, trust_file: Path, *, as_json: bool) -> tuple[int, str]:
    """Checks a receipt file by a trust file; returns the exit code and what to write out."""
    try:
        data, trusted = _read(file), _read(trust_file)
        trust = Trust.parse(trusted)
    except (OSError, LogError) as wrong:
        return USAGE, tell({"result": "not checked", "why": str(wrong)}, as_json=as_json)
    try:
        return HELD, tell(verify(data, trust).told(), as_json=as_json)
    except NotYetLogged as waiting:
        told = {"result": "signed, not yet in the log", "step": waiting.step, "why": waiting.why}
        return NOT_YET_LOGGED, tell(told, as_json=as_json)
    except ReceiptRefused as refused:
        return REFUSED, tell({"result": "refused", "step": refused.step, "why": refused.why}, as_json=as_json)
    except Unavailable as missing:
        return USAGE, tell({"result": "not checked", "why": missing.why}, as_json=as_json)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_FILE_BYTES + 1)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m consent.log.verify", description="Check a consent receipt offline."
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the receipt file")
    parser.add_argument("--trust", type=Path, required=True, metavar="TRUST.json", help="the keys that you trust")
    parser.add_argument("--json", action="store_true", dest="as_json", help="answer in JSON")
    asked = parser.parse_args(arguments)
    code, text = run(asked.file, asked.trust, as_json=asked.as_json)
    sys.stdout.write(text)
    return code


if __name__ == "__main__":
    sys.exit(main())
