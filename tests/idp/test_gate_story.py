"""Whatever people, apps and agencies do in whatever order: what flows was agreed to, and what flowed is written down.

Hypothesis writes the stories; a small model of what was said and when decides what must have come of it.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final

import httpx2
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import select, update

from consent.coverage import Ask, Covered, covers
from consent.decisions import let_go, pause, resume, standing, withdraw
from consent.log.entry import commit
from consent.log.models import LogEntry
from consent.models import ConsentRecord
from consent.uses.disclosure import OBSERVED, read
from consent.uses.models import Use
from consent.uses.report import NO_BASIS
from consent.vault import keys_of
from idp.app import create_app
from idp.provider import Provider
from idp.tokens.carry_over import rest_on_successor
from keys.entropy import SystemEntropy
from tests.conftest import migrated
from tests.idp.reports_world import LAW
from tests.support.clock import FakeClock
from tests.support.databases import copy_sqlite, sqlite_template
from tests.support.keyring import install_keys_at
from tests.support.settings import settings_for
from tests.support.token_world import ITEMS, App, Citizen, World, claims_in, new_world

OPTIONAL: Final = tuple(item for item in ITEMS if item != "name")
IN_ID_TOKEN: Final = ("email", "gender")
SCOPE: Final = ("openid", "profile", "email", "identity", "offline_access")
STORIES: Final = 12
STEPS: Final = 30
CALLS: Final = st.sampled_from(["siti", "budi"])
APPS: Final = st.sampled_from([0, 1])


@dataclass
class Said:
    """What a person has said to an app so far: what is granted from when on, empty while nothing may flow."""

    consent_id: str = ""
    granted: frozenset[str] = frozenset()
    status: str = "never"
    withdrawals: int = 0
    history: list[tuple[datetime, frozenset[str]]] = field(default_factory=list)

    @property
    def flows(self) -> frozenset[str]:
        """What may flow now."""
        return self.granted if self.status == "given" else frozenset()

    def note(self, now: datetime) -> None:
        """Remembers what may flow from now on."""
        self.history.append((now, self.flows))

    def flowed_at(self, at: datetime) -> frozenset[str]:
        """What could flow at a moment: by the last that was said until then."""
        return next((flows for when, flows in reversed(self.history) if when <= at), frozenset())


@dataclass
class Token:
    """An app's tokens of a person."""

    who: str
    app: int
    access_token: str
    refresh_token: str
    expires_at: datetime
    withdrawals: int = 0


