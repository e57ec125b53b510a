"""A server is killed exactly at one write, for every write of the story: all of the step is there, or nothing of it.

The step is then done again at the other process, as a person or an app would: it works, or it was done already.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from sqlalchemy import func, select

from consent.models import ConsentEvent, ConsentRecord
from idp.accounts.directory import find_by_username
from idp.tokens.models import Authorization
from tests.concurrency.invariants import check_invariants
from tests.concurrency.stalling import stalling
from tests.support.browser_user import BrowserUser
from tests.support.html import Form
from tests.support.relying_party import Login, RelyingParty
from tests.support.service import Service
from tests.support.telling import tell

pytestmark = [pytest.mark.anyio, pytest.mark.processes, pytest.mark.xdist_group("processes")]

ALL, NOTHING = "all", "nothing"


@dataclass
class Scene:
    """A citizen, the process that will be killed, and the other one."""

    service: Service
    name: str
    account_id: str
    victim: int
    user: BrowserUser
    app: RelyingParty

    @property
    def other(self) -> int:
        """The process that lives on."""
        return 1 - self.victim

    async def count(self, *conditions: Any) -> int:
        """How many rows meet the conditions."""
        async with self.service.database.reading() as session:
            return await session.scalar(select(func.count()).where(*conditions)) or 0

    def go_on_at_the_other(self) -> None:
        """The person's browser reaches the other process from now on, with all its cookies and the page it had."""
        self.user = self.service.browser(at=self.other).in_place_of(self.user)


Step = Callable[[Scene], Awaitable[object]]
After = Callable[[Scene], Awaitable[str]]
Prepared = tuple[Step, After]


async def at_consent(scene: Scene) -> None:
    """Logged in, with the consent page open."""
    await scene.service.ask(scene.user, scene.app, "health")
    await scene.user.log_in(scene.name, scene.service.password(scene.name))
    assert scene.user.page.has("allow")


async def opening(_scene: Scene) -> Prepared:
    """The app sends the person here."""

    async def step(scene: Scene) -> None:
        await scene.service.ask(scene.user, scene.app, "health")

    async def after(scene: Scene) -> str:
        await scene.service.log_in(scene.name, "health", user=scene.user)
        return NOTHING

    return step, after


async def logging_in(scene: Scene) -> Prepared:
    """The person sends their password."""
    await scene.service.ask(scene.user, scene.app, "health")

    async def step(scene: Scene) -> None:
        await scene.user.log_in(scene.name, scene.service.password(scene.name))

    async def after(scene: Scene) -> str:
        await scene.user.log_in(scene.name, scene.service.password(scene.name))
        assert scene.user.page.has("allow")
        return NOTHING

    return step, after


async def allowing(scene: Scene) -> Prepared:
    """The person agrees."""
    await at_consent(scene)
    form: Form = scene.user.page.form_with("allow")
    pairs = [*form.values(), ("decision", "allow")]

    async def step(scene: Scene) -> None:
        await scene.user.send(form, pairs)

    async def after(scene: Scene) -> str:
        mine = [
            await scene.count(ConsentRecord.subject_id == scene.account_id, ConsentRecord.status == "given"),
            await scene.count(ConsentEvent.subject_id == scene.account_id),
            await scene.count(Authorization.account_id == scene.account_id),
        ]
        assert mine in ([0, 0, 0], [1, 1, 1]), mine
        await scene.user.send(form, pairs)
        if mine[0]:
            assert scene.user.page.status == 400, "it has been done already"
            await scene.service.log_in(scene.name, "health", user=scene.user)
            return ALL
        code = scene.user.callback_parameters["code"]
        assert (await scene.service.redeem(scene.app, "health", code, at=scene.other)).status_code == 200
        return NOTHING

    return step, after


async def redeeming(scene: Scene) -> Prepared:
    """The app redeems the code."""
    await at_consent(scene)
    await scene.user.allow()
    code = scene.user.callback_parameters["code"]

    async def step(scene: Scene) -> None:
        await scene.service.redeem(scene.app, "health", code, at=scene.victim)

    async def after(scene: Scene) -> str:
        burned = await scene.count(Authorization.account_id == scene.account_id, Authorization.redeemed_at.is_not(None))
        answer = await scene.service.redeem(scene.app, "health", code, at=scene.other)
        assert answer.status_code == (400 if burned else 200), answer.text
        return ALL if burned else NOTHING

    return step, after


