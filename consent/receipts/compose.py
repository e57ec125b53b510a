"""Puts a record together: what the events say, what the purpose's version says, and who the parties are.

Whatever was agreed to comes from the events and from versions that never change. Where a party can be reached is taken
as it is today: that is what a reader needs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from consent.attributes import LANGUAGES, Category, DataItem
from consent.events import Event
from consent.identifiers import is_id
from consent.models import Agency, Purpose, PurposeVersion
from consent.receipts.durations import NOTHING, days, duration
from consent.receipts.errors import NoReceipt
from consent.receipts.record import (
    GRANTED,
    OWN_TERMS,
    REFUSED,
    SCHEMA_VERSION,
    Agreement,
    ConsentDocument,
    LogPlace,
    Party,
    PiiItem,
    PrivacyNotice,
    Processing,
    RecordEvent,
)
from consent.registry.attributes import attributes_named
from consent.registry.models import Agreement as AgreementRow
from consent.registry.models import AgreementVersion
from consent.registry.terms import Terms
from consent.statuses import DPV_STATUS, PERMITTING
from keys.encoding import b64url_encode

DPV: Final = "https://w3id.org/dpv#"
# The point of UU PDP article 20(2) for each basis, and DPV's word for it.
LAWFUL: Final[Mapping[str, tuple[str, str]]] = {
    "consent": ("uupdp:20.2.a", "ExplicitlyExpressedConsent"),
    "contract": ("uupdp:20.2.b", "Contract"),
    "legal_obligation": ("uupdp:20.2.c", "LegalObligation"),
    "vital_interest": ("uupdp:20.2.d", "VitalInterest"),
    "public_task": ("uupdp:20.2.e", "PublicInterest"),
    "legitimate_interest": ("uupdp:20.2.f", "LegitimateInterest"),
}
SELF: Final = "subject"
SYSTEM: Final = "system"
REPRESENTATIVE: Final = "representative"
OFFICER: Final = "officer"
# How to take it back, where the purpose's terms do not say.
_WITHDRAWAL: Final = {
    "id": "Buka alamat ini, pilih persetujuan ini, lalu tekan Tarik kembali. Alasan tidak perlu diberikan.",
    "en": "Open this address, choose this consent, and press Withdraw. No reason is needed.",
}
_JURISDICTION: Final = "ID"


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where things about a record are to be found. `base` is the provider's address, without a slash at the end."""

    base: str

    def notice(self, sha256: bytes) -> str:
        """The text that was shown, by what it says."""
        return f"{self.base}/notices/{sha256.hex()}"

    @property
    def withdrawal(self) -> str:
        """Where a consent is taken back."""
        return f"{self.base}/my/consents"


async def compose_record(
    session: AsyncSession, events: Sequence[Event], *, addresses: Addresses, origin: str
) -> ConsentDocument:
    """The record of one consent after the last of `events`, which are its first ones, opened, in their order.

    Error: `NoReceipt` when what they said cannot be read any more.
    """
    if not events or any(event.opening is None for event in events):
        raise NoReceipt("what was decided was erased, or cannot be opened")
    last = events[-1]
    told = next((event for event in reversed(events) if event.text_sha256 is not None), None)
    language = next((event.language for event in reversed(events) if event.language in LANGUAGES), LANGUAGES[0])
    version = await _version(session, last)
    known = await attributes_named(session, [*last.granted, *last.refused])
    agreement, sources = await _agreement(session, last)
    return ConsentDocument(
        schema_version=SCHEMA_VERSION,
        receipt_id=last.id,
        record_id=last.consent_id,
        pii_principal_id=_principal(last),
        language=language,
        privacy_notice=PrivacyNotice(
            url=addresses.notice(told.text_sha256) if told and told.text_sha256 else addresses.withdrawal,
            sha256=told.text_sha256.hex() if told and told.text_sha256 else "",
        ),
        processing=_processing(version, last, known, agreement, language=language, addresses=addresses),
        parties=(
            _party(version, "controller", language),
            *(_party(source, "source", language) for source in sources),
        ),
        events=tuple(_event(event, version.legal_basis) for event in events),
        log=LogPlace(origin=origin, commitment=b64url_encode(last.hash)),
    )


def _principal(event: Event) -> str:
    # Never our own id of the person: it would join what two agencies know.
    return event.subject_ref or f"consent:{event.consent_id}"


_AGENCY: Final = (
    Agency.code.label("party_code"),
    Agency.names,
    Agency.contact,
    Agency.privacy_contact,
    Agency.address,
    Agency.email,
    Agency.phone,
    Agency.website,
    Agency.party_type,
)


async def _version(session: AsyncSession, event: Event) -> Row[Any]:
    rows = await session.execute(
        select(
            PurposeVersion.version,
            PurposeVersion.texts,
            PurposeVersion.items,
            PurposeVersion.legal_basis,
            PurposeVersion.legal_citation,
            PurposeVersion.retention_days,
            PurposeVersion.terms,
            PurposeVersion.digest,
            Purpose.code,
            *_AGENCY,
        )
        .join(Purpose, Purpose.id == PurposeVersion.purpose_id)
        .join(Agency, Agency.id == event.agency_id)
        .where(PurposeVersion.id == event.purpose_version_id)
    )
    found = rows.one_or_none()
    if found is None:
        raise NoReceipt("what the consent was for is not in the registry")
    return found


