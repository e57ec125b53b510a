"""The data agreements of the `config` part: purposes, proposed and revised by an app of their agency.

Spec: GovStack Consent Building Block API 1.1 (`/config/data-agreement…`).
"""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from consent.govstack import policies, reading
from consent.http.api.ports import ApiCaller, ApiRefusal
from consent.http.govstack.access import Limit, Offset, actor, configures
from consent.http.govstack.answers import (
    DataAgreementAndRevision,
    DataAgreementBody,
    DataAgreementList,
    OnlyRevision,
)
from consent.http.govstack.objects import data_agreement_object, data_agreement_revision
from consent.http.govstack.ports import GovStackPorts
from consent.http.govstack.schemas import DataAgreement, Policy, PolicyReference
from consent.purposes import PurposeVersionView
from consent.registry.people import Person
from consent.registry.versions import propose_version, reject
from consent.withdrawal.endings import propose_ending

# What the API says of a specification by itself, and no specification may.
RESERVED: Final = frozenset({"session", "agency_id", "proposed_by", "draft", "now", "entropy", "compatible_with"})


def router(ports: GovStackPorts) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/config", tags=["config"])
    _writing(routes, ports)
    _reading(routes, ports)
    return routes


def _writing(routes: APIRouter, ports: GovStackPorts) -> None:
    @routes.post("/data-agreement/", operation_id="configDataAgreementCreate")
    async def create(request: Request, body: DataAgreementBody) -> DataAgreementAndRevision:
        """Proposes a new purpose. It is active once two people have approved it, neither of whom proposed it."""
        caller = await configures(ports, request)
        async with ports.transaction() as session:
            version = await _propose(ports, session, caller, body.dataAgreement, code=None)
            return await _answer(session, version)

    @routes.put("/data-agreement/{dataAgreementId}/", operation_id="configDataAgreementUpdate")
    async def update(request: Request, dataAgreementId: str, body: DataAgreementBody) -> DataAgreementAndRevision:
        """Proposes a purpose's next version."""
        caller = await configures(ports, request)
        async with ports.transaction() as session:
            known = await reading.data_agreement(session, dataAgreementId, agency_id=caller.agency_id)
            version = await _propose(ports, session, caller, body.dataAgreement, code=known.code)
            return await _answer(session, version)

    @routes.delete("/data-agreement/{dataAgreementId}/", operation_id="configDataAgreementDelete")
    async def remove(request: Request, dataAgreementId: str) -> OnlyRevision:
        """Withdraws a proposal; or proposes to end the version in force and its consents, for somebody to approve."""
        caller = await configures(ports, request)
        async with ports.transaction() as session:
            version = await reading.data_agreement(session, dataAgreementId, agency_id=caller.agency_id)
            who, now = Person(actor(caller)), ports.clock()
            if version.status in {"draft", "proposed"}:
                await reject(
                    session,
                    version.id,
                    by=who,
                    reason="taken back by its agency",
                    now=now,
                    entropy=ports.entropy,
                )
            else:
                await propose_ending(
                    session,
                    object_kind="purpose_version",
                    object_id=version.id,
                    reason="deleted by its agency through the GovStack API",
                    proposed_by=who,
                    now=now,
                    entropy=ports.entropy,
                )
            predecessor = await reading.predecessor_of(session, version)
        return OnlyRevision(revision=data_agreement_revision(version, predecessor))


def _reading(routes: APIRouter, ports: GovStackPorts) -> None:
    @routes.get("/data-agreement/{dataAgreementId}/", operation_id="configDataAgreementRead")
    async def read(request: Request, dataAgreementId: str) -> DataAgreementAndRevision:
        """Reads a purpose: the version in force, else the newest."""
        caller = await configures(ports, request)
        async with ports.reading() as session:
            return await _answer(
                session, await reading.data_agreement(session, dataAgreementId, agency_id=caller.agency_id)
            )

    @routes.get("/data-agreements/", operation_id="configDataAgreementList")
    async def every(request: Request, offset: Offset = 0, limit: Limit = 100) -> DataAgreementList:
        """The agency's purposes, at their newest versions."""
        caller = await configures(ports, request)
        async with ports.reading() as session:
            views = await reading.data_agreements(session, agency_id=caller.agency_id, offset=offset, limit=limit)
        return DataAgreementList(dataAgreement=[data_agreement_object(view) for view in views])


async def _propose(
    ports: GovStackPorts, session: AsyncSession, caller: ApiCaller, asked: DataAgreement, *, code: str | None
) -> PurposeVersionView:
    said = await _specification(session, caller, asked)
    if code is not None and said.get("code", code) != code:
        raise ApiRefusal(400, "invalid_request", "a data agreement keeps its code")
    compatible = asked.compatibleWithVersion
    said["compatible_with"] = [int(compatible.version)] if compatible is not None and compatible.version else []
    if code is not None:
        said["code"] = code
    try:
        return await propose_version(
            session,
            agency_id=caller.agency_id,
            proposed_by=actor(caller),
            now=ports.clock(),
            entropy=ports.entropy,
            **said,
        )
    except TypeError as unknown:
        raise ApiRefusal(400, "invalid_request", "the specification lacks a member, or has an unknown one") from unknown


async def _specification(session: AsyncSession, caller: ApiCaller, asked: DataAgreement) -> dict[str, Any]:
    """What is proposed: the specification, with what the policy says where it says nothing itself."""
    said = dict(asked.specification or {})
    if not said:
        raise ApiRefusal(
            400,
            "invalid_request",
            "say what the purpose is in dataAgreement.specification, as docs/integrate/purposes.md describes",
        )
    if said.get("legal_basis", asked.lawfulBasis) != asked.lawfulBasis:
        raise ApiRefusal(400, "invalid_request", "lawfulBasis and the specification's legal_basis differ")
    said["legal_basis"] = asked.lawfulBasis
    for name in RESERVED & said.keys():
        raise ApiRefusal(400, "invalid_request", f"the specification has no member {name}")
    if isinstance(asked.policy, Policy | PolicyReference) and asked.policy.id:
        view = await policies.policy(session, asked.policy.id, agency_id=caller.agency_id)
        _fill_in(said, view.content)
    return said


def _fill_in(said: dict[str, Any], policy: Mapping[str, Any]) -> None:
    if policy.get("dataRetentionPeriodDays") is not None:
        said.setdefault("retention_days", policy["dataRetentionPeriodDays"])
    terms = dict(said.get("terms") or {})
    for member, name, is_list in (
        ("jurisdiction", "jurisdiction", False),
        ("storageLocation", "storage_locations", True),
        ("geographicRestriction", "geographic_restrictions", True),
        ("url", "codes_of_conduct", True),
    ):
        value = policy.get(member)
        if value:
            terms.setdefault(name, [value] if is_list else value)
    said["terms"] = terms


async def _answer(session: AsyncSession, version: PurposeVersionView) -> DataAgreementAndRevision:
    predecessor = await reading.predecessor_of(session, version)
    return DataAgreementAndRevision(
        dataAgreement=data_agreement_object(version), revision=data_agreement_revision(version, predecessor)
    )
