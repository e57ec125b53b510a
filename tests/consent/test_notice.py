"""What a person is shown, and that it is pinned."""

import hashlib
import json
import re
from dataclasses import asdict, fields, replace
from typing import Any

import pytest

from consent.attributes import ITEMS, LANGUAGES
from consent.errors import DecisionRefused
from consent.notice import Notice, compose
from consent.notice_texts import EDITION, LEGAL_BASES, SENTENCES, Sentences
from consent.purpose_draft import PurposeItem
from consent.purposes import PurposeVersionView
from keys.encoding import canonical_json
from tests.consent.registry import a_purpose, notice_of
from tests.support.clock import FakeClock

# Change this together with `EDITION`, and only together: the sentences are evidence.
DIGEST_OF_EDITION_1 = "bb99f755c16783cde7d6f55109931d99eac6d9dcd24664ba4e118aa9bb96534a"


@pytest.fixture
def version(clock: FakeClock) -> PurposeVersionView:
    """A version that never saw a database."""
    purpose: dict[str, Any] = a_purpose()
    del purpose["created_by"]
    purpose["items"] = tuple(PurposeItem(**one) for one in purpose["items"])
    return PurposeVersionView(
        id="v1",
        purpose_id="p",
        agency_id="a",
        agency_code="kesehatan",
        agency_names={"id": "Kementerian Kesehatan", "en": "Ministry of Health"},
        privacy_contact="pdp@kesehatan.example",
        version=1,
        digest=bytes(32),
        created_at=clock(),
        **purpose,
    )


def sentences_as_json(sentences: Sentences) -> dict[str, Any]:
    """The sentences in plain JSON values."""
    values = {field.name: getattr(sentences, field.name) for field in fields(sentences)}
    return {
        name: list(value) if isinstance(value, tuple) else value if isinstance(value, str) else dict(value)
        for name, value in values.items()
    }


