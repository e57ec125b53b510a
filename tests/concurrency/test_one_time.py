"""What was agreed to once is given once, whoever asks how often at whichever process."""

import asyncio
from collections import Counter

import pytest
from sqlalchemy import func, select, update

from consent.models import ConsentEvent, ConsentRecord
from consent.uses.models import Use
from idp.accounts.directory import find_by_username
from tests.support.service import Service
from tests.support.telling import tell

pytestmark = [pytest.mark.anyio, pytest.mark.processes, pytest.mark.xdist_group("processes")]

AT_ONCE = 20


async def consent_of(service: Service, name: str, **values: object) -> str:
    """The citizen's consent in force, whose uses are counted from now on."""
    async with service.database.transaction() as session:
        account = await find_by_username(session, name)
        assert account is not None
        consent_id = await session.scalar(
            select(ConsentRecord.id).where(ConsentRecord.subject_id == account.id, ConsentRecord.status == "given")
        )
        assert consent_id is not None
        await session.execute(update(ConsentRecord).where(ConsentRecord.id == consent_id).values(**values))
    return consent_id


async def ask_at_once(service: Service, access_token: str) -> Counter[int]:
    """Twenty questions to userinfo at the same time, at each process in turn."""
    places = [number % len(service.processes) for number in range(AT_ONCE)]
    return Counter(await asyncio.gather(*(service.userinfo(access_token, at=at) for at in places)))


async def test_a_one_time_consent_has_one_answer_in_all_processes_together(shared_service: Service) -> None:
    service = shared_service
    (name,) = await service.citizens(1)
    login = await service.log_in(name, "health")
    consent_id = await consent_of(service, name, fetch_type="onetime")
    answers = await ask_at_once(service, login.access_token)
    assert answers == {200: 1, 401: AT_ONCE - 1}
    assert await service.userinfo(login.access_token, at=0) == 401
    async with service.database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(Use).where(Use.consent_id == consent_id)) == 1
        kinds = await session.scalars(
            select(ConsentEvent.kind).where(ConsentEvent.consent_id == consent_id).order_by(ConsentEvent.seq)
        )
        assert list(kinds) == ["granted", "expired"]
        record = (await session.execute(select(ConsentRecord).where(ConsentRecord.id == consent_id))).scalar_one()
        assert (record.status, record.used) == ("expired", 1)
    tell(f"one-time: {dict(answers)}")


async def test_a_limit_holds_in_all_processes_together(shared_service: Service) -> None:
    service = shared_service
    (name,) = await service.citizens(1)
    login = await service.log_in(name, "health")
    consent_id = await consent_of(service, name, use_limit=7, use_window_days=1)
    answers = await ask_at_once(service, login.access_token)
    assert answers == {200: 7, 429: AT_ONCE - 7}
    async with service.database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(Use).where(Use.consent_id == consent_id)) == 7
    tell(f"limit of 7: {dict(answers)}")
