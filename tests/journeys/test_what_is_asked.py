"""The claims parameter, authorization details and response modes: what is asked for, and how the answer comes."""

import json
from typing import Any

import pytest

from tests.journeys.visiting import HEALTH_SCOPE, NIK, ask_silently, offered, userinfo, visit
from tests.support.browser_user import BrowserUser
from tests.support.databases import only_sqlite
from tests.support.registrar import Registrar
from tests.support.relying_party import AuthorizationRefused
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def test_single_claims_go_where_they_were_asked_for_and_no_further(world: World, user: BrowserUser) -> None:
    app = world.app("health")
    claims = {
        "id_token": {"name": {"essential": True}, "phone_number": None, "email": {"essential": True}},
        "userinfo": {"gender": {"essential": True}, "birthdate": None},
    }
    await user.open(await app.authorization_url(scope="openid", claims=json.dumps(claims)))
    await user.log_in("siti", world.password("siti"))
    # The purpose has no email, so nobody is asked for it, essential or not.
    assert offered(user) == ({"name", "birthdate"}, {"phone_number", "gender"})
    await user.allow(items={"phone_number"})
    login = await app.finish(user.callback_parameters)
    assert login.claims["name"] == "Siti Rahayu"
    assert login.claims["phone_number"] == "+62 812-5550-0001"
    assert not {"email", "gender", "birthdate", NIK} & set(login.claims)
    assert await userinfo(app, login.access_token) == {"sub": login.sub, "birthdate": "1990-05-15"}


@only_sqlite
async def test_a_requested_sub_lets_nobody_else_through(world: World, user: BrowserUser) -> None:
    app = world.app("health")
    siti = await visit(world, user, app)

    def insisting_on(sub: str) -> str:
        return json.dumps({"id_token": {"sub": {"value": sub}}})

    again = await visit(world, user, app, claims=insisting_on(siti.sub), prompt="none")
    assert again.sub == siti.sub
    await user.open(await app.authorization_url(scope=HEALTH_SCOPE, claims=insisting_on("x" * 43), prompt="none"))
    with pytest.raises(AuthorizationRefused, match="login_required"):
        await app.finish(user.callback_parameters)
    await user.open(await app.authorization_url(scope=HEALTH_SCOPE, claims=insisting_on(siti.sub), prompt="login"))
    await user.log_in("budi", world.password("budi"))
    with pytest.raises(AuthorizationRefused, match="login_required"):
        await app.finish(user.callback_parameters)


async def test_authorization_details_name_the_purpose_and_come_back(
    world: World, user: BrowserUser, registrar: Registrar
) -> None:
    await registrar.purpose(code="imunisasi-anak", validity_days=30)
    app = await registrar.app(purpose_codes=("kunjungan-puskesmas", "imunisasi-anak"))
    detail = {"type": "satupintu_purpose", "purpose": "imunisasi-anak", "datatypes": ["name", "gender", "address"]}
    asked = json.dumps([detail])
    await user.open(await app.authorization_url(scope="openid", authorization_details=asked))
    await user.log_in("siti", world.password("siti"))
    assert offered(user) == ({"name"}, {"gender", "address"})
    await user.allow(items={"gender"})
    login = await app.finish(user.callback_parameters)
    (granted,) = login.token["authorization_details"]
    assert (granted["type"], granted["purpose"]) == ("satupintu_purpose", "imunisasi-anak")
    assert sorted(granted["datatypes"]) == ["gender", "name"]
    assert (await app.introspect(login.access_token))["authorization_details"] == [granted]
    data = await userinfo(app, login.access_token)
    assert data == {"sub": login.sub, "name": "Siti Rahayu", "gender": "female"}
    # The other purpose was not agreed to by that.
    assert (await ask_silently(user, app))["error"] == "consent_required"


async def test_agreeing_to_less_is_seen_at_once_by_tokens_that_were_given_before(
    world: World, user: BrowserUser, registrar: Registrar
) -> None:
    """On another device the person stays logged in, and what they now refuse is gone there too."""
    app = await registrar.app()
    detail = {"type": "satupintu_purpose", "purpose": "kunjungan-puskesmas", "datatypes": ["name", "gender"]}
    asked = json.dumps([detail])
    await user.open(await app.authorization_url(scope="openid", authorization_details=asked))
    await user.log_in("siti", world.password("siti"))
    await user.allow(items={"gender"})
    earlier = await app.finish(user.callback_parameters)
    await user.open(await app.authorization_url(scope="openid", authorization_details=asked, prompt="consent"))
    await user.allow(items=set())
    await app.finish(user.callback_parameters)
    assert await userinfo(app, earlier.access_token) == {"sub": earlier.sub, "name": "Siti Rahayu"}
    (told,) = (await app.introspect(earlier.access_token))["authorization_details"]
    assert told["datatypes"] == ["name"]


@only_sqlite
@pytest.mark.parametrize(
    "detail",
    [
        {"type": "satupintu_purpose", "purpose": "salinan-kartu-keluarga"},
        {"type": "satupintu_purpose", "purpose": "kunjungan-puskesmas", "datatypes": ["email"]},
        {"type": "payment_initiation"},
    ],
    ids=["another agency's purpose", "not an item of the purpose", "another type"],
)
async def test_details_that_are_not_ours_are_refused_by_their_own_code(
    world: World, user: BrowserUser, detail: dict[str, object]
) -> None:
    app = world.app("health")
    await user.open(await app.authorization_url(authorization_details=json.dumps([detail])))
    if not user.is_at_app:
        await user.log_in("siti", world.password("siti"))
    with pytest.raises(AuthorizationRefused, match="invalid_authorization_details"):
        await app.finish(user.callback_parameters)


async def test_the_answer_comes_by_form_post_when_asked_to(world: World, user: BrowserUser) -> None:
    app = world.app("health")
    login = await visit(world, user, app, response_mode="form_post")
    assert user.form_post is not None
    assert set(user.form_post) == {"code", "state", "iss"}
    assert str(user.callback) == app.redirect_uri
    assert await userinfo(app, login.access_token)
    await user.open(await app.authorization_url(response_mode="form_post", prompt="none", max_age="0"))
    assert user.form_post is not None
    assert user.form_post["error"] == "login_required"


@only_sqlite
@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"),
        ({"request_uri": "https://health.test/request.jwt"}, "request_uri_not_supported"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"scope": "openid email"}, "invalid_scope"),
    ],
)
async def test_what_is_not_offered_is_refused_to_the_app_with_state_and_iss(
    world: World, user: BrowserUser, parameters: dict[str, Any], error: str
) -> None:
    app = world.app("health")
    await user.open(await app.authorization_url(**parameters))
    with pytest.raises(AuthorizationRefused, match=error):  # `finish` has checked state and iss by then
        await app.finish(user.callback_parameters)


@only_sqlite
async def test_an_unknown_parameter_changes_nothing(world: World, user: BrowserUser) -> None:
    login = await visit(world, user, world.app("health"), tracking="none-of-our-business")
    assert "tracking" not in login.claims
