"""Receipts offline: what holds, and that each thing that was tampered with is found and named."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from consent.log import vkey
from consent.log.errors import FormatRefused
from consent.log.merkle import leaf_hash
from consent.log.proof import LogProof
from consent.log.signers import ml_dsa_signer
from consent.log.verify import HELD, USAGE, NotYetLogged, ReceiptRefused, Trust, printable, run, tell, verify
from idp.cli import app
from keys.encoding import b64url_decode
from tests.consent.log.growing import LOG, ORIGIN, OTHER_LOG, WITNESSES, GrowingLog, numbered_leaves, seed
from tests.consent.log.receipts import (
    EVENT,
    JWKS,
    OPENING,
    POLICY,
    ReceiptFile,
    b64,
    commitment_of,
    signed,
    trust_data,
)

TRUST = Trust.parse(trust_data())


def refusal(data: bytes, trust: Trust = TRUST) -> ReceiptRefused:
    """The refusal of a receipt."""
    with pytest.raises(ReceiptRefused) as refused:
        verify(data, trust)
    return refused.value


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "consent-receipt+jwt", "alg": "EdDSA", "kid": "ed"},
        {"typ": "consent-receipt+jwt", "alg": "ES256", "kid": "ec"},
    ],
)
def test_a_receipt_holds(header: dict[str, Any]) -> None:
    verified = verify(ReceiptFile(header=header).data(), TRUST)
    assert verified.kid == header["kid"]
    assert verified.event == EVENT
    assert verified.claims["jti"] == "r-1"
    assert (verified.leaf.index, verified.leaf.checkpoint.size) == (4, 12)
    assert verified.leaf.witnesses == ("bpk", "uni")
    assert verified.told()["kind"] == "consent"


def test_without_a_policy_the_logs_word_is_enough() -> None:
    trust = Trust.parse(trust_data(policy=...))
    assert verify(ReceiptFile(cosigners=[]).data(), trust).leaf.witnesses == ()
    assert refusal(ReceiptFile(cosigners=[]).data()).step == "the log"


@pytest.mark.parametrize("proof", [None, ...])
def test_a_receipt_whose_event_waits_for_the_log_says_so(proof: object) -> None:
    document = {name: value for name, value in ReceiptFile().document().items() if name != "proof"}
    if proof is None:
        document["proof"] = None
    with pytest.raises(NotYetLogged, match="not yet in the log"):
        verify(json.dumps(document).encode(), TRUST)
    document["event"] = {**EVENT, "seq": 2}
    assert not isinstance(refusal(json.dumps(document).encode()), NotYetLogged)


GOOD = ReceiptFile().document()
JWS_PARTS = GOOD["receipt"].split(".")
PROOF = LogProof.parse(GOOD["proof"])


def with_proof(**changed: Any) -> str:
    """The proof with parts changed."""
    parts = {"index": PROOF.index, "hashes": PROOF.hashes, "checkpoint": PROOF.checkpoint, "extra": PROOF.extra}
    return str(LogProof(**{**parts, **changed}))


def another_log_proof() -> str:
    """The event in a fork, that the witnesses have not seen, cosigned by strangers only."""
    leaf = b"consentlog/v1\n\x01" + commitment_of(EVENT)
    forked = GrowingLog().append(b"edited", *numbered_leaves(3), leaf, *numbered_leaves(7))
    return str(forked.proof(4, extra=OPENING, cosigners=[WITNESSES[3]]))


def resigned(**changed: Any) -> str:
    """The receipt with other claims, signed by the right key all the same."""
    return signed(json.dumps({**ReceiptFile().claims(), **changed}).encode(), ReceiptFile().header)


def with_header(**changed: Any) -> str:
    """The receipt with another header, signed by whatever key that names."""
    header = {name: value for name, value in {**ReceiptFile().header, **changed}.items() if value is not ...}
    return signed(json.dumps(ReceiptFile().claims()).encode(), header)


def stretched() -> str:
    """An ES256 signature that says the same two numbers in one byte more."""
    head, claims, signature = with_header(kid="ec", alg="ES256").split(".")
    numbers = b64url_decode(signature)
    return ".".join([head, claims, b64(numbers[:32] + b"\0" + numbers[32:])])


SIGNATURE, STEP_EVENT, COMMITMENT, PROOF_STEP, LOG_STEP = (
    "the receipt's signature",
    "the event",
    "the commitment",
    "the proof",
    "the log",
)
TAMPERED: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "a claim edited",
        {"receipt": ".".join([JWS_PARTS[0], b64(b'{"jti":"r-2"}'), JWS_PARTS[2]])},
        SIGNATURE,
        "not made",
    ),
    ("no signature", {"receipt": f"{JWS_PARTS[0]}.{JWS_PARTS[1]}."}, SIGNATURE, "not made"),
    ("two parts", {"receipt": ".".join(JWS_PARTS[:2])}, SIGNATURE, "compact"),
    ("four parts", {"receipt": ".".join([*JWS_PARTS, "x"])}, SIGNATURE, "compact"),
    ("padded", {"receipt": GOOD["receipt"] + "="}, SIGNATURE, "compact"),
    ("alg none", {"receipt": with_header(alg="none")}, SIGNATURE, "'none'"),
    ("alg HS256", {"receipt": with_header(alg="HS256")}, SIGNATURE, "'HS256'"),
    ("another key's alg", {"receipt": with_header(alg="ES256")}, SIGNATURE, "'ES256'"),
    ("another key", {"receipt": with_header(kid="ec", alg="ES256")[:-4] + "AAAA"}, SIGNATURE, "not made"),
    ("a signature stretched", {"receipt": stretched()}, SIGNATURE, "not made"),
    ("an unknown kid", {"receipt": with_header(kid="x")}, SIGNATURE, "no trusted key"),
    ("an RSA kid", {"receipt": with_header(kid="rsa", alg="RS256")}, SIGNATURE, "no trusted key"),
    ("no kid", {"receipt": with_header(kid=...)}, SIGNATURE, "no trusted key"),
    ("another token", {"receipt": with_header(typ="at+jwt")}, SIGNATURE, "typ"),
    ("no typ", {"receipt": with_header(typ=...)}, SIGNATURE, "typ"),
    ("crit", {"receipt": with_header(crit=["b64"], b64=False)}, SIGNATURE, "does not know"),
    ("claims twice", {"receipt": signed(b'{"a":1,"a":2}', ReceiptFile().header)}, SIGNATURE, "not JSON"),
    ("claims a list", {"receipt": signed(b"[]", ReceiptFile().header)}, SIGNATURE, "object"),
    ("the event edited", {"event": {**EVENT, "items": ["name"]}}, STEP_EVENT, "not the event"),
    ("the event emptied", {"event": {}}, STEP_EVENT, "not the event"),
    ("an event with a float", {"event": {**EVENT, "x": 0.5}}, STEP_EVENT, "canonical"),
    ("a receipt about another event", {"receipt": resigned(event_sha256=b64(seed("x")))}, STEP_EVENT, "not the event"),
    ("a receipt about no event", {"receipt": resigned(event_sha256=None)}, STEP_EVENT, "not the event"),
    ("a receipt of another log", {"receipt": resigned(log={"origin": "x"})}, LOG_STEP, "trusted log"),
    ("a receipt of no log", {"receipt": resigned(log="x")}, LOG_STEP, "trusted log"),
    (
        "a receipt with another commitment",
        {"receipt": resigned(log={"origin": ORIGIN, "commitment": b64(seed("x"))})},
        COMMITMENT,
        "do not give",
    ),
    ("another kind", {"kind": 2}, LOG_STEP, "inclusion"),
    ("no opening", {"proof": with_proof(extra=None)}, COMMITMENT, "no opening"),
    ("a short opening", {"proof": with_proof(extra=b"x")}, COMMITMENT, "no opening"),
    ("another opening", {"proof": with_proof(extra=seed("x"))}, COMMITMENT, "do not give"),
    ("another place", {"proof": with_proof(index=5)}, LOG_STEP, "inclusion"),
    ("beyond the tree", {"proof": with_proof(index=12)}, LOG_STEP, "the tree has 12"),
    ("a hash deleted", {"proof": with_proof(hashes=PROOF.hashes[1:])}, LOG_STEP, "shorter"),
    ("a hash inserted", {"proof": with_proof(hashes=(*PROOF.hashes, seed("x")))}, LOG_STEP, "longer"),
    ("hashes reordered", {"proof": with_proof(hashes=PROOF.hashes[::-1])}, LOG_STEP, "does not lead"),
    ("an older checkpoint", {"proof": with_proof(checkpoint=ReceiptFile(after=3).log().checkpoint())}, LOG_STEP, ""),
    ("a fork", {"proof": another_log_proof()}, LOG_STEP, "2 of"),
    ("a proof that is none", {"proof": "x"}, PROOF_STEP, "a proof is"),
    ("a checkpoint edited", {"proof": GOOD["proof"].replace("\n12\n", "\n13\n")}, LOG_STEP, "not made by its key"),
    ("a witness's line edited", {"proof": GOOD["proof"].replace("w0.example ", "w1.example ")}, LOG_STEP, ""),
    ("the log's line deleted", {"proof": GOOD["proof"].replace(f"— {ORIGIN} ", "— x ")}, LOG_STEP, "no signature"),
    ("a witness too few", {"proof": ReceiptFile(cosigners=WITNESSES[:1]).document()["proof"]}, LOG_STEP, "by bpk; "),
    ("a kind that does not exist", {"kind": 9}, "the file", "kind"),
    ("a kind that is true", {"kind": True}, "the file", "kind"),
    ("a kind that is text", {"kind": "1"}, "the file", "kind"),
    ("an event that is none", {"event": "x"}, "the file", "type"),
    ("a receipt that is none", {"receipt": 1}, "the file", "type"),
    ("a proof that is no text", {"proof": {}}, "the file", "type"),
    ("a member more", {"note": "granted by the minister"}, "the file", "exactly"),
    ("another format", {"format": "satupintu-receipt/2"}, "the file", "format"),
]


@pytest.mark.parametrize(("changed", "step", "why"), [pytest.param(*case, id=name) for name, *case in TAMPERED])
def test_whatever_was_tampered_with_is_found_and_named(changed: dict[str, Any], step: str, why: str) -> None:
    refused = refusal(ReceiptFile().data(**changed))
    assert refused.step == step
    assert why in refused.why


def test_a_member_that_stands_twice_is_refused() -> None:
    data = ReceiptFile().data().decode()
    assert refusal(data.replace('"kind": 1', '"kind": 2, "kind": 1').encode()).step == "the file"
    assert refusal(data.replace('"seq": 1', '"seq": 2, "seq": 1').encode()).step == "the file"
    assert refusal(b"[]").step == "the file"
    assert refusal(b"\xff").step == "the file"


def test_a_whole_other_log_with_all_its_receipts_is_refused() -> None:
    other = ReceiptFile(signer=OTHER_LOG)
    assert "trusted log" in refusal(other.data()).why


def test_parts_of_two_receipts_do_not_make_a_third() -> None:
    one, two = ReceiptFile(), ReceiptFile(event={**EVENT, "seq": 2})
    mixed = {**one.document(), "proof": two.document()["proof"]}
    assert refusal(json.dumps(mixed).encode()).step == "the log"
    mixed = {**one.document(), "receipt": two.document()["receipt"]}
    assert refusal(json.dumps(mixed).encode()).step == "the event"


def test_a_witness_that_this_machine_cannot_check_makes_no_verdict(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    quantum = ml_dsa_signer("q.example", seed("q"))
    policy = f"witness q {quantum.vkey}\nquorum q\n"
    (tmp_path / "trust").write_bytes(trust_data(policy=policy))
    (tmp_path / "receipt").write_bytes(ReceiptFile(cosigners=[quantum]).data())
    assert run(tmp_path / "receipt", tmp_path / "trust", as_json=False)[0] == HELD
    monkeypatch.setattr(vkey, "MLDSA44PublicKey", None)
    code, told = run(tmp_path / "receipt", tmp_path / "trust", as_json=False)
    assert code == USAGE
    assert "newer `cryptography`" in told


def test_every_event_of_a_log_has_its_own_place() -> None:
    for before in range(9):
        receipt = ReceiptFile(before=before, after=3)
        verified = verify(receipt.data(), TRUST)
        assert verified.leaf.index == before
        assert leaf_hash(receipt.log().leaves[before]) == receipt.log().read(0, before)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"format": "x"}, "format"),
        ({"log": "x"}, "vkey"),
        ({"log": 1}, "as text"),
        ({"log": ...}, "as text"),
        ({"policy": 1}, "as text"),
        ({"policy": "quorum x\n"}, "policy line 1"),
        ({"policy": POLICY.replace(str(LOG.vkey), str(OTHER_LOG.vkey))}, "does not list"),
        ({"receipts": ...}, "JWK Set"),
        ({"receipts": {"keys": []}}, "JWK Set"),
        ({"receipts": {"keys": [JWKS["keys"][2]]}}, "no usable key"),
        ({"receipts": {"keys": [JWKS["keys"][0], JWKS["keys"][0]]}}, "two of one kid"),
        ({"receipts": {"keys": [{**JWKS["keys"][0], "kid": ""}]}}, "has a kid"),
        ({"receipts": {"keys": [{**JWKS["keys"][0], "alg": "ES256"}]}}, "is not for ES256"),
        ({"receipts": {"keys": [{**JWKS["keys"][0], "crv": "Ed448"}]}}, "neither"),
        ({"receipts": {"keys": [{**JWKS["keys"][0], "x": "AAAA"}]}}, "32 bytes"),
        ({"receipts": {"keys": [{**JWKS["keys"][0], "x": "!"}]}}, "32 bytes"),
        ({"receipts": {"keys": [{**JWKS["keys"][1], "y": JWKS["keys"][1]["x"]}]}}, "not a public key"),
        ({"more": 1}, "mean nothing"),
    ],
)
def test_a_trust_file_that_is_not_written_as_one_is_refused(changed: dict[str, Any], why: str) -> None:
    with pytest.raises(FormatRefused, match=why):
        Trust.parse(trust_data(**changed))


def test_what_a_stranger_wrote_cannot_play_with_the_terminal() -> None:
    hostile = "\x1b[2Jverified\u202e\x9b31m\n"
    assert printable(hostile) == "\\x1b[2Jverified\\u202e\\x9b31m\\n"
    assert printable("Nusa Tenggara – é") == "Nusa Tenggara – é"
    shown = tell({"event": {"name": hostile}, "log": hostile}, as_json=False)
    assert not any(character in shown for character in "\x1b\u202e\x9b")
    assert json.loads(tell({"log": hostile}, as_json=True)) == {"log": hostile}


@pytest.mark.parametrize(("changed", "code"), [({}, 0), ({"kind": 2}, 1), ({"proof": None}, 3)])
def test_the_operators_command_answers_the_same(tmp_path: Path, changed: dict[str, Any], code: int) -> None:
    (tmp_path / "trust").write_bytes(trust_data())
    (tmp_path / "receipt").write_bytes(ReceiptFile().data(**changed))
    arguments = ["verify", str(tmp_path / "receipt"), "--trust", str(tmp_path / "trust"), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == code
    assert result.stdout == run(tmp_path / "receipt", tmp_path / "trust", as_json=True)[1]
