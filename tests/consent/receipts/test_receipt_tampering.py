"""Each part of a receipt changed in turn: both verifiers refuse, and ours names the step that failed."""

import base64
import contextlib
import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from consent.log.errors import LogError
from consent.log.signers import cosigner, ed25519_signer
from consent.log.verify import NotYetLogged, ReceiptRefused, Trust, verify
from keys.encoding import b64url_decode, b64url_encode
from tests.consent.log.growing import WITNESSES, seed
from tests.consent.receipts.conftest import Office
from tests.consent.receipts.second import SECOND

pytestmark = pytest.mark.anyio

File = dict[str, Any]
Change = Callable[[File], object]


def another(value: Any) -> Any:
    """A value of the same type that is another one."""
    match value:
        case None:
            return "something"
        case bool():
            return not value
        case int():
            return value + 1
        case str():
            return f"{value}x"
        case list():
            return [*value, "more"]
        case _:
            return {**value, "more": 1}


def in_event(name: str) -> Change:
    def change(file: File) -> None:
        file["event"][name] = another(file["event"][name])

    return change


def in_claims(name: str) -> Change:
    def change(file: File) -> None:
        header, claims, signature = file["receipt"].split(".")
        said = json.loads(b64url_decode(claims))
        said[name] = another(said[name])
        file["receipt"] = f"{header}.{b64url_encode(json.dumps(said).encode())}.{signature}"

    return change


def in_header(**members: Any) -> Change:
    def change(file: File) -> None:
        header, claims, signature = file["receipt"].split(".")
        said = {**json.loads(b64url_decode(header)), **members}
        file["receipt"] = f"{b64url_encode(json.dumps(said).encode())}.{claims}.{signature}"

    return change


def in_proof(edit: Callable[[list[str]], object]) -> Change:
    def change(file: File) -> None:
        lines = file["proof"].split("\n")
        edit(lines)
        file["proof"] = "\n".join(lines)

    return change


def flip(text: str) -> str:
    """Base64 of other bytes of the same length."""
    data = bytearray(base64.b64decode(text))
    data[-1] ^= 1
    return base64.b64encode(bytes(data)).decode()


def at(place: int, edit: Callable[[str], str]) -> Callable[[list[str]], None]:
    def change(lines: list[str]) -> None:
        lines[place] = edit(lines[place])

    return change


def after_the_blank(offset: int, edit: Callable[[str], str | None]) -> Change:
    """A line of the checkpoint: 1 the origin, 2 the size, 3 the root; -1 the last signature, -2 the one before."""

    def change(lines: list[str]) -> None:
        place = lines.index("") + offset if offset > 0 else len(lines) - 1 + offset
        edited = edit(lines.pop(place))
        if edited is not None:
            lines.insert(place, edited)

    return in_proof(change)


def forged(line: str) -> str:
    """A signature line with another signature."""
    dash, name, signature = line.split(" ")
    return f"{dash} {name} {flip(signature)}"


def setting(name: str, value: Any) -> Change:
    def change(file: File) -> None:
        file[name] = value

    return change


def without(name: str) -> Change:
    def change(file: File) -> None:
        del file[name]

    return change


EVENT_MEMBERS = (
    "id",
    "consent_id",
    "seq",
    "kind",
    "at",
    "subject_id",
    "client_id",
    "agency_id",
    "purpose_id",
    "purpose_version_id",
    "channel",
    "language",
    "text_sha256",
    "previous_hash",
    "status",
    "actor",
    "subject_ref",
    "granted",
    "refused",
    "offline_access",
    "valid_until",
    "agreement_version_id",
    "fetch_type",
    "use_limit",
    "use_window_days",
    "acr",
    "reason",
    "representative_id",
    "mandate_id",
    "document_sha256",
    "entered_by",
)
CLAIMS = (
    "schema_version",
    "receipt_id",
    "record_id",
    "pii_principal_id",
    "language",
    "privacy_notice",
    "processing",
    "parties",
    "events",
    "log",
    "iss",
    "iat",
    "jti",
    "event_sha256",
)

