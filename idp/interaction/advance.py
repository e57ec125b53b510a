"""From wherever a request stands to the next page, or to its answer.

Spec: OpenID Connect Core §3.1.2.3 to §3.1.2.6.
"""

from datetime import datetime, timedelta
from typing import assert_never

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from idp.authorize.parameters import AuthorizationRequest
from idp.authorize.response import Answer, code_answer, error_answer, response_mode_for
from idp.browser import browser_of, browser_or_new
from idp.clients.models import Client
from idp.clients.registry import RegisteredClient, registered
from idp.errors import OAuthError, PageRefusal
from idp.interaction.gather import Gathered, gather
from idp.interaction.models import Interaction
from idp.interaction.outcome import GoTo, Outcome, page_of
from idp.interaction.return_to import check_return_to
from idp.interaction.steps import AskConsent, Issue, LogIn, Refuse, RememberAnswer, SelectAccount, Step, next_step
from idp.interaction.store import begin_authorize, finish, start_over
from idp.provider import Provider
from idp.sessions.current import signed_in
from idp.sessions.models import LoginSession
from idp.sessions.store import CurrentSession
from idp.tokens.codes import KEEP, AuthenticatedPerson, NewCode, new_code

APP_GONE = "This app is not in use any more."


async def advance(
    provider: Provider,
    request: Request,
    session: AsyncSession,
    interaction: Interaction,
    *,
    now: datetime,
    just_started: LoginSession | None = None,
) -> Outcome:
    """The next page of an interaction, or its end.

    `just_started` is the session of a login that happened within this transaction: its cookie has not come back yet.
    Error: `PageRefusal`.
    """
    person = await person_at(provider, request, session, now=now, just_started=just_started)
    if interaction.kind == "page":
        return await _to_page(session, interaction, person, now=now)
    asked, client = await asked_in(session, interaction)
    try:
        gathered = await gather(provider, session, asked, client, person, interaction=interaction, now=now)
    except OAuthError as error:
        await finish(session, interaction, now=now)
        return refuse(provider, asked, client, error)
    return await follow(provider, session, interaction, gathered, next_step(gathered.situation), now=now)


async def advance_new(
    provider: Provider,
    request: Request,
    session: AsyncSession,
    asked: AuthorizationRequest,
    client: RegisteredClient,
    *,
    now: datetime,
) -> Outcome:
    """The first step of a request that has just arrived: its answer, when no page is needed; nothing is kept then."""
    person = await person_at(provider, request, session, now=now)
    try:
        gathered = await gather(provider, session, asked, client, person, now=now)
    except OAuthError as error:
        return refuse(provider, asked, client, error)
    step = next_step(gathered.situation)
    if isinstance(step, Refuse):
        return refuse(provider, asked, client, step.error)
    if isinstance(step, Issue):
        return await issue(provider, session, gathered, step, now=now)
    browser = browser_or_new(request, provider.entropy)
    interaction = await begin_authorize(
        session,
        asked,
        browser=browser,
        locale=provider.pages.locale_of(request, ui_locales=" ".join(asked.ui_locales)),
        lifetime=timedelta(seconds=provider.settings.interaction_lifetime),
        now=now,
        entropy=provider.entropy,
    )
    is_new = browser_of(request) is None
    return page_of(interaction, path_of(step), new_browser=browser if is_new else None)


async def follow(
    provider: Provider,
    session: AsyncSession,
    interaction: Interaction,
    gathered: Gathered,
    step: Step,
    *,
    now: datetime,
) -> Outcome:
    """Does what the router said."""
    if isinstance(step, Issue):
        # Finished first: of two posts at once, only one gets as far as a code.
        await finish(session, interaction, now=now)
        return await issue(provider, session, gathered, step, now=now)
    if isinstance(step, Refuse):
        await finish(session, interaction, now=now)
        return refuse(provider, gathered.request, gathered.client, step.error)
    if isinstance(step, LogIn):
        # Whoever was here is not, or not any more, who is asked for: their confirmations count for nobody else.
        start_over(interaction)
    return page_of(interaction, path_of(step))


