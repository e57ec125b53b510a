"""The review of a purpose version: what is looked at, what the reviewer has to answer, and what is recorded of it.

The program examines (members, words, readability) and the person answers: each of the seven items of article 21 read
and found right, whether a public task would be the honest basis, and why a warning is no obstacle. Both are kept with
the approval.
Spec: Law 27/2022 (UU PDP) articles 20(2), 21(1) and 22(4); EDPB Guidelines 05/2020 ¶16 (public authorities).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from consent.attributes import LANGUAGES
from consent.errors import ReviewRefused
from consent.purpose_draft import Draft
from consent.registry.dark_patterns import REFUSE, WARN, Finding, lint
from consent.registry.mandatory import Candidate, fault_in_members
from consent.registry.readability import Measure, is_hard, is_unreadable, measure
from consent.registry.vocabulary import Labels
from consent.wording import fault_in


@dataclass(frozen=True, slots=True)
class Question:
    """One of the seven items that people must be told, and the members of a version that answer it."""

    code: str
    letter: str
    labels: Labels
    answered_by: tuple[str, ...]


def _asked(code: str, letter: str, indonesian: str, english: str, *answered_by: str) -> Question:
    return Question(code, letter, MappingProxyType({"id": indonesian, "en": english}), answered_by)


# Spec: UU PDP article 21(1) a to g.
QUESTIONS: Final[tuple[Question, ...]] = (
    _asked("legality", "a", "Dasar hukum pemrosesan", "Legality of the processing", "legal_basis", "legal_citation"),
    _asked("purpose", "b", "Tujuan pemrosesan", "Purpose of the processing", "texts", "dpv_purpose_iri", "service"),
    _asked("types_and_relevance", "c", "Jenis dan relevansi data", "Types of data and their relevance", "items"),
    _asked("retention", "d", "Jangka waktu penyimpanan", "How long it is kept", "retention_days"),
    _asked(
        "details",
        "e",
        "Rincian informasi yang dikumpulkan",
        "Details of what is collected",
        "collection_method",
        "processing",
        "recipients",
        "storage_locations",
        "fetch_type",
    ),
    _asked("period", "f", "Jangka waktu pemrosesan", "How long it is processed", "validity_days"),
    _asked(
        "rights", "g", "Hak Anda sebagai pemilik data", "The person’s rights", "privacy_rights", "withdrawal_method"
    ),
)
CODES: Final = frozenset(question.code for question in QUESTIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What a reviewer answers.

    `confirmed` are the codes of the questions that they read and found right; `reasons` says of a warning's code why
    it may stay.
    """

    confirmed: frozenset[str]
    public_task_applies: bool
    public_task_reason: str
    reasons: Mapping[str, str] = field(default_factory=dict)
    remark: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What the program found: `missing` in one sentence, or None."""

    missing: str | None
    findings: tuple[Finding, ...]
    readability: Mapping[str, Mapping[str, Measure]]

    @property
    def refused(self) -> tuple[Finding, ...]:
        """What keeps the version from being approved."""
        return tuple(finding for finding in self.findings if finding.severity == REFUSE)

    @property
    def warned(self) -> tuple[str, ...]:
        """The codes that want a written reason."""
        return tuple(dict.fromkeys(finding.code for finding in self.findings if finding.severity == WARN))

    def as_json(self) -> dict[str, Any]:
        """What was found, for the record."""
        return {
            "findings": [finding.as_json() for finding in self.findings],
            "readability": {
                where: {language: found.as_json() for language, found in by_language.items()}
                for where, by_language in self.readability.items()
            },
        }


def examine(candidate: Candidate) -> Examination:
    """Looks at everything that a program can look at. Pure."""
    draft = candidate.version.as_draft()
    measures = {
        name: {language: measure(draft.texts[language][name], language) for language in LANGUAGES}
        for name in ("description", "refusal")
    }
    return Examination(
        missing=fault_in_members(candidate),
        findings=(*lint(draft), *_readability(draft, measures)),
        readability=measures,
    )


def _readability(draft: Draft, measures: Mapping[str, Mapping[str, Measure]]) -> list[Finding]:
    found = []
    for name, by_language in measures.items():
        for language, counted in by_language.items():
            unreadable = is_unreadable(counted, language)
            if unreadable or is_hard(counted, language):
                quote = draft.texts[language][name][:100]
                severity = REFUSE if unreadable else WARN
                code = "unreadable" if unreadable else "hard_to_read"
                found.append(Finding(code=code, severity=severity, where=f"{name}.{language}", quote=quote))
    return found


def check_review(candidate: Candidate, examination: Examination, review: Review) -> None:
    """Error: `ReviewRefused` unless nothing stands against the version and every question is answered."""
    if examination.missing is not None:
        raise ReviewRefused(examination.missing)
    if examination.refused:
        finding = examination.refused[0]
        raise ReviewRefused(f"{finding.code} in {finding.where}: “{finding.quote}”")
    unread = [question.code for question in QUESTIONS if question.code not in review.confirmed]
    if unread or review.confirmed - CODES:
        raise ReviewRefused(
            f"each item of article 21 is confirmed, and nothing else: {', '.join(unread) or 'too many'}"
        )
    _check_public_task(candidate, review)
    for code in examination.warned:
        fault = fault_in(review.reasons.get(code, ""), most=1000, lines=True)
        if fault is not None:
            raise ReviewRefused(f"the reason why “{code}” may stay {fault}")
    if set(review.reasons) - set(examination.warned):
        raise ReviewRefused(f"there is no warning {min(set(review.reasons) - set(examination.warned))}")
    if review.remark is not None and (fault := fault_in(review.remark, most=2000, lines=True)) is not None:
        raise ReviewRefused(f"the remark {fault}")


def _check_public_task(candidate: Candidate, review: Review) -> None:
    answered: object = review.public_task_applies
    if not isinstance(answered, bool):
        raise ReviewRefused("whether a public-task basis would apply is true or false")
    fault = fault_in(review.public_task_reason, most=1000, lines=True)
    if fault is not None:
        raise ReviewRefused(f"the reason for the answer about a public task {fault}")
    basis = candidate.version.legal_basis
    if basis == "consent" and review.public_task_applies:
        # Asking for a consent that nobody needs makes a choice look real that is not.
        raise ReviewRefused("a public task would apply: then that is the basis, and people are told and not asked")
    if basis == "public_task" and not review.public_task_applies:
        raise ReviewRefused("no public task applies: then it cannot be the basis")


def recorded(review: Review, examination: Examination) -> dict[str, Any]:
    """What an approval keeps of the review."""
    return {
        "checklist": [
            {
                "item": question.code,
                "article": f"21(1){question.letter}",
                "answered_by": list(question.answered_by),
                "confirmed": question.code in review.confirmed,
            }
            for question in QUESTIONS
        ],
        "public_task": {"applies": review.public_task_applies, "reason": review.public_task_reason},
        "reasons": dict(review.reasons),
        "remark": review.remark,
        **examination.as_json(),
    }
