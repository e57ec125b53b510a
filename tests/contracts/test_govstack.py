"""The façade against the published GovStack Consent BB API 1.1: its operations, what they take and what they answer.

Source: GovStack Consent Building Block, api/consent-openapi.yaml (1.1.0-rc1): paths, operation ids and member names.
"""

from typing import Any, Final

import httpx2
import pytest

from idp.provider import Provider

pytestmark = pytest.mark.anyio

# method, path, operationId, query parameters, members of the body, members of the answer
PUBLISHED: Final[tuple[tuple[str, str, str, str, str, str], ...]] = (
    ("post", "/config/policy/", "configPolicyCreate", "", "policy", "policy revision"),
    ("get", "/config/policy/{policyId}/", "configPolicyRead", "revisionId", "", "policy revision"),
    ("put", "/config/policy/{policyId}/", "configPolicyUpdate", "", "policy", "policy revision"),
    ("delete", "/config/policy/{policyId}/", "configPolicyDelete", "", "", "revision"),
    ("get", "/config/policy/{policyId}/revisions/", "configPolicyRevisionsList", "offset limit", "", "policy"),
    ("get", "/config/policies/", "configPolicyList", "revisionId offset limit", "", "policies"),
    ("get", "/config/data-agreement/{dataAgreementId}/", "configDataAgreementRead", "", "", "dataAgreement revision"),
    (
        "put",
        "/config/data-agreement/{dataAgreementId}/",
        "configDataAgreementUpdate",
        "",
        "dataAgreement",
        "dataAgreement revision",
    ),
    ("delete", "/config/data-agreement/{dataAgreementId}/", "configDataAgreementDelete", "", "", "revision"),
    ("post", "/config/data-agreement/", "configDataAgreementCreate", "", "dataAgreement", "dataAgreement revision"),
    ("get", "/config/data-agreements/", "configDataAgreementList", "offset limit", "", "dataAgreement"),
    ("post", "/config/individual/", "configIndividualCreate", "", "individual", "individual"),
    ("get", "/config/individual/{individualId}/", "configIndividualRead", "", "", "individual"),
    ("get", "/config/individuals/", "configIndividualList", "offset limit", "", "individuals"),
    ("post", "/config/webhook/", "configWebhookCreate", "", "webhook", "webhook"),
    ("get", "/config/webhook/{webhookId}/", "configWebhookRead", "revisionId", "", "webhook"),
    ("put", "/config/webhook/{webhookId}/", "configWebhookUpdate", "", "webhook", "webhook"),
    ("delete", "/config/webhook/{webhookId}/", "configWebhookDelete", "", "", ""),
    ("get", "/config/webhooks/", "configWebhookList", "revisionId offset limit", "", "webhooks"),
    ("post", "/service/individual/", "serviceIndividualCreate", "", "individual", "individual"),
    ("get", "/service/individual/{individualId}/", "serviceIndividualRead", "", "", "individual"),
    ("put", "/service/individual/{individualId}/", "serviceIndividualUpdate", "", "individual", "individual"),
    ("get", "/service/individuals/", "serviceIndividualList", "offset limit", "", "individuals"),
    ("get", "/service/data-agreement/{dataAgreementId}/", "serviceDataAgreementRead", "", "", "dataAgreement revision"),
    ("get", "/service/policy/{policyId}/", "servicePolicyRead", "revisionId", "", "policy revision"),
    (
        "get",
        "/service/verification/data-agreements/",
        "serviceVerificationDataAgreementList",
        "offset limit",
        "",
        "dataAgreements",
    ),
    (
        "get",
        "/service/verification/consent-records/",
        "serviceVerificationConsentRecordList",
        "offset limit",
        "",
        "consentRecords",
    ),
    (
        "get",
        "/service/verification/consent-record/{consentRecordId}/",
        "serviceVerificationConsentRecordRead",
        "",
        "",
        "consentRecord revision",
    ),
    (
        "post",
        "/service/individual/record/data-agreement/{dataAgreementId}/",
        "serviceIndividualConsentRecordCreate",
        "individualId revisionId",
        "",
        "consentRecord revision",
    ),
    (
        "get",
        "/service/individual/record/data-agreement/{dataAgreementId}/",
        "serviceIndividualConsentRecordRead",
        "",
        "",
        "consentRecord",
    ),
    (
        "post",
        "/service/individual/record/consent-record/draft/",
        "serviceIndividualConsentRecordDraftCreate",
        "individualId dataAgreementId revisionId",
        "",
        "consentRecord signature",
    ),
    (
        "post",
        "/service/individual/record/consent-record/",
        "serviceIndividualConsentRecordSignatureCreate",
        "",
        "consentRecord signature",
        "consentRecord revision signature",
    ),
    (
        "get",
        "/service/individual/record/consent-record/",
        "serviceIndividualConsentRecordList",
        "offset limit",
        "",
        "consentRecords",
    ),
    (
        "put",
        "/service/individual/record/consent-record/{consentRecordId}/",
        "serviceIndividualConsentRecordUpdate",
        "",
        "consentRecord",
        "consentRecord revision",
    ),
    (
        "post",
        "/service/individual/record/consent-record/{consentRecordId}/signature/",
        "serviceIndividualSignatureCreate",
        "",
        "signature",
        "signature",
    ),
    (
        "put",
        "/service/individual/record/consent-record/{consentRecordId}/signature/",
        "serviceIndividualSignatureUpdate",
        "",
        "signature",
        "signature",
    ),
    (
        "get",
        "/service/individual/record/data-agreement/{dataAgreementId}/all/",
        "serviceIndividualDataAgreementConsentRecordList",
        "offset limit",
        "",
        "consentRecords",
    ),
    ("delete", "/service/individual/record/", "serviceIndividualConsentRecordDeleteAll", "", "", ""),
    ("get", "/audit/consent-records/", "auditConsentRecordList", "offset limit", "", "consentRecords"),
    ("get", "/audit/consent-record/{consentRecordId}/", "auditConsentRecordRead", "", "", "consentRecord"),
    ("get", "/audit/data-agreements/", "auditDataAgreementList", "offset limit", "", "dataAgreements"),
    ("get", "/audit/data-agreement/{dataAgreementId}/", "auditDataAgreementRead", "", "", "dataAgreement"),
)

