"""What the person answered before: a short page in place of the question, so that a no is not worn down by asking.

They can have the question after all, by their own choice; or go back to the app, which learns that it was denied.
Spec: EDPB Guidelines 03/2022 on deceptive design, §4.2 (continuous prompting); Law 27/2022 (UU PDP) article 41.
"""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from consent.decisions import lift_refusal, resume
from consent.errors import ConsentError
from idp.audit import AuditKind, record
from idp.browser import browser_of, client_address, csrf_token, read_form
from idp.errors import AccessDenied, PageRefusal
from idp.interaction.advance import advance, follow, refuse
from idp.interaction.outcome import Outcome, respond
from idp.interaction.page import AtPage, check_page_post, come_to_page
from idp.interaction.steps import Answered, RememberAnswer
from idp.interaction.store import finish
from idp.provider import Provider, provider_of

UNEXPECTED = "This form was not filled in as expected."


async def answered_before(request: Request) -> Response:
    """GET and POST /consent/answered."""
    provider = provider_of(request)
    if request.method == "POST":
        return await _choose(provider, request, now=provider.clock())
    return await _show(provider, request, now=provider.clock())


async def _show(provider: Provider, request: Request, *, now: datetime) -> Response:
    interaction_id = request.query_params.get("interaction", "")
    browser = browser_of(request)
    async with provider.database.transaction() as session:
        at = await come_to_page(provider, request, session, interaction_id=interaction_id, browser=browser, now=now)
        if isinstance(at, AtPage) and not isinstance(at.step, RememberAnswer):
            at = await follow(provider, session, at.interaction, at.gathered, at.step, now=now)
    if not isinstance(at, AtPage):
        return respond(provider, request, at)
    assert browser is not None, "no interaction is found without the browser's secret"
    assert isinstance(at.step, RememberAnswer)
    locale = at.interaction.locale
    return provider.pages.render(
        request,
        "answered_before.html",
        {
            "interaction": at.interaction.id,
            "csrf": csrf_token(browser, at.interaction.id),
            "app_name": at.gathered.client.name(locale),
            "purpose_name": at.gathered.version.texts[locale]["name"],
            "remembered": at.step.remembered,
        },
        locale=locale,
        form_action=(at.gathered.request.redirect_uri,),
    )


async def _choose(provider: Provider, request: Request, *, now: datetime) -> Response:
    form = await read_form(request, max_bytes=provider.settings.max_body_bytes)
    interaction_id, browser = check_page_post(provider, request, form)
    choice = form.one("choice")
    if choice not in {"back", "anew"}:
        raise PageRefusal(UNEXPECTED, detail="neither back nor anew")
    async with provider.database.transaction() as session:
        at = await come_to_page(provider, request, session, interaction_id=interaction_id, browser=browser, now=now)
        if not isinstance(at, AtPage):
            outcome: Outcome = at
        elif not isinstance(at.step, RememberAnswer):
            # Out of turn, as after a second press: nothing that was posted counts.
            outcome = await follow(provider, session, at.interaction, at.gathered, at.step, now=now)
        elif choice == "back":
            await finish(session, at.interaction, now=now)
            denied = AccessDenied("the person refused before, or paused it")
            outcome = refuse(provider, at.gathered.request, at.gathered.client, denied)
        else:
            await _take_back_the_no(provider, request, session, at, at.step, now=now)
            outcome = await advance(provider, request, session, at.interaction, now=now)
    return respond(provider, request, outcome)


async def _take_back_the_no(
    provider: Provider, request: Request, session: AsyncSession, at: AtPage, step: RememberAnswer, *, now: datetime
) -> None:
    person = at.gathered.person
    assert person is not None, "nobody's answers are remembered before they have logged in"
    acts = resume if step.remembered.answered is Answered.PAUSED else lift_refusal
    try:
        await acts(
            session,
            consent_id=step.remembered.consent_id,
            subject_id=person.account_id,
            now=now,
            entropy=provider.entropy,
        )
    except ConsentError as error:
        raise PageRefusal(UNEXPECTED, detail=str(error)) from None
    await record(
        session,
        AuditKind.CONSENT_CHANGED,
        now=now,
        entropy=provider.entropy,
        account_id=person.account_id,
        client_id=at.gathered.client.client_id,
        session_id=person.session_id,
        address=client_address(request, provider.settings.trusted_proxies),
        detail={"consent_id": step.remembered.consent_id, "what": acts.__name__},
    )
