"""An agency's app that speaks the GovStack API, and a citizen who agreed to something of the agency's."""

from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from sqlalchemy import update

from consent.models import ConsentRecord
from idp.provider import Provider
from tests.consent.registry import item, write_agency
from tests.support.purposes import TERMS
from tests.support.token_world import App, Citizen, World, new_world

BASE = "/govstack/v1"
SCOPES = ("govstack:config", "govstack:service", "govstack:audit")


@dataclass
class GovStackWorld:
    """The stage. `call` sends a request of the app's, with a token that has every part unless told otherwise."""

    world: World
    app: App
    siti: Citizen
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def sub(self) -> str:
        """Siti, as the agency knows her."""
        return self.world.provider.subjects.sub(self.siti.account_id, self.world.agency_id)

    @property
    def consent_id(self) -> str:
        """Her newest consent."""
        return self.world.consents[self.app.client_id]

    async def agree(self) -> dict[str, Any]:
        """Siti agrees (anew), and the app gets tokens."""
        tokens = await self.world.tokens(self.app, self.siti)
        await self.name_siti()
        return tokens

    async def name_siti(self) -> None:
        """Her records name her as the agency knows her."""
        async with self.world.provider.database.transaction() as session:
            await session.execute(update(ConsentRecord).values(subject_ref=self.sub))

    async def call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        scope: str = " ".join(SCOPES),
        app: App | None = None,
        **query: Any,
    ) -> httpx2.Response:
        """A request, with a token of the app's."""
        caller = app or self.app
        key = f"{caller.client_id} {scope}"
        if key not in self.tokens:
            answer = await self.world.token(caller, grant_type="client_credentials", scope=scope)
            assert answer.status_code == 200, answer.text
            self.tokens[key] = answer.json()["access_token"]
        return await self.world.http.request(
            method,
            f"{BASE}{path}",
            json=json,
            params=query,
            headers={"Authorization": f"Bearer {self.tokens[key]}"},
        )

    async def ok(self, method: str, path: str, **arguments: Any) -> Any:
        """The content of an answer that must be 200."""
        answer = await self.call(method, path, **arguments)
        assert answer.status_code == 200, answer.text
        return answer.json() if answer.content else None

    async def foreigner(self) -> App:
        """An app of another agency, with the same scopes."""
        return await self.world.app(
            agency_id=await another_agency(self.world),
            scopes=SCOPES,
            grant_types=("client_credentials",),
            redirect_uris=(),
            purpose_codes=(),
        )


async def another_agency(world: World) -> str:
    """An agency that has nothing to do with it."""
    async with world.provider.database.transaction() as session:
        return await write_agency(session, now=world.provider.clock(), entropy=world.provider.entropy, code="pajak")


def a_data_agreement(**changes: Any) -> dict[str, Any]:
    """A data agreement to propose."""
    specification: dict[str, Any] = {
        "code": "vaksinasi",
        "texts": {
            "id": {"name": "Vaksinasi", "description": "Mendaftar vaksinasi.", "refusal": "Datang ke loket."},
            "en": {"name": "Vaccination", "description": "To register a vaccination.", "refusal": "Come to the desk."},
        },
        "items": [item("name", required=True), item("email")],
        "legal_citation": "UU 27/2022 pasal 20 ayat (2) huruf a",
        "retention_days": 365,
        "validity_days": 90,
        "terms": dict(TERMS),
    }
    said: dict[str, Any] = {
        "id": "",
        "version": "1",
        "purpose": "Vaccination",
        "lawfulBasis": "consent",
        "dpia": "",
        "specification": {**specification, **changes.pop("specification", {})},
    }
    return {**said, **changes}


@pytest.fixture
async def govstack(provider: Provider, client: httpx2.AsyncClient) -> GovStackWorld:
    """The agency, its app and a citizen with a consent."""
    world = await new_world(provider, client)
    app = await world.app(
        scopes=("openid", "profile", "email", *SCOPES),
        grant_types=("authorization_code", "refresh_token", "client_credentials"),
    )
    siti = await world.citizen()
    world.consents[app.client_id] = await world.consent(app, siti)
    stage = GovStackWorld(world, app, siti)
    await stage.name_siti()
    return stage
