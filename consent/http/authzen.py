"""`/access/v1`: the same check in the words of AuthZEN, which gateways off the shelf speak.

| AuthZEN | here |
|---|---|
| `subject.type`, `subject.id` | `user` or `person`; the `sub` by which the app's agency knows the person |
| `action.name` | `read` |
| `resource.type`, `resource.id` | `data_item` and a claim; or `purpose` and its code: all that the caller gives |
| `context.client_id`, `context.purpose` | the app that would receive, and what for |
| `context.access_token` | in place of these two: the token that the app presented, whose person must be the subject |

What is understood and not permitted is `200` with `"decision": false`; so is what is not understood, with the reason in
`context.error`. Only what is no request at all is an error of HTTP.
Spec: AuthZEN Authorization API 1.0 §5 to §7, §9, §10, §11.7 (limits).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from consent.checks.question import Asked, Verdict
from consent.http.api.answers import NO_STORE, challenge, json_answer
from consent.http.api.check import MAX_BYTES, as_json, read_question
from consent.http.api.ports import ApiPorts, ApiRefusal
from keys.encoding import strict_json_loads
from keys.errors import MalformedEncoding

EVALUATION: Final = "/access/v1/evaluation"
EVALUATIONS: Final = "/access/v1/evaluations"
WELL_KNOWN: Final = "/.well-known/authzen-configuration"
MOST: Final = 100
SUBJECT_TYPES: Final = frozenset({"user", "person"})
ACTIONS: Final = frozenset({"read"})
REQUEST_ID: Final = "x-request-id"
EXECUTE_ALL: Final = "execute_all"
# After which decision the rest is not looked at.
SEMANTICS: Final[Mapping[str, bool | None]] = {
    EXECUTE_ALL: None,
    "deny_on_first_deny": False,
    "permit_on_first_permit": True,
}

Decision = dict[str, Any]
Handler = Callable[[Request], Awaitable[Response]]
_Answering = Callable[[Request, dict[str, Any]], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One evaluation, its members of the right types, and nothing yet said of what they mean."""

    subject: Mapping[str, Any]
    action: Mapping[str, Any]
    resource: Mapping[str, Any]
    context: Mapping[str, Any]


class NotUnderstood(Exception):
    """A well-formed evaluation that means nothing here: it is denied, and told why."""


def metadata(issuer: str) -> dict[str, Any]:
    """The configuration document. Spec: §9.1."""
    return {
        "policy_decision_point": issuer,
        "access_evaluation_endpoint": f"{issuer}{EVALUATION}",
        "access_evaluations_endpoint": f"{issuer}{EVALUATIONS}",
    }


def routes(ports: ApiPorts) -> list[Route]:
    """The two endpoints."""

    async def evaluate(request: Request, members: dict[str, Any]) -> Mapping[str, Any]:
        return await _decide(ports, request, _evaluation(members, {}), {})

    async def evaluate_all(request: Request, members: dict[str, Any]) -> Mapping[str, Any]:
        listed = members.get("evaluations")
        if not listed and isinstance(listed, list | None):
            return await evaluate(request, members)
        return await _decide_all(ports, request, members)

    return [
        Route(EVALUATION, _answering(evaluate), methods=["POST"]),
        Route(EVALUATIONS, _answering(evaluate_all), methods=["POST"]),
    ]


def _answering(answer: _Answering) -> Handler:
    """Reads the request, answers it, and sends its identifier back, whatever the answer. Spec: §10.1.3."""

    async def handle(request: Request) -> Response:
        try:
            response: Response = json_answer(await answer(request, await _members(request)))
        except ApiRefusal as refused:
            message = refused.description or refused.error
            response = PlainTextResponse(message, refused.status, headers={**NO_STORE, **challenge(refused)})
        identifier = request.headers.get(REQUEST_ID)
        if identifier is not None:
            response.headers[REQUEST_ID] = identifier
        return response

    return handle


async def _members(request: Request) -> dict[str, Any]:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise _bad("Content-Type must be application/json")
    try:
        members = strict_json_loads(await request.body(), max_bytes=MAX_BYTES)
    except MalformedEncoding:
        raise _bad("the body is not JSON that can be read in one way only") from None
    if not isinstance(members, dict):
        raise _bad("the body must be a JSON object")
    return members


