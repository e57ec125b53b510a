"""Three ministries: one whose app would receive, one that gives by an agreement and holds data, and a foreign one.

Records are written as rows, so that a test can have any of them, also those that no path of the product makes.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import httpx2
from sqlalchemy import insert, update

from consent.agencies import create_agency
from consent.models import ConsentRecord
from consent.registry.models import Agreement, AgreementVersion
from idp.provider import Provider
from keys.entropy import new_row_id
from tests.support.token_world import App, Citizen, World

API: Final = "https://api.dukcapil.test"
CARD: Final = "urn:satupintu:data:dukcapil:family_card"
DOMICILE: Final = "urn:satupintu:data:dukcapil:domicile"
TAX: Final = "urn:satupintu:data:pajak:tax_number"


@dataclass
class ProviderWorld:
    """The stage. `callers` are each agency's resource server, with an access token of its own."""

    world: World
    app: App
    siti: Citizen
    agencies: dict[str, str]
    callers: dict[str, App]
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def provider(self) -> Provider:
        """The provider that is asked."""
        return self.world.provider

    @property
    def http(self) -> httpx2.AsyncClient:
        """The way to it."""
        return self.world.http

    @property
    def sub(self) -> str:
        """Siti, as the receiving agency knows her."""
        return self.provider.subjects.sub(self.siti.account_id, self.agencies["kesehatan"])

    async def bearer(self, name: str) -> dict[str, str]:
        """The Authorization header of an agency's resource server."""
        if name not in self.tokens:
            answer = await self.world.token(self.callers[name], grant_type="client_credentials", scope="consent:check")
            assert answer.status_code == 200, answer.text
            self.tokens[name] = answer.json()["access_token"]
        return {"Authorization": f"Bearer {self.tokens[name]}"}

    async def record(self, **changes: Any) -> str:
        """Writes a consent of Siti's for the app: a card and an email, by no agreement. Returns its id."""
        now, entropy = self.provider.clock(), self.provider.entropy
        values: dict[str, Any] = {
            "id": new_row_id(entropy, now),
            "subject_id": self.siti.account_id,
            "subject_ref": self.sub,
            "client_id": self.app.client_id,
            "agency_id": self.agencies["kesehatan"],
            "purpose_id": self.world.purpose.purpose_id,
            "purpose_version_id": self.world.purpose.id,
            "status": "given",
            "granted": ["email", CARD, DOMICILE],
            "refused": [TAX],
            "offline_access": False,
            "decided_at": now,
            "valid_until": now + timedelta(days=30),
            "last_seq": 1,
        }
        values |= changes
        async with self.provider.database.transaction() as session:
            await session.execute(insert(ConsentRecord).values(**values))
        return str(values["id"])

    async def agreement(self, *, provider: str = "dukcapil", items: tuple[str, ...] = (CARD,), **changes: Any) -> str:
        """An agreement of a provider with the receiving agency. Returns the id of its version."""
        now, entropy = self.provider.clock(), self.provider.entropy
        agreement_id, version_id = new_row_id(entropy, now), new_row_id(entropy, now)
        of_version: dict[str, Any] = {
            "instrument": {},
            "items": list(items),
            "valid_from": now - timedelta(days=1),
            "valid_until": now + timedelta(days=10),
            "fetch_type": "periodic",
            "data_life_days": 30,
            "status": "active",
            "digest": bytes(32),
            "created_by": "operator",
        }
        async with self.provider.database.transaction() as session:
            await session.execute(
                insert(Agreement).values(
                    id=agreement_id,
                    code=f"pks-{agreement_id}",
                    provider_agency_id=self.agencies[provider],
                    recipient_agency_id=self.agencies["kesehatan"],
                    purpose_id=self.world.purpose.purpose_id,
                    created_at=now,
                )
            )
            values = {**of_version, **changes}
            await session.execute(
                insert(AgreementVersion).values(
                    id=version_id, agreement_id=agreement_id, version=1, created_at=now, **values
                )
            )
        return version_id

    async def change(self, table: type[Any], **values: Any) -> None:
        """Every row of a table gets these values."""
        async with self.provider.database.transaction() as session:
            await session.execute(update(table).values(**values).execution_options(synchronize_session=False))
        self.provider.clients.forget()

    def question(self, **changes: Any) -> dict[str, Any]:
        """May the app have Siti's card?"""
        asked = {
            "client_id": self.app.client_id,
            "sub": self.sub,
            "purpose": self.world.purpose.code,
            "items": [CARD],
        } | changes
        return {name: value for name, value in asked.items() if value is not None}

    async def check(self, name: str = "dukcapil", **changes: Any) -> dict[str, Any]:
        """What an agency's resource server is answered."""
        answer = await self.http.post(
            "/consent/v1/check", json=self.question(**changes), headers=await self.bearer(name)
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


async def new_provider_world(world: World) -> ProviderWorld:
    """The ministries, their resource servers, the app and the citizen."""
    now, entropy = world.provider.clock(), world.provider.entropy
    agencies = {"kesehatan": world.agency_id}
    for code in ("dukcapil", "pajak"):
        async with world.provider.database.transaction() as session:
            agency = await create_agency(
                session,
                code=code,
                names={"id": f"Kementerian {code}", "en": f"Ministry of {code}"},
                contact="Jalan Contoh 1",
                privacy_contact=f"pdp@{code}.example",
                now=now,
                entropy=entropy,
            )
        agencies[code] = agency.id
    callers = {
        code: await world.app(
            agency_id=agency_id,
            grant_types=("client_credentials",),
            scopes=("consent:check", "reports:read"),
            redirect_uris=(),
            purpose_codes=(),
            resources=(API,) if code == "dukcapil" else (f"https://api.{code}.test",),
        )
        for code, agency_id in agencies.items()
    }
    app = await world.app(allowed_resources=(API, "https://api.pajak.test"))
    return ProviderWorld(world, app, await world.citizen(), agencies, callers)
