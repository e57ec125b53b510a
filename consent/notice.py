"""What a person is shown before they decide: all of it, in one language, and nothing else.

The page shows a `Notice`'s fields; the record of the decision keeps its canonical JSON under its SHA-256, so that the
exact text can be produced in court years later.

Spec: Law 27/2022 (UU PDP) articles 21(1), 22 and 24; ISO/IEC TS 27560 (language, privacy notice).
"""

import hashlib
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any, Final

from consent.attributes import Category
from consent.errors import DecisionRefused
from consent.notice_texts import EDITION, SENTENCES, Sentences
from consent.purposes import PurposeVersionView
from consent.registry.vocabulary import RIGHTS
from keys.encoding import canonical_json

SCHEMA: Final = "satupintu-notice/2"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeItem:
    """One data item as shown. `note` says whether it is needed or may be refused.

    `source` says which agency it comes from; None: from the person's account here. `guarded` is there for data that
    the law guards more.
    """

    claim: str
    label: str
    why: str
    required: bool
    category: str
    note: str
    source: str | None
    guarded: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """The notice that a person reads. Everything here is shown or identifies what is shown."""

    language: str
    edition: str
    client_id: str
    client_name: str
    client_is_verified: bool
    agency_id: str
    agency_name: str
    purpose_id: str
    purpose_version_id: str
    purpose_code: str
    purpose_version: int
    purpose_digest: str
    is_choice: bool
    heading: str
    verification: str
    purpose_name: str
    purpose_description: str
    legal_basis: str
    legal_basis_sentence: str
    legal_citation: str
    items: tuple[NoticeItem, ...]
    identifier: str
    collection: str | None
    fetch: str
    recipients: str | None
    abroad: str | None
    retention: str
    validity: str
    offline_access: str | None
    refusal: tuple[str, str]
    withdrawal: str
    rights: str | None
    contact: str
    allow: str
    deny: str

    @property
    def claims(self) -> frozenset[str]:
        """The data items that the person is asked about."""
        return frozenset(item.claim for item in self.items)

    @property
    def required(self) -> frozenset[str]:
        """Those of them that the purpose needs."""
        return frozenset(item.claim for item in self.items if item.required)

    def as_json(self) -> dict[str, Any]:
        """The notice in plain JSON values."""
        items = [asdict(item) for item in self.items]
        return {"schema": SCHEMA, **asdict(self), "items": items, "refusal": list(self.refusal)}

    def canonical(self) -> bytes:
        """The one way to write this notice down: canonical JSON, UTF-8."""
        return canonical_json(self.as_json())

    @property
    def sha256(self) -> bytes:
        """The SHA-256 of `canonical()`."""
        return hashlib.sha256(self.canonical()).digest()


def compose(
    version: PurposeVersionView,
    *,
    client_id: str,
    client_name: str,
    client_is_verified: bool,
    language: str,
    asked: Collection[str],
    offline_access: bool,
) -> Notice:
    """The notice for one app's request of `asked` (claims), in `language` (`id` or `en`).

    Items come in the order of the purpose. Error: `DecisionRefused` when something is asked that the purpose lacks.
    """
    beyond = set(asked) - version.claims
    if beyond:
        raise DecisionRefused(f"the purpose {version.code} has no item {min(beyond)}")
    sentences = SENTENCES[language]
    texts = version.texts[language]
    which = 0 if version.is_choice else 1
    filled = {
        "app": client_name,
        "agency": version.agency_names[language],
        "contact": version.privacy_contact,
    }
    retention = sentences.retention if version.retention_days else sentences.no_retention
    return Notice(
        language=language,
        edition=EDITION,
        client_id=client_id,
        client_name=client_name,
        client_is_verified=client_is_verified,
        agency_id=version.agency_id,
        agency_name=filled["agency"],
        purpose_id=version.purpose_id,
        purpose_version_id=version.id,
        purpose_code=version.code,
        purpose_version=version.version,
        purpose_digest=version.digest.hex(),
        is_choice=version.is_choice,
        heading=_fill(sentences.heading[which], filled),
        verification=_fill(sentences.verified if client_is_verified else sentences.not_verified, filled),
        purpose_name=texts["name"],
        purpose_description=texts["description"],
        legal_basis=version.legal_basis,
        legal_basis_sentence=_fill(sentences.legal_bases[version.legal_basis], filled),
        legal_citation=version.legal_citation,
        items=_items(version, frozenset(asked), language, sentences),
        identifier=sentences.identifier,
        collection=None if version.terms.collection_method is None else version.terms.collection_method[language],
        fetch=_fetch(version, sentences),
        recipients=_recipients(version, language, sentences, filled),
        abroad=_abroad(version, sentences),
        retention=_fill(retention, {**filled, "period": period(version.retention_days, sentences)}),
        validity=_fill(sentences.validity[which], {**filled, "period": period(version.validity_days, sentences)}),
        offline_access=sentences.offline_access if offline_access else None,
        refusal=(_fill(sentences.refusal[which], filled), texts["refusal"]),
        withdrawal=_fill(sentences.withdrawal[which], filled),
        rights=_rights(version, language, sentences),
        contact=_fill(sentences.contact, filled),
        allow=sentences.allow[which],
        deny=sentences.deny[which],
    )


