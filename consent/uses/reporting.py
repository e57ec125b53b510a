"""A batch of reported uses, in one transaction: resolved, judged, written with its leaves, and answered once.

The same batch again is answered with the same answer, by its idempotency key; a use that was reported before is known
again by its reference. An agency's batches come one after the other.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from consent import gate
from consent.checks import known as checks
from consent.checks.question import Asking
from consent.errors import ConsentError
from consent.event_store import EVENT_COLUMNS, read_events
from consent.events import Event
from consent.locking import hold
from consent.log.entries import append
from consent.models import ConsentEvent, ConsentRecord
from consent.uses.counted import note_reported
from consent.uses.disclosure import REPORTED, Disclosure, Written, read, write
from consent.uses.models import ExpectedUse, Use, UseBatch
from consent.uses.report import Candidate, Fault, Judged, ReportedUse, judge
from consent.vault import keys_of
from keys.entropy import Entropy, new_row_id
from keys.errors import KeysError
from keys.personal import PersonalKey

_Person = tuple[str, str]  # the `sub`, and the app that knows the person by it
_AT_ONCE: Final = 500  # values in one IN (…)


class OtherBatch(ConsentError):
    """Under this idempotency key the agency sent another batch before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter:
    """The app that reports, and the agency whose it is."""

    client_id: str
    agency_id: str
    agency_code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A batch's answer: one result for each use, in the order of the uses. `consent_ids`: what to compare with.

    A result has `reference`, `status` (`recorded`, `known` or `refused`), the use's `id` where it was written down,
    and `error` and `error_description` where it was refused.
    """

    batch_id: str
    accepted: int
    results: Sequence[Mapping[str, Any]]
    consent_ids: Collection[str]


async def report(
    session: AsyncSession,
    *,
    by: Reporter,
    idempotency_key: str,
    sha256: bytes,
    uses: Sequence[ReportedUse],
    now: datetime,
    entropy: Entropy,
) -> Answered:
    """Writes a batch down. `sha256` is that of what was sent. Error: `OtherBatch`."""
    await hold(session, f"uses {by.agency_id}")
    before = (
        await session.execute(
            select(UseBatch.id, UseBatch.sha256, UseBatch.accepted, UseBatch.answer).where(
                UseBatch.agency_id == by.agency_id, UseBatch.idempotency_key == idempotency_key
            )
        )
    ).one_or_none()
    if before is not None:
        if before.sha256 != sha256:
            raise OtherBatch("this idempotency key belongs to another batch")
        return Answered(batch_id=before.id, accepted=before.accepted, results=before.answer, consent_ids=())
    batch_id = new_row_id(entropy, now)
    written = _Batch(by, await _candidates(session, uses), await _reported(session, by, uses), batch_id, now, entropy)
    written.keys = await keys_of(session, written.subject_ids())
    results = [written.take(use) for use in uses]
    accepted = sum(result["status"] != "refused" for result in results)
    await session.execute(
        insert(UseBatch).values(
            id=batch_id,
            agency_id=by.agency_id,
            client_id=by.client_id,
            idempotency_key=idempotency_key,
            sha256=sha256,
            accepted=accepted,
            answer=results,
            received_at=now,
        )
    )
    await written.keep(session)
    return Answered(batch_id=batch_id, accepted=accepted, results=results, consent_ids=frozenset(written.consents_used))


class _Batch:
    """A batch while it is being taken in."""

    def __init__(
        self,
        by: Reporter,
        candidates: Mapping[_Person, Sequence[Candidate]],
        reported: Mapping[str, Any],
        batch_id: str,
        now: datetime,
        entropy: Entropy,
    ) -> None:
        self._by = by
        self._asking = Asking(agency_id=by.agency_id, agency_code=by.agency_code)
        self._candidates = candidates
        self._reported = reported
        self._batch_id = batch_id
        self._now = now
        self._entropy = entropy
        self._taken: dict[str, tuple[ReportedUse, dict[str, Any]]] = {}
        self._written: list[Written] = []
        self._named: set[str] = set()
        self.keys: Mapping[str, PersonalKey] = {}
        self.consents_used: dict[str, int] = defaultdict(int)

    def subject_ids(self) -> set[str]:
        """Everybody whom the batch may be about."""
        facts = (one.known.facts for found in self._candidates.values() for one in found)
        subjects = {one.subject_id for one in facts if one.subject_id is not None}
        return subjects | {row.subject_id for row in self._reported.values()}

    def take(self, use: ReportedUse) -> dict[str, Any]:
        """One use's result."""
        earlier = self._taken.get(use.reference)
        if earlier is not None:
            return earlier[1] if earlier[0] == use else _refused(use, Fault.CONFLICT, _OTHER_USE)
        result = self._known(use) if use.reference in self._reported else self._judged(use)
        self._taken[use.reference] = (use, result)
        return result

    def _known(self, use: ReportedUse) -> dict[str, Any]:
        row = self._reported[use.reference]
        key = self.keys.get(row.subject_id)
        if key is not None and not _is_same(row, key, use):
            return _refused(use, Fault.CONFLICT, _OTHER_USE)
        return {"reference": use.reference, "status": "known", "id": row.id}

    def _judged(self, use: ReportedUse) -> dict[str, Any]:
        judged = judge(use, self._asking, self._candidates.get((use.sub, use.client_id), ()), self._now)
        key = self.keys.get(judged.subject_id or "")
        if judged.keeps and key is None:
            return _refused(use, Fault.UNKNOWN, "no such person is known to this app, or not with this")
        result = {"reference": use.reference, "status": "recorded"}
        if judged.fault is not None:
            result = _refused(use, judged.fault, judged.sentence)
        if judged.keeps and key is not None:
            result["id"] = self._write(use, judged, key)
        return result

    def _write(self, use: ReportedUse, judged: Judged, key: PersonalKey) -> str:
        disclosure = _disclosure(use, judged, self._by, new_row_id(self._entropy, self._now))
        self._written.append(write(disclosure, key, entropy=self._entropy, batch_id=self._batch_id))
        self._named |= {one for one in (use.token_id, use.check) if one is not None}
        if judged.consent_id is not None:
            self.consents_used[judged.consent_id] += judged.fault is None
        return disclosure.id

    async def keep(self, session: AsyncSession) -> None:
        """Writes the uses and their leaves, what they answer to, and what they count against."""
        if not self._written:
            return
        await session.execute(insert(Use), [one.use for one in self._written])
        await append(session, [one.entry for one in self._written])
        for references in _in_parts(self._named):
            await session.execute(
                update(ExpectedUse)
                .where(
                    ExpectedUse.reference.in_(references),
                    ExpectedUse.provider_agency_id == self._by.agency_id,
                    ExpectedUse.reported_at.is_(None),
                )
                .values(reported_at=self._now)
            )
        used = {consent_id: uses for consent_id, uses in self.consents_used.items() if uses}
        await note_reported(session, used, now=self._now, entropy=self._entropy)


