"""AuthZEN Authorization API 1.0, as a gateway speaks it. Sections are those of the final text."""

from collections.abc import Mapping
from typing import Any

import httpx2
import pytest

from consent.http import authzen
from consent.models import ConsentRecord
from tests.idp.test_provider_checks import presented
from tests.support.databases import only_sqlite
from tests.support.provider_world import CARD, DOMICILE, TAX, ProviderWorld, new_provider_world
from tests.support.statements import statements
from tests.support.token_world import World

pytestmark = pytest.mark.anyio
ONE, ALL = authzen.EVALUATION, authzen.EVALUATIONS
SUBJECT = {"type": "user", "id": "alice"}
READ = {"name": "read"}


@pytest.fixture
async def stage(world: World) -> ProviderWorld:
    return await new_provider_world(world)


async def send(
    stage: ProviderWorld, path: str, body: Any, *, caller: str = "dukcapil", **headers: str
) -> httpx2.Response:
    return await stage.http.post(path, json=body, headers={**await stage.bearer(caller), **headers})


def item(claim: str) -> dict[str, str]:
    return {"type": "data_item", "id": claim}


def about(stage: ProviderWorld, **changes: Any) -> dict[str, Any]:
    """May the app read Siti's card?"""
    request = {
        "subject": {"type": "user", "id": stage.sub},
        "action": READ,
        "resource": item(CARD),
        "context": {"client_id": stage.app.client_id, "purpose": stage.world.purpose.code},
    } | changes
    return {name: value for name, value in request.items() if value is not None}


async def test_an_evaluation_is_the_check_in_other_words(stage: ProviderWorld) -> None:
    await stage.record()
    answer = await send(stage, ONE, about(stage))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    checked = await stage.check() | {"reference": answer.json()["context"]["reference"]}
    assert answer.json() == {"decision": checked.pop("permitted"), "context": checked}
    assert answer.json()["decision"] is True


async def test_a_purpose_as_resource_means_all_that_the_caller_gives(stage: ProviderWorld) -> None:
    await stage.record()
    purpose = {"type": "purpose", "id": stage.world.purpose.code}
    told = (await send(stage, ONE, about(stage, resource=purpose, context={"client_id": stage.app.client_id}))).json()
    assert (told["decision"], told["context"]["items"]) == (True, sorted([CARD, DOMICILE]))
    other = (await send(stage, ONE, about(stage, resource={"type": "purpose", "id": "other"}))).json()
    assert (other["decision"], other["context"]["error"]["status"]) == (False, 400)


async def test_the_apps_own_token_in_the_context_says_the_rest(stage: ProviderWorld) -> None:
    token = await presented(stage)
    context = {"access_token": token}
    assert (await send(stage, ONE, about(stage, context=context))).json()["decision"] is True
    somebody = {"type": "user", "id": "somebody-else"}
    told = (await send(stage, ONE, about(stage, subject=somebody, context=context))).json()
    assert (told["decision"], told["context"]["reason"]) == (False, "token_not_valid")


@pytest.mark.threat("N31")
async def test_a_foreign_gateway_learns_nothing(stage: ProviderWorld) -> None:
    nobody = (await send(stage, ONE, about(stage, subject=SUBJECT), caller="pajak")).json()
    await stage.record(refused=[])
    told = (await send(stage, ONE, about(stage), caller="pajak")).json()
    assert told == nobody
    assert told["decision"] is False


# --- §7: many at once ---


@pytest.mark.parametrize(
    ("semantic", "decisions"),
    [
        (None, [True, False, True]),
        ("execute_all", [True, False, True]),
        ("deny_on_first_deny", [True, False]),
        ("permit_on_first_permit", [True]),
    ],
)
async def test_the_three_semantics(stage: ProviderWorld, semantic: str | None, decisions: list[bool]) -> None:
    """§7.1.2.1, with the shape of its own example: one subject and action, three resources."""
    await stage.record()
    options = {"options": {"evaluations_semantic": semantic, "another_option": "value"}} if semantic else {}
    listed = [{"resource": item(claim)} for claim in (CARD, TAX, DOMICILE)]
    answer = await send(stage, ALL, about(stage, resource=None, evaluations=listed, **options))
    assert answer.status_code == 200
    assert [one["decision"] for one in answer.json()["evaluations"]] == decisions
    assert "decision" not in answer.json()


