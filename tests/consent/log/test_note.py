"""Signed notes against published examples, and against whoever alters them."""

from datetime import UTC, datetime
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.log import signers, vkey
from consent.log.errors import FormatRefused, NoteRefused, SignatureRefused, Unavailable, UnknownSigner
from consent.log.note import MAX_SIGNATURES, Note, Signature, new_note, open_checkpoint, open_note
from consent.log.signers import NoteSigner, cosigner, ed25519_signer, ml_dsa_signer
from consent.log.vkey import KeyType, VerifierKey, signed_bytes
from tests.consent.log.growing import LOG, NOW, OTHER_LOG, WITNESSES, GrowingLog, numbered_leaves, seed

# golang.org/x/mod, sumdb/note/note_test.go
PETER = VerifierKey.parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
ENOCH = VerifierKey.parse("EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop")
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
PETERS = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
ENOCHS = "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"

# C2SP signed-note, Verifier keys, Example
FOO = VerifierKey.parse("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
FOOS_NOTE = (
    "This is an example message.\n\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
# github.com/FiloSottile/torchwood, cmd/litewitness/testdata/sumdb.txt: a checkpoint of the Go checksum database
SUMDB = VerifierKey.parse("sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8")
SUMDBS_NOTE = (
    "go.sum database tree\n35225469\nvt5T6GaLCXvyHFl9VUvvItR43XZxfLgftEcTyO3eJCQ=\n\n"
    "— sum.golang.org Az3grpukl5AXaVfYkLiDGORx/DN2nlcS5kZHR5uYOBV2KA2HgXpD+gu9HHONebHLAyaKbbTM75QTtPydhKCExixSfwQ=\n"
)


@pytest.mark.parametrize(
    ("key", "note", "text"),
    [
        (PETER, f"{TEXT}\n{PETERS}", TEXT),
        (ENOCH, f"{TEXT}\n{ENOCHS}", TEXT),
        (FOO, FOOS_NOTE, "This is an example message.\n"),
        (SUMDB, SUMDBS_NOTE, SUMDBS_NOTE[: -len(SUMDBS_NOTE.split("\n\n")[1]) - 1]),
    ],
)
def test_a_published_note_is_believed(key: VerifierKey, note: str, text: str) -> None:
    opened = open_note(note, [key])
    assert opened.text == text
    assert opened.signed_by(key)
    assert str(opened.note) == note


def test_each_known_key_that_signed_is_named_and_the_unknown_ones_are_ignored() -> None:
    note = f"{TEXT}\n{PETERS}{ENOCHS}"
    assert [verified.key for verified in open_note(note, [PETER]).verified] == [PETER]
    assert [verified.key for verified in open_note(note, [ENOCH, PETER]).verified] == [PETER, ENOCH]
    with pytest.raises(UnknownSigner):
        open_note(note, [FOO])
    with pytest.raises(UnknownSigner):
        open_note(note, [])


def test_a_repeated_signature_counts_once() -> None:
    assert len(open_note(f"{TEXT}\n{PETERS}{PETERS}", [PETER]).verified) == 1


@pytest.mark.parametrize(
    "note",
    [
        f"{TEXT.replace('answer', 'Answer')}\n{PETERS}",
        f" {TEXT}\n{PETERS}",
        f"{TEXT}\n{PETERS[:60]}ABCD{PETERS[60:]}",
        f"{TEXT}\n{PETERS}{PETERS.replace('IAQx', 'IAQy')}",
    ],
)
def test_a_known_keys_line_that_is_not_its_signature_refuses_the_whole_note(note: str) -> None:
    with pytest.raises(SignatureRefused):
        open_note(note, [PETER, ENOCH])


def test_a_known_keys_false_line_refuses_even_beside_a_good_one() -> None:
    with pytest.raises(SignatureRefused, match="EnochRoot"):
        open_note(f"{TEXT}\n{PETERS}{ENOCHS.replace('/5n2t', '/5n2u')}", [PETER, ENOCH])


def test_the_same_name_with_another_id_is_another_key() -> None:
    stranger = Signature("PeterNeumann", b"\x00\x01\x02\x03", b"x" * 64).line
    assert len(open_note(f"{TEXT}\n{stranger}{PETERS}", [PETER]).verified) == 1


@pytest.mark.parametrize(
    "note",
    [
        TEXT,
        f"{TEXT}\n",
        f"{TEXT}\n{PETERS[:-1]}",
        f"\x01{TEXT}\n{PETERS}",
        f"{TEXT}\t\n\n{PETERS}",
        f"{TEXT}\r\n\n{PETERS}",
        f"{TEXT}\n{PETERS}Unexpected line.\n",
        f"{TEXT}\n{PETERS}\n",
        f"{TEXT}\n— Bad Name {PETERS.split(' ')[2]}",
        f"{TEXT}\n—  {PETERS.split(' ')[2]}",
        f"{TEXT}\n{PETERS.replace('— ', '- ')}",
        f"{TEXT}\n{PETERS.replace('PeterNeumann', 'Peter+Neumann')}",
        f"{TEXT}\n" + PETERS.replace("PeterNeumann", "Peter\u00a0Neumann"),
        f"{TEXT}\n{PETERS.replace('JnAM=', 'JnAN=')}",
        f"{TEXT}\n{PETERS.replace('JnAM=', 'JnAM')}",
        f"{TEXT}\n— PeterNeumann AAAAAA==\n",
        f"{TEXT}\n" + PETERS * (MAX_SIGNATURES + 1),
        f"{TEXT}\ud800\n\n{PETERS}",
    ],
)
def test_a_note_that_is_not_written_as_one_is_refused(note: str) -> None:
    with pytest.raises(NoteRefused):
        open_note(note, [PETER])


def test_a_note_without_end_is_refused_before_anything_is_verified() -> None:
    with pytest.raises(NoteRefused, match="more than"):
        Note.parse("x" * 300_000 + f"\n\n{PETERS}")


def test_a_note_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(NoteRefused, match="UTF-8"):
        open_note(b"\xff" + f"{TEXT}\n{PETERS}".encode(), [PETER])


def test_sixteen_signatures_and_more_are_read() -> None:
    lines = [
        cosigner(f"w{number}", seed(str(number))).sign(SUMDBS_NOTE.split("\n\n", maxsplit=1)[0] + "\n", now=NOW)
        for number in range(20)
    ]
    note = SUMDBS_NOTE + "".join(line.line for line in lines)
    assert len(Note.parse(note).signatures) == 21
    assert len(open_note(note, [SUMDB]).verified) == 1


def test_the_text_ends_at_the_last_blank_line() -> None:
    text = "a\n\nb\n\nc\n"
    note = new_note(text, [LOG.sign(text, now=NOW)])
    assert open_note(str(note), [LOG.vkey]).text == text


def test_a_line_separator_of_other_scripts_does_not_end_a_line() -> None:
    text = "one\u2028two\x85three\n"
    assert open_note(str(new_note(text, [LOG.sign(text, now=NOW)])), [LOG.vkey]).text == text


@pytest.mark.parametrize("text", ["no newline", "a\x00b\n", ""])
def test_a_text_that_would_be_read_as_another_is_not_written(text: str) -> None:
    with pytest.raises(NoteRefused):
        new_note(text, [LOG.sign(text, now=NOW)])


@given(st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]) | st.just("\n"), max_size=60))
def test_any_text_is_read_back_as_it_was_signed(text: str) -> None:
    note = new_note(f"{text}\n", [LOG.sign(f"{text}\n", now=NOW)])
    assert open_note(str(note).encode(), [LOG.vkey]).text == f"{text}\n"