# What is changed, and the step at which our own verifier refuses it.
TAMPERINGS: list[tuple[str, Change, str]] = [
    *((f"event {name}", in_event(name), "the event") for name in EVENT_MEMBERS),
    ("event, a member more", lambda file: file["event"].update(more=1), "the event"),
    ("event, a member less", lambda file: file["event"].pop("reason"), "the event"),
    *((f"claim {name}", in_claims(name), "the receipt's signature") for name in CLAIMS),
    ("header alg none", in_header(alg="none"), "the receipt's signature"),
    ("header alg HS256", in_header(alg="HS256"), "the receipt's signature"),
    ("header kid", in_header(kid="another"), "the receipt's signature"),
    ("header typ", in_header(typ="at+jwt"), "the receipt's signature"),
    ("header crit", in_header(crit=["exp"], exp=1), "the receipt's signature"),
    ("header jwk", in_header(jwk={"kty": "OKP"}), "the receipt's signature"),
    ("format", setting("format", "satupintu-receipt/2"), "the file"),
    ("a member more", setting("more", 1), "the file"),
    ("no event", without("event"), "the file"),
    ("no kind", without("kind"), "the file"),
    ("another kind", setting("kind", 2), "the log"),
    ("no such kind", setting("kind", 9), "the file"),
    ("kind as a text", setting("kind", "1"), "the file"),
    ("kind as a truth", setting("kind", True), "the file"),
    ("receipt in two parts", lambda file: file.update(receipt=file["receipt"].rpartition(".")[0]), "the receipt's"),
    ("proof of another kind", in_proof(at(0, lambda line: line + "x")), "the proof"),
    ("opening", in_proof(at(1, lambda line: "extra " + flip(line[6:]))), "the commitment"),
    ("no opening", in_proof(lambda lines: lines.pop(1)), "the commitment"),
    ("index", in_proof(at(2, lambda line: f"index {int(line[6:]) ^ 1}")), "the log"),
    ("index beyond the tree", in_proof(at(2, lambda line: "index 4096")), "the log"),
    ("index with a zero in front", in_proof(at(2, lambda line: f"index 0{line[6:]}")), "the proof"),
    ("a hash", in_proof(at(3, flip)), "the log"),
    ("a hash less", in_proof(lambda lines: lines.pop(3)), "the log"),
    ("a hash more", in_proof(lambda lines: lines.insert(3, lines[3])), "the log"),
    ("the log's name", after_the_blank(1, lambda line: line + "x"), "the log"),
    ("the tree's size", after_the_blank(2, lambda line: str(int(line) + 1)), "the log"),
    ("the tree's root", after_the_blank(3, flip), "the log"),
    ("a line more in the checkpoint", after_the_blank(3, lambda line: f"{line}\nmore"), "the log"),
    ("a witness's signature", after_the_blank(-1, forged), "the log"),
    ("a witness's signature less", after_the_blank(-1, lambda _line: None), "the log"),
]


@pytest.fixture
async def whole(office: Office, given: str) -> tuple[File, File]:
    """A receipt file that holds, in a tree of some size, and the trust file by which it does."""
    await office.running.append(3)
    await office.sequence()
    receipt = await office.receipt(given)
    return receipt.file(), json.loads(await office.trust_data())


def faults(what: str, change: Change, step: str, file: File, trust: dict[str, Any]) -> Iterator[str]:
    """What is wrong with how the two verifiers take one changed file."""
    changed = copy.deepcopy(file)
    change(changed)
    data = json.dumps(changed).encode()
    if data == json.dumps(file).encode():
        yield f"{what}: nothing was changed"
    try:
        verify(data, Trust.parse(json.dumps(trust).encode()))
        yield f"{what}: ours believes it"
    except ReceiptRefused as refused:
        if not refused.step.startswith(step):
            yield f"{what}: refused at {refused.step}, not at {step}"
    with contextlib.suppress(SECOND.Refused):
        SECOND.verify(data, trust)
        yield f"{what}: the second believes it"


