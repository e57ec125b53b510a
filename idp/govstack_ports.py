"""What the GovStack façade is handed besides: how an app is called, and what ends with a consent."""

from collections.abc import Callable
from dataclasses import fields
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from consent.http.api.ports import ApiPorts, ApiRefusal
from consent.http.govstack.ports import App, GovStackPorts
from idp.audit import AuditKind, record
from idp.consent_ports import end_authorizations
from idp.provider import Provider


def govstack_ports(ports: ApiPorts, provider: Callable[[], Provider]) -> GovStackPorts:
    """The ports of `consent.http.govstack`: those of the other APIs, and two more."""

    async def app(client_id: str, language: str) -> App:
        client = await provider().clients.get(client_id, provider().clock())
        if client is None:
            raise ApiRefusal(401, "invalid_token", "the access token is no longer valid")
        return App(name=client.name(language), is_verified=client.verified)

    async def after_withdrawal(session: AsyncSession, consent_id: str, now: datetime) -> None:
        await end_authorizations(session, consent_id, now=now)
        await record(
            session,
            AuditKind.CONSENT_WITHDRAWN,
            now=now,
            entropy=provider().entropy,
            detail={"consent_id": consent_id},
        )

    shared = {field.name: getattr(ports, field.name) for field in fields(ApiPorts)}
    return GovStackPorts(**shared, app=app, after_withdrawal=after_withdrawal)
