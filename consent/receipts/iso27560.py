"""A record as JSON-LD in the W3C Data Privacy Vocabulary: what machines of other countries read.

The whole record is in it, so that it can be read back. The context is inline: nobody has to fetch one from the network
to know what a record says, and nobody learns who is reading it.
Spec: ISO/IEC TS 27560:2023, by W3C DPV "Consent Records and Receipts" (2024-08-01); JSON-LD 1.1 §4.1.
"""

from collections.abc import Mapping
from typing import Any, Final

from consent.receipts.errors import RecordRefused
from consent.receipts.record import OWN_TERMS, ConsentDocument

MEDIA_TYPE: Final = "application/ld+json"
CONTEXT: Final[Mapping[str, str]] = {
    "dpv": "https://w3id.org/dpv#",
    "pd": "https://w3id.org/dpv/pd#",
    "dct": "http://purl.org/dc/terms/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "sp": OWN_TERMS,
}
_PROFILE: Final = "https://w3id.org/dpv/schema/dpv-27560"
_NECESSITY: Final = {True: "dpv:Optional", False: "dpv:Required"}
_DECISION: Final = {"granted": "sp:granted", "refused": "sp:refused"}
_ROLES: Final = {"controller": "dpv:DataController", "processor": "dpv:DataProcessor", "source": "dpv:DataSource"}
# The rest of a party, of the processing and of an event: our member, and the vocabulary's name for it.
_PARTY: Final = {
    "party_id": "dct:identifier",
    "party_name": "dpv:hasName",
    "party_type": "sp:partyType",
    "party_address": "dpv:hasAddress",
    "party_contact": "dpv:hasContact",
    "party_email": "sp:email",
    "party_url": "sp:url",
    "party_phone": "sp:phone",
}
_PROCESS: Final = {
    "collection_method": "dpv:hasDataSource",
    "processing_method": "dpv:hasProcessing",
    "geographic_restrictions": "dpv:hasRule",
    "recipient_third_parties": "dpv:hasRecipient",
    "codes_of_conduct": "dpv:hasOrganisationalMeasure",
    "impact_assessment": "dpv:hasImpactAssessment",
    "authority_party": "dpv:hasAuthority",
    "service": "dpv:hasService",
    "fetch_type": "dpv:hasFrequency",
    "use_limit": "sp:useLimit",
    "use_window": "sp:useWindow",
    "offline_access": "sp:offlineAccess",
}
_EVENT: Final = {
    "event_id": "dct:identifier",
    "seq": "sp:seq",
    "event_kind": "sp:kind",
    "status": "sp:status",
    "event_time": "dpv:isIndicatedAtTime",
    "entity_id": "dpv:isIndicatedBy",
    "channel": "dpv:hasIndicationMethod",
    "language": "dct:language",
}
_ITEM: Final = {
    "pii_type": "dct:title",
    "pii_attribute_id": "dct:identifier",
    "why": "dpv:hasJustification",
    "source": "dpv:hasDataSource",
}


