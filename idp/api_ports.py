"""What the JSON APIs are handed: who calls, the database, the time, and the provider's signature."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from consent.checks.question import Asked, Verdict
from consent.http.api.ports import ApiCaller, ApiPorts
from idp import provider_checks
from idp.api_access import api_caller
from idp.event_ports import event_ports
from idp.provider import Provider
from idp.receipts import receipt_office
from idp.settings import Settings
from idp.withdrawals import compare_with_report
from keys.entropy import Entropy, SystemEntropy
from keys.jws import sign_jwt


def api_ports(app: FastAPI, settings: Settings, *, entropy: Entropy | None = None) -> ApiPorts:
    """The ports of `consent.http.api`, filled from the provider that `app` will have once it has started."""

    def provider() -> Provider:
        opened: Provider = app.state.provider
        return opened

    async def caller(request: Request, scope: str) -> ApiCaller:
        return await api_caller(provider(), request, scope)

    async def check(request: Request, asked: Asked) -> Verdict:
        return await provider_checks.check(provider(), request, asked)

    async def sign(claims: Mapping[str, Any], *, typ: str, alg: str) -> str:
        return await sign_jwt(provider().keys.signer_for(alg), dict(claims), typ=typ)

    async def after_report(session: AsyncSession, consent_ids: Sequence[str]) -> None:
        await compare_with_report(provider(), session, consent_ids)

    def transaction() -> AbstractAsyncContextManager[AsyncSession]:
        return provider().database.transaction()

    def reading() -> AbstractAsyncContextManager[AsyncSession]:
        return provider().database.reading()

    return ApiPorts(
        issuer=settings.issuer,
        caller=caller,
        check=check,
        transaction=transaction,
        reading=reading,
        sign=sign,
        events=event_ports(provider),
        receipts=receipt_office(app, settings, entropy=entropy),
        after_report=after_report,
        clock=lambda: provider().clock(),
        entropy=entropy or SystemEntropy(),
    )
