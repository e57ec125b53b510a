"""The register of agencies: who may ask people for data, and whom people can turn to about it.

What happens to an agency (registered, changed, suspended, reinstated) is an event of the registry; its row is their
projection.
Spec: Law 27/2022 (UU PDP) article 53: every agency names whom to ask about personal data (`privacy_contact`);
ISO/IEC TS 27560 (party_name, party_address, party_contact, party_type, party_email, party_phone, party_url).
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from consent.errors import AgencyRefused, UnknownAgency
from consent.locking import hold
from consent.models import Agency
from consent.registry.events import AGENCY, append_event, events_of
from consent.registry.people import OPERATOR, Person, person
from consent.registry.vocabulary import PARTY_TYPES
from consent.wording import fault_in, fault_in_each_language
from keys.entropy import Entropy, new_row_id

_CODE: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,58}[a-z0-9])?")
_EMAIL: Final = re.compile(r"[^\s@<>,;\"]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_PHONE: Final = re.compile(r"\+?[0-9][0-9 ()./-]{4,48}", re.ASCII)

# What an agency says of itself, and what may be changed without it becoming another agency.
MEMBERS: Final = ("names", "contact", "privacy_contact", "website", "address", "email", "phone", "party_type")


async def create_agency(
    session: AsyncSession,
    *,
    code: str,
    names: Mapping[str, str],
    contact: str,
    privacy_contact: str,
    website: str | None = None,
    address: str | None = None,
    email: str | None = None,
    phone: str | None = None,
    party_type: str = "government",
    registered_by: Person | str = OPERATOR,
    now: datetime,
    entropy: Entropy,
) -> Agency:
    """Registers an agency. `names` is its name in each language; without an `address` nobody can be asked by it.

    Error: `AgencyRefused`, also when `code` is taken.
    """
    said: dict[str, Any] = {
        "names": names,
        "contact": contact,
        "privacy_contact": privacy_contact,
        "website": website,
        "address": address,
        "email": email,
        "phone": phone,
        "party_type": party_type,
    }
    if _CODE.fullmatch(code) is None:
        raise AgencyRefused("the code must be 1 to 60 of a-z, 0-9, dot, hyphen and underscore")
    _check(said)
    said["names"] = dict(names)
    await hold(session, f"agency {code}")
    if await agency_by_code(session, code) is not None:
        raise AgencyRefused(f"there is an agency with the code {code} already")
    agency = Agency(id=new_row_id(entropy, now), code=code, **said, status="active", created_at=now)
    session.add(agency)
    await session.flush()
    await _append(session, agency, "registered", registered_by, {"said": {"code": code, **said}}, now, entropy)
    return agency


async def change_agency(
    session: AsyncSession, agency_id: str, *, by: Person | str, now: datetime, entropy: Entropy, **changes: Any
) -> Agency:
    """Changes what an agency says of itself (`MEMBERS`). Errors: `UnknownAgency`; `AgencyRefused`."""
    agency = await _held(session, agency_id, by, now, entropy)
    said = {name: getattr(agency, name) for name in MEMBERS}
    unknown = sorted(set(changes) - set(MEMBERS))
    if unknown:
        raise AgencyRefused(f"an agency has no member {unknown[0]}")
    after = {**said, **changes}
    if after == said:
        raise AgencyRefused("that changes nothing")
    _check(after)
    await session.execute(update(Agency).where(Agency.id == agency_id).values(**after))
    await _append(session, agency, "changed", by, {"said": {"code": agency.code, **after}}, now, entropy)
    return await _fresh(session, agency_id)


async def suspend_agency(
    session: AsyncSession, agency_id: str, *, by: Person | str, reason: str, now: datetime, entropy: Entropy
) -> Agency:
    """From this commit on nothing flows to the agency, by any consent. Errors: `UnknownAgency`; `AgencyRefused`."""
    return await _turn(session, agency_id, "active", "suspended", by, reason, now, entropy)


async def reinstate_agency(
    session: AsyncSession, agency_id: str, *, by: Person | str, reason: str, now: datetime, entropy: Entropy
) -> Agency:
    """Ends a suspension. Errors: `UnknownAgency`; `AgencyRefused`."""
    return await _turn(session, agency_id, "suspended", "active", by, reason, now, entropy)


async def list_agencies(session: AsyncSession) -> list[Agency]:
    """Every agency, by code."""
    return list((await session.scalars(select(Agency).order_by(Agency.code))).all())


async def agency_by_code(session: AsyncSession, code: str) -> Agency | None:
    """The agency of that code, if there is one."""
    return (await session.scalars(select(Agency).where(Agency.code == code))).one_or_none()


async def _turn(
    session: AsyncSession,
    agency_id: str,
    before: str,
    after: str,
    by: Person | str,
    reason: str,
    now: datetime,
    entropy: Entropy,
) -> Agency:
    fault = fault_in(reason, most=500, lines=True)
    if fault is not None:
        raise AgencyRefused(f"the reason {fault}")
    agency = await _held(session, agency_id, by, now, entropy)
    if agency.status != before:
        raise AgencyRefused(f"the agency {agency.code} is {agency.status}")
    await session.execute(update(Agency).where(Agency.id == agency_id).values(status=after))
    kind = "suspended" if after == "suspended" else "reinstated"
    await _append(session, agency, kind, by, {"reason": reason}, now, entropy)
    return await _fresh(session, agency_id)


async def _held(session: AsyncSession, agency_id: str, by: Person | str, now: datetime, entropy: Entropy) -> Agency:
    """The agency, held until the transaction ends. One from before events were kept gets its first event here."""
    found = await session.get(Agency, agency_id)
    if found is None:
        raise UnknownAgency(f"there is no agency {agency_id}")
    await hold(session, f"agency {found.code}")
    agency = await _fresh(session, agency_id)
    if not await events_of(session, AGENCY, agency_id):
        await _append(session, agency, "adopted", by, as_found(agency), now, entropy)
    return agency


def as_found(agency: Agency) -> dict[str, Any]:
    """What the event says that takes over an agency from before events were kept."""
    said = {"code": agency.code, **{name: getattr(agency, name) for name in MEMBERS}}
    return {"status": agency.status, "said": said}


async def _fresh(session: AsyncSession, agency_id: str) -> Agency:
    return (
        await session.scalars(select(Agency).where(Agency.id == agency_id).execution_options(populate_existing=True))
    ).one()


async def _append(
    session: AsyncSession,
    agency: Agency,
    kind: str,
    by: Person | str,
    detail: Mapping[str, Any],
    now: datetime,
    entropy: Entropy,
) -> None:
    await append_event(
        session,
        object_kind=AGENCY,
        object_id=agency.id,
        kind=kind,
        by=person(by),
        detail=detail,
        now=now,
        entropy=entropy,
    )


def _check(said: Mapping[str, Any]) -> None:
    fault = fault_in_each_language(said["names"], most=200)
    if fault is not None:
        raise AgencyRefused(f"the name {fault}")
    texts = (("contact", said["contact"], 300), ("privacy contact", said["privacy_contact"], 300))
    for what, text, most in (*texts, *((("address", said["address"], 500),) if said["address"] is not None else ())):
        fault = fault_in(text, most=most)
        if fault is not None:
            raise AgencyRefused(f"the {what} {fault}")
    if said["email"] is not None and not _matches(_EMAIL, said["email"], most=300):
        raise AgencyRefused("the email must be an address such as layanan@kemenkes.example")
    if said["phone"] is not None and not _matches(_PHONE, said["phone"], most=50):
        raise AgencyRefused("the phone must be a number such as +62 21 5550001")
    if said["party_type"] not in PARTY_TYPES:
        raise AgencyRefused(f"the party type must be one of {', '.join(PARTY_TYPES)}")
    website = said["website"]
    if website is None:
        return
    # Should a page ever link to it: "javascript:" would run on our own origin, and http can be forged on the way.
    if fault_in(website, most=500) is not None or not website.startswith("https://"):
        raise AgencyRefused("the website must be an https address")


def _matches(pattern: re.Pattern[str], text: object, *, most: int) -> bool:
    return isinstance(text, str) and fault_in(text, most=most) is None and pattern.fullmatch(text) is not None