async def _agreement(session: AsyncSession, event: Event) -> tuple[Agreement | None, Sequence[Row[Any]]]:
    """The agreement that the consent rests on, if there is one, and the agency that gives the data by it."""
    if event.agreement_version_id is None:
        return None, ()
    rows = await session.execute(
        select(AgreementVersion.version, AgreementVersion.instrument, AgreementRow.code, *_AGENCY)
        .join(AgreementRow, AgreementRow.id == AgreementVersion.agreement_id)
        .join(Agency, Agency.id == AgreementRow.provider_agency_id)
        .where(AgreementVersion.id == event.agreement_version_id)
    )
    found = rows.one_or_none()
    if found is None:
        raise NoReceipt("the agreement that the consent rests on is not in the registry")
    instrument = found.instrument
    named = " ".join(str(instrument[name]) for name in ("kind", "number") if instrument.get(name))
    return Agreement(code=found.code, version=found.version, instrument=named), (found,)


def _party(row: Row[Any], role: str, language: str) -> Party:
    return Party(
        party_id=row.party_code,
        party_name=row.names[language],
        party_role=role,
        party_type=row.party_type,
        party_address=row.address or row.contact,
        party_contact=row.privacy_contact,
        party_email=row.email,
        party_url=row.website,
        party_phone=row.phone,
    )


def _processing(
    version: Row[Any],
    event: Event,
    known: Mapping[str, DataItem],
    agreement: Agreement | None,
    *,
    language: str,
    addresses: Addresses,
) -> Processing:
    terms = Terms.read(version.terms)
    return Processing(
        purpose=version.texts[language]["name"],
        purpose_description=version.texts[language]["description"],
        purpose_code=version.code,
        purpose_version=f"{version.code}@{version.version}",
        purpose_hash=version.digest.hex(),
        purpose_type=terms.dpv_purpose_iri,
        lawful_basis=LAWFUL[version.legal_basis][0],
        legal_citation=version.legal_citation,
        pii_information=_items(version.items, event, known, language),
        pii_controllers=(version.party_code,),
        collection_method=_in(terms.collection_method, language),
        processing_method=terms.processing,
        storage_locations=terms.storage_locations or (_JURISDICTION,),
        processing_locations=terms.processing_locations,
        geographic_restrictions=terms.geographic_restrictions,
        retention_period=days(version.retention_days),
        jurisdiction=terms.jurisdiction or _JURISDICTION,
        recipient_third_parties=tuple(one.names[language] for one in terms.recipients or ()),
        withdrawal_method=_in(terms.withdrawal_method, language) or _WITHDRAWAL[language],
        withdrawal_url=addresses.withdrawal,
        privacy_rights=terms.privacy_rights,
        codes_of_conduct=terms.codes_of_conduct,
        impact_assessment=terms.impact_assessment.url if terms.impact_assessment else None,
        authority_party=f"{terms.authority.names[language]}, {terms.authority.contact}" if terms.authority else None,
        service=_in(terms.service, language),
        fetch_type=event.fetch_type,
        use_limit=event.use_limit,
        use_window=None if event.use_window_days is None else days(event.use_window_days),
        offline_access=event.offline_access,
        agreement=agreement,
    )


def _in(text: Mapping[str, str] | None, language: str) -> str | None:
    return None if text is None else text[language]


def _items(
    asked: Sequence[Mapping[str, Any]], event: Event, known: Mapping[str, DataItem], language: str
) -> tuple[PiiItem, ...]:
    """What was decided about, in the order in which the purpose asks."""
    granted, refused = frozenset(event.granted), frozenset(event.refused)
    return tuple(
        _item(said, known.get(said["claim"]), REFUSED if said["claim"] in refused else GRANTED, language)
        for said in asked
        if said["claim"] in granted | refused
    )


def _item(said: Mapping[str, Any], item: DataItem | None, decision: str, language: str) -> PiiItem:
    specific = item is not None and item.category is Category.SPECIFIC
    return PiiItem(
        pii_type=item.label(language) if item else said["claim"],
        pii_attribute_id=said["claim"],
        pii_optional=not said["required"],
        decision=decision,
        dpv_iri=item.dpv_iri if item else None,
        sensitive_pii_category=item.kind if specific and item else None,
        why=said["why"].get(language),
        source=item.source.code if item and item.source else None,
    )


def _event(event: Event, legal_basis: str) -> RecordEvent:
    left = NOTHING
    if event.status in PERMITTING and event.valid_until is not None:
        left = duration(max(event.valid_until - event.at, timedelta(0)))
    return RecordEvent(
        event_id=event.id,
        seq=event.seq,
        event_time=event.as_json()["at"],
        event_kind=event.kind,
        event_type=LAWFUL[legal_basis][1],
        event_state=state_of(event.status, legal_basis),
        status=event.status,
        validity_duration=left,
        entity_id=_entity(event),
        channel=event.channel,
        language=event.language,
    )


def state_of(status: str, legal_basis: str) -> str:
    """DPV's word for a status. Where there was no choice nobody consented: a notice was shown, and answered."""
    if legal_basis != "consent":
        return f"{OWN_TERMS}notice_{status}"
    return DPV_STATUS[status].removeprefix(DPV)


def _entity(event: Event) -> str:
    if event.representative_id is not None and event.actor != SYSTEM:
        return REPRESENTATIVE
    if event.actor == SELF:
        return _principal(event)
    # An officer's own id is nothing for the papers of the person.
    return OFFICER if is_id(event.actor) else event.actor
