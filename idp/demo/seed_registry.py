"""Makes the demonstration's registry where it is missing, by the same path that everyone else takes: proposed by one,
reviewed and approved by two others.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from consent.agencies import MEMBERS, agency_by_code, change_agency, create_agency
from consent.errors import UnknownAgency, UnknownPurpose
from consent.purpose_draft import Draft
from consent.purposes import PurposeVersionView, digest_of, versions_of
from consent.registry.agreement_versions import approve_agreement, propose_agreement
from consent.registry.agreements import list_agreements
from consent.registry.attributes import list_attributes, register_attribute
from consent.registry.versions import approve, propose_version
from idp.demo.registry import (
    AGENCIES,
    AGREEMENTS,
    ANSWERS,
    ATTRIBUTES,
    OFFICERS,
    OPERATOR,
    PROPOSALS,
    PURPOSES,
    WRITERS,
)
from keys.entropy import Entropy

_STANDING: Final = frozenset({"draft", "proposed", "active"})
_NOT_SAID_BY_A_DRAFT: Final = frozenset({"agency", "compatible_with"})


async def seed_registry(session: AsyncSession, *, now: datetime, entropy: Entropy) -> None:
    """Agencies, data items, purposes, agreements; and one proposal that waits for its reviewers."""
    for agency in AGENCIES:
        await _agency(session, agency, now=now, entropy=entropy)
    known = {item.claim for item in await list_attributes(session)}
    for item in ATTRIBUTES:
        owner, name = item["agency"], item["name"]
        if f"urn:satupintu:data:{owner}:{name}" not in known:
            said = {member: value for member, value in item.items() if member != "agency"}
            await register_attribute(
                session,
                source_agency_id=await _id_of(session, owner),
                **said,
                registered_by=WRITERS[owner],
                now=now,
                entropy=entropy,
            )
    # An agreement is for what a purpose asks for, and a purpose in force needs its agreement. So all are proposed, then
    # agreed on, then approved.
    proposed = [version for says in PURPOSES if (version := await _propose(session, says, now, entropy)) is not None]
    for agreement in AGREEMENTS:
        await _agree(session, agreement, now=now, entropy=entropy)
    for version in proposed:
        for side, by in (("agency", OFFICERS[version.agency_code]), ("operator", OPERATOR)):
            review = ANSWERS[version.code].review
            await approve(session, version.id, side=side, by=by, review=review, now=now, entropy=entropy)
    if proposed:
        for says in PROPOSALS:
            await _propose(session, says, now, entropy)


async def _agency(session: AsyncSession, says: dict[str, Any], *, now: datetime, entropy: Entropy) -> None:
    existing = await agency_by_code(session, says["code"])
    if existing is None:
        await create_agency(session, **says, registered_by=OPERATOR, now=now, entropy=entropy)
    elif existing.address is None:
        # Made by an earlier version of the demonstration.
        changes = {name: says[name] for name in MEMBERS if name in says}
        await change_agency(session, existing.id, by=OPERATOR, now=now, entropy=entropy, **changes)


async def _propose(
    session: AsyncSession, says: dict[str, Any], now: datetime, entropy: Entropy
) -> PurposeVersionView | None:
    """The proposed version, unless a version says this already."""
    agency_id = await _id_of(session, says["agency"])
    draft = Draft.read(**{name: value for name, value in says.items() if name not in _NOT_SAID_BY_A_DRAFT})
    try:
        earlier = await versions_of(session, says["code"])
    except UnknownPurpose:
        earlier = []
    digest = digest_of(draft, agency_id=agency_id)
    if any(version.digest == digest and version.status in _STANDING for version in earlier):
        return None
    said = {name: value for name, value in says.items() if name != "agency"}
    return await propose_version(
        session,
        agency_id=agency_id,
        **{"compatible_with": [], **said},
        proposed_by=WRITERS[says["agency"]],
        now=now,
        entropy=entropy,
    )


async def _agree(session: AsyncSession, says: dict[str, Any], *, now: datetime, entropy: Entropy) -> None:
    if any(known.code == says["code"] for known in await list_agreements(session)):
        return
    provider, recipient = says["provider"], says["recipient"]
    said = {name: value for name, value in says.items() if name not in {"provider", "recipient"}}
    agreement = await propose_agreement(
        session,
        provider_agency_id=await _id_of(session, provider),
        **said,
        valid_from=now,
        valid_until=now + timedelta(days=3 * 365),
        proposed_by=WRITERS[recipient],
        now=now,
        entropy=entropy,
    )
    for side, by in (("provider", OFFICERS[provider]), ("recipient", OFFICERS[recipient])):
        await approve_agreement(session, agreement.id, side=side, by=by, now=now, entropy=entropy)


async def _id_of(session: AsyncSession, code: str) -> str:
    agency = await agency_by_code(session, code)
    if agency is None:
        raise UnknownAgency(code)
    return agency.id
