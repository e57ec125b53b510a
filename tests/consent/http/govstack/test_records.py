"""People's records through the GovStack API: read, asked for, taken back; never given in a person's place."""

import jwt
import pytest

from tests.consent.http.govstack.conftest import GovStackWorld
from tests.support.clock import FakeClock

pytestmark = pytest.mark.anyio


async def test_a_consent_that_stands_is_listed_and_read_with_its_revision(govstack: GovStackWorld) -> None:
    listed = await govstack.ok("GET", "/service/verification/consent-records/", individualId=govstack.sub)
    (record,) = listed["consentRecords"]
    read = await govstack.ok("GET", f"/service/verification/consent-record/{record['id']}/")
    purpose = govstack.world.purpose
    assert record["id"] == govstack.consent_id
    assert record["optIn"] is True
    assert record["state"] == "signed"
    assert record["individual"]["id"] == govstack.sub
    assert record["dataAgreementRevisionHash"] == purpose.digest.hex()
    assert read["consentRecord"] == record
    assert read["revision"]["schemaName"] == "consentRecord"
    assert read["revision"]["objectId"] == record["id"]


async def test_an_app_takes_a_consent_back_for_the_person_and_its_tokens_are_dead(govstack: GovStackWorld) -> None:
    world = govstack.world
    tokens = await govstack.agree()
    assert (await world.userinfo(tokens["access_token"])).status_code == 200
    path = f"/service/individual/record/consent-record/{govstack.consent_id}/"
    answered = await govstack.ok("PUT", path, json={"consentRecord": {"optIn": False}})
    assert answered["consentRecord"]["optIn"] is False
    assert answered["revision"]["authorizedByOther"] == f"client:{govstack.app.client_id}"
    assert (await world.userinfo(tokens["access_token"])).status_code == 401
    again = await govstack.ok("PUT", path, json={"consentRecord": {"optIn": False}})
    assert again["revision"]["id"] == answered["revision"]["id"]


async def test_no_app_gives_a_consent_in_a_persons_place(govstack: GovStackWorld) -> None:
    path = f"/service/individual/record/consent-record/{govstack.consent_id}/"
    await govstack.ok("PUT", path, json={"consentRecord": {"optIn": False}})
    given = await govstack.call("PUT", path, json={"consentRecord": {"optIn": True}})
    signed = await govstack.call(
        "POST",
        "/service/individual/record/consent-record/",
        json={"consentRecord": {"optIn": True}, "signature": {}},
    )
    for method in ("POST", "PUT"):
        answer = await govstack.call(method, f"{path}signature/", json={"signature": {"signature": "x"}})
        assert answer.status_code == 400
    assert given.status_code == signed.status_code == 400
    assert "by the person" in given.json()["error_description"]


async def test_asking_a_person_leaves_an_unsigned_record_and_where_to_decide(
    govstack: GovStackWorld, clock: FakeClock
) -> None:
    await govstack.ok(
        "PUT",
        f"/service/individual/record/consent-record/{govstack.consent_id}/",
        json={"consentRecord": {"optIn": False}},
    )
    clock.advance(60)
    purpose = govstack.world.purpose
    path = f"/service/individual/record/data-agreement/{purpose.purpose_id}/"
    drafted = await govstack.ok(
        "POST",
        "/service/individual/record/consent-record/draft/",
        individualId=govstack.sub,
        dataAgreementId=purpose.purpose_id,
    )
    asked = await govstack.ok("POST", path, individualId=govstack.sub)
    again = await govstack.ok("POST", path, individualId=govstack.sub)
    newest = await govstack.ok("GET", path, individualId=govstack.sub)
    every = await govstack.ok("GET", f"{path}all/", individualId=govstack.sub)
    assert drafted["consentRecord"]["id"] == ""
    assert asked["consentRecord"]["state"] == "unsigned"
    assert asked["consentRecord"]["optIn"] is False
    assert asked["consentRecord"]["decideAt"].endswith("/my/consents")
    assert again["consentRecord"]["id"] == asked["consentRecord"]["id"] == newest["consentRecord"]["id"]
    assert [one["id"] for one in every["consentRecords"]] == [asked["consentRecord"]["id"], govstack.consent_id]


