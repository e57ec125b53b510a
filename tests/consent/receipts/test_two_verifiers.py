"""Receipts by somebody who holds the keys: everything is rightly signed, but for one thing. Both verifiers find it."""

import ast
import base64
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from consent.log.errors import LogError
from consent.log.verify import NotYetLogged, Trust, verify
from tests.consent.log.growing import LOG, WITNESSES
from tests.consent.log.receipts import (
    EVENT,
    JWKS,
    OPENING,
    POLICY,
    ReceiptFile,
    b64,
    commitment_of,
    trust_data,
)
from tests.consent.receipts.second import PAGE, SECOND

HEADER = {"typ": "consent-receipt+jwt", "alg": "EdDSA", "kid": "ed"}
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def with_spare_bits(text: str) -> str:
    """The same bytes in base64, written otherwise: the bits that are left over at the end are not zero."""
    body = text.rstrip("=")
    return body[:-1] + ALPHABET[ALPHABET.index(body[-1]) + 1] + "=" * (len(text) - len(body))


def in_proof(edit: Callable[[str], str], **of: Any) -> bytes:
    """A receipt whose proof's text was edited."""
    document = ReceiptFile(**of).document()
    proof = edit(document["proof"])
    assert proof != document["proof"]
    return json.dumps({**document, "proof": proof}).encode()


def short_opening() -> bytes:
    """A commitment with an opening of 31 bytes, all the way: in the log, in the record, in the proof."""
    opening = OPENING[:31]

    class Short(ReceiptFile):
        def log(self) -> Any:
            grown = super().log()
            leaf = b"consentlog/v1\n\x01" + commitment_of(EVENT, opening)
            made = type(grown)(signer=grown.signer)
            return made.append(*grown.leaves[: self.before], leaf, *grown.leaves[self.before + 1 :])

    short = Short(more_claims={"log": {"origin": LOG.vkey.name, "commitment": b64(commitment_of(EVENT, opening))}})
    proof = str(short.log().proof(short.before, extra=opening, cosigners=short.cosigners))
    return short.data(proof=proof)


def jws_with_spare_bits() -> bytes:
    document = ReceiptFile().document()
    unsigned, _, signature = document["receipt"].rpartition(".")
    # 64 bytes leave four bits over.
    return json.dumps({**document, "receipt": f"{unsigned}.{with_spare_bits(signature)}"}).encode()


def twice() -> bytes:
    """A member that appears twice; the last one, which most readers take, is right."""
    whole = ReceiptFile().data().decode()
    return whole.replace('"kind": 1', '"kind": 2, "kind": 1').encode()


FORGED: dict[str, Callable[[], bytes]] = {
    "a member that appears twice": twice,
    "an integer that others read differently": lambda: ReceiptFile(event={**EVENT, "n": 2**53}).data(),
    "a fraction, which has no one form": lambda: ReceiptFile(event={**EVENT, "n": 1.5}).data(),
    "an opening written otherwise": lambda: in_proof(
        lambda proof: proof.replace(_opening_line(proof), with_spare_bits(_opening_line(proof)))
    ),
    "a signature written otherwise": jws_with_spare_bits,
    "an opening of another length": short_opening,
    "a checkpoint that does not end": lambda: in_proof(lambda proof: proof[:-1]),
    "a line that signs nothing": lambda: in_proof(lambda proof: f"{proof}hello\n"),
    "a signature line with more words": lambda: in_proof(lambda proof: f"{proof}— a b c\n"),
    "a place beyond the only leaf": lambda: in_proof(
        lambda proof: proof.replace("\nindex 0\n", "\nindex 3\n"), before=0, after=0
    ),
    "a place below none": lambda: in_proof(
        lambda proof: proof.replace("\nindex 0\n", "\nindex -1\n"), before=0, after=0
    ),
    "another name for the opening": lambda: in_proof(lambda proof: proof.replace("\nextra ", "\nextre ")),
    "another name for the place": lambda: in_proof(lambda proof: proof.replace("\nindex ", "\nindux ")),
    "a token of another kind": lambda: ReceiptFile(header={**HEADER, "typ": "at+jwt"}).data(),
    "a token without a kind": lambda: ReceiptFile(header={"alg": "EdDSA", "kid": "ed"}).data(),
    "a header with a demand": lambda: ReceiptFile(header={**HEADER, "crit": ["exp"], "exp": 1}).data(),
    "another algorithm": lambda: ReceiptFile(header={**HEADER, "alg": "HS256"}).data(),
    "a record about no log": lambda: ReceiptFile(more_claims={"log": None}).data(),
    "a record about a text": lambda: ReceiptFile(more_claims={"log": LOG.vkey.name}).data(),
    "a record of another event": lambda: ReceiptFile(more_claims={"event_sha256": b64(bytes(32))}).data(),
    "a record without the event": lambda: ReceiptFile(more_claims={"event_sha256": None}).data(),
    "a record about another log": lambda: ReceiptFile(
        more_claims={"log": {"origin": "log.example/other", "commitment": b64(commitment_of(EVENT))}}
    ).data(),
    "a record of another commitment": lambda: ReceiptFile(
        more_claims={"log": {"origin": LOG.vkey.name, "commitment": b64(bytes(32))}}
    ).data(),
    "a record without a commitment": lambda: ReceiptFile(more_claims={"log": {"origin": LOG.vkey.name}}).data(),
    "one witness": lambda: ReceiptFile(cosigners=WITNESSES[:1]).data(),
    "one witness twice": lambda: in_proof(lambda proof: proof + proof.splitlines()[-1] + "\n", cosigners=WITNESSES[:1]),
    "witnesses that nobody knows": lambda: ReceiptFile(cosigners=WITNESSES[3:]).data(),
}


