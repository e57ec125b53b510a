"""The drill: a citizen is erased, and everything that everybody else can prove is still proven."""

import json

import pytest
from sqlalchemy import select

from consent.erasure.person import Order, advance_erasure, erase_person, progress_of
from consent.errors import Erased
from consent.event_store import EVENT_COLUMNS, events_of
from consent.events import Intact, verify_chain
from consent.history import consent_by_id
from consent.log.entry import commit
from consent.log.models import LogEntry
from consent.log.verify import Trust, verify
from consent.models import ConsentEvent, ConsentRecord, OfficerAction
from consent.receipts.errors import NoReceipt
from consent.receipts.keys import receipt_jwks
from consent.uses.models import Use
from consent.vault import PersonKey, key_of, keys_of
from tests.consent.erasure.conftest import KEEP, WAIT, Country
from tests.consent.receipts.conftest import Office, file_of
from tests.consent.receipts.second import SECOND
from tests.consent.registry import BUDI, SITI

pytestmark = pytest.mark.anyio

ORDER = Order(citation="Penetapan 12/Pdt.P/2026/PN Contoh")


async def trust_of(country: Country) -> bytes:
    """The trust file."""
    async with country.database.reading() as session:
        return json.dumps(country.running.published.trust(await receipt_jwks(session))).encode()


async def test_a_citizen_is_erased_and_all_others_proofs_still_hold(country: Country) -> None:
    office = Office(country.database, country.running, country.clock, country.entropy)
    hers = [await country.consent(SITI, client_id=app, ref=f"sub-of-siti-{app}") for app in ("sehat", "sekolah")]
    his = await country.consent(BUDI)
    for _ in range(3):
        await country.use(SITI, hers[0], reference="lab-7 for Siti")
    await country.use(SITI, None)
    await country.use(BUDI, his)
    await country.look(SITI, reason="Siti called")
    await country.look(BUDI)
    await country.running.sequence()
    before = {subject: await office.receipt(one) for subject, one in ((SITI, hers[0]), (BUDI, his))}
    trust = Trust.parse(await trust_of(country))
    async with country.database.reading() as session:
        kept = list(await session.execute(select(*EVENT_COLUMNS).where(ConsentEvent.consent_id == hers[0])))
        uses = list(await session.execute(select(Use.id, Use.body).where(Use.subject_id == SITI)))
        events = await events_of(session, hers[0])
        old_key = (await keys_of(session, [SITI]))[SITI]
        commitments = dict((await session.execute(select(LogEntry.id, LogEntry.commitment))).all())
    assert (await country.audit()).intact
    # Where she is before: in columns, that is, for what was said is sealed.
    assert await country.where(SITI, "sub-of-siti") == [
        "consent_events.subject_id",
        "consent_officer_actions.subject_id",
        "consent_person_keys.subject_id",
        "consent_records.subject_id",
        "consent_records.subject_ref",
        "consent_uses.subject_id",
    ]

    progress = await erase_person(
        country.database.transaction,
        SITI,
        keep=KEEP,
        wait=WAIT,
        requested_by="operator",
        order=ORDER,
        now=country.clock.advance(days=1),
        entropy=country.entropy,
        limit=2,
    )
    # Recipients are told by the name that they know her by, so they are told first.
    assert (progress.waits_for, progress.destroyed_at) == (2, None)
    await country.told()
    await finish(country, progress.erasure_id)

    # She is nowhere, and none of what she left behind is joined to anything else of hers.
    assert await country.where(SITI, "sub-of-siti", "Siti called", "lab-7") == []
    async with country.database.reading() as session:
        names = [
            *await session.scalars(select(ConsentRecord.subject_id).where(ConsentRecord.id.in_(hers))),
            *await session.scalars(select(Use.subject_id).where(Use.id.in_([row.id for row in uses]))),
        ]
        assert len(set(names)) == len(names)
        # Nothing opens, whatever copy of a row somebody kept: neither the row as it is nor the row as it was.
        assert set(await keys_of(session, [SITI, *names])) == set()
        assert all(event.erased for event in await events_of(session, hers[0]))
        # No commitment can be recomputed, though whoever kept a copy knows all that it commits to.
        new_key = country.database.vault.make(SITI)[0]
        for event in events:
            assert commit(old_key.opening(event.id), event.as_json()) == commitments[event.id]
            assert commit(new_key.opening(event.id), event.as_json()) != commitments[event.id]
        sealed = await session.scalar(
            select(PersonKey.sealed).where(PersonKey.subject_id == country.database.vault.name_of_erased(SITI))
        )
        assert sealed is None
        # The chain holds, the record says that it was erased, and nothing of what it said is left.
        detail = await consent_by_id(session, hers[0])
        row = (await session.execute(select(ConsentRecord).where(ConsentRecord.id == hers[0]))).scalar_one()
    assert verify_chain(detail.events, expected_last_seq=row.last_seq, expected_erased=True) == detail.chain
    assert isinstance(detail.chain, Intact)
    assert (row.granted, row.refused, row.subject_ref, row.status) == ([], [], None, "revoked")
    assert row.erased_at is not None
    assert len(kept) == 1
    with pytest.raises(NoReceipt):
        await office.receipt(hers[0])

    # Everybody else's receipts and proofs hold: those that they had, and new ones.
    for receipt in (before[BUDI], await office.receipt(his)):
        assert verify(file_of(receipt), trust).event["subject_id"] == BUDI
        assert SECOND.verify(file_of(receipt), json.loads(await trust_of(country)))
    # What she was given in her own hand still verifies for her: nobody can take that away.
    assert verify(file_of(before[SITI]), trust).event["subject_id"] == SITI

    await country.running.sequence()
    report = await country.audit()
    assert report.findings == []
    assert report.erased == {"consent_events": 4, "consent_uses": 4, "consent_officer_actions": 1}
    # The log lost nothing and changed nothing.
    async with country.database.reading() as session:
        now_there = dict((await session.execute(select(LogEntry.id, LogEntry.commitment))).all())
    assert commitments.items() <= now_there.items()


async def finish(country: Country, erasure_id: str) -> None:
    """What housekeeping does, until it is done."""
    for _ in range(2):
        while await step(country):
            pass
        country.clock.advance(minutes=5)
    async with country.database.reading() as session:
        assert (await progress_of(session, erasure_id)).finished_at is not None


async def step(country: Country) -> int:
    """One step."""
    async with country.database.transaction() as session:
        return await advance_erasure(session, now=country.clock(), entropy=country.entropy, limit=2)


async def test_nobody_is_written_about_again_once_erased(country: Country) -> None:
    await country.consent(SITI)
    await country.consent(BUDI)
    progress = await erase_person(
        country.database.transaction,
        SITI,
        keep=KEEP,
        wait=WAIT,
        requested_by="operator",
        order=ORDER,
        now=country.clock(),
        entropy=country.entropy,
    )
    await country.told()
    await finish(country, progress.erasure_id)
    with pytest.raises(Erased):
        await country.consent(SITI)
    with pytest.raises(Erased):
        await country.use(SITI, None)
    async with country.database.transaction() as session:
        with pytest.raises(Erased):
            await key_of(session, SITI, now=country.clock())
        await key_of(session, BUDI, now=country.clock())
    assert await country.where(SITI) == []
    # An officer who types the id of somebody who was erased leaves no trace of them, only of the look.
    async with country.database.reading() as session:
        assert list(await session.scalars(select(OfficerAction.subject_id))) == []
