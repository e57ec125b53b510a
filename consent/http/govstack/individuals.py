"""People, as the `config` and `service` parts know them: by the `sub` that the agency's apps get.

Spec: GovStack Consent Building Block API 1.1 (`/config/individual…`, `/service/individual…`).
"""

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from consent.govstack import reading
from consent.http.api.ports import ApiCaller, ApiRefusal
from consent.http.govstack.access import Limit, Offset, configures, serves
from consent.http.govstack.answers import IndividualBody, Individuals
from consent.http.govstack.objects import individual_object
from consent.http.govstack.ports import GovStackPorts
from consent.http.govstack.schemas import Individual


def router(ports: GovStackPorts) -> APIRouter:
    """The routes."""
    routes = APIRouter()
    config, service = APIRouter(prefix="/config", tags=["config"]), APIRouter(prefix="/service", tags=["service"])
    _in_config(config, ports)
    _in_service(service, ports)
    routes.include_router(config)
    routes.include_router(service)
    return routes


def _in_config(routes: APIRouter, ports: GovStackPorts) -> None:
    @routes.post("/individual/", operation_id="configIndividualCreate")
    async def create(request: Request, body: IndividualBody) -> IndividualBody:
        """Finds a person by their `sub`. People are enrolled by this service, never by an app."""
        caller = await configures(ports, request)
        return IndividualBody(individual=await find_individual(ports, caller, body.individual))

    @routes.get("/individual/{individualId}/", operation_id="configIndividualRead")
    async def read(request: Request, individualId: str) -> IndividualBody:
        """Reads a person with whom the agency has a record."""
        caller = await configures(ports, request)
        async with ports.reading() as session:
            await known_individual(session, individualId, agency_id=caller.agency_id)
        return IndividualBody(individual=individual_object(individualId))

    @routes.get("/individuals/", operation_id="configIndividualList")
    async def every(request: Request, offset: Offset = 0, limit: Limit = 100) -> Individuals:
        """People with whom the agency has a record."""
        return await list_individuals(ports, await configures(ports, request), offset=offset, limit=limit)


def _in_service(routes: APIRouter, ports: GovStackPorts) -> None:
    @routes.post("/individual/", operation_id="serviceIndividualCreate")
    async def create(request: Request, body: IndividualBody) -> IndividualBody:
        """Finds a person by their `sub`. People are enrolled by this service, never by an app."""
        caller = await serves(ports, request)
        return IndividualBody(individual=await find_individual(ports, caller, body.individual))

    @routes.get("/individual/{individualId}/", operation_id="serviceIndividualRead")
    async def read(request: Request, individualId: str) -> IndividualBody:
        """Reads a person with whom the agency has a record."""
        caller = await serves(ports, request)
        async with ports.reading() as session:
            await known_individual(session, individualId, agency_id=caller.agency_id)
        return IndividualBody(individual=individual_object(individualId))

    @routes.put("/individual/{individualId}/", operation_id="serviceIndividualUpdate")
    async def update(request: Request, individualId: str, body: IndividualBody) -> IndividualBody:
        """Confirms what is known; nothing about a person is an app's to change."""
        caller = await serves(ports, request)
        async with ports.reading() as session:
            await known_individual(session, individualId, agency_id=caller.agency_id)
        known, said = individual_object(individualId), body.individual
        for name in ("externalId", "externalIdType", "identityProviderId"):
            if getattr(said, name) not in {None, "", getattr(known, name)}:
                raise ApiRefusal(400, "invalid_request", f"{name} is not an app's to change")
        return IndividualBody(individual=known)

    @routes.get("/individuals/", operation_id="serviceIndividualList")
    async def every(request: Request, offset: Offset = 0, limit: Limit = 100) -> Individuals:
        """People with whom the agency has a record."""
        return await list_individuals(ports, await serves(ports, request), offset=offset, limit=limit)


async def known_individual(session: AsyncSession, subject_ref: str, *, agency_id: str) -> str:
    """Our id of a person by their `sub`. Error: `ApiRefusal` when the agency has no record with them."""
    subject_id = await reading.individual(session, subject_ref, agency_id=agency_id)
    if subject_id is None:
        raise ApiRefusal(400, "invalid_request", "the agency has no record with this individual")
    return subject_id


async def find_individual(ports: GovStackPorts, caller: ApiCaller, asked: Individual) -> Individual:
    """The person whom the agency knows by this `sub`. Error: `ApiRefusal`."""
    if asked.externalIdType not in {None, "", "sub"} or not asked.externalId:
        raise ApiRefusal(400, "invalid_request", "name the person by externalId, which is their sub")
    async with ports.reading() as session:
        await known_individual(session, asked.externalId, agency_id=caller.agency_id)
    return individual_object(asked.externalId)


async def list_individuals(ports: GovStackPorts, caller: ApiCaller, *, offset: int, limit: int) -> Individuals:
    """A page of the agency's people."""
    async with ports.reading() as session:
        found = await reading.individuals(session, agency_id=caller.agency_id, offset=offset, limit=limit)
    return Individuals(individuals=[individual_object(subject_ref) for subject_ref in found])