class Story(RuleBasedStateMachine):
    """The world, and the model that it is held against."""

    template: ClassVar[Path]
    folders: ClassVar[Callable[[], Path]]
    app: ClassVar[FastAPI | None] = None
    tokens = Bundle("tokens")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = FakeClock()
        self.said: dict[tuple[str, int], Said] = {}
        self.reported = 0
        self.disclosed = 0

    def run(self, what: Coroutine[Any, Any, Any]) -> Any:
        """Waits for something."""
        return self.runner.run(what)

    @initialize()
    def begin(self) -> None:
        """Two apps of one ministry, one more that reports, two people."""
        self.run(self._begin())

    async def _begin(self) -> None:
        folder = type(self).folders()
        chosen = settings_for(copy_sqlite(self.template, folder), folder)
        await install_keys_at(chosen.url)
        self.provider = await Provider.open(chosen, clock=self.clock, entropy=SystemEntropy())
        # Made once: it takes what it needs from its provider, which is another in each story.
        app = type(self).app = self.app or create_app(chosen, entropy=self.provider.entropy)
        app.state.provider = self.provider
        self.http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=chosen.issuer)
        self.world: World = await new_world(self.provider, self.http)
        self.apps: list[App] = [await self.world.app() for _ in range(2)]
        self.reporter = await self.world.app(scopes=("openid", "consent:report"))
        self.people: dict[str, Citizen] = {name: await self.world.citizen(name) for name in ("siti", "budi")}
        self.said = {(name, app): Said() for name in self.people for app in (0, 1)}

    # --- what people do ---

    @rule(who=CALLS, app=APPS, optional=st.frozensets(st.sampled_from(OPTIONAL)))
    def agree(self, who: str, app: int, optional: frozenset[str]) -> None:
        """Agrees to what is required and to some of the rest; what is left is refused."""
        granted = optional | {"name"}
        self.clock.advance(1)
        self.run(self._agree(who, app, granted))

    async def _agree(self, who: str, app: int, granted: frozenset[str]) -> None:
        said, citizen = self.said[who, app], self.people[who]
        said.consent_id = await self.world.consent(self.apps[app], citizen, granted=granted, offline_access=True)
        sub = await self._sub(who, app)
        async with self.provider.database.transaction() as session:
            known = update(ConsentRecord).where(ConsentRecord.id == said.consent_id).values(subject_ref=sub)
            await session.execute(known)
            await rest_on_successor(session, said.consent_id)
        said.granted, said.status = granted, "given"
        said.note(self.clock())

    @rule(who=CALLS, app=APPS)
    def take_back(self, who: str, app: int) -> None:
        """Withdraws. What rested on that consent rests on no later one."""
        self.said[who, app].withdrawals += self.said[who, app].status in {"given", "paused"}
        self._change(who, app, withdraw, {"given", "paused"}, "withdrawn")

    @rule(who=CALLS, app=APPS)
    def pause(self, who: str, app: int) -> None:
        """Pauses."""
        self._change(who, app, pause, {"given"}, "paused")

    @rule(who=CALLS, app=APPS)
    def resume(self, who: str, app: int) -> None:
        """Goes on."""
        self._change(who, app, resume, {"paused"}, "given")

    @rule(who=CALLS, app=APPS, item=st.sampled_from(OPTIONAL))
    def let_go(self, who: str, app: int, item: str) -> None:
        """Takes one item back."""
        said = self.said[who, app]
        if item in said.granted:
            self._change(who, app, let_go, {"given", "paused"}, said.status, item=item)
            if said.status in {"given", "paused"}:
                said.granted -= {item}
                said.note(self.clock())

    def _change(self, who: str, app: int, how: Any, of: set[str], to: str, **values: Any) -> None:
        said = self.said[who, app]
        if said.status not in of:
            return
        self.clock.advance(1)
        self.run(self._changed(who, said.consent_id, how, values))
        said.status = to
        said.note(self.clock())

    async def _changed(self, who: str, consent_id: str, how: Any, values: dict[str, Any]) -> None:
        async with self.provider.database.transaction() as session:
            await how(
                session,
                consent_id=consent_id,
                subject_id=self.people[who].account_id,
                now=self.clock(),
                entropy=self.provider.entropy,
                **values,
            )

    @rule(seconds=st.sampled_from([1, 60, 400]))
    def wait(self, seconds: int) -> None:
        """Time passes; a token lives for ten minutes."""
        self.clock.advance(seconds)

    # --- what apps do ---

    @rule(target=tokens, who=CALLS, app=APPS)
    def log_in(self, who: str, app: int) -> Token:
        """Gets a code, and tokens for it where the consent stands."""
        found: Token = self.run(self._log_in(who, app))
        return found

    async def _log_in(self, who: str, app: int) -> Token:
        said = self.said[who, app]
        if not said.consent_id:
            return Token(who, app, "", "", self.clock())
        claims = {"id_token": dict.fromkeys(IN_ID_TOKEN)}
        code = await self.world.code(
            self.apps[app], self.people[who], consent_id=said.consent_id, scope=SCOPE, claims=claims
        )
        return self._tokens(who, app, await self.world.redeem(self.apps[app], code), said.flows)

    def _flows(self, token: Token) -> frozenset[str]:
        """What may flow by a token, unless it has expired."""
        said = self.said[token.who, token.app]
        return said.flows if token.withdrawals == said.withdrawals else frozenset()

    def _tokens(self, who: str, app: int, answer: httpx2.Response, flows: frozenset[str]) -> Token:
        if not flows:
            assert answer.json()["error"] == "invalid_grant"
            return Token(who, app, "", "", self.clock())
        assert answer.status_code == 200, answer.text
        told = answer.json()
        in_id_token = {name for name in ITEMS if name in claims_in(told["id_token"])}
        assert in_id_token == flows & set(IN_ID_TOKEN)
        self.disclosed += bool(in_id_token)
        expires_at = self.clock() + timedelta(seconds=told["expires_in"])
        said = self.said[who, app]
        return Token(who, app, told["access_token"], told["refresh_token"], expires_at, said.withdrawals)

    @rule(token=tokens)
    def look(self, token: Token) -> None:
        """Asks userinfo: what is told is what may flow now, and nothing else."""
        if not token.access_token:
            return
        flows = self._flows(token)
        answer: httpx2.Response = self.run(self.world.userinfo(token.access_token))
        if not flows or self.clock() >= token.expires_at:
            assert answer.status_code == 401, answer.text
            return
        assert answer.status_code == 200, answer.text
        assert set(answer.json()) - {"sub"} == flows
        self.disclosed += 1

    @rule(token=tokens)
    def ask_whether_it_lives(self, token: Token) -> None:
        """Introspects."""
        if token.access_token:
            lives = bool(self._flows(token)) and self.clock() < token.expires_at
            told = self.run(self.world.introspect(self.apps[token.app], token.access_token))
            assert told["active"] is lives

    @rule(target=tokens, token=tokens)
    def go_on(self, token: Token) -> Token:
        """Refreshes. A token that was spent already is not presented again: that would end the family."""
        if not token.refresh_token:
            return token
        answer = self.run(self.world.refresh(self.apps[token.app], token.refresh_token))
        fresh = self._tokens(token.who, token.app, answer, self._flows(token))
        if fresh.refresh_token:
            token.refresh_token = ""
        return fresh

    # --- what agencies say ---

    @rule(
        who=CALLS,
        app=APPS,
        items=st.lists(st.sampled_from(ITEMS), min_size=1, max_size=3, unique=True),
        ago=st.sampled_from([0, 30, 300]),
        cites=st.booleans(),
    )
    def report(self, who: str, app: int, items: list[str], ago: int, cites: bool) -> None:
        """Says that it gave something, then or now."""
        self.run(self._report(who, app, items, ago, cites))

    async def _report(self, who: str, app: int, items: list[str], ago: int, cites: bool) -> None:
        said, at = self.said[who, app], self.clock() - timedelta(seconds=ago)
        self.reported += 1
        use = {
            "reference": f"r-{self.reported}",
            "sub": await self._sub(who, app),
            "client_id": self.apps[app].client_id,
            "at": at.isoformat(),
            "action": "lookup",
            "items": items,
        } | (LAW if cites else {})
        token = await self.world.token(self.reporter, grant_type="client_credentials", scope="consent:report")
        answer = await self.http.post(
            "/consent/v1/uses",
            json={"uses": [use]},
            headers={
                "Authorization": f"Bearer {token.json()['access_token']}",
                "Idempotency-Key": f"k-{self.reported}",
            },
        )
        assert answer.status_code == 200, answer.text
        (result,) = answer.json()["results"]
        known = bool(said.consent_id)
        allowed = known and (cites or set(items) <= said.flowed_at(at))
        assert result["status"] == ("recorded" if allowed else "refused"), (result, said)
        if not allowed:
            assert result["error"] == ("no_consent" if known else "unknown_person")

    async def _sub(self, who: str, app: int) -> str:
        client = await self.provider.clients.get(self.apps[app].client_id, self.clock())
        assert client is not None
        return self.provider.subjects.sub_for(self.people[who].account_id, client)

    # --- what always holds ---

    @invariant()
    def every_use_has_a_basis_or_is_called_one_that_has_none(self) -> None:
        """And a leaf; and each disclosure of the provider's is there, once."""
        if self.said:
            self.run(self._check_uses())

    async def _check_uses(self) -> None:
        names = {citizen.account_id: name for name, citizen in self.people.items()}
        apps = {app.client_id: number for number, app in enumerate(self.apps)}
        async with self.provider.database.reading() as session:
            keys = await keys_of(session, set(names))
            leaves = {row.id: row.commitment for row in await session.execute(select(LogEntry.id, LogEntry.commitment))}
            rows = (await session.execute(select(*Use.__table__.columns))).all()
        observed = 0
        for row in rows:
            use = read(row, keys[row.subject_id])
            assert leaves[use.id] == commit(keys[row.subject_id].opening(use.id), use.as_json())
            said = self.said[names[use.subject_id], apps[use.client_id or ""]]
            stood = set(use.items) <= said.flowed_at(use.at)
            observed += use.evidence == OBSERVED
            if use.legal_basis == NO_BASIS:
                assert not stood
            elif use.legal_basis == "consent":
                assert stood, "data flowed that was not agreed to"
            else:
                assert use.legal_citation
        assert observed == self.disclosed, "something left unrecorded, or was recorded and did not leave"

    @invariant()
    def whoever_refused_what_is_optional_is_served_all_the_same(self) -> None:
        """Coverage and the tokens tell one story: what stands covers the request, whatever optional was refused."""
        if self.said:
            self.run(self._check_coverage())

    async def _check_coverage(self) -> None:
        purpose = self.world.purpose
        async with self.provider.database.reading() as session:
            for (who, app), said in self.said.items():
                ask = Ask(
                    client_id=self.apps[app].client_id,
                    agency_id=self.world.agency_id,
                    purpose_version_id=purpose.id,
                    purpose_id=purpose.purpose_id,
                    required=frozenset({"name"}),
                    optional=frozenset(OPTIONAL),
                    offline_access=True,
                )
                where = await standing(
                    session,
                    subject_id=self.people[who].account_id,
                    client_id=ask.client_id,
                    purpose_id=purpose.purpose_id,
                )
                covered = covers(where, ask, self.clock())
                if said.flows:
                    assert isinstance(covered, Covered)
                    assert covered.items == said.flows
                else:
                    assert not isinstance(covered, Covered)

    def teardown(self) -> None:
        """Closes everything."""
        if self.said:
            self.run(self.http.aclose())
            self.run(self.provider.close())
        self.runner.close()


@pytest.mark.timeout(300)
def test_nothing_flows_that_was_not_agreed_to_and_nothing_flows_unrecorded(
    session_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    Story.template = sqlite_template(session_folder, migrated)
    Story.folders = lambda: tmp_path_factory.mktemp("story")
    run_state_machine_as_test(
        Story,
        settings=settings(
            max_examples=STORIES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            # A story takes a second. To shrink a failing one would take minutes; what it did is printed as it is.
            phases=(Phase.explicit, Phase.generate),
        ),
    )