async def test_defaults_are_overridden_one_by_one(stage: ProviderWorld) -> None:
    """§7.1.1: the third evaluation of the example has an action of its own."""
    await stage.record()
    context = {"client_id": stage.app.client_id, "purpose": "another"}
    listed: list[dict[str, Any]] = [
        {},
        {"resource": item(DOMICILE)},
        {"action": {"name": "can_edit"}, "resource": item(DOMICILE)},
        {"context": context},
        {"subject": {"type": "person", "id": "nobody"}},
        {"subject": {"type": "person", "id": stage.sub}},
    ]
    answer = (await send(stage, ALL, about(stage, evaluations=listed))).json()
    assert [one["decision"] for one in answer["evaluations"]] == [True, True, False, False, False, True]
    assert answer["evaluations"][2]["context"]["error"] == {"status": 400, "message": "action.name must be read"}


async def test_without_evaluations_it_is_a_single_one(stage: ProviderWorld) -> None:
    await stage.record()
    nothing: list[dict[str, Any]] = [{}, {"evaluations": []}]
    for changes in nothing:
        assert (await send(stage, ALL, about(stage, **changes))).json()["decision"] is True


async def test_each_thing_is_looked_up_once(stage: ProviderWorld) -> None:
    await stage.record()
    listed = [{"resource": item(CARD)}] * 30 + [{"resource": item(DOMICILE)}] * 30
    with statements(stage.provider.database) as seen:
        answer = await send(stage, ALL, about(stage, evaluations=listed))
    assert len(answer.json()["evaluations"]) == 60
    assert len([one for one in seen if "FROM idp_access_tokens" in one]) == 2


@pytest.mark.parametrize("semantic", ["EXECUTE_ALL", "", 1, None, ["execute_all"]])
@only_sqlite
async def test_an_unknown_semantic_is_no_request(stage: ProviderWorld, semantic: Any) -> None:
    options = {"evaluations_semantic": semantic}
    answer = await send(stage, ALL, about(stage, evaluations=[{}], options=options))
    assert answer.status_code == 400


@only_sqlite
@pytest.mark.parametrize(
    "changes",
    [
        {"evaluations": {}},
        {"evaluations": "x"},
        {"evaluations": [1]},
        {"evaluations": [{"subject": "alice"}]},
        {"evaluations": [{"subject": None}]},
        {"evaluations": [{}, {"resource": {"type": "data_item"}}]},
        {"evaluations": [{}], "action": None},
        {"evaluations": [{}] * (authzen.MOST + 1)},
        {"evaluations": [{}], "options": "x"},
    ],
)
async def test_a_malformed_list_gets_no_half_of_an_answer(stage: ProviderWorld, changes: dict[str, Any]) -> None:
    await stage.record()
    assert (await send(stage, ALL, about(stage, **changes))).status_code == 400


# --- §10: transport ---


@only_sqlite
@pytest.mark.parametrize("path", [ONE, ALL])
@pytest.mark.parametrize(
    "changes",
    [
        {"subject": None},
        {"action": None},
        {"resource": None},
        {"subject": {"id": "alice"}},
        {"subject": {"type": "user"}},
        {"action": {}},
        {"resource": {"id": "record-1"}},
        {"resource": {"type": "record"}},
        {"subject": "alice"},
        {"action": {"name": 123}},
        {"subject": {"type": "user", "id": "alice", "properties": []}},
        {"context": "x"},
    ],
)
async def test_what_lacks_a_required_member_is_a_bad_request(
    stage: ProviderWorld, path: str, changes: dict[str, Any]
) -> None:
    """§10.1.1; the cases are those of the certification scenario (c-2-4)."""
    answer = await send(stage, path, about(stage, **changes))
    assert (answer.status_code, answer.headers["content-type"]) == (400, "text/plain; charset=utf-8")
    assert answer.text


@only_sqlite
@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"", "application/json"), (b"{", "application/json"), (b"[]", "application/json"), (b"{}", "text/plain")],
)
async def test_a_body_that_is_no_json_object_is_a_bad_request(stage: ProviderWorld, body: bytes, kind: str) -> None:
    headers = {**await stage.bearer("dukcapil"), "Content-Type": kind}
    assert (await stage.http.post(ONE, content=body, headers=headers)).status_code == 400


