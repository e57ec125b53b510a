"""Records for the tests of formats: one with everything said, and one with as little as there can be."""

from typing import Any, Final

from consent.receipts.record import ConsentDocument

FULL: Final[dict[str, Any]] = {
    "schema_version": "satupintu-27560/1",
    "receipt_id": "01980000-0000-7000-8000-000000000002",
    "record_id": "01980000-0000-7000-8000-000000000001",
    "pii_principal_id": "kQ3",
    "language": "id",
    "privacy_notice": {"url": "https://idp.test/notices/ab", "sha256": "ab" * 32},
    "processing": {
        "purpose": "Verifikasi penerima bansos",
        "purpose_description": "Memeriksa.\nSekali.",
        "purpose_code": "bansos-verif",
        "purpose_version": "bansos-verif@3",
        "purpose_hash": "cd" * 32,
        "purpose_type": "https://w3id.org/dpv#ServiceProvision",
        "lawful_basis": "uupdp:20.2.a",
        "legal_citation": "UU 27/2022 pasal 20 ayat (2) huruf a",
        "pii_information": [
            {
                "pii_type": "NIK",
                "pii_attribute_id": "urn:satupintu:claims:nik",
                "pii_optional": False,
                "decision": "granted",
                "dpv_iri": "https://w3id.org/dpv/pd#OfficialID",
                "why": "Untuk mencocokkan",
            },
            {
                "pii_type": "Penyakit",
                "pii_attribute_id": "urn:satupintu:data:kemenkes:riwayat",
                "pii_optional": True,
                "decision": "granted",
                "dpv_iri": "https://w3id.org/dpv/pd#HealthRecord",
                "sensitive_pii_category": "health",
                "source": "kemenkes",
            },
            {"pii_type": "alamat", "pii_attribute_id": "address", "pii_optional": True, "decision": "refused"},
        ],
        "pii_controllers": ["kemensos"],
        "collection_method": "Dari akun Anda",
        "processing_method": ["https://w3id.org/dpv#Collect", "https://w3id.org/dpv#Use"],
        "storage_locations": ["ID", "ID-JK"],
        "processing_locations": ["ID"],
        "geographic_restrictions": ["ID"],
        "retention_period": "P365D",
        "jurisdiction": "ID",
        "recipient_third_parties": ["Bank Satu", "Pos"],
        "withdrawal_method": "Di Satu Pintu",
        "withdrawal_url": "https://idp.test/my/consents",
        "privacy_rights": ["access", "withdrawal"],
        "codes_of_conduct": ["SNI 1"],
        "impact_assessment": "https://kemensos.example/dpia",
        "authority_party": "Lembaga PDP, lapor@pdp.example",
        "service": "Bantuan sosial",
        "fetch_type": "periodic",
        "use_limit": 3,
        "use_window": "P30D",
        "offline_access": True,
        "agreement": {"code": "pks-7", "version": 2, "instrument": "cooperation_agreement PKS-7/2026"},
    },
    "parties": [
        {
            "party_id": "kemensos",
            "party_name": "Kementerian Sosial",
            "party_role": "controller",
            "party_type": "government",
            "party_address": "Jalan Salemba 28",
            "party_contact": "pdp@kemensos.example",
            "party_email": "halo@kemensos.example",
            "party_url": "https://kemensos.example",
            "party_phone": "+62 21 1",
        },
        {
            "party_id": "kemenkes",
            "party_name": "Kementerian Kesehatan",
            "party_role": "source",
            "party_type": "government",
            "party_address": "Jalan Rasuna",
            "party_contact": "pdp@kemenkes.example",
        },
    ],
    "events": [
        {
            "event_id": "01980000-0000-7000-8000-000000000003",
            "seq": 1,
            "event_time": "2026-01-05T03:12:09.000001+00:00",
            "event_kind": "granted",
            "event_type": "ExplicitlyExpressedConsent",
            "event_state": "ConsentGiven",
            "status": "given",
            "validity_duration": "P90D",
            "entity_id": "kQ3",
            "channel": "web",
            "language": "id",
        },
        {
            "event_id": "01980000-0000-7000-8000-000000000002",
            "seq": 2,
            "event_time": "2026-02-05T03:12:09.000000+00:00",
            "event_kind": "changed",
            "event_type": "ExplicitlyExpressedConsent",
            "event_state": "ConsentGiven",
            "status": "given",
            "validity_duration": "P59DT23H0.000001S",
            "entity_id": "kQ3",
            "channel": "counter",
        },
    ],
    "log": {"origin": "idp.test/log", "commitment": "AA"},
}


def least() -> dict[str, Any]:
    """The record of a notice under the law: no choice, nothing optional, nobody else."""
    processing = {
        name: FULL["processing"][name]
        for name in (
            "purpose",
            "purpose_description",
            "purpose_code",
            "purpose_version",
            "purpose_hash",
            "legal_citation",
            "pii_controllers",
            "storage_locations",
            "retention_period",
            "jurisdiction",
            "withdrawal_method",
            "withdrawal_url",
        )
    } | {
        "lawful_basis": "uupdp:20.2.e",
        "pii_information": [
            {"pii_type": "NIK", "pii_attribute_id": "nik", "pii_optional": False, "decision": "granted"}
        ],
        "recipient_third_parties": [],
        "fetch_type": "onetime",
        "offline_access": False,
    }
    event = FULL["events"][0] | {
        "event_type": "PublicInterest",
        "event_state": "urn:satupintu:terms:notice_given",
        "entity_id": "system",
    }
    party = {name: value for name, value in FULL["parties"][0].items() if name not in _ADDRESSES}
    return {**FULL, "processing": processing, "parties": [party], "events": [event]}


_ADDRESSES: Final = {"party_email", "party_url", "party_phone"}


def full_record() -> ConsentDocument:
    """The record with everything said."""
    return ConsentDocument.read(FULL)


def least_record() -> ConsentDocument:
    """The record with as little as there can be."""
    return ConsentDocument.read(least())