async def _decide_all(ports: ApiPorts, request: Request, members: dict[str, Any]) -> Mapping[str, Any]:
    listed = members["evaluations"]
    if not isinstance(listed, list) or len(listed) > MOST or not all(isinstance(one, dict) for one in listed):
        raise _bad(f"evaluations must be an array of at most {MOST} objects")
    last = SEMANTICS[_semantic(members)]
    # Everything is read before anything is decided: a malformed request gets no half of an answer.
    evaluations = [_evaluation(one, members) for one in listed]
    known: dict[Asked, Verdict] = {}
    decisions: list[Decision] = []
    for evaluation in evaluations:
        decision = await _decide(ports, request, evaluation, known)
        decisions.append(decision)
        if decision["decision"] is last:
            break
    return {"evaluations": decisions}


def _semantic(members: Mapping[str, Any]) -> str:
    options = members.get("options", {})
    if not isinstance(options, dict):
        raise _bad("options must be an object")
    semantic = options.get("evaluations_semantic", EXECUTE_ALL)
    if not isinstance(semantic, str) or semantic not in SEMANTICS:
        raise _bad(f"options.evaluations_semantic must be one of {', '.join(SEMANTICS)}")
    return semantic


def _evaluation(one: Mapping[str, Any], defaults: Mapping[str, Any]) -> Evaluation:
    """The members of one evaluation, those that it lacks from the defaults. Spec: §7.1.1."""
    merged = {name: one.get(name, defaults.get(name)) for name in ("subject", "action", "resource", "context")}
    context = merged["context"] if merged["context"] is not None else {}
    if not isinstance(context, dict):
        raise _bad("context must be an object")
    return Evaluation(
        subject=_entity(merged["subject"], "subject", ("type", "id")),
        action=_entity(merged["action"], "action", ("name",)),
        resource=_entity(merged["resource"], "resource", ("type", "id")),
        context=context,
    )


def _entity(value: Any, name: str, required: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _bad(f"{name} must be an object")
    for member in required:
        if not isinstance(value.get(member), str):
            raise _bad(f"{name}.{member} must be a string")
    if not isinstance(value.get("properties", {}), dict):
        raise _bad(f"{name}.properties must be an object")
    return value


async def _decide(ports: ApiPorts, request: Request, evaluation: Evaluation, known: dict[Asked, Verdict]) -> Decision:
    try:
        asked = question(evaluation)
    except NotUnderstood as why:
        # Whoever may not ask is told so, and not what would be wrong with the question.
        await ports.caller(request, "consent:check")
        return {"decision": False, "context": {"error": {"status": 400, "message": str(why)}}}
    if asked not in known:
        known[asked] = await ports.check(request, asked)
    said = as_json(known[asked])
    return {"decision": said.pop("permitted"), "context": said}


def question(evaluation: Evaluation) -> Asked:
    """What an evaluation asks, in our words. Error: `NotUnderstood`."""
    if evaluation.subject["type"] not in SUBJECT_TYPES:
        raise NotUnderstood("subject.type must be user")
    if evaluation.action["name"] not in ACTIONS:
        raise NotUnderstood("action.name must be read")
    members = {name: evaluation.context[name] for name in ("client_id", "purpose") if name in evaluation.context}
    resource = evaluation.resource
    if resource["type"] == "data_item":
        members["items"] = [resource["id"]]
    elif resource["type"] == "purpose":
        if members.setdefault("purpose", resource["id"]) != resource["id"]:
            raise NotUnderstood("context.purpose differs from the resource")
    else:
        raise NotUnderstood("resource.type must be data_item or purpose")
    if "access_token" in evaluation.context:
        members["token"] = evaluation.context["access_token"]
    else:
        members["sub"] = evaluation.subject["id"]
    try:
        asked = read_question(members)
    except ApiRefusal as refused:
        raise NotUnderstood(f"context needs client_id and purpose, or access_token: {refused.description}") from None
    return replace(asked, sub=evaluation.subject["id"])


def _bad(message: str) -> ApiRefusal:
    return ApiRefusal(400, "invalid_request", message)
