"""What a person is shown, and that it is pinned."""

import hashlib
import json
import re
from dataclasses import asdict, fields, replace
from typing import Any

import pytest

from consent.attributes import ITEMS, LANGUAGES, Category, DataItem, Source
from consent.errors import DecisionRefused
from consent.notice import Notice, compose
from consent.notice_texts import EDITION, LEGAL_BASES, SENTENCES, Sentences
from consent.purpose_draft import PurposeItem
from consent.purposes import PurposeVersionView
from consent.registry.terms import Recipient, Terms
from keys.encoding import canonical_json
from tests.consent.registry import a_purpose, notice_of
from tests.support.clock import FakeClock
from tests.support.purposes import TERMS

# Change this together with `EDITION`, and only together: the sentences are evidence.
DIGEST_OF_EDITION_2 = "1e9b52e57ca8c7a0ee59f2c5d5c57ea7a0c59a567e5c135761a724feff73acb0"


@pytest.fixture
def version(clock: FakeClock) -> PurposeVersionView:
    """A version that never saw a database."""
    purpose: dict[str, Any] = a_purpose()
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
        terms=Terms.read(TERMS),
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

    assert EDITION == "2"
    assert hashlib.sha256(canonical_json(every)).hexdigest() == DIGEST_OF_EDITION_2


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
    assert notice.collection == "From your account at Satu Pintu."
    assert notice.fetch == "This data is fetched whenever the service needs it."
    assert notice.recipients == "Ministry of Health does not pass this data on to anybody."
    assert notice.abroad is None
    assert notice.rights is not None
    assert notice.rights.endswith("end the processing and have it erased, withdraw consent.")
    assert notice.refusal == ("If you do not agree, no data is sent.", "Come to the desk.")
    assert "at any time" in notice.withdrawal
    assert notice.contact == "Questions about your data: pdp@kesehatan.example"


@pytest.mark.parametrize(
    ("days", "words"), [(1, "1 hari"), (2, "2 hari"), (365, "1 tahun"), (730, "2 tahun"), (366, "366 hari")]
)
def test_periods_are_said_in_words(version: PurposeVersionView, days: int, words: str) -> None:
    notice = notice_of(replace(version, validity_days=days))

    assert notice.validity == f"Persetujuan ini berlaku {words}. Setelah itu Anda akan ditanya lagi."


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fetch_type": "onetime"}, "This data is fetched once only."),
        ({"use_limit": 4, "use_window_days": 365}, "This data is fetched 4 times in 1 year at most."),
    ],
)
def test_how_often_data_is_fetched_is_said(version: PurposeVersionView, changes: dict[str, Any], said: str) -> None:
    assert notice_of(replace(version, **changes), language="en").fetch == said


def test_who_else_gets_the_data_and_where_it_goes_is_said(version: PurposeVersionView) -> None:
    post = Recipient(
        names={"id": "Pos", "en": "Post"}, party_type="company", role="processor", why={"id": "a", "en": "b"}
    )
    terms = replace(version.terms, recipients=(post,), storage_locations=("ID", "SG"), processing_locations=("ID-JK",))

    notice = notice_of(replace(version, terms=terms), language="en")

    assert notice.recipients == "Ministry of Health passes this data on to: Post."
    assert notice.abroad == "This data is also stored or processed outside the jurisdiction of ID: SG."


def test_an_item_of_another_agency_is_shown_as_its_and_guarded_data_as_guarded(version: PurposeVersionView) -> None:
    source = Source(agency_id="b", code="dukcapil", names={"id": "Dukcapil", "en": "Population Office"})
    record = DataItem(
        "urn:x", "Rekam medis", "Medical record", "https://w3id.org/dpv/pd#HealthRecord", Category.SPECIFIC, source
    )
    item = PurposeItem(claim="urn:x", required=True, why={"id": "Untuk", "en": "For"})
    wanted = replace(version, items=(*version.items, item), attributes={"urn:x": record})

    shown = notice_of(wanted, language="en").items

    assert [(one.label, one.source, one.guarded) for one in shown[2:]] == [
        ("Gender", None, None),
        ("Medical record", "It comes from Population Office.", "The law guards this data more strongly."),
    ]
    assert wanted.sources == {"b": {"urn:x"}}


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

    assert kept.pop("schema") == "satupintu-notice/2"
    assert kept == json.loads(json.dumps(asdict(notice)))
