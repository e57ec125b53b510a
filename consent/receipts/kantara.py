"""A record as a Kantara Consent Receipt 1.1: what earlier tools for consent receipts read.

The format has one sensitivity for the whole, no refusals, no history and no proof, so it carries less than the record:
`read` gives back what it carries. Where there was no choice it says so with `N/A`, as its own example does.
Spec: Kantara Initiative Consent Receipt Specification 1.1.0 (§4, and the published JSON schema).
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from consent.receipts.errors import RecordRefused
from consent.receipts.record import ConsentDocument

MEDIA_TYPE: Final = "application/json"
VERSION: Final = "KI-CR-v1.1.0"
_EXPLICIT: Final = "EXPLICIT"
_NO_CHOICE: Final = "N/A"
_CONSENT: Final = "ExplicitlyExpressedConsent"
_DPV_PURPOSE: Final = "https://w3id.org/dpv#Purpose"


def export(record: ConsentDocument) -> dict[str, Any]:
    """The record as a consent receipt. Its time is that of the newest event, in seconds since 1970."""
    process = record.processing
    newest = record.events[-1]
    controllers = [party for party in record.parties if party.party_id in process.pii_controllers]
    specific = sorted({item.sensitive_pii_category for item in process.pii_information if item.sensitive_pii_category})
    third_parties = ", ".join(process.recipient_third_parties)
    purpose = {
        "purpose": process.purpose,
        "consentType": _EXPLICIT if newest.event_type == _CONSENT else _NO_CHOICE,
        "purposeCategory": [process.purpose_type or _DPV_PURPOSE],
        "piiCategory": list(record.granted),
        "primaryPurpose": True,
        "termination": process.retention_period,
        "thirdPartyDisclosure": bool(third_parties),
        **({"thirdPartyName": third_parties} if third_parties else {}),
    }
    return {
        "version": VERSION,
        "jurisdiction": process.jurisdiction,
        "consentTimestamp": int(datetime.fromisoformat(newest.event_time).timestamp()),
        "collectionMethod": newest.channel or "",
        "consentReceiptID": record.receipt_id,
        "language": record.language,
        "piiPrincipalId": record.pii_principal_id,
        "piiControllers": [
            {
                "piiController": party.party_name,
                "onBehalf": False,
                "contact": party.party_contact,
                "address": {"streetAddress": party.party_address},
                # The format wants both; an agency may have neither.
                "email": party.party_email or "",
                "phone": party.party_phone or "",
                **({"piiControllerUrl": party.party_url} if party.party_url else {}),
            }
            for party in controllers
        ],
        "policyUrl": record.privacy_notice.url,
        "services": [{"service": process.service or process.purpose, "purposes": [purpose]}],
        "sensitive": bool(specific),
        "spiCat": specific,
    }


def read(receipt: Any) -> dict[str, Any]:
    """What a receipt carries of a record, in the record's own words. Error: `RecordRefused`."""
    try:
        return _read(receipt)
    except (KeyError, TypeError, IndexError, AttributeError, ValueError, OverflowError) as wrong:
        raise RecordRefused(f"this is no Kantara consent receipt 1.1 of one purpose: {wrong!r}") from None


def _read(receipt: Mapping[str, Any]) -> dict[str, Any]:
    if receipt["version"] != VERSION:
        raise RecordRefused(f"the receipt is of version {receipt['version']!r}, not {VERSION}")
    (service,) = receipt["services"]
    (purpose,) = service["purposes"]
    kind = purpose["purposeCategory"][0]
    third_parties = purpose["thirdPartyName"].split(", ") if purpose["thirdPartyDisclosure"] else []
    return {
        "receipt_id": receipt["consentReceiptID"],
        "pii_principal_id": receipt["piiPrincipalId"],
        "language": receipt["language"],
        "privacy_notice": {"url": receipt["policyUrl"]},
        "event_time": datetime.fromtimestamp(receipt["consentTimestamp"], UTC).isoformat(timespec="seconds"),
        "channel": receipt["collectionMethod"],
        "is_choice": purpose["consentType"] == _EXPLICIT,
        "granted": list(purpose["piiCategory"]),
        "sensitive_pii_categories": list(receipt["spiCat"]),
        "processing": {
            "purpose": purpose["purpose"],
            "purpose_type": None if kind == _DPV_PURPOSE else kind,
            "jurisdiction": receipt["jurisdiction"],
            "retention_period": purpose["termination"],
            "recipient_third_parties": third_parties,
        },
        "controllers": [
            {
                "party_name": party["piiController"],
                "party_contact": party["contact"],
                "party_address": party["address"].get("streetAddress", ""),
                "party_email": party["email"] or None,
                "party_phone": party["phone"] or None,
                "party_url": party.get("piiControllerUrl"),
            }
            for party in receipt["piiControllers"]
        ],
    }
