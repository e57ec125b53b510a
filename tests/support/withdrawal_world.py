"""A ministry with an app that is told, another that gives data, and a citizen who takes things back.

world = await new_withdrawal_world(token_world)
consent_id = await world.agree();  await world.withdraw(consent_id);  await world.send()
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2
from sqlalchemy import select

from consent.agencies import create_agency
from consent.withdrawal.models import Delivery
from consent.withdrawal.recipients import Stopping, recipients_of
from consent.withdrawal.streams import put_stream
from idp.deliveries import Sender
from idp.housekeeping import sweep
from idp.provider import Provider
from keys.jwks import jwks_document
from tests.support.recipient import Recipient
from tests.support.token_world import App, Citizen, World

SCOPES: Final = ("openid", "profile", "email", "identity", "offline_access", "consent:events")


@dataclass
class WithdrawalWorld:
    """The stage. `recipient` is the app's endpoint; it listens when a test enters it."""

    world: World
    app: App
    siti: Citizen
    recipient: Recipient
    provider_agency_id: str
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def provider(self) -> Provider:
        """The provider."""
        return self.world.provider

    @property
    def sub(self) -> str:
        """Siti, as the app knows her."""
        return self.provider.subjects.sub(self.siti.account_id, self.world.agency_id)

    async def agree(self, citizen: Citizen | None = None) -> str:
        """A citizen agrees. Returns the consent's id."""
        return await self.world.consent(self.app, citizen or self.siti)

    async def withdraw(self, consent_id: str, citizen: Citizen | None = None) -> None:
        """And takes it back."""
        await self.world.withdraw(citizen or self.siti, consent_id)

    async def listen(self, *, authorization: str | None = None) -> None:
        """The app's endpoint becomes its stream."""
        async with self.provider.database.transaction() as session:
            await put_stream(
                session,
                agency_id=self.world.agency_id,
                client_id=self.app.client_id,
                delivery="push",
                endpoint=self.recipient.url,
                authorization=authorization,
                now=self.provider.clock(),
                entropy=self.provider.entropy,
            )

    async def send(self) -> int:
        """The sender does its round. Returns how many it tried."""
        async with Idle(self.provider) as sender:
            return await sender.send_due()

    async def sweep(self) -> dict[str, int]:
        """Housekeeping does its round."""
        done = await sweep(self.provider)
        self.provider.clients.forget()
        return done

    async def deliveries(self, consent_id: str | None = None) -> Sequence[Delivery]:
        """The outbox, oldest first."""
        statement = select(Delivery).order_by(Delivery.id)
        if consent_id is not None:
            statement = statement.where(Delivery.consent_id == consent_id)
        async with self.provider.database.reading() as session:
            return (await session.scalars(statement)).all()

    async def stopping(self, consent_id: str) -> Stopping:
        """What the person sees."""
        async with self.provider.database.reading() as session:
            return await recipients_of(session, consent_id)

    async def bearer(self, app: App | None = None, scope: str = "consent:events") -> dict[str, str]:
        """The Authorization header of an app."""
        app = app or self.app
        answer = await self.world.token(app, grant_type="client_credentials", scope=scope)
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    async def poll(self, *, app: App | None = None, path: str = "/events/poll", **asked: Any) -> httpx2.Response:
        """A poll that does not wait."""
        said = {"returnImmediately": True} | asked
        return await self.world.http.post(f"/consent/v1{path}", json=said, headers=await self.bearer(app))

    async def attest(
        self, delivery: str, state: str, /, *, app: App | None = None, jws: str | None = None, **changes: Any
    ) -> httpx2.Response:
        """The app attests."""
        if jws is None:
            jws = self.recipient.attestation(delivery, state, at=self.provider.clock(), **changes)
        headers = await self.bearer(app) | {"Content-Type": "application/consent-attestation+jwt"}
        return await self.world.http.post("/consent/v1/events/attestations", content=jws, headers=headers)


class Idle(Sender):
    """A sender that sends when it is told to, and not by itself."""

    async def __aenter__(self) -> "Idle":
        return self


async def new_withdrawal_world(world: World) -> WithdrawalWorld:
    """The ministries, the app with its key, and the citizen."""
    provider = world.provider
    keys = jwks_document(provider.keys.public_jwks())
    recipient = Recipient(issuer=provider.settings.issuer, audience="sehat", jwks=keys)
    app = await world.app(client_id="sehat", scopes=SCOPES, jwks=recipient.public_jwks)
    async with provider.database.transaction() as session:
        agency = await create_agency(
            session,
            code="dukcapil",
            names={"id": "Dukcapil", "en": "Civil Registry"},
            contact="Jalan Contoh 2",
            privacy_contact="pdp@dukcapil.example",
            now=provider.clock(),
            entropy=provider.entropy,
        )
    return WithdrawalWorld(world, app, await world.citizen(), recipient, agency.id)
