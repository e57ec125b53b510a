"""Agencies that report what they gave, about a citizen whose consents have a history."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import httpx2
from sqlalchemy import update

from consent.models import ConsentRecord
from consent.purposes import PurposeVersionView
from consent.registry.attributes import register_attribute
from consent.registry.versions import propose_version
from tests.consent.registry import a_purpose, grant_to, item, write_agency
from tests.support.purposes import PROPOSER, TERMS, active_agreement, approved
from tests.support.token_world import App, Citizen, World

API: Final = "https://api.dukcapil.test"
CARD: Final = "urn:satupintu:data:dukcapil:family_card"
LAW: Final = {"legal_basis": "legal_obligation", "legal_citation": "UU 8/1981 pasal 7 ayat (1) huruf j"}


@dataclass
class Reports:
    """The stage: `dukcapil` holds the family card, `pajak` is a stranger, `kesehatan` receives with its app."""

    world: World
    app: App
    siti: Citizen
    agencies: dict[str, str]
    callers: dict[str, App]
    purpose: PurposeVersionView
    consent_id: str = ""
    tokens: dict[tuple[str, str, datetime], str] = field(default_factory=dict)

    @property
    def sub(self) -> str:
        """Siti, as the receiving app's agency knows her."""
        return self.world.provider.subjects.sub(self.siti.account_id, self.agencies["kesehatan"])

    async def bearer(self, name: str, scope: str = "consent:report") -> dict[str, str]:
        """The Authorization header of an agency's system."""
        now = self.world.provider.clock()
        if (name, scope, now) not in self.tokens:
            answer = await self.world.token(self.callers[name], grant_type="client_credentials", scope=scope)
            assert answer.status_code == 200, answer.text
            self.tokens[name, scope, now] = answer.json()["access_token"]
        return {"Authorization": f"Bearer {self.tokens[name, scope, now]}"}

    def use(self, reference: str = "r-1", **changes: Any) -> dict[str, Any]:
        """That the family card was given to the app just now, by the consent that there is."""
        said = {
            "reference": reference,
            "sub": self.sub,
            "client_id": self.app.client_id,
            "at": self.world.provider.clock().isoformat(),
            "action": "lookup",
            "items": [CARD],
        }
        return {name: value for name, value in (said | changes).items() if value is not None}

    async def send(
        self, *uses: dict[str, Any], key: str = "k-1", by: str = "dukcapil", **headers: str
    ) -> httpx2.Response:
        """Reports a batch."""
        sent = await self.bearer(by) | {"Idempotency-Key": key} | headers
        return await self.world.http.post("/consent/v1/uses", json={"uses": list(uses)}, headers=sent)

    async def told(self, *uses: dict[str, Any], **how: Any) -> list[dict[str, Any]]:
        """The results of a batch."""
        answer = await self.send(*uses, **how)
        assert answer.status_code == 200, answer.text
        results: list[dict[str, Any]] = answer.json()["results"]
        return results

    async def one(self, use: dict[str, Any] | None = None, **how: Any) -> dict[str, Any]:
        """The result of one use."""
        (result,) = await self.told(use if use is not None else self.use(), **how)
        return result

    async def agree(self, *, granted: tuple[str, ...] = ("name", CARD)) -> str:
        """Siti agrees."""
        provider = self.world.provider
        async with provider.database.transaction() as session:
            self.consent_id = await grant_to(
                session,
                self.purpose,
                now=provider.clock(),
                entropy=provider.entropy,
                granted=granted,
                subject_id=self.siti.account_id,
                client_id=self.app.client_id,
            )
            known = update(ConsentRecord).where(ConsentRecord.id == self.consent_id).values(subject_ref=self.sub)
            await session.execute(known)
        return self.consent_id

    async def do(self, what: Any, **values: Any) -> None:
        """Something happens to the consent, such as `withdraw`, `pause`, `resume`."""
        provider = self.world.provider
        async with provider.database.transaction() as session:
            await what(
                session,
                consent_id=self.consent_id,
                subject_id=self.siti.account_id,
                now=provider.clock(),
                entropy=provider.entropy,
                **values,
            )


async def new_reports(world: World) -> Reports:
    """The ministries, the agreement, the app and the citizen; nobody has agreed to anything yet."""
    now, entropy = world.provider.clock(), world.provider.entropy
    agencies = {"kesehatan": world.agency_id}
    async with world.provider.database.transaction() as session:
        for code in ("dukcapil", "pajak"):
            agencies[code] = await write_agency(session, now=now, entropy=entropy, code=code)
        await register_attribute(
            session,
            source_agency_id=agencies["dukcapil"],
            name="family_card",
            labels={"id": "Kartu keluarga", "en": "Family card"},
            category="family",
            dpv_iri="https://w3id.org/dpv/pd#OfficialID",
            now=now,
            entropy=entropy,
        )
        version = await propose_version(
            session,
            agency_id=world.agency_id,
            **a_purpose(code="kartu", items=[item("name", required=True), item("email"), item(CARD)]),
            terms=TERMS,
            proposed_by=PROPOSER,
            now=now,
            entropy=entropy,
        )
        await active_agreement(
            session, version=version, provider_agency_id=agencies["dukcapil"], now=now, entropy=entropy
        )
        version = await approved(session, version, now=now, entropy=entropy)
    callers = {
        code: await world.app(
            agency_id=agency_id,
            grant_types=("client_credentials",),
            scopes=("consent:report", "consent:audit"),
            redirect_uris=(),
            purpose_codes=(),
            resources=(f"https://api.{code}.test",),
        )
        for code, agency_id in agencies.items()
    }
    app = await world.app(allowed_resources=(API,), purpose_codes=(version.code,))
    return Reports(world, app, await world.citizen(), agencies, callers, version)
