"""The record of one consent, as ISO/IEC TS 27560 has it: what was asked, by whom, what was answered, what came of it.

One record says how things stood at one event, and what had happened up to then. The names are the specification's, as
W3C's guide to it spells them; the guide's mandatory fields have no None here.
Spec: ISO/IEC TS 27560:2023 §6 (through the W3C DPV guide, Final Community Group Report of 2024-08-01);
Law 27/2022 (UU PDP) articles 21(1) and 24.
"""

from dataclasses import dataclass
from typing import Any, Final, Self

from consent.receipts.plain import plain, read

SCHEMA_VERSION: Final = "satupintu-27560/1"
GRANTED: Final = "granted"
REFUSED: Final = "refused"
# Terms that DPV has none for: answers where there was no choice.
OWN_TERMS: Final = "urn:satupintu:terms:"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyNotice:
    """The text that was shown: where it can be fetched, and the SHA-256 of its canonical JSON, in hex."""

    url: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PiiItem:
    """One data item, and what was decided about it.

    `pii_type` is its name in the notice's language; `pii_attribute_id` the claim; `dpv_iri` DPV's category.
    `sensitive_pii_category` is there for what the law calls specific data (UU PDP article 4).
    """

    pii_type: str
    pii_attribute_id: str
    pii_optional: bool
    decision: str
    dpv_iri: str | None = None
    sensitive_pii_category: str | None = None
    why: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """The instrument by which one agency may give the data to the other, and the version of it."""

    code: str
    version: int
    instrument: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Processing:
    """What is done with the data, and on what grounds. Periods are ISO 8601 durations, places ISO 3166 codes.

    `lawful_basis` names the point of UU PDP article 20(2). `purpose_hash` is the digest of all that the purpose's
    version says. `use_limit` uses in each `use_window`, when uses are counted.
    """

    purpose: str
    purpose_description: str
    purpose_code: str
    purpose_version: str
    purpose_hash: str
    purpose_type: str | None
    lawful_basis: str
    legal_citation: str
    pii_information: tuple[PiiItem, ...]
    pii_controllers: tuple[str, ...]
    collection_method: str | None
    processing_method: tuple[str, ...] | None
    storage_locations: tuple[str, ...]
    processing_locations: tuple[str, ...] | None
    geographic_restrictions: tuple[str, ...] | None
    retention_period: str
    jurisdiction: str
    recipient_third_parties: tuple[str, ...]
    withdrawal_method: str
    withdrawal_url: str
    privacy_rights: tuple[str, ...] | None
    codes_of_conduct: tuple[str, ...] | None
    impact_assessment: str | None
    authority_party: str | None
    service: str | None
    fetch_type: str
    use_limit: int | None
    use_window: str | None
    offline_access: bool
    agreement: Agreement | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """Somebody who has to do with the consent. `party_role` is `controller`, `processor`, `source`, … of the data."""

    party_id: str
    party_name: str
    party_role: str
    party_type: str
    party_address: str
    party_contact: str
    party_email: str | None = None
    party_url: str | None = None
    party_phone: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordEvent:
    """Something that happened. `entity_id` is who did it: the person's own id, a party's, `system`, …

    `event_type` and `event_state` are DPV's terms, or this provider's own (`OWN_TERMS`) where DPV has none;
    `event_kind` and `status` are this provider's words for what happened and what was the case then.
    """

    event_id: str
    seq: int
    event_time: str
    event_kind: str
    event_type: str
    event_state: str
    status: str
    validity_duration: str
    entity_id: str
    channel: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPlace:
    """The log that has the record's newest event, and the commitment by which it has it, in base64url."""

    origin: str
    commitment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentDocument:
    """The whole record: header, notice, processing, parties, events."""

    schema_version: str
    receipt_id: str
    record_id: str
    pii_principal_id: str
    language: str
    privacy_notice: PrivacyNotice
    processing: Processing
    parties: tuple[Party, ...]
    events: tuple[RecordEvent, ...]
    log: LogPlace

    @property
    def state(self) -> str:
        """How the consent stood after the newest event."""
        return self.events[-1].event_state

    @property
    def controller(self) -> Party:
        """Who is responsible: the agency that asked."""
        return next(party for party in self.parties if party.party_id == self.processing.pii_controllers[0])

    @property
    def granted(self) -> tuple[str, ...]:
        """The items that were agreed to."""
        return self._decided(GRANTED)

    @property
    def refused(self) -> tuple[str, ...]:
        """The items that were refused."""
        return self._decided(REFUSED)

    def as_json(self) -> dict[str, Any]:
        """The record in plain JSON values; what is not said is left out."""
        said: dict[str, Any] = plain(self)
        return said

    @classmethod
    def read(cls, said: Any) -> Self:
        """Reads what `as_json` wrote. Error: `RecordRefused`."""
        return read(cls, said, "the record")

    def _decided(self, decision: str) -> tuple[str, ...]:
        items = self.processing.pii_information
        return tuple(item.pii_attribute_id for item in items if item.decision == decision)
