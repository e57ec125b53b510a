"""One record in three formats: each as its schema wants it, and read back without loss of what it can carry."""

import copy
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from consent.receipts import iso27560, kantara, oauth_grant
from consent.receipts.durations import days, duration, read_duration
from consent.receipts.errors import RecordRefused
from consent.receipts.formats import FORMATS
from consent.receipts.record import ConsentDocument
from tests.consent.receipts.samples import FULL, full_record, least, least_record

VECTORS = Path(__file__).parents[2] / "vectors"
SCHEMAS = {
    "iso27560": "iso-27560-dpv.schema.json",
    "kantara": "kantara-consent-receipt-1.1.schema.json",
    "oauth": "oauth-grant.schema.json",
}


def schema(name: str) -> Draft202012Validator:
    """The validator of a format."""
    said = json.loads((VECTORS / SCHEMAS[name]).read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(said)
    return Draft202012Validator(said)


RECORDS = [full_record, least_record]


@pytest.mark.parametrize("make", RECORDS)
@pytest.mark.parametrize("name", FORMATS)
def test_each_format_is_as_its_schema_wants_it(name: str, make: Callable[[], ConsentDocument]) -> None:
    schema(name).validate(FORMATS[name].export(make()))


# A member of each format that must be there.
NEEDED = {
    "iso27560": [
        ("@type",),
        ("dct:identifier",),
        ("dpv:hasRecordOfActivity", "dpv:hasDataSubject"),
        ("dpv:hasRecordOfActivity", "dpv:hasConsentControl"),
        ("dpv:hasRecordOfActivity", "dpv:hasJurisdiction"),
        ("dpv:hasRecordOfActivity", "dpv:hasProcess", "dpv:hasStorageCondition", 0),
        ("dpv:hasRecordOfActivity", "dpv:hasProcess", "dpv:hasStorageCondition", 1),
        ("dpv:hasRecordOfActivity", "dpv:hasProcess", "dpv:hasRecipient"),
        ("dpv:hasRecordOfActivity", "dpv:hasConsentStatus", 0, "dpv:hasDuration"),
        ("dpv:hasRecordOfActivity", "dpv:hasEntity", 0, "dpv:hasAddress"),
    ],
    "kantara": [
        *(
            (one,)
            for one in (
                "version",
                "jurisdiction",
                "consentTimestamp",
                "collectionMethod",
                "consentReceiptID",
                "piiPrincipalId",
                "piiControllers",
                "services",
                "policyUrl",
                "sensitive",
                "spiCat",
            )
        ),
        *(
            ("services", 0, "purposes", 0, one)
            for one in (
                "consentType",
                "purposeCategory",
                "piiCategory",
                "termination",
                "thirdPartyDisclosure",
                "thirdPartyName",
            )
        ),
        *(("piiControllers", 0, one) for one in ("piiController", "contact", "address", "email", "phone")),
    ],
    "oauth": [("scopes",), ("claims",), ("authorization_details",), ("authorization_details", 0, "type")],
}


@pytest.mark.parametrize(("name", "path"), [(name, path) for name, paths in NEEDED.items() for path in paths])
def test_a_schema_misses_what_is_missing(name: str, path: tuple[Any, ...]) -> None:
    document = copy.deepcopy(FORMATS[name].export(full_record()))
    place: Any = document
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    with pytest.raises(ValidationError):
        schema(name).validate(document)


@pytest.mark.parametrize("make", RECORDS)
def test_the_record_itself_is_read_back(make: Callable[[], ConsentDocument]) -> None:
    record = make()
    assert ConsentDocument.read(json.loads(json.dumps(record.as_json()))) == record


@pytest.mark.parametrize("make", RECORDS)
def test_json_ld_carries_the_whole_record(make: Callable[[], ConsentDocument]) -> None:
    record = make()
    assert iso27560.read(json.loads(json.dumps(iso27560.export(record)))) == record


def test_json_ld_uses_no_prefix_that_it_does_not_define() -> None:
    def names(value: Any) -> set[str]:
        if isinstance(value, dict):
            return set(value) | {name for one in value.values() for name in names(one)}
        return {name for one in value for name in names(one)} if isinstance(value, list) else set()

    document = iso27560.export(full_record())
    context = document.pop("@context")
    plain = {"code", "version", "instrument", "origin", "commitment"}
    for name in names(document) - plain:
        assert name.startswith("@") or name.partition(":")[0] in context, name
    assert all(isinstance(iri, str) and iri.endswith(("#", "/", ":")) for iri in context.values())


@pytest.mark.parametrize("make", RECORDS)
def test_kantara_carries_what_it_can(make: Callable[[], ConsentDocument]) -> None:
    record = make()
    carried = kantara.read(json.loads(json.dumps(kantara.export(record))))
    process, newest = record.processing, record.events[-1]
    assert carried == {
        "receipt_id": record.receipt_id,
        "pii_principal_id": record.pii_principal_id,
        "language": record.language,
        "privacy_notice": {"url": record.privacy_notice.url},
        "event_time": newest.event_time[:19] + "+00:00",
        "channel": newest.channel,
        "is_choice": process.lawful_basis == "uupdp:20.2.a",
        "granted": list(record.granted),
        "sensitive_pii_categories": ["health"] if make is full_record else [],
        "processing": {
            "purpose": process.purpose,
            "purpose_type": process.purpose_type,
            "jurisdiction": process.jurisdiction,
            "retention_period": process.retention_period,
            "recipient_third_parties": list(process.recipient_third_parties),
        },
        "controllers": [
            {
                "party_name": record.controller.party_name,
                "party_contact": record.controller.party_contact,
                "party_address": record.controller.party_address,
                "party_email": record.controller.party_email,
                "party_phone": record.controller.party_phone,
                "party_url": record.controller.party_url,
            }
        ],
    }


@pytest.mark.parametrize("make", RECORDS)
def test_a_grant_carries_what_it_can(make: Callable[[], ConsentDocument]) -> None:
    record = make()
    carried = oauth_grant.read(json.loads(json.dumps(oauth_grant.export(record))))
    process, newest = record.processing, record.events[-1]
    assert carried == {
        "record_id": record.record_id,
        "pii_principal_id": record.pii_principal_id,
        "status": newest.status,
        "event_time": newest.event_time,
        "validity_duration": newest.validity_duration,
        "granted": list(record.granted),
        "processing": {
            "purpose_code": process.purpose_code,
            "purpose_version": process.purpose_version,
            "purpose_hash": process.purpose_hash,
            "fetch_type": process.fetch_type,
            "use_limit": process.use_limit,
            "use_window": process.use_window,
            "offline_access": process.offline_access,
            "agreement": process.agreement.code if process.agreement else None,
        },
    }


@pytest.mark.parametrize("status", ["withdrawn", "paused", "refused", "expired", "superseded", "unknown"])
def test_a_grant_that_is_not_in_force_grants_nothing(status: str) -> None:
    said = copy.deepcopy(FULL)
    said["events"][-1]["status"] = status
    grant = oauth_grant.export(ConsentDocument.read(said))
    assert (grant["claims"], grant["scopes"], grant["authorization_details"][0]["datatypes"]) == ([], [], [])
    schema("oauth").validate(grant)


def test_where_there_was_no_choice_no_format_says_consent() -> None:
    record = least_record()
    receipt = kantara.export(record)
    assert receipt["services"][0]["purposes"][0]["consentType"] == "N/A"
    told = json.dumps(iso27560.export(record))
    assert "ConsentGiven" not in told
    assert "ExplicitlyExpressedConsent" not in told


@pytest.mark.parametrize(
    ("read", "broken"),
    [
        (ConsentDocument.read, {**FULL, "more": 1}),
        (ConsentDocument.read, {**FULL, "language": None}),
        (ConsentDocument.read, {**FULL, "events": "none"}),
        (ConsentDocument.read, {**least(), "processing": {}}),
        (ConsentDocument.read, []),
        (iso27560.read, {}),
        (iso27560.read, {**iso27560.export(full_record()), "@context": "https://w3id.org/dpv"}),
        (iso27560.read, []),
        (kantara.read, {**kantara.export(full_record()), "version": "KI-CR-v1.0.0"}),
        (kantara.read, {**kantara.export(full_record()), "services": []}),
        (kantara.read, None),
        (oauth_grant.read, {**oauth_grant.export(full_record()), "claims": ["more"]}),
        (oauth_grant.read, {**oauth_grant.export(full_record()), "authorization_details": []}),
        (oauth_grant.read, 1),
    ],
)
def test_what_is_not_of_the_format_is_refused(read: Callable[[Any], Any], broken: Any) -> None:
    with pytest.raises(RecordRefused):
        read(broken)


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(0), "PT0S"),
        (timedelta(seconds=-5), "PT0S"),
        (timedelta(days=90), "P90D"),
        (timedelta(hours=1), "PT1H"),
        (timedelta(days=1, minutes=2, seconds=3), "P1DT2M3S"),
        (timedelta(microseconds=5), "PT0.000005S"),
        (timedelta(days=400, hours=23, minutes=59, seconds=59, microseconds=999999), "P400DT23H59M59.999999S"),
    ],
)
def test_a_duration_is_written_and_read_exactly(length: timedelta, text: str) -> None:
    assert duration(length) == text
    assert read_duration(text) == max(length, timedelta(0))


@pytest.mark.parametrize("text", ["P", "PT", "P1Y", "P1M", "1D", "P-1D", "P1DT", "P1.5D", "PT1.5S", "", "P1D "])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(RecordRefused):
        read_duration(text)


def test_a_number_of_days_stays_one() -> None:
    assert read_duration(days(0)) == timedelta(0)
    assert read_duration(days(365)) == timedelta(days=365)