async def refreshing(scene: Scene) -> Prepared:
    """The app uses its refresh token."""
    login = await logged_in(scene)

    async def step(scene: Scene) -> None:
        await scene.service.refresh("health", login.refresh_token, at=scene.victim)

    async def after(scene: Scene) -> str:
        rotated = not await scene.service.is_active("health", login.refresh_token, at=scene.other)
        # Rotated or not: the answer was lost, and asking again within seconds gives the one successor.
        answer = await scene.service.refresh("health", login.refresh_token, at=scene.other)
        assert answer.status_code == 200, answer.text
        assert (
            await scene.service.refresh("health", answer.json()["refresh_token"], at=scene.other)
        ).status_code == 200
        return ALL if rotated else NOTHING

    return step, after


async def withdrawing(scene: Scene) -> Prepared:
    """The person takes the consent back."""
    login = await logged_in(scene)
    async with scene.service.database.reading() as session:
        consent_id = await session.scalar(select(ConsentRecord.id).where(ConsentRecord.subject_id == scene.account_id))
    await scene.user.open(f"/my/consents/{consent_id}")
    form = next(one for one in scene.user.page.document.forms if one.action.endswith("/withdraw"))

    async def step(scene: Scene) -> None:
        await scene.user.send(form, form.values())

    async def after(scene: Scene) -> str:
        mine = ConsentRecord.subject_id == scene.account_id
        withdrawn = await scene.count(mine, ConsentRecord.status == "withdrawn")
        revoked = await scene.count(
            Authorization.account_id == scene.account_id, Authorization.revoked_because == "consent_withdrawn"
        )
        assert withdrawn == revoked
        alive = await scene.service.is_active("health", login.access_token, at=scene.other)
        assert alive == (not withdrawn)
        await scene.user.send(form, form.values())
        assert await scene.count(mine, ConsentRecord.status == "withdrawn") == 1
        assert await scene.service.userinfo(login.access_token, at=scene.other) == 401
        return ALL if withdrawn else NOTHING

    return step, after


async def logged_in(scene: Scene) -> Login:
    """The whole way to tokens."""
    return await scene.service.log_in(scene.name, "health", user=scene.user)


POINTS = [
    (opening, "idp_interactions", False),
    (logging_in, "idp_throttle", False),
    (logging_in, "idp_sessions", False),
    (logging_in, "idp_interactions", False),
    (logging_in, "idp_known_browsers", False),
    (logging_in, "idp_audit_events", False),
    (logging_in, "idp_audit_events", True),
    (allowing, "consent_shown_texts", False),
    (allowing, "consent_records", False),
    (allowing, "consent_events", False),
    (allowing, "idp_audit_events", False),
    (allowing, "idp_interactions", False),
    (allowing, "idp_authorizations", False),
    (allowing, "idp_authorizations", True),
    (redeeming, "idp_authorizations", False),
    (redeeming, "idp_access_tokens", False),
    (redeeming, "idp_refresh_tokens", False),
    (redeeming, "idp_access_tokens", True),
    (refreshing, "idp_refresh_tokens", False),
    (refreshing, "idp_access_tokens", False),
    (refreshing, "idp_access_tokens", True),
    (withdrawing, "consent_records", False),
    (withdrawing, "consent_events", False),
    (withdrawing, "idp_authorizations", False),
    (withdrawing, "idp_authorizations", True),
]


@pytest.mark.parametrize(
    ("prepare", "table", "at_commit"),
    [pytest.param(*point, id=f"{point[0].__name__}-{point[1]}{'-commit' if point[2] else ''}") for point in POINTS],
)
async def test_a_server_killed_at_a_write_leaves_all_or_nothing(
    shared_service: Service, prepare: Callable[[Scene], Awaitable[Prepared]], table: str, at_commit: bool
) -> None:
    service = shared_service
    # Whom the last test killed is started while this one prepares; the other one is next.
    dead = [process for process in service.processes if not process.is_running]
    starting = asyncio.gather(*(asyncio.to_thread(process.start) for process in dead))
    place = next(place for place, process in enumerate(service.processes) if process not in dead)
    (name,) = await service.citizens(1)
    async with service.database.reading() as session:
        account = await find_by_username(session, name)
    assert account is not None
    scene = Scene(service, name, account.id, place, service.browser(at=place), service.app("health", at=place))
    step, after = await prepare(scene)
    await starting
    async with stalling(service.settings.url, table, at_commit=at_commit) as stall:
        under_way = asyncio.ensure_future(step(scene))
        await stall.reached(under_way)
        service.processes[place].kill()
        with pytest.raises(httpx2.TransportError):
            await under_way
        await stall.let_go()
    scene.go_on_at_the_other()
    found = await check_invariants(service.database)
    outcome = await after(scene)
    await check_invariants(service.database)
    tell(f"{prepare.__name__}, killed at {table}{' in COMMIT' if at_commit else ''}: {outcome} of it is there; {found}")
    if at_commit:
        assert outcome == (NOTHING if prepare is logging_in else ALL), "the database had all of it, and finished it"