def export(record: ConsentDocument) -> dict[str, Any]:
    """The record as a JSON-LD document."""
    said = record.as_json()
    process = said["processing"]
    return {
        "@context": dict(CONTEXT),
        "@id": f"urn:uuid:{record.receipt_id}",
        "@type": "dpv:ConsentReceipt",
        "dct:identifier": record.receipt_id,
        "dct:conformsTo": f"{_PROFILE}#receipt",
        "dpv:hasRecordOfActivity": {
            "@id": f"urn:uuid:{record.record_id}",
            "@type": "dpv:ConsentRecord",
            "dct:identifier": record.record_id,
            "dct:conformsTo": f"{_PROFILE}#record",
            "sp:schemaVersion": record.schema_version,
            "dct:language": record.language,
            "dpv:hasDataSubject": {"@type": "dpv:DataSubject", "dct:identifier": record.pii_principal_id},
            "dpv:hasNotice": {
                "@type": "dpv:PrivacyNotice",
                "@id": record.privacy_notice.url,
                "sp:sha256": record.privacy_notice.sha256,
            },
            "dpv:hasDataController": list(record.processing.pii_controllers),
            "dpv:hasJurisdiction": record.processing.jurisdiction,
            "dpv:hasLegalBasis": {
                "dct:identifier": process["lawful_basis"],
                "dct:source": process["legal_citation"],
            },
            "dpv:hasProcess": _process(process),
            "dpv:hasConsentControl": {
                "@type": "dpv:WithdrawConsent",
                "dpv:isExercisedAt": process["withdrawal_url"],
                "dct:description": process["withdrawal_method"],
            },
            **({"dpv:hasRight": process["privacy_rights"]} if "privacy_rights" in process else {}),
            **({"sp:agreement": process["agreement"]} if "agreement" in process else {}),
            "dpv:hasEntity": [
                {"@type": _ROLES.get(one["party_role"], f"sp:{one['party_role']}"), **_renamed(one, _PARTY)}
                for one in said["parties"]
            ],
            "dpv:hasConsentStatus": [_event(one) for one in said["events"]],
            "sp:log": said["log"],
        },
    }


def read(document: Any) -> ConsentDocument:
    """Reads what `export` wrote. Error: `RecordRefused`."""
    try:
        return _read(document)
    except (KeyError, TypeError, AttributeError, StopIteration, ValueError) as wrong:
        raise RecordRefused(f"the JSON-LD document is not a record of ours: {wrong!r}") from None