# The members that each published object must have, and those that it requires.
OBJECTS: Final[dict[str, str]] = {
    "Individual": "id externalId externalIdType identityProviderId",
    "DataAgreement": (
        "id version controller policy purpose lawfulBasis dataUse dpia active forgettable compatibleWithVersion "
        "lifecycle"
    ),
    "Policy": (
        "id name version url jurisdiction industrySector dataRetentionPeriodDays geographicRestriction storageLocation"
    ),
    "ConsentRecord": (
        "id dataAgreement dataAgreementRevision dataAgreementRevisionHash individual optIn state signature"
    ),
    "Revision": (
        "id schemaName objectId signedWithoutObjectId serializedSnapshot serializedHash timestamp "
        "authorizedByIndividual authorizedByOther successor predecessorHash predecessorSignature"
    ),
    "Signature": (
        "id payload signature verificationMethod verificationPayload verificationPayloadHash verificationSignedBy "
        "verificationSignedAs verificationJwsHeader timestamp objectType objectReference"
    ),
    "Webhook": "id payloadUrl contentType disabled secretKey",
}


@pytest.fixture
async def document(provider: Provider, client: httpx2.AsyncClient) -> dict[str, Any]:
    """Our own OpenAPI document."""
    answer = await client.get("/govstack/v1/openapi.json")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def _members(document: dict[str, Any], content: dict[str, Any]) -> set[str]:
    schema = content["content"]["application/json"]["schema"]
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return set(schema.get("properties", {}))


async def test_every_published_operation_is_there_as_published(document: dict[str, Any]) -> None:
    for method, path, operation_id, query, body, answer in PUBLISHED:
        operation = document["paths"][path][method]
        assert operation["operationId"] == operation_id
        asked = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"}
        assert set(query.split()) <= asked, path
        assert set(operation["responses"]) >= {"200", "400"}, path
        if body:
            assert set(body.split()) <= _members(document, operation["requestBody"]) | {"signature"}, path
        if answer:
            assert set(answer.split()) <= _members(document, operation["responses"]["200"]), path


async def test_nothing_is_there_that_was_not_published(document: dict[str, Any]) -> None:
    published = {(method, path) for method, path, *_ in PUBLISHED}
    ours = {(method, path) for path, operations in document["paths"].items() for method in operations}
    assert ours == published


@pytest.mark.parametrize("name", OBJECTS)
async def test_every_published_object_has_its_members(document: dict[str, Any], name: str) -> None:
    ours = document["components"]["schemas"][name]["properties"]
    assert set(OBJECTS[name].split()) <= set(ours)


async def test_every_operation_names_the_scope_that_it_needs(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        part = path.split("/")[1]
        for operation in operations.values():
            assert operation["security"] == [{"client_credentials": [f"govstack:{part}"]}], path