async def test_a_changed_part_is_refused_by_both(whole: tuple[File, File]) -> None:
    # One test for all, because making a receipt takes a hundred times as long as refusing one.
    assert [fault for row in TAMPERINGS for fault in faults(*row, *whole)] == []


async def distrusted(file: File, trust: dict[str, Any]) -> None:
    """Neither verifier believes the receipt by this trust file."""
    data = json.dumps(file).encode()
    with pytest.raises(LogError) as refused:
        verify(data, Trust.parse(json.dumps(trust).encode()))
    assert not isinstance(refused.value, NotYetLogged)
    with pytest.raises(SECOND.Refused):
        SECOND.verify(data, trust)


async def test_whoever_trusts_others_believes_nothing(whole: tuple[File, File]) -> None:
    file, trust = whole
    name = trust["log"].split("+")[0]
    stranger = ed25519_signer(name, seed("a stranger"))
    same_name = str(stranger.vkey)
    policy = trust["policy"]
    for changed in (
        {"log": same_name, "policy": policy.replace(trust["log"], same_name)},
        {"log": str(ed25519_signer("log.example/x", seed("x")).vkey), "policy": None},
        {"policy": policy.replace("group two 2", "group two 3")},
        {"policy": policy.replace("group two 2", "group two all")},
        {"policy": policy.replace(str(WITNESSES[0].vkey), str(cosigner("w0.example", seed("not it")).vkey))},
        {"policy": policy.replace("quorum two", "quorum press")},
        {"receipts": {"keys": [{**trust["receipts"]["keys"][0], "x": b64url_encode(seed("another")[:32])}]}},
        {"receipts": {"keys": [{**trust["receipts"]["keys"][0], "kid": "another"}]}},
    ):
        await distrusted(file, {**trust, **changed})


async def test_fewer_witnesses_may_be_enough_for_somebody(whole: tuple[File, File]) -> None:
    file, trust = whole
    data = json.dumps(file).encode()
    for quorum, names in (("none", ["bpk", "uni"]), ("uni", ["bpk", "uni"])):
        changed = {**trust, "policy": trust["policy"].replace("quorum two", f"quorum {quorum}")}
        assert list(verify(data, Trust.parse(json.dumps(changed).encode())).leaf.witnesses) == names
        assert SECOND.verify(data, changed)["witnesses"] == names


NOT_ONE_TEXT: list[bytes] = [
    b"",
    b"[]",
    b"null",
    b'{"format": "satupintu-receipt/1", "format": "satupintu-receipt/1"}',
    b'{"format": "satupintu-receipt/1", "receipt": NaN, "event": {}, "kind": 1}',
    b'{"format": "satupintu-receipt/1", "receipt": "a.b.c", "event": {"a": 9007199254740993}, "kind": 1}',
    b'\xff{"format": "satupintu-receipt/1"}',
]


async def test_what_can_be_read_in_two_ways_is_read_in_none(whole: tuple[File, File]) -> None:
    for data in NOT_ONE_TEXT:
        with pytest.raises(ReceiptRefused) as refused:
            verify(data, Trust.parse(json.dumps(whole[1]).encode()))
        assert refused.value.step == "the file"
        with pytest.raises(SECOND.Refused):
            SECOND.verify(data, whole[1])


def parts() -> Iterator[str]:
    """What the table above changes of an event, for the test below."""
    return (what.removeprefix("event ") for what, _, _ in TAMPERINGS if what.startswith("event "))


async def test_the_table_leaves_no_member_out(whole: tuple[File, File]) -> None:
    file = whole[0]
    assert set(file["event"]) <= set(parts())
    claims = json.loads(b64url_decode(file["receipt"].split(".")[1]))
    assert set(claims) == set(CLAIMS)