def _process(process: Mapping[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {
        "@type": "dpv:Process",
        "dpv:hasPurpose": {
            "@type": _compact(process.get("purpose_type") or f"{CONTEXT['dpv']}Purpose"),
            "dct:title": process["purpose"],
            "dct:description": process["purpose_description"],
            "dct:identifier": process["purpose_code"],
            "dct:hasVersion": process["purpose_version"],
            "sp:sha256": process["purpose_hash"],
        },
        "dpv:hasPersonalData": [_item(one) for one in process["pii_information"]],
        "dpv:hasStorageCondition": [
            {"@type": "dpv:StorageLocation", "dpv:hasLocation": process["storage_locations"]},
            {"@type": "dpv:StorageDuration", "dpv:hasDuration": process["retention_period"]},
        ],
        **_renamed(process, _PROCESS),
    }
    if "processing_locations" in process:
        said["dpv:hasProcessingCondition"] = [
            {"@type": "dpv:ProcessingLocation", "dpv:hasLocation": process["processing_locations"]}
        ]
    return said


def _item(item: Mapping[str, Any]) -> dict[str, Any]:
    said = {
        "@type": _compact(item.get("dpv_iri") or f"{CONTEXT['dpv']}PersonalData"),
        "dpv:hasNecessity": _NECESSITY[item["pii_optional"]],
        "sp:decision": _DECISION[item["decision"]],
        **_renamed(item, _ITEM),
    }
    if "sensitive_pii_category" in item:
        said["@type"] = [said["@type"], "dpv:SensitivePersonalData"]
        said["sp:category"] = item["sensitive_pii_category"]
    return said


def _event(event: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "@type": [_compact(_full(event["event_state"])), _compact(_full(event["event_type"]))],
        "dpv:hasDuration": event["validity_duration"],
        **_renamed(event, _EVENT),
    }


def _read(document: Any) -> ConsentDocument:
    if document["@context"] != dict(CONTEXT) or document["@type"] != "dpv:ConsentReceipt":
        raise RecordRefused("the JSON-LD document has another context, or is no receipt")
    record = document["dpv:hasRecordOfActivity"]
    process = record["dpv:hasProcess"]
    purpose = process["dpv:hasPurpose"]
    conditions = [*process["dpv:hasStorageCondition"], *process.get("dpv:hasProcessingCondition", ())]
    by_type = {condition["@type"]: condition for condition in conditions}
    processing = {
        **_named_back(process, _PROCESS),
        "purpose": purpose["dct:title"],
        "purpose_description": purpose["dct:description"],
        "purpose_code": purpose["dct:identifier"],
        "purpose_version": purpose["dct:hasVersion"],
        "purpose_hash": purpose["sp:sha256"],
        "lawful_basis": record["dpv:hasLegalBasis"]["dct:identifier"],
        "legal_citation": record["dpv:hasLegalBasis"]["dct:source"],
        "pii_information": [_read_item(one) for one in process["dpv:hasPersonalData"]],
        "pii_controllers": record["dpv:hasDataController"],
        "storage_locations": by_type["dpv:StorageLocation"]["dpv:hasLocation"],
        "retention_period": by_type["dpv:StorageDuration"]["dpv:hasDuration"],
        "jurisdiction": record["dpv:hasJurisdiction"],
        "withdrawal_url": record["dpv:hasConsentControl"]["dpv:isExercisedAt"],
        "withdrawal_method": record["dpv:hasConsentControl"]["dct:description"],
    }
    if purpose["@type"] != "dpv:Purpose":
        processing["purpose_type"] = _expand(purpose["@type"])
    if "dpv:ProcessingLocation" in by_type:
        processing["processing_locations"] = by_type["dpv:ProcessingLocation"]["dpv:hasLocation"]
    for ours, theirs in (("privacy_rights", "dpv:hasRight"), ("agreement", "sp:agreement")):
        if theirs in record:
            processing[ours] = record[theirs]
    return ConsentDocument.read(
        {
            "schema_version": record["sp:schemaVersion"],
            "receipt_id": document["dct:identifier"],
            "record_id": record["dct:identifier"],
            "pii_principal_id": record["dpv:hasDataSubject"]["dct:identifier"],
            "language": record["dct:language"],
            "privacy_notice": {"url": record["dpv:hasNotice"]["@id"], "sha256": record["dpv:hasNotice"]["sp:sha256"]},
            "processing": processing,
            "parties": [_read_party(one) for one in record["dpv:hasEntity"]],
            "events": [_read_event(one) for one in record["dpv:hasConsentStatus"]],
            "log": record["sp:log"],
        }
    )


def _read_item(item: Mapping[str, Any]) -> dict[str, Any]:
    said = {
        **_named_back(item, _ITEM),
        "pii_optional": item["dpv:hasNecessity"] == _NECESSITY[True],
        "decision": next(ours for ours, theirs in _DECISION.items() if theirs == item["sp:decision"]),
    }
    kind = item["@type"]
    if isinstance(kind, list):
        kind, said["sensitive_pii_category"] = kind[0], item["sp:category"]
    if kind != "dpv:PersonalData":
        said["dpv_iri"] = _expand(kind)
    return said


def _read_party(party: Mapping[str, Any]) -> dict[str, Any]:
    roles = {theirs: ours for ours, theirs in _ROLES.items()}
    role = party["@type"]
    return {**_named_back(party, _PARTY), "party_role": roles.get(role) or role.removeprefix("sp:")}


def _read_event(event: Mapping[str, Any]) -> dict[str, Any]:
    state, kind = (_short(_expand(one)) for one in event["@type"])
    return {
        **_named_back(event, _EVENT),
        "event_state": state,
        "event_type": kind,
        "validity_duration": event["dpv:hasDuration"],
    }


def _renamed(said: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {theirs: said[ours] for ours, theirs in names.items() if ours in said}


def _named_back(said: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {ours: said[theirs] for ours, theirs in names.items() if theirs in said}


def _full(term: str) -> str:
    return term if ":" in term else f"{CONTEXT['dpv']}{term}"


def _short(iri: str) -> str:
    return iri.removeprefix(CONTEXT["dpv"])


def _compact(iri: str) -> str:
    # `pd` begins as `dpv` does not, so the order does not matter: the hash ends both.
    for prefix, begins in CONTEXT.items():
        if iri.startswith(begins):
            return f"{prefix}:{iri.removeprefix(begins)}"
    return iri


def _expand(term: str) -> str:
    prefix, _, rest = term.partition(":")
    return f"{CONTEXT[prefix]}{rest}" if prefix in CONTEXT else term
