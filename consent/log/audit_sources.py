"""Which tables are in the log, and how a row of each is read again. Whoever logs another table adds it here."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Table, func, select
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from consent.erasure.entries import as_entry, horizons, totals
from consent.erasure.models import Erasure, ErasureEntry
from consent.erasure.retention import first_id_of
from consent.erasure.rows import FORGOTTEN_LOOK
from consent.event_store import read_events
from consent.log.audit_rows import Rightly, Said, Source
from consent.log.entry import Kind, commit
from consent.models import ConsentEvent, OfficerAction
from consent.oversight import read_look
from consent.registry.events import LOG_KIND, RegistryEntry
from consent.registry.models import RegistryEvent
from consent.uses.delays import read_delay
from consent.uses.disclosure import read as read_use
from consent.uses.models import Use, UseDelay
from consent.vault import keys_of, vault_of
from consent.withdrawal.models import Attestation, Escalation
from keys.errors import KeysError
from keys.personal import PersonalKey

ERASED: Final = Said(commitment=None)


async def read_consent_events(session: AsyncSession, rows: Sequence[Row[Any]]) -> list[Said]:
    """The events of consents, opened by the keys of those people who still have one."""
    return [
        Said(event.computed_hash() if event.opening else None, event.hash, event.fault)
        for event in await read_events(session, rows)
    ]


async def read_uses(session: AsyncSession, rows: Sequence[Row[Any]]) -> list[Said]:
    """The record of use, likewise."""
    keys = await keys_of(session, {row.subject_id for row in rows})
    return [_use(row, keys.get(row.subject_id)) for row in rows]


def _use(row: Row[Any], key: PersonalKey | None) -> Said:
    if key is None:
        return ERASED
    try:
        return Said(commit(key.opening(row.id), read_use(row, key).as_json()))
    except (KeysError, ValueError, KeyError, TypeError):
        return Said(None, fault="what it says does not open with its person's key")


async def read_delays(session: AsyncSession, rows: Sequence[Row[Any]]) -> list[Said]:
    """That uses are to be seen later still, likewise."""
    keys = await keys_of(session, {row.subject_id for row in rows})
    return [_delay(row, keys.get(row.subject_id)) for row in rows]


def _delay(row: Row[Any], key: PersonalKey | None) -> Said:
    if key is None:
        return ERASED
    try:
        return Said(commit(key.opening(row.id), read_delay(row, key)))
    except (KeysError, ValueError, KeyError, TypeError):
        return Said(None, fault="what it says does not open with its person's key")


async def read_looks(session: AsyncSession, rows: Sequence[Row[Any]]) -> list[Said]:
    """What officers did: under the key of the person whom they looked for, or nobody's."""
    keys = await keys_of(session, {row.subject_id for row in rows if row.subject_id is not None})
    nobodys = vault_of(session).nobodys
    said = []
    for row in rows:
        key = nobodys if row.subject_id is None else keys.get(row.subject_id)
        if key is None or (row.subject_id is None and row.filters == FORGOTTEN_LOOK["filters"]):
            said.append(ERASED)
        else:
            said.append(Said(commit(key.opening(row.id), read_look(row).as_json())))
    return said


async def read_registry_events(session: AsyncSession, rows: Sequence[Row[Any]]) -> list[Said]:
    """What happened to agencies, purposes and agreements, which is nobody's secret."""
    nobodys = vault_of(session).nobodys
    entries = [RegistryEntry(**{name: getattr(row, name) for name in _REGISTRY}) for row in rows]
    return [Said(entry.committed(nobodys), entry.hash) for entry in entries]


def reads_nobodys(content: Callable[[Row[Any]], Mapping[str, Any]]) -> Any:
    """A reader of rows about nobody, each of which says `content`."""

    async def read(session: AsyncSession, rows: Sequence[Row[Any]]) -> list[Said]:
        nobodys = vault_of(session).nobodys
        return [Said(commit(nobodys.opening(row.id), content(row))) for row in rows]

    return read


def _as_model(model: type[Any]) -> Callable[[Row[Any]], Mapping[str, Any]]:
    names = tuple(column.name for column in _table(model).c)

    def content(row: Row[Any]) -> Mapping[str, Any]:
        said: Mapping[str, Any] = model(**{name: getattr(row, name) for name in names}).as_json()
        return said

    return content


def _table(model: type[Any]) -> Table:
    table: Table = model.__table__
    return table


def _source(model: type[Any], kind: Kind, read: Any) -> Source:
    return Source(_table(model), frozenset({kind}), lambda _: kind, read)


_REGISTRY: Final = tuple(RegistryEntry.__dataclass_fields__)

SOURCES: Final = (
    _source(ConsentEvent, Kind.CONSENT, read_consent_events),
    _source(Use, Kind.ACCESS, read_uses),
    _source(UseDelay, Kind.ACCESS, read_delays),
    _source(OfficerAction, Kind.OFFICER, read_looks),
    Source(
        _table(RegistryEvent),
        frozenset(LOG_KIND.values()),
        lambda row: LOG_KIND[row.object_kind],
        read_registry_events,
    ),
    _source(Attestation, Kind.DELIVERY, reads_nobodys(_as_model(Attestation))),
    _source(Escalation, Kind.DELIVERY, reads_nobodys(_as_model(Escalation))),
    _source(ErasureEntry, Kind.ERASURE, reads_nobodys(lambda row: as_entry(row).as_json())),
)


async def missing_rightly(session: AsyncSession) -> Rightly:
    """What the rules of retention and erasure have taken away, as they have written down themselves."""
    before = {kind: (moment, first_id_of(moment)) for kind, moment in (await horizons(session)).items()}
    under_way = select(func.count()).where(Erasure.destroyed_at.is_not(None), Erasure.finished_at.is_(None))
    return Rightly(before, None if await session.scalar(under_way) else await totals(session))