def period(days: int, sentences: Sentences) -> str:
    """A number of days in words: in years when it is whole years."""
    years, rest = divmod(days, 365)
    if years and not rest:
        return sentences.year if years == 1 else sentences.years.replace("{count}", str(years))
    return sentences.day if days == 1 else sentences.days.replace("{count}", str(days))


def _fill(sentence: str, values: dict[str, str]) -> str:
    # Split at the placeholders and join once: a name that contains "{agency}" must not be filled in again, and
    # str.format would let a name in the sentence reach attributes.
    pieces = []
    for piece in sentence.split("{"):
        name, closed, rest = piece.partition("}")
        pieces.append(values[name] + rest if closed else piece)
    return "".join(pieces)


def _fetch(version: PurposeVersionView, sentences: Sentences) -> str:
    once, as_needed, limited = sentences.fetch
    if version.fetch_type == "onetime":
        return once
    if version.use_limit is None or version.use_window_days is None:
        return as_needed
    return _fill(limited, {"count": str(version.use_limit), "period": period(version.use_window_days, sentences)})


def _recipients(version: PurposeVersionView, language: str, sentences: Sentences, filled: dict[str, str]) -> str | None:
    recipients = version.terms.recipients
    if recipients is None:
        return None
    if not recipients:
        return _fill(sentences.no_recipients, filled)
    return _fill(sentences.recipients, {**filled, "names": ", ".join(one.names[language] for one in recipients)})


def _abroad(version: PurposeVersionView, sentences: Sentences) -> str | None:
    """Where else than in the jurisdiction the data is. Said only if there is such a place."""
    terms = version.terms
    places = {*(terms.storage_locations or ()), *(terms.processing_locations or ())}
    outside = sorted(place for place in places if place[:2] != terms.jurisdiction)
    if terms.jurisdiction is None or not outside:
        return None
    return _fill(sentences.abroad, {"jurisdiction": terms.jurisdiction, "places": ", ".join(outside)})


def _rights(version: PurposeVersionView, language: str, sentences: Sentences) -> str | None:
    # Where no consent was given there is none to withdraw, whatever was ticked in the registry.
    rights = [right for right in version.terms.privacy_rights or () if version.is_choice or right != "withdrawal"]
    if not rights:
        return None
    return _fill(sentences.rights, {"rights": ", ".join(RIGHTS[right][1][language] for right in rights)})


def _items(
    version: PurposeVersionView, asked: frozenset[str], language: str, sentences: Sentences
) -> tuple[NoticeItem, ...]:
    which = 0 if version.is_choice else 1
    shown = []
    for item in version.items:
        if item.claim not in asked:
            continue
        data = version.item(item.claim)
        shown.append(
            NoticeItem(
                claim=item.claim,
                label=data.label(language),
                why=item.why[language],
                required=item.required,
                category=data.category.value,
                note=sentences.required[which] if item.required else sentences.optional,
                source=_fill(sentences.source, {"source": data.source.names[language]}) if data.source else None,
                guarded=sentences.guarded if data.category is Category.SPECIFIC else None,
            )
        )
    return tuple(shown)
