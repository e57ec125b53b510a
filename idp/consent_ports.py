"""What the consent windows are handed: who is looking, how a page is drawn, and what dies with a withdrawal."""

from collections.abc import Collection, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from consent.http.ports import Form as PostedForm
from consent.http.ports import Ports, Viewer
from idp.audit import AuditKind, record
from idp.browser import Form, browser_of, check_form_post, csrf_token
from idp.clients.models import Client
from idp.consent_people import find_app, find_citizen, list_apps, subject_ref
from idp.errors import PageRefusal
from idp.provider import Provider, provider_of
from idp.sessions.current import signed_in
from idp.tokens.carry_over import rest_on_successor
from idp.tokens.revoke import revoke_resting_on
from keys.entropy import Entropy, SystemEntropy

CSRF_CONTEXT: Final = "consent windows"


def consent_ports(app: FastAPI, *, entropy: Entropy | None = None) -> Ports:
    """The ports of `consent.http`, filled from the provider that `app` will have once it has started."""

    def provider() -> Provider:
        opened: Provider = app.state.provider
        return opened

    def transaction() -> AbstractAsyncContextManager[AsyncSession]:
        return provider().database.transaction()

    def reading() -> AbstractAsyncContextManager[AsyncSession]:
        return provider().database.reading()

    async def after_withdrawal(session: AsyncSession, consent_id: str, now: datetime) -> None:
        await end_authorizations(session, consent_id, now=now)
        await record(
            session,
            AuditKind.CONSENT_WITHDRAWN,
            now=now,
            entropy=provider().entropy,
            detail={"consent_id": consent_id},
        )

    return Ports(
        viewer=viewer,
        require_login=require_login,
        csrf_ok=csrf_ok,
        locale_of=lambda request: provider_of(request).pages.locale_of(request),
        render=render,
        transaction=transaction,
        reading=reading,
        app=find_app,
        apps=list_apps,
        subject_ref=lambda session, subject_id, client_id: subject_ref(
            session, provider().subjects, subject_id, client_id
        ),
        find_citizen=find_citizen,
        after_grant=rest_on_successor,
        client_names=lambda ids, locale: client_names(provider(), ids, locale),
        after_withdrawal=after_withdrawal,
        clock=lambda: provider().clock(),
        entropy=entropy or SystemEntropy(),
        refusal_remembered=lambda: timedelta(days=provider().settings.refusal_remembered_days),
    )


async def viewer(request: Request) -> Viewer | None:
    """Who is signed in."""
    provider = provider_of(request)
    browser = browser_of(request)
    if browser is None:
        return None
    async with provider.database.transaction() as session:
        current = await signed_in(provider, request, session, now=provider.clock(), with_roles=True)
    if current is None:
        return None
    return Viewer(
        subject_id=current.account_id,
        display_name=current.display_name,
        roles=current.roles,
        locale=provider.pages.locale_of(request),
        csrf=csrf_token(browser, CSRF_CONTEXT),
        acr=current.acr,
    )


def require_login(request: Request) -> Response:
    """To the login, and back to this address."""
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/sign-in?{urlencode({'to': wanted})}", status_code=303)


def csrf_ok(request: Request, form: PostedForm) -> bool:
    """Whether the form is one of these pages', filled in in this browser."""
    posted = Form({name: [value] for name, value in form.items()})
    try:
        check_form_post(request, posted, context=CSRF_CONTEXT, issuer=provider_of(request).settings.issuer)
    except PageRefusal:
        return False
    return True


def render(request: Request, template: str, context: Mapping[str, Any], *, locale: str, status: int = 200) -> Response:
    """A page with the headers that every page has."""
    return provider_of(request).pages.render(request, template, context, locale=locale, status=status)


async def client_names(provider: Provider, client_ids: Collection[str], locale: str) -> Mapping[str, str]:
    """What each app is called."""
    if not client_ids:
        return {}
    async with provider.database.reading() as session:
        rows = await session.execute(
            select(Client.client_id, Client.names).where(Client.client_id.in_(list(client_ids)))
        )
        return {client_id: names.get(locale) or next(iter(names.values()), client_id) for client_id, names in rows}


async def end_authorizations(session: AsyncSession, consent_id: str, *, now: datetime) -> None:
    """Every authorization that rests on this consent ends with it, and with each all its tokens."""
    await revoke_resting_on(session, [consent_id], because="consent_withdrawn", now=now)