_OTHER_USE: Final = "another use was reported under this reference"


def _refused(use: ReportedUse, fault: Fault, sentence: str) -> dict[str, Any]:
    return {
        "reference": use.reference,
        "status": "refused",
        "error": str(fault),
        "error_description": sentence,
    }


def _disclosure(use: ReportedUse, judged: Judged, by: Reporter, use_id: str) -> Disclosure:
    assert judged.subject_id is not None
    assert judged.agency_id is not None
    return Disclosure(
        id=use_id,
        at=use.at,
        subject_id=judged.subject_id,
        consent_id=judged.consent_id,
        purpose_version_id=judged.purpose_version_id,
        agency_id=judged.agency_id,
        client_id=use.client_id,
        action=use.action,
        items=tuple(sorted(set(use.items))),
        provider_agency_id=by.agency_id,
        evidence=REPORTED,
        legal_basis=judged.legal_basis,
        legal_citation=judged.legal_citation,
        jti=use.token_id,
        system=use.system,
        officer=use.officer,
        reason=use.reason,
        reference=use.reference,
        seen_from=use.delay.until if use.delay is not None else None,
        delay_basis=use.delay.basis if use.delay is not None else None,
    )


def _is_same(row: Any, key: PersonalKey, use: ReportedUse) -> bool:
    """Whether a use that was written down is what is reported under its reference now."""
    try:
        kept = read(row, key)
    except KeysError:
        return False
    return (
        kept.at == use.at
        and kept.client_id == use.client_id
        and kept.action == use.action
        and tuple(kept.items) == tuple(sorted(set(use.items)))
        and kept.jti == use.token_id
    )


async def _candidates(session: AsyncSession, uses: Sequence[ReportedUse]) -> Mapping[_Person, Sequence[Candidate]]:
    """Each named person's consents for the app that they are named by, newest first, with all their events."""
    people = {(use.sub, use.client_id) for use in uses}
    statement = checks.joined(select(*checks.COLUMNS).select_from(ConsentRecord)).where(
        ConsentRecord.erased_at.is_(None)
    )
    rows: list[Any] = []
    for subs in _in_parts({sub for sub, _ in people}):
        rows += await session.execute(
            statement.where(ConsentRecord.subject_ref.in_(subs)).order_by(
                ConsentRecord.decided_at.desc(), ConsentRecord.id.desc()
            )
        )
    known = [checks.known_of(row, 0, recipient_agency_id=None, is_served=True) for row in rows]
    wanted = [one for one in known if one is not None and (one.sub, one.facts.client_id) in people]
    events = await _events(session, [one.facts for one in wanted])
    found: dict[_Person, list[Candidate]] = defaultdict(list)
    for one in wanted:
        assert one.sub is not None
        assert one.facts.client_id is not None
        candidate = Candidate(known=one, events=tuple(events[one.facts.consent_id or ""]))
        found[one.sub, one.facts.client_id].append(candidate)
    return found


async def _events(session: AsyncSession, facts: Sequence[gate.Facts]) -> Mapping[str, list[Event]]:
    found: dict[str, list[Event]] = defaultdict(list)
    for ids in _in_parts({one.consent_id for one in facts if one.consent_id is not None}):
        rows = await session.execute(
            select(*EVENT_COLUMNS).where(ConsentEvent.consent_id.in_(ids)).order_by(ConsentEvent.seq)
        )
        for event in await read_events(session, rows):
            found[event.consent_id].append(event)
    return found


async def _reported(session: AsyncSession, by: Reporter, uses: Sequence[ReportedUse]) -> Mapping[str, Any]:
    """The uses that the agency reported under these references before."""
    found: dict[str, Any] = {}
    for references in _in_parts({use.reference for use in uses}):
        rows = await session.execute(
            select(*Use.__table__.columns).where(Use.provider_agency_id == by.agency_id, Use.reference.in_(references))
        )
        found |= {row.reference: row for row in rows}
    return found


def _in_parts(values: Collection[str]) -> list[list[str]]:
    ordered = sorted(values)
    return [ordered[start : start + _AT_ONCE] for start in range(0, len(ordered), _AT_ONCE)]
