"""The register of agencies: who may ask people for data, and whom people can turn to about it.

Spec: Law 27/2022 (UU PDP) article 53: every agency names whom to ask about personal data (`privacy_contact`).
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from consent.errors import AgencyRefused
from consent.locking import hold
from consent.models import Agency
from consent.wording import fault_in, fault_in_each_language
from keys.entropy import Entropy, new_row_id

_CODE: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,58}[a-z0-9])?")


async def create_agency(
    session: AsyncSession,
    *,
    code: str,
    names: Mapping[str, str],
    contact: str,
    privacy_contact: str,
    website: str | None = None,
    now: datetime,
    entropy: Entropy,
) -> Agency:
    """Registers an agency. `names` is its name in each language. Error: `AgencyRefused`, also when `code` is taken."""
    _check(code=code, names=names, contact=contact, privacy_contact=privacy_contact, website=website)
    await hold(session, f"agency {code}")
    if await agency_by_code(session, code) is not None:
        raise AgencyRefused(f"there is an agency with the code {code} already")
    agency = Agency(
        id=new_row_id(entropy, now),
        code=code,
        names=dict(names),
        contact=contact,
        privacy_contact=privacy_contact,
        website=website,
        status="active",
        created_at=now,
    )
    session.add(agency)
    await session.flush()
    return agency


async def list_agencies(session: AsyncSession) -> list[Agency]:
    """Every agency, by code."""
    return list((await session.scalars(select(Agency).order_by(Agency.code))).all())


async def agency_by_code(session: AsyncSession, code: str) -> Agency | None:
    """The agency of that code, if there is one."""
    return (await session.scalars(select(Agency).where(Agency.code == code))).one_or_none()


def _check(*, code: str, names: Mapping[str, str], contact: str, privacy_contact: str, website: str | None) -> None:
    if _CODE.fullmatch(code) is None:
        raise AgencyRefused("the code must be 1 to 60 of a-z, 0-9, dot, hyphen and underscore")
    fault = fault_in_each_language(names, most=200)
    if fault is not None:
        raise AgencyRefused(f"the name {fault}")
    for what, text in (("contact", contact), ("privacy contact", privacy_contact)):
        fault = fault_in(text, most=300)
        if fault is not None:
            raise AgencyRefused(f"the {what} {fault}")
    if website is None:
        return
    fault = fault_in(website, most=500)
    # Should a page ever link to it: "javascript:" would run on our own origin, and http can be forged on the way.
    if fault is not None or not website.startswith("https://"):
        raise AgencyRefused("the website must be an https address")
