"""Authorization details, from what an app asks to what an API reads in its token and at introspection."""

import json
from typing import Any

import pytest

from consent.models import ConsentRecord
from idp.authorize.asked import asked_of
from idp.authorize.checks import check_locations
from idp.authorize.details import PurposeDetail
from idp.authorize.parameters import AuthorizationRequest
from idp.errors import InvalidAuthorizationDetails
from tests.support.databases import only_sqlite
from tests.support.provider_world import API, CARD, ProviderWorld, new_provider_world
from tests.support.token_world import World, claims_in

pytestmark = pytest.mark.anyio
OTHER = "https://api.pajak.test"


@pytest.fixture
async def stage(world: World) -> ProviderWorld:
    return await new_provider_world(world)


async def tokens(stage: ProviderWorld, detail: PurposeDetail, *resources: str, **changes: Any) -> dict[str, Any]:
    consent_id = await stage.world.consent(stage.app, stage.siti, granted=("name", "email"))
    await stage.change(ConsentRecord, **changes, subject_ref=stage.sub)
    return await stage.world.tokens(
        stage.app, stage.siti, consent_id=consent_id, resources=resources, authorization_details=detail
    )


async def test_the_token_says_which_version_and_agreement_and_for_what(stage: ProviderWorld) -> None:
    version_id = await stage.agreement(items=(CARD,))
    detail = PurposeDetail(
        stage.world.purpose.code, ("email", CARD), purpose_version=1, locations=(API,), actions=("read",)
    )
    granted = ["email", CARD]
    answer = await tokens(stage, detail, API, granted=granted, agreement_version_id=version_id)
    (told,) = claims_in(answer["access_token"])["authorization_details"]
    agreement_id = told.pop("agreement_id")
    assert told == {
        "type": "satupintu_purpose",
        "purpose": stage.world.purpose.code,
        "purpose_version": 1,
        "datatypes": granted,
        "locations": [API],
        "actions": ["read"],
    }
    assert answer["authorization_details"] == [told | {"agreement_id": agreement_id}]
    introspected = await stage.world.introspect(stage.callers["dukcapil"], answer["access_token"])
    assert introspected["authorization_details"] == answer["authorization_details"]


async def test_introspection_says_what_is_granted_now(stage: ProviderWorld) -> None:
    answer = await tokens(stage, PurposeDetail(stage.world.purpose.code, ("email", CARD)), API, granted=["email", CARD])
    await stage.change(ConsentRecord, granted=["email"])
    (told,) = (await stage.world.introspect(stage.callers["dukcapil"], answer["access_token"]))["authorization_details"]
    assert told["datatypes"] == ["email"]


async def test_a_token_for_one_api_does_not_carry_what_is_for_another(stage: ProviderWorld) -> None:
    detail = PurposeDetail(stage.world.purpose.code, ("email",), locations=(API,))
    answer = await tokens(stage, detail, OTHER)
    assert "authorization_details" not in claims_in(answer["access_token"])
    assert [one["locations"] for one in answer["authorization_details"]] == [[API]]
    both = await stage.world.tokens(
        stage.app, await stage.world.citizen("budi"), resources=(API, OTHER), authorization_details=detail
    )
    assert len(claims_in(both["access_token"])["authorization_details"]) == 1


@only_sqlite
async def test_an_app_that_means_another_version_or_a_foreign_api_is_refused(stage: ProviderWorld) -> None:
    client = await stage.provider.clients.get(stage.app.client_id, stage.provider.clock())
    assert client is not None

    def request(**members: Any) -> AuthorizationRequest:
        detail = PurposeDetail(stage.world.purpose.code, **members)
        return AuthorizationRequest(
            client_id=client.client_id,
            redirect_uri="https://app.test/callback",
            redirect_uri_was_sent=True,
            response_type="code",
            scope=("openid",),
            authorization_details=detail,
        )

    assert asked_of(stage.world.purpose, request(purpose_version=1), client).version == stage.world.purpose
    with pytest.raises(InvalidAuthorizationDetails, match="in force is 1"):
        asked_of(stage.world.purpose, request(purpose_version=2), client)
    check_locations(request(locations=(API,)), client)
    with pytest.raises(InvalidAuthorizationDetails, match="locations"):
        check_locations(request(locations=(API, "https://api.foreign.test")), client)
    assert json.loads(json.dumps(request(purpose_version=1, locations=(API,)).to_json()))["authorization_details"] == {
        "type": "satupintu_purpose",
        "purpose": stage.world.purpose.code,
        "purpose_version": 1,
        "locations": [API],
    }
