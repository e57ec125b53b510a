"""Whatever people, apps, officers and time do, in whatever order: what must hold, holds after every step.

Spec: the invariants of the design: one current consent for one person, app and purpose; nothing is granted that was not
shown; every row is what its events say; every event is a leaf; whoever may receive less than before has been told.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from consent.decisions import (
    expire_after_use,
    expire_due,
    grant,
    invalidate,
    let_go,
    lift_refusal,
    pause,
    refuse,
    remembered_refusal,
    renew,
    request,
    resume,
    revoke,
    shorten,
    standing,
    withdraw,
)
from consent.errors import ConsentError
from consent.events import Event
from consent.models import ShownText
from consent.statuses import CURRENT, PERMITTING
from consent.withdrawal.models import Delivery
from idp.database import Database
from idp.migrate import upgrade
from keys.entropy import SystemEntropy
from tests.consent.registry import BUDI, SITI, a_purpose, decision, notice_of, write_registry
from tests.consent.stored import events, every_row_is_what_its_events_say, records
from tests.support.clock import FakeClock
from tests.support.databases import copy_sqlite, sqlite_template
from tests.support.purposes import active_purpose
from tests.support.settings import a_vault

people = st.sampled_from([SITI, BUDI])
apps = st.sampled_from(["sehat", "klinik"])
some = st.frozensets(st.sampled_from(["name", "email", "gender"]))
which = st.integers(min_value=0, max_value=1_000)


class Consents(RuleBasedStateMachine):
    """Two people, two apps, one purpose whose versions come and go."""

    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.clock, self.entropy = FakeClock(), SystemEntropy()
        self.changed = False
        url = copy_sqlite(self.template, Path(self.folder.name))
        self.database = Database(url, vault=a_vault(), synchronous="off")

    def teardown(self) -> None:
        self.runner.run(self.database.dispose())
        self.runner.close()
        self.folder.cleanup()

    # --- what happens ---

    @initialize(fetch_type=st.sampled_from(["periodic", "onetime"]))
    def begin(self, fetch_type: str) -> None:
        async def work(session: AsyncSession) -> None:
            self.version = await write_registry(
                session, now=self.clock(), entropy=self.entropy, fetch_type=fetch_type, validity_days=30
            )

        self.fetch_type = fetch_type
        self.do(work)

    @rule(days=st.integers(min_value=0, max_value=40), swept=st.booleans())
    def time_passes(self, days: int, swept: bool) -> None:
        self.clock.advance(days * 86400 + 1)

        async def work(session: AsyncSession) -> None:
            await expire_due(session, **self.here())

        if swept:
            assert self.do(work)

    @rule(compatible=st.booleans(), days=st.integers(min_value=1, max_value=3000))
    def a_new_version(self, compatible: bool, days: int) -> None:
        async def work(session: AsyncSession) -> None:
            self.version = await active_purpose(
                session,
                agency_id=self.version.agency_id,
                compatible_with=(self.version.version,) if compatible else (),
                **a_purpose(validity_days=30, retention_days=days, fetch_type=self.fetch_type),
                now=self.clock(),
                entropy=self.entropy,
            )

        self.do(work)

    @rule(who=people, app=apps, items=some, offline=st.booleans(), shown=some)
    def agree(self, who: str, app: str, items: frozenset[str], offline: bool, shown: frozenset[str]) -> None:
        asked = shown | {"name"}
        assert self.do(self.answer(who, app, {"name"} | (items & asked), asked, offline))

    @rule(who=people, app=apps)
    def agree_to_all(self, who: str, app: str) -> None:
        assert self.do(self.answer(who, app, self.version.claims, self.version.claims, True))

    @rule(who=people, app=apps, items=some, shown=some)
    def send_a_form_of_ones_own(self, who: str, app: str, items: frozenset[str], shown: frozenset[str]) -> None:
        fits = items <= shown and ("name" in items or "name" not in shown)
        assert self.do(self.answer(who, app, items, shown, False)) is fits

    def answer(
        self, who: str, app: str, items: Collection[str], asked: Collection[str], offline: bool
    ) -> Callable[[AsyncSession], Awaitable[None]]:
        async def work(session: AsyncSession) -> None:
            await grant(
                session,
                who=decision(self.version, subject_id=who, client_id=app),
                granted=items,
                refused=frozenset(asked).difference(items),
                offline_access=offline,
                notice=notice_of(self.version, asked=asked, client_id=app, offline_access=True),
                **self.here(),
            )

        return work

    @rule(who=people, app=apps)
    def say_no(self, who: str, app: str) -> None:
        async def work(session: AsyncSession) -> None:
            await refuse(
                session,
                who=decision(self.version, subject_id=who, client_id=app),
                refused=self.version.claims,
                notice=notice_of(self.version, client_id=app),
                **self.here(),
            )
            assert await remembered_refusal(
                session, subject_id=who, client_id=app, purpose_version_id=self.version.id, now=self.clock()
            )

        self.do(work)

    @rule(who=people, app=apps)
    def be_asked(self, who: str, app: str) -> None:
        async def work(session: AsyncSession) -> None:
            await request(
                session,
                who=decision(self.version, subject_id=who, client_id=app, channel="api"),
                notice=notice_of(self.version, client_id=app),
                **self.here(),
            )

        self.do(work)

    @precondition(lambda self: self.rows())
    @rule(one=which)
    def let_it_go_on(self, one: int) -> None:
        row = self.pick(one)

        async def work(session: AsyncSession) -> None:
            notice = notice_of(
                self.version,
                asked={*row.granted, *row.refused},
                client_id=row.client_id,
                offline_access=row.offline_access,
            )
            who = decision(self.version, subject_id=row.subject_id, client_id=row.client_id)
            await renew(session, consent_id=row.id, who=who, notice=notice, **self.here())

        self.do(work)

    @precondition(lambda self: self.rows())
    @rule(one=which, act=st.sampled_from([pause, resume, lift_refusal, withdraw]))
    def press_a_button(self, one: int, act: Callable[..., Awaitable[Any]]) -> None:
        row = self.pick(one)
        pressed = self.do(self.pressing(act, row, row.subject_id))
        if act is pause:
            assert pressed is (row.status in PERMITTING and self.clock() < row.valid_until)
        if act is withdraw:
            assert pressed is (row.status in CURRENT)

    @precondition(lambda self: self.rows())
    @rule(one=which, act=st.sampled_from([withdraw, pause, resume, lift_refusal]))
    def press_a_strangers_button(self, one: int, act: Callable[..., Awaitable[Any]]) -> None:
        row = self.pick(one)
        assert not self.do(self.pressing(act, row, BUDI if row.subject_id == SITI else SITI))

    def pressing(
        self, act: Callable[..., Awaitable[Any]], row: Any, whose: str
    ) -> Callable[[AsyncSession], Awaitable[None]]:
        async def work(session: AsyncSession) -> None:
            await act(session, consent_id=row.id, subject_id=whose, **self.here())

        return work

    @precondition(lambda self: self.rows())
    @rule(one=which, item=st.sampled_from(["name", "email", "gender", "address"]))
    def let_go_of_one(self, one: int, item: str) -> None:
        row = self.pick(one)

        async def work(session: AsyncSession) -> None:
            await let_go(session, consent_id=row.id, subject_id=row.subject_id, item=item, **self.here())

        self.do(work)

    @precondition(lambda self: self.rows())
    @rule(one=which, days=st.integers(min_value=-1, max_value=40))
    def end_it_sooner(self, one: int, days: int) -> None:
        row = self.pick(one)
        until = self.clock() + timedelta(days=days)

        async def work(session: AsyncSession) -> None:
            await shorten(session, consent_id=row.id, subject_id=row.subject_id, until=until, **self.here())

        self.do(work)

    @precondition(lambda self: self.rows())
    @rule(one=which, by=st.sampled_from(["party", "court", "use"]))
    def be_ended(self, one: int, by: str) -> None:
        row = self.pick(one)

        async def work(session: AsyncSession) -> None:
            if by == "party":
                await revoke(session, consent_id=row.id, actor="officer", reason="why", **self.here())
            elif by == "court":
                await invalidate(session, consent_id=row.id, actor="court", citation="1/2026", **self.here())
            else:
                await expire_after_use(session, consent_id=row.id, **self.here())

        self.do(work)

    # --- what holds ---

    @invariant()
    def what_must_hold_holds(self) -> None:
        if self.changed:
            self.changed = False
            self.runner.run(self._check())

    async def _check(self) -> None:
        await every_row_is_what_its_events_say(self.database)
        rows = await records(self.database)
        for statuses in (CURRENT, {"requested"}):
            alike = [(row.subject_id, row.client_id, row.purpose_id) for row in rows if row.status in statuses]
            assert len(alike) == len(set(alike)), f"two are {statuses}"
        async with self.database.reading() as session:
            texts = {row.sha256: json.loads(row.body) for row in await session.scalars(select(ShownText))}
            told = set(await session.scalars(select(Delivery.event_id)))
        for row in rows:
            story = await events(self.database, row.id)
            nothing_is_granted_that_was_not_shown(story, texts)
            whoever_may_receive_less_was_told(story, told)
            await self._stands(row)

    async def _stands(self, row: Any) -> None:
        async with self.database.reading() as session:
            where = await standing(
                session, subject_id=row.subject_id, client_id=row.client_id, purpose_id=row.purpose_id
            )
        assert where is not None
        assert row.status not in CURRENT or where.consent_id == row.id
        assert where.status != "requested" or row.status == "requested"

    # --- how ---

    def do(self, work: Callable[[AsyncSession], Awaitable[None]]) -> bool:
        """Does it in a transaction of its own. False when it was refused; then it has left nothing behind."""

        async def transaction() -> bool:
            try:
                async with self.database.transaction() as session:
                    await work(session)
            except ConsentError:
                return False
            return True

        before = self.rows() if hasattr(self, "version") else []
        done = self.runner.run(transaction())
        if done:
            self.changed = True
        else:
            assert self.rows() == before
        return done

    def here(self) -> dict[str, Any]:
        return {"now": self.clock(), "entropy": self.entropy}

    def rows(self) -> list[Any]:
        return self.runner.run(records(self.database))

    def pick(self, number: int) -> Any:
        """One of the records: mostly one that is current, if there is any."""
        rows = sorted(self.rows(), key=lambda row: row.id)
        current = [row for row in rows if row.status in CURRENT]
        some = current if current and number % 4 else rows
        return some[number // 4 % len(some)]


def flows(event: Event) -> frozenset[str]:
    """What may flow after an event."""
    return frozenset(event.granted) if event.status in PERMITTING else frozenset()


def nothing_is_granted_that_was_not_shown(story: list[Event], texts: dict[bytes, Any]) -> None:
    """Each event decides about items of the text that was shown last."""
    seen: set[str] = set()
    for event in story:
        if event.text_sha256 is not None:
            seen = {item["claim"] for item in texts[event.text_sha256]["items"]}
        assert {*event.granted, *event.refused} <= seen
        assert not set(event.granted) & set(event.refused)


def whoever_may_receive_less_was_told(story: list[Event], told: set[str]) -> None:
    """Each event after which less may flow owes somebody the news. A successor may go on with what it agreed to."""
    for before, after in pairwise(story):
        if flows(before) - flows(after) and after.kind not in {"superseded", "expired"}:
            assert after.id in told, after.kind


async def prepare(url: str) -> None:
    """What a template holds: the newest schema, no rows."""
    await upgrade(url)


def test_what_must_hold_holds_whatever_happens_in_whatever_order(session_folder: Path) -> None:
    Consents.template = sqlite_template(session_folder, prepare)
    run_state_machine_as_test(
        Consents,
        settings=settings(
            max_examples=25,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
