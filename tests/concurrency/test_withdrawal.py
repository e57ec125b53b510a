"""Withdrawn means withdrawn: once the person has the answer, nothing that is asked for afterwards succeeds."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import pytest
from sqlalchemy import func, select

from consent.models import ConsentRecord
from consent.uses.models import Use
from idp.accounts.directory import find_by_username
from tests.concurrency.invariants import check_invariants
from tests.support.browser_user import BrowserUser
from tests.support.service import DEAD, Service
from tests.support.telling import tell
from tests.support.token_world import claims_in

pytestmark = [pytest.mark.anyio, pytest.mark.processes, pytest.mark.xdist_group("processes")]

ROUNDS = 20
CITIZENS = 4
# What the login of the health app then tells besides.
IN_ID_TOKEN = '{"id_token":{"name":null}}'


@dataclass
class Race:
    """What an app goes on doing while the person takes the consent back, and what came of it when."""

    service: Service
    access_token: str
    refresh_token: str
    withdrawn: bool = False
    before: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)
    got: list[str] = field(default_factory=list)
    late: int = 0
    disclosed: int = 0
    recorded_by_then: int = 0

    async def use(self, at: int) -> None:
        """Asks for everything in turn at one process, until all has been asked once more after the answer."""
        while self.late < 2 * len(self.service.processes):
            begun_after = self.withdrawn
            for what in (self._refresh, self._userinfo, self._introspect):
                begun_late = self.withdrawn
                outcome = await what(at)
                (self.after if begun_late else self.before)[f"{what.__name__[1:]} {outcome}"] += 1
            self.late += begun_after

    async def _refresh(self, at: int) -> str:
        answer = await self.service.refresh("health", self.refresh_token, at=at)
        if answer.status_code == 200:
            self.refresh_token = answer.json()["refresh_token"]
            self.got.append(answer.json()["access_token"])
            self.disclosed += "name" in claims_in(answer.json()["id_token"])
        return str(answer.status_code)

    async def _userinfo(self, at: int) -> str:
        status = await self.service.userinfo(self.access_token, at=at)
        self.disclosed += status == 200
        return str(status)

    async def _introspect(self, at: int) -> str:
        return "active" if await self.service.is_active("health", self.access_token, at=at) else "inactive"


async def take_back(user: BrowserUser, consent_id: str) -> None:
    """Presses the button on the page of the consent, which is open."""
    form = next(one for one in user.page.document.forms if one.action.endswith("/withdraw"))
    await user.send(form, form.values())
    assert user.page.status == 200
    assert user.page.path.endswith(consent_id)


async def uses(service: Service, consent_id: str) -> int:
    """How many disclosures by this consent are written down."""
    async with service.database.reading() as session:
        statement = select(func.count()).select_from(Use).where(Use.consent_id == consent_id)
        return await session.scalar(statement) or 0


@pytest.mark.threat("N70")
async def test_nothing_succeeds_after_the_answer_to_a_withdrawal(shared_service: Service) -> None:
    service = shared_service
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    dead = disclosed = 0
    citizens = [(name, service.browser()) for name in await service.citizens(CITIZENS)]
    for number in range(ROUNDS):
        name, user = citizens[number % CITIZENS]
        # The second code of the person is not redeemed yet: it must die too.
        login = await service.log_in(name, "health", user=user, claims=IN_ID_TOKEN)
        app, code = await service.agree(name, "health", user=user, claims=IN_ID_TOKEN)
        async with service.database.reading() as session:
            account = await find_by_username(session, name)
            assert account is not None
            consent_id = await session.scalar(
                select(ConsentRecord.id).where(ConsentRecord.subject_id == account.id, ConsentRecord.status == "given")
            )
        assert consent_id is not None
        await user.open(f"/my/consents/{consent_id}")
        race = Race(service, login.access_token, login.refresh_token)
        recorded = await uses(service, consent_id)

        async def withdraw(race: Race = race, user: BrowserUser = user, consent_id: str = consent_id) -> None:
            await asyncio.sleep(0.01 * (number % 5))  # noqa: B023 - gathered within the same round
            await take_back(user, consent_id)
            race.withdrawn = True
            race.recorded_by_then = await uses(service, consent_id)

        await asyncio.gather(withdraw(), *(race.use(at) for at in range(len(service.processes))))
        before += race.before
        after += race.after
        assert set(race.after) == {"refresh 400", "userinfo 401", "introspect inactive"}, race.after
        for token in [login.access_token, *race.got]:
            assert await service.lives("health", token) == DEAD
            dead += 1
        assert (await service.redeem(app, "health", code, at=number % 2)).json()["error"] == "invalid_grant"
        await service.ask(user, app, "health", prompt="none")
        assert user.callback_parameters["error"] == "consent_required"
        # Whatever was released was written down before the withdrawal was answered, and nothing was written after.
        assert await uses(service, consent_id) == race.recorded_by_then
        assert race.disclosed == race.recorded_by_then - recorded
        disclosed += race.disclosed
    found = await check_invariants(service.database)
    tell(
        f"{ROUNDS} withdrawals: before {dict(before)}, after {dict(after)}, {dead} tokens dead, "
        f"{disclosed} disclosures, each written down; {found}"
    )
    assert before["userinfo 200"] > ROUNDS / 2, "the race was none"