def test_no_part_and_no_neighbour_of_a_vkey_is_a_vkey() -> None:
    whole = str(PETER)
    parts = [whole[start:end] for start in range(len(whole)) for end in range(start, len(whole) + 1)]
    neighbours = [whole[:at] + chr(ord(whole[at]) + 1) + whole[at + 1 :] for at in range(len(whole))]
    for text in [*parts, *neighbours]:
        if text != whole:
            with pytest.raises(FormatRefused):
                VerifierKey.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        # golang.org/x/mod, sumdb/note/note_test.go: wrong length, unknown algorithm, each with an id that fits
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        # github.com/transparency-dev/formats, note/note_cosigv1_test.go
        "bananas.sigstore.dev+12344556",
        "rekor.sigstore.dev+12345678+THIS_IS_NOT_BASE64!",
        "rekor.sigstore.dev+12345678+AwEB",
        "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "\udcff+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "x" * 5000,
        "",
    ],
)
def test_a_malformed_vkey_is_refused(text: str) -> None:
    with pytest.raises(FormatRefused):
        VerifierKey.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        # github.com/transparency-dev/formats, note/note_cosigv1_test.go
        "TEST+7997405c+AQcC+FTVKf0jlTdHDY3rbevmnKxxPjigCXlVtGe6RIr6",
        "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
        str(PETER),
        str(FOO),
    ],
)
def test_a_published_vkey_is_read_and_written_the_same(text: str) -> None:
    assert str(VerifierKey.parse(text)) == text


