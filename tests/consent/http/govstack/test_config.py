"""Policies, data agreements and webhooks through the GovStack API."""

from typing import Any

import pytest

from consent.purposes import purpose_version
from consent.registry.versions import approve
from tests.consent.http.govstack.conftest import GovStackWorld, a_data_agreement
from tests.support.purposes import AGENCYS_REVIEWER, OPERATORS_REVIEWER, review_of

pytestmark = pytest.mark.anyio

POLICY: dict[str, Any] = {
    "name": "Privacy policy",
    "version": "1",
    "url": "https://kesehatan.example/policy/1",
    "jurisdiction": "ID",
    "dataRetentionPeriodDays": 30,
    "storageLocation": "ID",
}


async def test_a_policys_revisions_all_stay_and_are_chained(govstack: GovStackWorld) -> None:
    written = await govstack.ok("POST", "/config/policy/", json={"policy": POLICY})
    policy_id = written["policy"]["id"]
    revised = await govstack.ok("PUT", f"/config/policy/{policy_id}/", json={"policy": {**POLICY, "version": "2"}})
    first = await govstack.ok("GET", f"/config/policy/{policy_id}/", revisionId=written["revision"]["id"])
    deleted = await govstack.ok("DELETE", f"/config/policy/{policy_id}/")
    revisions = (await govstack.ok("GET", f"/config/policy/{policy_id}/revisions/"))["revisions"]
    assert first["policy"]["version"] == "1"
    assert revised["revision"]["predecessorHash"] == written["revision"]["serializedHash"]
    assert deleted["revision"]["predecessorHash"] == revised["revision"]["serializedHash"]
    assert [one["id"] for one in revisions] == [one["revision"]["id"] for one in (deleted, revised, written)]
    assert (await govstack.call("GET", f"/config/policy/{policy_id}/")).status_code == 400
    assert (await govstack.ok("GET", "/config/policies/"))["policies"] == []


async def test_a_data_agreement_is_active_only_when_two_people_have_approved_it(govstack: GovStackWorld) -> None:
    made = await govstack.ok("POST", "/config/data-agreement/", json={"dataAgreement": a_data_agreement()})
    assert made["dataAgreement"]["active"] is False
    assert made["dataAgreement"]["lifecycle"]["name"] == "Draft"
    provider = govstack.world.provider
    async with provider.database.transaction() as session:
        version = await purpose_version(session, made["revision"]["id"])
        review = await review_of(session, version)
        for side, who in (("agency", AGENCYS_REVIEWER), ("operator", OPERATORS_REVIEWER)):
            await approve(
                session, version.id, side=side, by=who, review=review, now=provider.clock(), entropy=provider.entropy
            )
    read = await govstack.ok("GET", f"/config/data-agreement/{made['dataAgreement']['id']}/")
    assert read["dataAgreement"]["active"] is True
    assert read["dataAgreement"]["lifecycle"]["name"] == "Complete"
    assert read["revision"]["serializedHash"] == made["revision"]["serializedHash"]


async def test_a_policy_fills_in_what_a_data_agreement_leaves_to_it(govstack: GovStackWorld) -> None:
    policy = (await govstack.ok("POST", "/config/policy/", json={"policy": POLICY}))["policy"]
    said = a_data_agreement(policy={"id": policy["id"]})
    del said["specification"]["retention_days"]
    made = await govstack.ok("POST", "/config/data-agreement/", json={"dataAgreement": said})
    specification = made["dataAgreement"]["specification"]
    assert specification["retention_days"] == 30
    assert specification["terms"]["codes_of_conduct"] == [POLICY["url"]]


async def test_a_new_version_names_the_one_before_and_keeps_the_code(govstack: GovStackWorld) -> None:
    made = await govstack.ok("POST", "/config/data-agreement/", json={"dataAgreement": a_data_agreement()})
    path = f"/config/data-agreement/{made['dataAgreement']['id']}/"
    changed = a_data_agreement(specification={"validity_days": 30})
    revised = await govstack.ok("PUT", path, json={"dataAgreement": changed})
    other_code = a_data_agreement(specification={"code": "lain"})
    assert revised["dataAgreement"]["version"] == "2"
    assert revised["revision"]["predecessorHash"] == made["revision"]["serializedHash"]
    assert (await govstack.call("PUT", path, json={"dataAgreement": other_code})).status_code == 400


