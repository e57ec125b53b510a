"""Data items that agencies hold and others may ask for, and the one look-up of these and the provider's own.

Such an item never passes through the provider: it flows from the agency that holds it to the one that asks, who both
ask the gate. What a person is told of it, its name, its category and whose it is, is here. An item never changes, for
agreements and consents name it; another meaning is another item.
Spec: ISO/IEC TS 27560 (pii_type, pii_attribute_id, sensitive_pii_category); Law 27/2022 (UU PDP) article 4.
"""

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, insert, select
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from consent.attributes import ITEMS, REGISTERED, Category, DataItem, Source
from consent.errors import AttributeRefused, UnknownAgency, UnknownAttribute
from consent.locking import hold
from consent.models import Agency, DataAttribute
from consent.registry.events import ATTRIBUTE, append_event
from consent.registry.people import OPERATOR, Person, person
from consent.registry.vocabulary import GENERAL_CATEGORIES, SPECIFIC_CATEGORIES, is_personal_data_term
from consent.wording import fault_in_each_language
from keys.entropy import Entropy

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,59}", re.ASCII)


async def register_attribute(
    session: AsyncSession,
    *,
    source_agency_id: str,
    name: str,
    labels: Mapping[str, str],
    category: str,
    is_specific: bool = False,
    dpv_iri: str,
    registered_by: Person | str = OPERATOR,
    now: datetime,
    entropy: Entropy,
) -> DataItem:
    """Registers an item that an agency holds. `name` is a short one; its claim is `urn:satupintu:data:AGENCY:NAME`.

    Errors: `UnknownAgency`, `AttributeRefused`.
    """
    agency = await session.get(Agency, source_agency_id)
    if agency is None:
        raise UnknownAgency(f"there is no agency {source_agency_id}")
    _check(name=name, labels=labels, category=category, is_specific=is_specific, dpv_iri=dpv_iri)
    claim = f"{REGISTERED}{agency.code}:{name}"
    await hold(session, f"attribute {claim}")
    if claim in await attributes_named(session, [claim]):
        raise AttributeRefused(f"there is a data item {claim} already")
    said = {
        "name": claim,
        "labels": dict(labels),
        "category": category,
        "is_specific": is_specific or category in SPECIFIC_CATEGORIES,
        "dpv_iri": dpv_iri,
        "source_agency_id": source_agency_id,
    }
    await session.execute(insert(DataAttribute).values(**said, created_at=now))
    await append_event(
        session,
        object_kind=ATTRIBUTE,
        object_id=claim,
        kind="registered",
        by=person(registered_by),
        detail={"said": said},
        now=now,
        entropy=entropy,
    )
    return (await attributes_named(session, [claim]))[claim]


async def list_attributes(session: AsyncSession, *, source_agency_id: str | None = None) -> list[DataItem]:
    """Every registered item (of one agency, if named), by name."""
    statement = _items().order_by(DataAttribute.name)
    if source_agency_id is not None:
        statement = statement.where(DataAttribute.source_agency_id == source_agency_id)
    return [_item(row) for row in await session.execute(statement)]


async def attributes_named(session: AsyncSession, claims: Collection[str]) -> dict[str, DataItem]:
    """The items of these names, the provider's own and registered ones. Unknown names are left out."""
    found = {claim: ITEMS[claim] for claim in claims if claim in ITEMS}
    elsewhere = [claim for claim in claims if claim not in ITEMS]
    if elsewhere:
        rows = await session.execute(_items().where(DataAttribute.name.in_(elsewhere)))
        found |= {row.name: _item(row) for row in rows}
    return found


async def attribute(session: AsyncSession, claim: str) -> DataItem:
    """The item of that name. Error: `UnknownAttribute`."""
    found = (await attributes_named(session, [claim])).get(claim)
    if found is None:
        raise UnknownAttribute(f"there is no data item {claim}")
    return found


def _check(*, name: object, labels: Mapping[str, str], category: str, is_specific: object, dpv_iri: object) -> None:
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise AttributeRefused("the name must be 1 to 60 of a-z, 0-9 and underscore, a letter first")
    fault = fault_in_each_language(labels, most=120)
    if fault is not None:
        raise AttributeRefused(f"the label {fault}")
    if category not in SPECIFIC_CATEGORIES and category not in GENERAL_CATEGORIES:
        every = ", ".join([*GENERAL_CATEGORIES, *SPECIFIC_CATEGORIES])
        raise AttributeRefused(f"the category must be one of {every}")
    if not isinstance(is_specific, bool):
        raise AttributeRefused("whether it is specific is true or false")
    if not is_personal_data_term(dpv_iri):
        raise AttributeRefused("the DPV category must be an address such as https://w3id.org/dpv/pd#HealthRecord")


def _items() -> Select[*tuple[Any, ...]]:
    return select(
        DataAttribute.name,
        DataAttribute.labels,
        DataAttribute.category,
        DataAttribute.is_specific,
        DataAttribute.dpv_iri,
        DataAttribute.source_agency_id,
        Agency.code,
        Agency.names,
    ).join(Agency, Agency.id == DataAttribute.source_agency_id)


def _item(row: Row[Any]) -> DataItem:
    return DataItem(
        claim=row.name,
        id=row.labels["id"],
        en=row.labels["en"],
        dpv_iri=row.dpv_iri,
        category=Category.SPECIFIC if row.is_specific else Category.GENERAL,
        source=Source(agency_id=row.source_agency_id, code=row.code, names=row.names),
        kind=row.category,
    )