def _opening_line(proof: str) -> str:
    return proof.split("\n")[1].removeprefix("extra ")


def test_a_receipt_of_these_tests_holds() -> None:
    assert verify(ReceiptFile().data(), Trust.parse(trust_data())).event == EVENT
    assert SECOND.verify(ReceiptFile().data(), json.loads(trust_data()))["event"] == EVENT
    assert base64.b64decode(with_spare_bits(base64.b64encode(OPENING).decode())) == OPENING


@pytest.mark.parametrize("what", FORGED)
def test_what_was_forged_with_the_keys_in_hand_is_refused_by_both(what: str) -> None:
    data = FORGED[what]()
    with pytest.raises(LogError) as refused:
        verify(data, Trust.parse(trust_data()))
    assert not isinstance(refused.value, NotYetLogged)
    with pytest.raises(SECOND.Refused):
        SECOND.verify(data, json.loads(trust_data()))


KEY = JWKS["keys"][0]
DISTRUSTED: dict[str, dict[str, Any]] = {
    "a log key with another id": {"log": str(LOG.vkey).replace("+", "+0", 1)},
    "a key for receipts that is there twice": {"receipts": {"keys": [KEY, KEY]}},
    "no key for receipts": {"receipts": {"keys": []}},
    "a key for another algorithm": {"receipts": {"keys": [{**KEY, "alg": "Ed25519"}]}},
    "a quorum of three": {"policy": POLICY.replace("group g 2", "group g 3")},
}


@pytest.mark.parametrize("what", DISTRUSTED)
def test_by_what_is_wrong_in_the_trust_file_nothing_is_believed(what: str) -> None:
    trusted = trust_data(**DISTRUSTED[what])
    data = ReceiptFile().data()
    with pytest.raises(LogError):
        verify(data, Trust.parse(trusted))
    with pytest.raises(SECOND.Refused):
        SECOND.verify(data, json.loads(trusted))


def test_a_key_that_names_no_algorithm_fixes_one_all_the_same() -> None:
    trusted = trust_data(receipts={"keys": [{name: value for name, value in KEY.items() if name != "alg"}]})
    for alg, holds in (("EdDSA", True), ("Ed25519", True), ("HS256", False), ("ES256", False), ("none", False)):
        data = ReceiptFile(header={**HEADER, "alg": alg}).data()
        if holds:
            assert verify(data, Trust.parse(trusted)).event == EVENT
            assert SECOND.verify(data, json.loads(trusted))["event"] == EVENT
            continue
        with pytest.raises(LogError):
            verify(data, Trust.parse(trusted))
        with pytest.raises(SECOND.Refused):
            SECOND.verify(data, json.loads(trusted))


def test_the_second_verifier_is_one_page_and_imports_nothing_of_ours() -> None:
    source = PAGE.read_text(encoding="utf-8")
    assert len(source.splitlines()) < 200
    imported = {
        name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names])
    }
    assert {name for name in imported if not name.startswith("cryptography.")} <= set(sys.stdlib_module_names)


@pytest.mark.parametrize(
    ("changed", "code", "says"),
    [
        ({}, 0, '"index": 4'),
        ({"proof": None}, 3, "not yet in the log"),
        ({"kind": 2}, 1, "refused: the event is not in the tree"),
        (None, 2, "verify_receipt.py RECEIPT.json TRUST.json"),
    ],
)
def test_the_second_verifier_answers_from_the_shell(
    tmp_path: Path, changed: dict[str, Any] | None, code: int, says: str
) -> None:
    (tmp_path / "receipt.json").write_bytes(ReceiptFile().data(**(changed or {})))
    (tmp_path / "trust.json").write_bytes(trust_data())
    files = [] if changed is None else ["receipt.json", "trust.json"]
    done = subprocess.run(
        [sys.executable, "-I", PAGE, *files], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (code, "")
    assert says in done.stdout