def test_one_key_under_two_types_has_two_ids_and_neither_signs_for_the_other() -> None:
    note = GrowingLog().append(b"x").checkpoint()
    plain = ed25519_signer("same", seed("same"))
    timed = cosigner("same", seed("same"))
    assert plain.vkey.public == timed.vkey.public
    assert plain.vkey.id != timed.vkey.id
    signature = timed.sign(note.text, now=NOW)
    passed_off = Signature("same", plain.vkey.id, signature.signature)
    with pytest.raises(SignatureRefused):
        open_note(Note(note.text, (passed_off,)), [plain.vkey])


def test_what_a_witness_signs_is_what_the_specification_says() -> None:
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    # C2SP tlog-cosignature, Ed25519 signed message
    assert signed_bytes(KeyType.COSIGNATURE, "w", text, 1679315147) == (
        b"cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\n"
        b"CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    )
    # C2SP tlog-cosignature, ML-DSA-44 signed message
    message = signed_bytes(KeyType.ML_DSA_44, "w.example", text, 1679315147)
    assert message[:12] == b"subtree/v1\n\x00"
    assert message[12:22] == b"\x09w.example"
    assert message[22:30] == (1679315147).to_bytes(8, "big")
    assert message[30:58] == b"\x1bexample.com/behind-the-sofa"
    assert message[58:74] == (0).to_bytes(8, "big") + (20852163).to_bytes(8, "big")
    assert message[74:].hex().startswith("0ac5186a91863e8e")
    assert len(message) == 74 + 32


MAKERS = [cosigner, ml_dsa_signer]


@pytest.mark.parametrize("maker", MAKERS)
def test_a_cosignature_says_when_and_covers_it(maker: object) -> None:
    signer: NoteSigner = maker("w.example/α", seed("w"))  # type: ignore[operator]  # one of the two functions above
    note = GrowingLog().append(*numbered_leaves(5)).checkpoint(cosigners=[signer])
    opened = open_checkpoint(str(note), log_keys=[LOG.vkey], witness_keys=[signer.vkey])
    assert [verified.timestamp for verified in opened.verified] == [None, int(NOW.timestamp())]
    assert VerifierKey.parse(str(signer.vkey)) == signer.vkey
    line = note.signatures[1]
    earlier = Signature(line.name, line.key_id, (1).to_bytes(8, "big") + line.signature[8:])
    beyond = Signature(line.name, line.key_id, b"\xff" * 8 + line.signature[8:])
    for altered in (earlier, beyond, Signature(line.name, line.key_id, line.signature[:-1])):
        with pytest.raises(SignatureRefused):
            open_note(Note(note.text, (note.signatures[0], altered)), [LOG.vkey, signer.vkey])


@pytest.mark.parametrize("maker", MAKERS)
def test_a_cosigner_signs_checkpoints_only(maker: object) -> None:
    signer: NoteSigner = maker("w", seed("w"))  # type: ignore[operator]  # one of the two functions above
    with pytest.raises(FormatRefused):
        signer.sign("any text\n", now=NOW)
    with pytest.raises(ValueError, match="aware"):
        signer.sign("any text\n", now=datetime(2026, 1, 1))


def test_ml_dsa_signs_for_its_name_alone() -> None:
    text = GrowingLog().append(b"x").checkpoint().text
    signature = ml_dsa_signer("one", seed("w")).sign(text, now=NOW)
    other = ml_dsa_signer("two", seed("w")).vkey
    with pytest.raises(SignatureRefused):
        open_note(Note(text, (Signature("two", other.id, signature.signature),)), [other])


def test_a_log_may_sign_with_ml_dsa_beside_ed25519() -> None:
    quantum = ml_dsa_signer(LOG.vkey.name, seed("quantum"))
    note = GrowingLog().append(b"x").checkpoint(cosigners=[quantum])
    assert len(open_checkpoint(note, log_keys=[LOG.vkey, quantum.vkey]).verified) == 2
    assert len(open_checkpoint(note, log_keys=[quantum.vkey]).verified) == 1


def test_a_machine_without_ml_dsa_says_so_and_still_reads_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    quantum = ml_dsa_signer("w.example", seed("w"))
    note = GrowingLog().append(b"x").checkpoint(cosigners=[quantum])
    monkeypatch.setattr(vkey, "MLDSA44PublicKey", None)
    monkeypatch.setattr(signers, "MLDSA44PrivateKey", None)
    assert open_checkpoint(note, log_keys=[LOG.vkey]).checkpoint.size == 1
    with pytest.raises(Unavailable, match=r"w\.example.*newer `cryptography`"):
        open_checkpoint(note, log_keys=[LOG.vkey], witness_keys=[quantum.vkey])
    with pytest.raises(Unavailable):
        ml_dsa_signer("w", seed("w"))


def test_a_log_does_not_speak_for_another() -> None:
    text = GrowingLog(signer=OTHER_LOG).append(b"x").checkpoint().text
    forged = new_note(text, [LOG.sign(text, now=NOW)])
    with pytest.raises(UnknownSigner, match=r"log\.example/other"):
        open_checkpoint(forged, log_keys=[LOG.vkey, OTHER_LOG.vkey])


def test_a_witness_does_not_speak_for_the_log() -> None:
    text = GrowingLog().append(b"x").checkpoint().text
    with pytest.raises(UnknownSigner):
        open_checkpoint(
            new_note(text, [WITNESSES[0].sign(text, now=NOW)]), log_keys=[LOG.vkey], witness_keys=[WITNESSES[0].vkey]
        )


def test_a_witness_that_is_named_like_the_log_is_still_not_the_log() -> None:
    text = GrowingLog().append(b"x").checkpoint().text
    namesake = cosigner(LOG.vkey.name, seed("namesake"))
    with pytest.raises(UnknownSigner):
        open_checkpoint(
            new_note(text, [namesake.sign(text, now=NOW)]), log_keys=[LOG.vkey], witness_keys=[namesake.vkey]
        )


def test_two_keys_that_share_a_name_and_an_id_are_not_told_apart_and_so_refused() -> None:
    # An id has 32 bits: among some ten thousand keys, two share one.
    seen: dict[bytes, VerifierKey] = {}
    for number in range(2**20):
        key = VerifierKey("PeterNeumann", KeyType.ED25519, number.to_bytes(32, "big"))
        if key.id in seen:
            break
        seen[key.id] = key
    assert key.public != seen[key.id].public
    with pytest.raises(NoteRefused, match="same name and id"):
        open_note(f"{TEXT}\n{PETERS}", [PETER, key, seen[key.id]])


def test_a_time_beyond_63_bits_is_none() -> None:
    text = GrowingLog().append(b"x").checkpoint().text
    assert signed_bytes(KeyType.COSIGNATURE, "w", text, 2**63 - 1)
    with pytest.raises(FormatRefused, match="63 bits"):
        signed_bytes(KeyType.COSIGNATURE, "w", text, 2**63)


def test_adding_a_signature_replaces_that_keys_earlier_one() -> None:
    note = GrowingLog().append(b"x").checkpoint(cosigners=WITNESSES[:2])
    later = WITNESSES[0].sign(note.text, now=datetime(2026, 4, 1, tzinfo=UTC))
    grown = note.signed_also([later, WITNESSES[2].sign(note.text, now=NOW)])
    assert len(grown.signatures) == 4
    opened = open_checkpoint(grown, log_keys=[LOG.vkey], witness_keys=[WITNESSES[0].vkey])
    assert opened.verified[1].timestamp == int(datetime(2026, 4, 1, tzinfo=UTC).timestamp())


def test_naming_a_known_key_twice_changes_nothing() -> None:
    twin = VerifierKey(PETER.name, PETER.type, PETER.public)
    assert open_note(f"{TEXT}\n{PETERS}", [PETER, twin]).signed_by(PETER)


def test_the_id_is_the_hash_of_name_type_and_key() -> None:
    assert PETER.id == sha256(b"PeterNeumann\n\x01" + PETER.public).digest()[:4]