async def test_deleting_a_proposal_rejects_it_and_deleting_one_in_force_is_proposed(govstack: GovStackWorld) -> None:
    made = await govstack.ok("POST", "/config/data-agreement/", json={"dataAgreement": a_data_agreement()})
    path = f"/config/data-agreement/{made['dataAgreement']['id']}/"
    await govstack.ok("DELETE", path)
    assert (await govstack.ok("GET", path))["dataAgreement"]["lifecycle"]["id"] == "rejected"
    active = f"/config/data-agreement/{govstack.world.purpose.purpose_id}/"
    await govstack.ok("DELETE", active)
    assert (await govstack.ok("GET", active))["dataAgreement"]["active"] is True


@pytest.mark.parametrize(
    "wrong",
    [
        {"specification": {}},
        {"specification": {"items": "name"}},
        {"specification": {"items": [1]}},
        {"specification": {"texts": 5}},
        {"specification": {"retention_days": "x"}},
        {"specification": {"agency_id": "x"}},
        {"specification": {"invented": 1}},
        {"specification": {"legal_basis": "contract"}},
        {"lawfulBasis": "because"},
        {"policy": {"id": "00000000-0000-7000-8000-000000000000"}},
    ],
)
async def test_a_data_agreement_that_is_not_right_is_refused_with_a_reason(
    govstack: GovStackWorld, wrong: dict[str, Any]
) -> None:
    said = a_data_agreement()
    if wrong.get("specification") == {}:
        said["specification"] = {}
    else:
        said = a_data_agreement(**wrong)
    answer = await govstack.call("POST", "/config/data-agreement/", json={"dataAgreement": said})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error_description"]


async def test_a_webhook_is_the_apps_stream_and_never_shows_its_secret(govstack: GovStackWorld) -> None:
    webhook = {
        "payloadUrl": "https://kesehatan.example/events",
        "contentType": "application/secevent+jwt",
        "disabled": False,
        "secretKey": "sangat-rahasia",
    }
    made = (await govstack.ok("POST", "/config/webhook/", json={"webhook": webhook}))["webhook"]
    path = f"/config/webhook/{made['id']}/"
    paused = (await govstack.ok("PUT", path, json={"webhook": {**webhook, "disabled": True}}))["webhook"]
    listed = (await govstack.ok("GET", "/config/webhooks/"))["webhooks"]
    assert made["secretKey"] == ""
    assert paused["disabled"] is True
    assert listed == [paused]
    foreigner = await govstack.foreigner()
    assert (await govstack.call("DELETE", path, app=foreigner)).status_code == 400
    await govstack.ok("DELETE", path)
    assert (await govstack.ok("GET", "/config/webhooks/"))["webhooks"] == []


@pytest.mark.parametrize(
    "url", ["http://kesehatan.example/events", "https://127.0.0.1/events", "javascript:alert(1)", "https://a@b/"]
)
async def test_a_webhook_that_may_not_be_sent_to_is_refused(govstack: GovStackWorld, url: str) -> None:
    webhook = {"payloadUrl": url, "contentType": "application/secevent+jwt", "disabled": False}
    assert (await govstack.call("POST", "/config/webhook/", json={"webhook": webhook})).status_code == 400


async def test_people_are_found_by_their_sub_and_enrolled_by_nobody(govstack: GovStackWorld) -> None:
    for part in ("config", "service"):
        found = await govstack.ok(
            "POST", f"/{part}/individual/", json={"individual": {"externalId": govstack.sub, "externalIdType": "sub"}}
        )
        assert found["individual"]["id"] == govstack.sub
        unknown = await govstack.call("POST", f"/{part}/individual/", json={"individual": {"externalId": "nobody"}})
        assert unknown.status_code == 400
    listed = (await govstack.ok("GET", "/service/individuals/"))["individuals"]
    assert [one["id"] for one in listed] == [govstack.sub]
    path = f"/service/individual/{govstack.sub}/"
    assert (await govstack.ok("PUT", path, json={"individual": {}}))["individual"]["id"] == govstack.sub
    changed = await govstack.call("PUT", path, json={"individual": {"externalId": "someone-else"}})
    assert changed.status_code == 400


async def test_a_list_is_not_paged_without_end(govstack: GovStackWorld) -> None:
    assert (await govstack.call("GET", "/config/policies/", offset=10_001)).status_code == 400
    assert (await govstack.call("GET", "/config/policies/", limit=101)).status_code == 400
