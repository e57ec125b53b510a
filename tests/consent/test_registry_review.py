"""What the program finds in a version's words, and what a reviewer has to answer."""

from dataclasses import replace
from typing import Any

import pytest

from consent.attributes import LANGUAGES
from consent.errors import ReviewRefused
from consent.models import Agency
from consent.notice_texts import SENTENCES
from consent.purpose_draft import Draft
from consent.purposes import PurposeVersionView
from consent.registry.dark_patterns import REFUSE, RULES, lint
from consent.registry.mandatory import Candidate
from consent.registry.readability import THRESHOLDS, is_hard, is_unreadable, measure
from consent.registry.review import CODES, QUESTIONS, Review, check_review, examine, recorded
from consent.registry.terms import Terms
from idp.demo.registry import PURPOSES
from tests.consent.registry import a_purpose
from tests.support.clock import FakeClock
from tests.support.purposes import TERMS, a_review


def saying(text: str, language: str = "en", *, where: str = "description", **changes: Any) -> Draft:
    """A purpose that says this in one of its texts."""
    texts = {spoken: dict(words) for spoken, words in a_purpose()["texts"].items()}
    texts[language][where] = text
    return Draft.read(**{**a_purpose(), "texts": texts, "terms": TERMS, **changes})


def candidate(draft: Draft, clock: FakeClock) -> Candidate:
    """A version that never saw a database, of an agency that says who it is."""
    said = {name: getattr(draft, name) for name in Draft.__dataclass_fields__}
    version = PurposeVersionView(
        id="v",
        purpose_id="p",
        agency_id="a",
        agency_code="kesehatan",
        agency_names={"id": "K", "en": "M"},
        privacy_contact="pdp@kesehatan.example",
        version=1,
        digest=bytes(32),
        created_at=clock(),
        **said,
    )
    agency = Agency(
        id="a",
        code="kesehatan",
        names={"id": "K", "en": "M"},
        address="Jalan 1",
        privacy_contact="p",
        party_type="government",
    )
    return Candidate(version, agency)


PUSHING: list[tuple[str, str, str]] = [
    ("urgency", "en", "Act now: this offer is for you."),
    ("urgency", "en", "The form expires in 10 minutes."),
    ("urgency", "id", "Isi sekarang juga."),
    ("urgency", "id", "Kesempatan ini berakhir dalam 5 menit."),
    ("threat", "en", "You will lose access to the health centre."),
    ("threat", "en", "Otherwise your account will be blocked."),
    ("threat", "en", "All government services will be stopped."),
    ("threat", "id", "Anda akan kehilangan bantuan."),
    ("threat", "id", "Rekening Anda akan diblokir."),
    ("threat", "id", "Semua layanan dihentikan."),
    ("bundled", "en", "For the visit and other purposes."),
    ("bundled", "en", "To register the visit and for marketing."),
    ("bundled", "id", "Untuk kunjungan dan keperluan lainnya."),
    ("bundled", "id", "Untuk kunjungan serta promosi."),
    ("pressure", "en", "You must agree to go on."),
    ("pressure", "id", "Anda harus menyetujui ini."),
    ("persuasion", "en", "Most people agree."),
    ("persuasion", "id", "Kebanyakan orang setuju."),
    ("vague", "en", "To register a visit, etc."),
    ("vague", "id", "Untuk kunjungan dan sebagainya."),
    ("consent_for_duty", "en", "This is required by law."),
    ("consent_for_duty", "id", "Data ini wajib menurut undang-undang."),
]


@pytest.mark.parametrize(("code", "language", "text"), PUSHING)
def test_words_that_push_people_are_found(code: str, language: str, text: str) -> None:
    found = lint(saying(text, language))
    assert [(finding.code, finding.where) for finding in found] == [(code, f"description.{language}")]
    assert found[0].quote.lower() in text.lower()


def test_every_rule_has_a_test_in_both_languages() -> None:
    tried = {(code, language) for code, language, _ in PUSHING}
    assert tried == {(rule.code, language) for rule in RULES for language in LANGUAGES}


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "You can still register in person at the desk."),
        ("en", "The visit ends when the nurse has seen you."),
        ("en", "Other services stay as they are."),
        ("id", "Anda tetap dapat mendaftar langsung di loket."),
        ("id", "Layanan lain tidak berubah."),
    ],
)
def test_honest_words_are_left_alone(language: str, text: str) -> None:
    assert lint(saying(text, language, where="refusal")) == ()


def test_the_reasons_of_items_and_the_terms_are_read_too() -> None:
    items = [{"claim": "name", "required": True, "why": {"id": "Untuk nama dan tujuan lain", "en": "For the name"}}]
    terms = {**TERMS, "withdrawal_method": {"id": "Di menu.", "en": "Hurry."}}
    found = lint(Draft.read(**{**a_purpose(), "items": items, "terms": terms}))
    assert {(one.code, one.where) for one in found} == {
        ("bundled", "items.name.why.id"),
        ("urgency", "withdrawal_method.en"),
    }


def test_a_duty_may_be_called_one_where_nobody_is_asked() -> None:
    needed = [{"claim": "name", "required": True, "why": {"id": "Untuk nama", "en": "For the name"}}]
    assert lint(saying("This is required by law.", legal_basis="legal_obligation", items=needed)) == ()


def test_the_words_of_our_own_notice_and_of_the_demonstration_push_nobody() -> None:
    for language, sentences in SENTENCES.items():
        for field in ("retention", "identifier", "offline_access", "contact"):
            assert lint(saying(getattr(sentences, field), language)) == (), field
    for purpose in PURPOSES:
        assert lint(Draft.read(**{name: value for name, value in purpose.items() if name != "agency"})) == ()