def every_string(value: Any) -> list[str]:
    """All the strings in a JSON value."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for one in inner for text in every_string(one)]


def test_the_sentences_of_an_edition_never_change() -> None:
    every = {language: sentences_as_json(sentences) for language, sentences in SENTENCES.items()}

    assert EDITION == "1"
    assert hashlib.sha256(canonical_json(every)).hexdigest() == DIGEST_OF_EDITION_1


@pytest.mark.parametrize("name", [field.name for field in fields(Sentences)])
def test_both_languages_fill_in_the_same_words(name: str) -> None:
    placeholders = [
        [sorted(re.findall(r"\{\w+\}", text)) for text in every_string(sentences_as_json(SENTENCES[language])[name])]
        for language in LANGUAGES
    ]
    if name == "legal_bases":
        assert all(found == ["{agency}"] for language in placeholders for found in language)
    else:
        assert placeholders[0] == placeholders[1]


def test_every_legal_basis_has_its_own_sentence() -> None:
    for sentences in SENTENCES.values():
        assert set(sentences.legal_bases) == set(LEGAL_BASES)
        assert len(set(sentences.legal_bases.values())) == len(LEGAL_BASES)


def test_every_data_item_has_a_label_in_both_languages() -> None:
    for claim, data_item in ITEMS.items():
        assert data_item.claim == claim
        assert data_item.label("id")
        assert data_item.label("en")
    for language in LANGUAGES:
        assert len({data_item.label(language) for data_item in ITEMS.values()}) == len(ITEMS)


def test_a_notice_says_everything_that_the_law_asks_for(version: PurposeVersionView) -> None:
    notice = notice_of(version, offline_access=True, language="en")

    assert notice.heading == "Sehat Bersama asks for your data"
    assert notice.verification == "Satu Pintu has checked that this app belongs to Ministry of Health."
    assert (notice.purpose_name, notice.purpose_description) == ("A visit", "To register a visit.")
    assert notice.legal_basis_sentence.startswith("You decide.")
    assert notice.legal_citation == "UU 27/2022 pasal 20 ayat (2) huruf a"
    assert [(i.label, i.why, i.required) for i in notice.items] == [
        ("Full name", "For name", True),
        ("Email address", "For email", False),
        ("Gender", "For gender", False),
    ]
    assert notice.retention == "Ministry of Health keeps this data for 1 year at most."
    assert notice.validity == "This agreement lasts 90 days. After that you will be asked again."
    assert notice.offline_access == "The app can also fetch this data while you are not using it."
    assert notice.refusal == ("If you do not agree, no data is sent.", "Come to the desk.")
    assert "at any time" in notice.withdrawal
    assert notice.contact == "Questions about your data: pdp@kesehatan.example"


@pytest.mark.parametrize(
    ("days", "words"), [(1, "1 hari"), (2, "2 hari"), (365, "1 tahun"), (730, "2 tahun"), (366, "366 hari")]
)
def test_periods_are_said_in_words(version: PurposeVersionView, days: int, words: str) -> None:
    notice = notice_of(replace(version, validity_days=days))

    assert notice.validity == f"Persetujuan ini berlaku {words}. Setelah itu Anda akan ditanya lagi."


def test_data_that_is_not_kept_is_said_to_be_not_kept(version: PurposeVersionView) -> None:
    notice = notice_of(replace(version, retention_days=0), language="en")

    assert notice.retention == "Ministry of Health does not keep this data after using it."


def test_an_app_that_nobody_checked_is_said_to_be_unchecked(version: PurposeVersionView) -> None:
    notice = compose(
        version,
        client_id="x",
        client_name="X",
        client_is_verified=False,
        language="en",
        asked={"name"},
        offline_access=False,
    )
    assert notice.verification.startswith("Satu Pintu has not checked this app.")


@pytest.mark.parametrize("basis", [basis for basis in LEGAL_BASES if basis != "consent"])
@pytest.mark.parametrize(
    ("language", "pretences"),
    [
        (
            "en",
            ("you decide", "only if you agree", "asks for", "allow\n", "refuse it", "this agreement", "take this back"),
        ),
        ("id", ("anda yang memutuskan", "jika anda setuju", "meminta", "setuju\n", "tolak", "persetujuan ini")),
    ],
)
def test_a_notice_of_what_the_law_gives_pretends_no_choice(
    version: PurposeVersionView, basis: str, language: str, pretences: tuple[str, ...]
) -> None:
    by_law = replace(version, legal_basis=basis, items=tuple(replace(one, required=True) for one in version.items))

    notice = notice_of(by_law, language=language)

    assert not notice.is_choice
    shown = "\n".join([*every_string(notice.as_json()), ""]).lower()
    assert [pretence for pretence in pretences if pretence in shown] == []


def test_only_what_is_asked_is_shown(version: PurposeVersionView) -> None:
    notice = notice_of(version, asked={"gender", "name"})

    assert [one.claim for one in notice.items] == ["name", "gender"]
    assert notice.claims == {"name", "gender"}
    assert notice.required == {"name"}
    assert notice.offline_access is None


def test_what_the_purpose_lacks_cannot_be_shown(version: PurposeVersionView) -> None:
    with pytest.raises(DecisionRefused, match="has no item address"):
        notice_of(version, asked={"name", "address"})


def test_a_name_cannot_fill_in_the_sentence_that_it_stands_in(version: PurposeVersionView) -> None:
    notice = compose(
        version,
        client_id="x",
        client_name="{agency} {contact.__class__} {}",
        client_is_verified=True,
        language="en",
        asked={"name"},
        offline_access=False,
    )
    assert notice.heading == "{agency} {contact.__class__} {} asks for your data"


def test_the_same_notice_has_the_same_bytes_and_every_field_changes_them(version: PurposeVersionView) -> None:
    notice = notice_of(version, offline_access=True)

    assert notice_of(version, offline_access=True).canonical() == notice.canonical()
    assert notice.sha256 == hashlib.sha256(notice.canonical()).digest()
    for field in fields(Notice):
        value = getattr(notice, field.name)
        other: Any = value[:-1] if isinstance(value, tuple) else (not value if isinstance(value, bool) else "other")
        if field.name == "purpose_version":
            other = 2
        assert replace(notice, **{field.name: other}).sha256 != notice.sha256, field.name


def test_the_kept_bytes_hold_all_that_was_shown(version: PurposeVersionView) -> None:
    notice = notice_of(version, offline_access=True)

    kept = json.loads(notice.canonical())

    assert kept.pop("schema") == "satupintu-notice/1"
    assert kept == json.loads(json.dumps(asdict(notice)))
