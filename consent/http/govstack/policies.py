"""The policies of the `config` part.

Spec: GovStack Consent Building Block API 1.1 (`/config/polic…`).
"""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request

from consent.errors import UnknownPolicy
from consent.govstack import policies
from consent.http.api.ports import ApiCaller
from consent.http.govstack.access import Limit, Offset, actor, configures
from consent.http.govstack.answers import OnlyRevision, PolicyAndRevision, PolicyBody, PolicyList, PolicyRevisions
from consent.http.govstack.objects import policy_object, policy_revision
from consent.http.govstack.ports import GovStackPorts
from consent.http.govstack.schemas import Policy


def router(ports: GovStackPorts) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/config", tags=["config"])

    @routes.post("/policy/", operation_id="configPolicyCreate")
    async def create(request: Request, body: PolicyBody) -> PolicyAndRevision:
        """Writes a new policy."""
        caller = await configures(ports, request)
        async with ports.transaction() as session:
            view = await policies.write_policy(
                session,
                agency_id=caller.agency_id,
                content=_content(body.policy),
                by=actor(caller),
                now=ports.clock(),
                entropy=ports.entropy,
            )
        return PolicyAndRevision(policy=policy_object(view), revision=policy_revision(view))

    @routes.get("/policy/{policyId}/", operation_id="configPolicyRead")
    async def read(request: Request, policyId: str, revisionId: str | None = None) -> PolicyAndRevision:
        """Reads a policy, at its newest revision or a named one."""
        caller = await configures(ports, request)
        async with ports.reading() as session:
            view = await policies.policy(session, policyId, agency_id=caller.agency_id, revision_id=revisionId)
        return PolicyAndRevision(policy=policy_object(view), revision=policy_revision(view))

    @routes.put("/policy/{policyId}/", operation_id="configPolicyUpdate")
    async def update(request: Request, policyId: str, body: PolicyBody) -> PolicyAndRevision:
        """Writes a policy's next revision."""
        view = await _revise(await configures(ports, request), policyId, _content(body.policy))
        return PolicyAndRevision(policy=policy_object(view), revision=policy_revision(view))

    @routes.delete("/policy/{policyId}/", operation_id="configPolicyDelete")
    async def remove(request: Request, policyId: str) -> OnlyRevision:
        """Marks a policy as deleted; its revisions stay."""
        view = await _revise(await configures(ports, request), policyId, None)
        return OnlyRevision(revision=policy_revision(view))

    @routes.get("/policy/{policyId}/revisions/", operation_id="configPolicyRevisionsList")
    async def revisions(request: Request, policyId: str, offset: Offset = 0, limit: Limit = 100) -> PolicyRevisions:
        """Every revision of a policy, newest first."""
        caller = await configures(ports, request)
        async with ports.reading() as session:
            views = await policies.revisions_of(
                session, policyId, agency_id=caller.agency_id, offset=offset, limit=limit
            )
        if not views and offset == 0:
            raise UnknownPolicy("there is no such policy")
        return PolicyRevisions(
            policy=policy_object(views[0]) if views else None, revisions=[policy_revision(view) for view in views]
        )

    @routes.get("/policies/", operation_id="configPolicyList")
    async def every(
        request: Request, revisionId: str | None = None, offset: Offset = 0, limit: Limit = 100
    ) -> PolicyList:
        """The agency's policies, at their newest revisions."""
        caller = await configures(ports, request)
        async with ports.reading() as session:
            views = await policies.list_policies(session, agency_id=caller.agency_id, offset=offset, limit=limit)
        return PolicyList(policies=[policy_object(view) for view in views if revisionId in {None, view.id}])

    async def _revise(caller: ApiCaller, policy_id: str, content: Mapping[str, Any] | None) -> policies.PolicyView:
        async with ports.transaction() as session:
            return await policies.revise_policy(
                session,
                policy_id,
                agency_id=caller.agency_id,
                content=content,
                by=actor(caller),
                now=ports.clock(),
                entropy=ports.entropy,
            )

    return routes


def _content(policy: Policy) -> dict[str, Any]:
    return policy.model_dump(exclude={"id"}, exclude_none=True)