# --- readability ---


def test_sentences_and_words_are_counted() -> None:
    counted = measure("Data Anda dipakai. Nomor 3.500 di kemenkes.example disimpan; lalu dihapus!", "id")
    assert (counted.sentences, counted.longest_sentence, counted.words) == (3, 5, 10)
    assert counted.mean_sentence == 4
    long = measure("Pertanggungjawaban penyelenggaraan itu", "id")
    assert (long.words, long.long_word_percent) == (3, 66)
    nothing = measure("…", "en")
    assert (nothing.words, nothing.mean_sentence, nothing.long_word_percent) == (0, 0, 0)


@pytest.mark.parametrize("language", LANGUAGES)
def test_long_sentences_are_hard_and_endless_ones_nobodys_to_read(language: str) -> None:
    most = THRESHOLDS[language]
    measured = [
        measure("kata " * words, language)
        for words in (most.mean_sentence, most.mean_sentence + 1, most.refused_mean_sentence + 1)
    ]
    found = [(is_hard(counted, language), is_unreadable(counted, language)) for counted in measured]
    assert found == [(False, False), (True, False), (True, True)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_many_long_words_are_hard(language: str) -> None:
    words = ["satu"] * 18 + ["x" * THRESHOLDS[language].long_word] * 3
    text = " ".join(words[:7]) + ". " + " ".join(words[7:14]) + ". " + " ".join(words[14:])
    assert is_hard(measure(text, language), language)
    assert not is_hard(measure("pertanggungjawaban", language), language), "a single word is not a text"


# --- the reviewer's answers ---


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"confirmed": CODES - {"rights"}}, "each item of article 21 is confirmed, and nothing else: rights"),
        ({"confirmed": frozenset()}, "legality, purpose, types_and_relevance"),
        ({"confirmed": CODES | {"horoscope"}}, "and nothing else: too many"),
        ({"public_task_reason": ""}, "the reason for the answer about a public task is empty"),
        ({"public_task_applies": "no"}, "true or false"),
        ({"public_task_applies": True}, "a public task would apply: then that is the basis"),
        ({"reasons": {"vague": "It is plain."}}, "there is no warning vague"),
        ({"remark": " "}, "the remark is empty"),
    ],
)
def test_a_review_is_refused_when(changes: dict[str, Any], why: str, clock: FakeClock) -> None:
    looked_at = candidate(saying("To register a visit."), clock)
    examined = examine(looked_at)
    check_review(looked_at, examined, a_review())
    with pytest.raises(ReviewRefused, match=why):
        check_review(looked_at, examined, a_review(**changes))


def test_a_public_task_that_does_not_apply_is_no_basis(clock: FakeClock) -> None:
    needed = [{"claim": "name", "required": True, "why": {"id": "Untuk nama", "en": "For the name"}}]
    looked_at = candidate(saying("To register.", legal_basis="public_task", items=needed), clock)
    with pytest.raises(ReviewRefused, match="no public task applies"):
        check_review(looked_at, examine(looked_at), a_review())
    check_review(looked_at, examine(looked_at), a_review(public_task_applies=True))


def test_what_is_refused_no_reason_can_save_and_a_warning_wants_one(clock: FakeClock) -> None:
    refused = candidate(saying("Act now."), clock)
    with pytest.raises(ReviewRefused, match=r"urgency in description\.en: “Act now”"):
        check_review(refused, examine(refused), a_review(reasons={"urgency": "We like it."}))
    warned = candidate(saying("A visit, a check-up, etc."), clock)
    with pytest.raises(ReviewRefused, match="the reason why “vague” may stay is empty"):
        check_review(warned, examine(warned), a_review())
    check_review(warned, examine(warned), a_review(reasons={"vague": "The list is on the door."}))


def test_an_unreadable_text_is_refused(clock: FakeClock) -> None:
    looked_at = candidate(saying("word " * 70), clock)
    assert [(one.code, one.severity) for one in examine(looked_at).findings] == [("unreadable", REFUSE)]
    with pytest.raises(ReviewRefused, match="unreadable"):
        check_review(looked_at, examine(looked_at), a_review())


def test_a_version_that_lacks_a_member_is_refused_whatever_is_answered(clock: FakeClock) -> None:
    looked_at = candidate(replace(saying("To register."), terms=Terms()), clock)
    with pytest.raises(ReviewRefused, match="not said: collection_method"):
        check_review(looked_at, examine(looked_at), a_review())


def test_the_record_has_every_question_with_what_answers_it(clock: FakeClock) -> None:
    looked_at = candidate(saying("A visit, etc."), clock)
    answered = a_review(reasons={"vague": "Plain."}, remark="Fine.")
    kept = recorded(answered, examine(looked_at))
    assert [one["article"] for one in kept["checklist"]] == [f"21(1){letter}" for letter in "abcdefg"]
    assert all(one["confirmed"] and one["answered_by"] for one in kept["checklist"])
    assert kept["public_task"] == {"applies": False, "reason": answered.public_task_reason}
    assert (kept["reasons"], kept["remark"]) == ({"vague": "Plain."}, "Fine.")
    assert kept["findings"][0]["code"] == "vague"
    assert kept["readability"]["description"]["en"]["words"] == 3


def test_every_member_that_a_question_points_at_is_there() -> None:
    members = {*Draft.__dataclass_fields__, *Terms.__dataclass_fields__}
    assert {member for question in QUESTIONS for member in question.answered_by} <= members
    assert all(set(question.labels) == set(LANGUAGES) for question in QUESTIONS)
    assert isinstance(a_review(), Review)