def path_of(step: LogIn | SelectAccount | AskConsent | RememberAnswer) -> str:
    """The page that does a step."""
    match step:
        case LogIn():
            return "/login"
        case SelectAccount():
            return "/select-account"
        case AskConsent():
            return "/consent"
        case RememberAnswer():
            return "/consent/answered"
        case _:
            assert_never(step)


async def issue(
    provider: Provider, session: AsyncSession, gathered: Gathered, step: Issue, *, now: datetime
) -> Outcome:
    """The code, in the transaction of the consent that it rests on."""
    new, answer = prepare(provider, gathered, step, now=now)
    await session.execute(KEEP.core, new.row)
    return answer


def prepare(provider: Provider, gathered: Gathered, step: Issue, *, now: datetime) -> tuple[NewCode, Answer]:
    """A code and the answer that carries it, which may leave once the code's row is written."""
    assert gathered.person is not None, "nothing is issued for nobody"
    asked, client = gathered.request, gathered.client
    new = new_code(
        request=asked,
        client=client,
        person=gathered.person,
        consent_id=step.consent.consent_id,
        subjects=provider.subjects,
        settings=provider.settings,
        now=now,
        entropy=provider.entropy,
    )
    answer = code_answer(
        redirect_uri=asked.redirect_uri,
        response_mode=response_mode_for(asked.response_mode, client),
        code=new.code,
        state=asked.state,
        issuer=provider.settings.issuer,
    )
    return new, answer


def refuse(provider: Provider, asked: AuthorizationRequest, client: RegisteredClient, error: OAuthError) -> Outcome:
    """The error, for the app."""
    return error_answer(
        error,
        redirect_uri=asked.redirect_uri,
        response_mode=response_mode_for(asked.response_mode, client),
        state=asked.state,
        issuer=provider.settings.issuer,
    )


async def person_at(
    provider: Provider,
    request: Request,
    session: AsyncSession,
    *,
    now: datetime,
    just_started: LoginSession | None = None,
) -> AuthenticatedPerson | None:
    """Who is signed in in this browser."""
    if just_started is not None:
        return AuthenticatedPerson(
            session_id=just_started.id,
            account_id=just_started.account_id,
            auth_time=just_started.authenticated_at,
            acr=just_started.acr,
            amr=tuple(just_started.amr),
        )
    current = await signed_in(provider, request, session, now=now)
    return as_person(current) if current is not None else None


def as_person(current: CurrentSession) -> AuthenticatedPerson:
    """The part of a session that codes are issued for."""
    return AuthenticatedPerson(
        session_id=current.id,
        account_id=current.account_id,
        auth_time=current.auth_time,
        acr=current.acr,
        amr=current.amr,
    )


async def asked_in(session: AsyncSession, interaction: Interaction) -> tuple[AuthorizationRequest, RegisteredClient]:
    """The request that an interaction keeps, and its client as it is now. Error: `PageRefusal` when it is disabled.

    The client is read on this transaction's own connection: to ask the registry, which opens another, could leave every
    connection of the pool waiting for one more.
    """
    if interaction.kind != "authorize" or interaction.request is None:
        raise PageRefusal(APP_GONE, detail="the interaction keeps no request")
    asked = AuthorizationRequest.from_json(interaction.request)
    statement = select(*Client.__table__.c).where(Client.client_id == asked.client_id)
    row = (await session.execute(statement)).one_or_none()
    client = registered(row) if row is not None else None
    if client is None or not client.is_live:
        raise PageRefusal(APP_GONE, detail="the client is unknown or disabled")
    return asked, client


async def _to_page(
    session: AsyncSession, interaction: Interaction, person: AuthenticatedPerson | None, *, now: datetime
) -> Outcome:
    if person is None:
        start_over(interaction)
        return page_of(interaction, "/login")
    await finish(session, interaction, now=now)
    return GoTo(check_return_to(interaction.return_to))
