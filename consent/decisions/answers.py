"""How an answer is written: the record that it makes, and the ones that it takes the place of."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import case, insert, select, update
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from consent.decisions.decision import BY_SYSTEM, Decision, How
from consent.decisions.writing import Change, change, write_events
from consent.errors import DecisionRefused
from consent.event_store import keep_text
from consent.locking import hold
from consent.models import ConsentRecord
from consent.notice import Notice
from consent.purposes import PurposeVersionView
from consent.registry.agreements import agreement_of, needs_agreement
from consent.statuses import CURRENT, STATUS_AFTER
from keys.entropy import Entropy, new_row_id

_COLUMNS: Final = tuple(ConsentRecord.__table__.columns)
# A version that a newer one has just taken the place of was the one that was shown.
_STANDING: Final = frozenset({"active", "superseded"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a record has from the version that it is about, and from the agreement that the data flows by."""

    agreement_version_id: str | None
    fetch_type: str
    use_limit: int | None
    use_window_days: int | None
    valid_until: datetime

    def as_values(self) -> dict[str, Any]:
        """The members that are columns as they are; until when is the answer's to say."""
        return {
            "agreement_version_id": self.agreement_version_id,
            "fetch_type": self.fetch_type,
            "use_limit": self.use_limit,
            "use_window_days": self.use_window_days,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was answered: the kind of event, and the state that it leads to."""

    kind: str
    granted: Collection[str] = ()
    refused: Collection[str] = ()
    offline_access: bool = False
    valid_until: datetime | None = None
    terms: Terms | None = None


async def terms_of(session: AsyncSession, version: PurposeVersionView, *, now: datetime) -> Terms:
    """By which terms data may flow from now on. Error: `DecisionRefused` when none may, for the purpose has ended."""
    if version.status not in _STANDING:
        raise DecisionRefused("the purpose is not in force")
    agreement = await agreement_of(session, version, now=now)
    if agreement is None and needs_agreement(version) is not None:
        raise DecisionRefused("there is no agreement in force by which this data may be given")
    valid_until = now + timedelta(days=version.validity_days)
    return Terms(
        agreement_version_id=agreement.id if agreement is not None else None,
        fetch_type=version.fetch_type,
        use_limit=version.use_limit,
        use_window_days=version.use_window_days,
        valid_until=valid_until if agreement is None else min(valid_until, agreement.terms.valid_until),
    )


async def hold_question(session: AsyncSession, who: Decision) -> None:
    """One answer at a time of one person about one app's one purpose.

    Two at once (a double click, two tabs) would both find nothing to supersede, and both insert.
    """
    await hold(session, f"consent {who.subject_id} {who.client_id} {who.purpose_id}")


async def how_of(session: AsyncSession, who: Decision, notice: Notice, *, now: datetime) -> How:
    """How a decision came about; keeps the text that was shown."""
    return How(
        actor=who.actor,
        channel=who.channel,
        language=who.language,
        text_sha256=await keep_text(session, notice, now=now),
        acr=who.acr,
        document_sha256=who.document_sha256,
        entered_by=who.entered_by,
    )


async def waiting_question(session: AsyncSession, who: Decision) -> Row[Any] | None:
    """The request that waits for this person's answer, if there is one. Call it while `hold_question` holds."""
    statement = select(*_COLUMNS).where(
        ConsentRecord.subject_id == who.subject_id,
        ConsentRecord.client_id == who.client_id,
        ConsentRecord.purpose_id == who.purpose_id,
        ConsentRecord.status == "requested",
    )
    return (await session.execute(statement.with_for_update())).one_or_none()


async def write_answer(
    session: AsyncSession,
    who: Decision,
    version: PurposeVersionView,
    answer: Answer,
    how: How,
    *,
    now: datetime,
    entropy: Entropy,
) -> str:
    """Writes an answer, or a question that waits for one. Returns the record's id."""
    waiting = await waiting_question(session, who)
    is_answered = waiting is not None and waiting.purpose_version_id == version.id
    consent_id = str(waiting.id) if waiting is not None and is_answered else new_row_id(entropy, now)
    changes = []
    if waiting is not None and not is_answered:
        # A question about an older version needs no answer any more.
        record = await change(session, waiting.id, status="superseded", ended_at=now)
        changes.append(Change(record=record, kind="superseded", how=_replacing(how, consent_id), tells=False))
    if answer.kind == "granted":
        changes += await _supersede(session, who, how, successor=consent_id, granted=answer.granted, now=now)
    values = {**_values(who, version, answer), "decided_at": now}
    if is_answered:
        record = await change(session, consent_id, **values)
    else:
        record = await _insert(session, {"id": consent_id, "ended_at": None, "last_seq": 1, **values})
    changes.append(Change(record=record, kind=answer.kind, how=how))
    await write_events(session, changes, now=now, entropy=entropy)
    return consent_id


async def _insert(session: AsyncSession, values: dict[str, Any]) -> Row[Any]:
    return (await session.execute(insert(ConsentRecord).values(values).returning(*_COLUMNS))).one()


def _values(who: Decision, version: PurposeVersionView, answer: Answer) -> dict[str, Any]:
    return {
        "subject_id": who.subject_id,
        "subject_ref": who.subject_ref,
        "client_id": who.client_id,
        "agency_id": who.agency_id,
        "purpose_id": who.purpose_id,
        "purpose_version_id": version.id,
        "status": STATUS_AFTER[answer.kind],
        "granted": sorted(answer.granted),
        "refused": sorted(answer.refused),
        "offline_access": answer.offline_access,
        "valid_until": answer.valid_until,
        "representative_id": who.representative_id,
        "mandate_id": who.mandate_id,
        **(_no_terms(version) if answer.terms is None else answer.terms.as_values()),
    }


def _no_terms(version: PurposeVersionView) -> dict[str, Any]:
    """Nothing flows by a no, nor by a question."""
    return {
        "agreement_version_id": None,
        "fetch_type": version.fetch_type,
        "use_limit": version.use_limit,
        "use_window_days": version.use_window_days,
    }


async def _supersede(
    session: AsyncSession, who: Decision, how: How, *, successor: str, granted: Collection[str], now: datetime
) -> list[Change]:
    """Ends the consent in force, if any: as expired if its time was up, so that the history stays true."""
    ended = await session.execute(
        update(ConsentRecord)
        .where(
            ConsentRecord.subject_id == who.subject_id,
            ConsentRecord.client_id == who.client_id,
            ConsentRecord.purpose_id == who.purpose_id,
            ConsentRecord.status.in_(sorted(CURRENT)),
        )
        .values(
            status=case((ConsentRecord.valid_until <= now, "expired"), else_="superseded"),
            ended_at=now,
            last_seq=ConsentRecord.last_seq + 1,
        )
        .returning(*_COLUMNS)
    )
    changes = []
    for row in ended.all():
        lost = frozenset(row.granted).difference(granted)
        changes.append(
            Change(
                record=row,
                kind=row.status,
                how=BY_SYSTEM if row.status == "expired" else _replacing(how, successor),
                items_lost=lost,
                # What they agreed to anew goes on: nobody has to stop and erase it.
                tells=bool(lost),
            )
        )
    return changes


def _replacing(how: How, successor: str) -> How:
    return How(actor=how.actor, channel=how.channel, reason=f"replaced by {successor}", entered_by=how.entered_by)
