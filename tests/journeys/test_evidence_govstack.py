"""The same records through the GovStack API: what a person did on a page, an app of the agency's reads there."""

from typing import Any

import jwt
import pytest

from tests.journeys.visiting import statuses, userinfo
from tests.support.browser_user import BrowserUser
from tests.support.evidence_world import EvidenceWorld
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def call(evidence: EvidenceWorld, method: str, path: str, **asked: Any) -> Any:
    """What the API answers the app, which has the scope of each part."""
    part = path.split("/")[1]
    answer = await evidence.http.request(
        method,
        f"/govstack/v1{path}",
        headers=await evidence.bearer(evidence.app, f"govstack:{part}"),
        json=asked.pop("json", None),
        params=asked,
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_an_app_reads_and_takes_back_through_govstack_what_a_person_agreed_to_on_the_page(
    world: World, user: BrowserUser, evidence: EvidenceWorld
) -> None:
    login = await evidence.agree(user, "siti", world.password("siti"))
    own = await evidence.own_token(login)
    await userinfo(evidence.app, own["access_token"])
    await user.open("/my/consents")
    (address,) = [href for href, text in user.page.document.links if text == "Posyandu Kita"]
    consent_id = address.rpartition("/")[2]

    (record,) = (await call(evidence, "GET", "/service/verification/consent-records/", individualId=login.sub))[
        "consentRecords"
    ]
    assert (record["id"], record["optIn"], record["state"]) == (consent_id, True, "signed")
    agreement = await call(evidence, "GET", f"/service/data-agreement/{record['dataAgreement']['id']}/")
    assert record["dataAgreementRevisionHash"] == agreement["revision"]["serializedHash"]
    # The audit's copy is signed, and the signature is of the event that the person's own receipt is about.
    audited = (await call(evidence, "GET", f"/audit/consent-record/{consent_id}/"))["consentRecord"]
    keys = jwt.PyJWKSet.from_dict((await evidence.http.get("/jwks")).json())
    jws = audited["signature"]["signature"]
    claims = jwt.decode(
        jws, keys[jwt.get_unverified_header(jws)["kid"]], algorithms=["ES256"], options={"verify_iat": False}
    )
    receipt = (await user.client.get(user.issuer.join(f"{address}/receipt.json?event=1"))).json()
    assert claims["event"]["id"] == receipt["event"]["id"]

    taken = await call(
        evidence,
        "PUT",
        f"/service/individual/record/consent-record/{consent_id}/",
        json={"consentRecord": {"optIn": False}},
    )
    assert taken["consentRecord"]["optIn"] is False
    assert (await evidence.app.userinfo(own["access_token"])).status_code == 401
    assert (await evidence.check(login.sub))["reason"] == "withdrawn"
    await user.open("/my/consents")
    assert statuses(user) == ["withdrawn"]
    await user.open(address)
    assert user.page.has("stopped")