async def test_deleting_a_persons_records_takes_every_consent_back_and_keeps_the_evidence(
    govstack: GovStackWorld,
) -> None:
    assert await govstack.ok("DELETE", "/service/individual/record/", individualId=govstack.sub) is None
    listed = await govstack.ok("GET", "/service/individual/record/consent-record/", individualId=govstack.sub)
    standing = await govstack.ok("GET", "/service/verification/consent-records/", individualId=govstack.sub)
    assert [one["optIn"] for one in listed["consentRecords"]] == [False]
    assert standing["consentRecords"] == []


async def test_an_auditor_gets_the_last_revision_with_a_signature_that_verifies(govstack: GovStackWorld) -> None:
    read = await govstack.ok("GET", f"/audit/consent-record/{govstack.consent_id}/", scope="govstack:audit")
    record = read["consentRecord"]
    jwks = jwt.PyJWKSet.from_dict((await govstack.world.http.get("/jwks")).json())
    header = jwt.get_unverified_header(record["signature"]["signature"])
    claims = jwt.decode(
        record["signature"]["signature"],
        jwks[header["kid"]].key,
        algorithms=["ES256"],
        options={"require": ["iss", "iat", "jti"]},
    )
    assert header["typ"] == "consent-record+jwt"
    assert claims["serializedHash"] == record["dataAgreementRevision"]["serializedHash"]
    assert claims["event"]["consent_id"] == govstack.consent_id


async def test_a_foreign_agency_learns_nothing(govstack: GovStackWorld) -> None:
    foreigner = await govstack.foreigner()
    purpose = govstack.world.purpose
    record = f"/service/verification/consent-record/{govstack.consent_id}/"
    refused = [
        await govstack.call("GET", record, app=foreigner),
        await govstack.call("GET", f"/audit/consent-record/{govstack.consent_id}/", app=foreigner),
        await govstack.call("GET", f"/service/individual/{govstack.sub}/", app=foreigner),
        await govstack.call("GET", f"/config/data-agreement/{purpose.purpose_id}/", app=foreigner),
        await govstack.call(
            "PUT",
            f"/service/individual/record/consent-record/{govstack.consent_id}/",
            app=foreigner,
            json={"consentRecord": {"optIn": False}},
        ),
        await govstack.call("DELETE", "/service/individual/record/", app=foreigner, individualId=govstack.sub),
    ]
    assert [answer.status_code for answer in refused] == [400] * len(refused)
    for path, name in (
        ("/service/verification/consent-records/", "consentRecords"),
        ("/audit/consent-records/", "consentRecords"),
        ("/service/individuals/", "individuals"),
        ("/audit/data-agreements/", "dataAgreements"),
    ):
        assert (await govstack.ok("GET", path, app=foreigner))[name] == []
    assert (await govstack.ok("GET", record))["consentRecord"]["optIn"] is True


@pytest.mark.parametrize(
    ("part", "path"),
    [
        ("govstack:config", "/config/policies/"),
        ("govstack:service", "/service/individuals/"),
        ("govstack:audit", "/audit/consent-records/"),
    ],
)
async def test_each_part_needs_its_own_scope(govstack: GovStackWorld, part: str, path: str) -> None:
    others = [scope for scope in ("govstack:config", "govstack:service", "govstack:audit") if scope != part]
    assert (await govstack.call("GET", path, scope=part)).status_code == 200
    refused = await govstack.call("GET", path, scope=" ".join(others))
    assert (refused.status_code, refused.json()["error"]) == (403, "insufficient_scope")
    nobody = await govstack.world.http.get(f"/govstack/v1{path}")
    assert nobody.status_code == 401


async def test_a_persons_own_token_opens_nothing(govstack: GovStackWorld) -> None:
    tokens = await govstack.world.tokens(govstack.app, govstack.siti)
    answer = await govstack.world.http.get(
        "/govstack/v1/service/individuals/", headers={"Authorization": f"Bearer {tokens['access_token']}"}
    )
    assert answer.status_code == 401
