"""What a person answers: yes, no, yes for longer; and that they are waited for."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from consent.decision_checks import Shown, check_grant, check_refusal
from consent.decisions.answers import Answer, hold_question, how_of, terms_of, waiting_question, write_answer
from consent.decisions.decision import Decision, Mandates, check_who, no_mandates
from consent.decisions.standing import standing
from consent.decisions.writing import Change, change, lock, write_events
from consent.errors import CannotFollow, DecisionRefused
from consent.notice import Notice
from consent.purposes import PurposeVersionView, purpose_version
from keys.entropy import Entropy

COOL_DOWN: Final = timedelta(days=90)


async def grant(
    session: AsyncSession,
    *,
    who: Decision,
    granted: Collection[str],
    refused: Collection[str],
    offline_access: bool,
    notice: Notice,
    now: datetime,
    entropy: Entropy,
    mandates: Mandates = no_mandates,
) -> str:
    """Records that the person agreed to `granted` and refused `refused` of what `notice` showed.

    Where the legal basis is not consent, it records that they read the notice. Returns the consent's id. An earlier
    consent of theirs for the same app and purpose is superseded; a request that waited for this answer is answered.
    Errors: `DecisionRefused`; `NotMandated`.
    """
    version = await purpose_version(session, who.purpose_version_id)
    check_grant(
        Shown(version=version, notice=notice, who=who),
        granted=frozenset(granted),
        refused=frozenset(refused),
        offline_access=offline_access,
    )
    await check_who(session, who, mandates=mandates, now=now)
    terms = await terms_of(session, version, now=now)
    await hold_question(session, who)
    answer = Answer(
        kind="granted",
        granted=granted,
        refused=refused,
        offline_access=offline_access,
        valid_until=terms.valid_until,
        terms=terms,
    )
    how = await how_of(session, who, notice, now=now)
    return await write_answer(session, who, version, answer, how, now=now, entropy=entropy)


async def refuse(
    session: AsyncSession,
    *,
    who: Decision,
    refused: Collection[str],
    notice: Notice,
    now: datetime,
    entropy: Entropy,
    cool_down: timedelta = COOL_DOWN,
    mandates: Mandates = no_mandates,
) -> str:
    """Records that the person refused what `notice` showed. Returns the record's id.

    A consent of theirs that is in force stays so: refusing to give more takes nothing back. Where they had a choice,
    the no is remembered for `cool_down`: see `remembered_refusal`. Errors: `DecisionRefused`; `NotMandated`.
    """
    version = await purpose_version(session, who.purpose_version_id)
    check_refusal(Shown(version=version, notice=notice, who=who), refused=frozenset(refused))
    await check_who(session, who, mandates=mandates, now=now)
    await hold_question(session, who)
    answer = Answer(kind="refused", refused=refused, valid_until=now + cool_down if version.is_choice else None)
    how = await how_of(session, who, notice, now=now)
    return await write_answer(session, who, version, answer, how, now=now, entropy=entropy)


async def request(
    session: AsyncSession,
    *,
    who: Decision,
    notice: Notice,
    now: datetime,
    entropy: Entropy,
    mandates: Mandates = no_mandates,
) -> str:
    """Records that the person is asked what `notice` shows, and has not answered. Returns the record's id.

    Whoever answers later, by whatever way, answers this. A question that waits already stays the one that waits.
    Errors: `DecisionRefused`; `NotMandated`.
    """
    version = await purpose_version(session, who.purpose_version_id)
    check_refusal(Shown(version=version, notice=notice, who=who), refused=notice.claims)
    await check_who(session, who, mandates=mandates, now=now)
    await hold_question(session, who)
    waiting = await waiting_question(session, who)
    if waiting is not None and waiting.purpose_version_id == version.id:
        return str(waiting.id)
    how = await how_of(session, who, notice, now=now)
    return await write_answer(session, who, version, Answer(kind="requested"), how, now=now, entropy=entropy)


async def renew(
    session: AsyncSession,
    *,
    consent_id: str,
    who: Decision,
    notice: Notice,
    now: datetime,
    entropy: Entropy,
    mandates: Mandates = no_mandates,
) -> datetime:
    """Records that the person, shown `notice`, lets their consent go on as it is. Returns until when.

    Before its end or after it, as long as it is the last that they decided, and of the notice's version or of one that
    this is compatible with. Errors: `NotYours`; `CannotFollow`; `NotMandated`; `DecisionRefused`, also when the notice
    shows anything else than what they agreed to and refused.
    """
    version = await purpose_version(session, who.purpose_version_id)
    await check_who(session, who, mandates=mandates, now=now)
    await hold_question(session, who)
    row = await lock(session, consent_id, kind="renewed", subject_id=who.subject_id)
    _check_renewal(row, version, who)
    check_grant(
        Shown(version=version, notice=notice, who=who),
        granted=frozenset(row.granted),
        refused=frozenset(row.refused),
        offline_access=row.offline_access,
    )
    last = await standing(session, subject_id=who.subject_id, client_id=who.client_id, purpose_id=who.purpose_id)
    if last is None or last.consent_id != consent_id:
        # What was decided later counts: an old yes does not come back over a newer no.
        raise CannotFollow(consent_id, "renewed", row.status)
    terms = await terms_of(session, version, now=now)
    record = await change(
        session,
        consent_id,
        status="renewed",
        purpose_version_id=version.id,
        decided_at=now,
        valid_until=terms.valid_until,
        ended_at=None,
        used=0,
        window_started_at=None,
        **terms.as_values(),
    )
    how = await how_of(session, who, notice, now=now)
    await write_events(session, [Change(record=record, kind="renewed", how=how)], now=now, entropy=entropy)
    return terms.valid_until


def _check_renewal(row: Row[Any], version: PurposeVersionView, who: Decision) -> None:
    if (row.client_id, row.purpose_id) != (who.client_id, version.purpose_id):
        raise DecisionRefused("this is about another app, or another purpose")
    if row.purpose_version_id not in {version.id, *version.compatible_version_ids}:
        raise DecisionRefused("the purpose has changed: it has to be decided anew")