async def test_what_is_not_known_here_is_left_alone(stage: ProviderWorld) -> None:
    """§10.1.1: unknown members are ignored; c-2-2-8 and c-2-2-9."""
    await stage.record()
    more = about(
        stage,
        subject={"type": "user", "id": stage.sub, "properties": {"role": "admin"}, "x": 1},
        action={"name": "read", "properties": {"method": "GET"}},
        resource={**item(CARD), "properties": {"status": "archived"}},
        foo="bar",
        futureField={"nested": True},
    )
    more["context"] |= {"time": "1985-10-26T01:22-07:00", "ip": "192.168.1.1"}
    assert (await send(stage, ONE, more)).json()["decision"] is True


@only_sqlite
@pytest.mark.parametrize(
    "changes",
    [
        {"subject": {"type": "spaceship", "id": "x"}},
        {"action": {"name": "write"}},
        {"resource": {"type": "record", "id": "record-1"}},
        {"context": None},
        {"context": {}},
        {"context": {"client_id": 1, "purpose": "x"}},
        {"context": {"access_token": ["x"]}},
        {"resource": {"type": "data_item", "id": "\x00"}},
        {"subject": {"type": "user", "id": "\N{GRINNING FACE}"}},
    ],
)
async def test_what_is_well_formed_and_means_nothing_here_is_denied_and_told_why(
    stage: ProviderWorld, changes: dict[str, Any]
) -> None:
    await stage.record()
    answer = await send(stage, ONE, about(stage, **changes))
    if "id" in changes.get("subject", {}) and changes["subject"]["id"] != "x":
        assert answer.json()["decision"] is False
        return
    assert (answer.status_code, answer.json()["decision"]) == (200, False)
    assert answer.json()["context"]["error"]["status"] == 400


@only_sqlite
@pytest.mark.threat("N31")
@pytest.mark.parametrize("path", [ONE, ALL])
async def test_who_does_not_authenticate_is_told_nothing(stage: ProviderWorld, path: str) -> None:
    await stage.record()
    nothing_here = about(stage, action={"name": "write"})
    for body in (about(stage), nothing_here, about(stage, evaluations=[{}])):
        for headers in ({}, {"Authorization": "Bearer x"}, stage.app.basic):
            answer = await stage.http.post(path, json=body, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith('Bearer realm="')
    token = await stage.world.token(stage.callers["dukcapil"], grant_type="client_credentials", scope="reports:read")
    other = {"Authorization": f"Bearer {token.json()['access_token']}"}
    assert (await stage.http.post(path, json=about(stage), headers=other)).status_code == 403


@only_sqlite
@pytest.mark.parametrize("path", [ONE, ALL])
async def test_the_requests_identifier_comes_back_whatever_the_answer(stage: ProviderWorld, path: str) -> None:
    """§10.1.3."""
    await stage.record()
    identifier = "bfe9eb29-ab87-4ca3-be83-a1d5d8305716"
    bearer = await stage.bearer("dukcapil")
    answers: list[tuple[Mapping[str, str], Any, int]] = [
        (bearer, about(stage), 200),
        (bearer, {}, 400),
        ({}, about(stage), 401),
    ]
    for headers, body, status in answers:
        answer = await stage.http.post(path, json=body, headers={**headers, "X-Request-ID": identifier})
        assert (answer.status_code, answer.headers["x-request-id"]) == (status, identifier)
        assert "x-request-id" not in (await stage.http.post(path, json=body, headers=headers)).headers


@only_sqlite
async def test_the_same_question_has_the_same_answer(stage: ProviderWorld) -> None:
    await stage.record()
    first, *others = [(await send(stage, ONE, about(stage))).json() for _ in range(3)]
    for one in (first, *others):
        del one["context"]["reference"]
    assert all(other == first for other in others)
    await stage.change(ConsentRecord, status="withdrawn")
    told = (await send(stage, ONE, about(stage))).json()
    assert (told["decision"], told["context"]["reason"]) == (False, "withdrawn")


@only_sqlite
async def test_gateways_find_it(stage: ProviderWorld) -> None:
    """§9."""
    answer = await stage.http.get("/.well-known/authzen-configuration")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == {
        "policy_decision_point": "https://idp.test",
        "access_evaluation_endpoint": "https://idp.test/access/v1/evaluation",
        "access_evaluations_endpoint": "https://idp.test/access/v1/evaluations",
    }
