"""The consent page: a person reads who asks for what, why and for how long, and decides.

What was shown is what is recorded: the notice is composed anew when the form comes back, and unless it is the very text
that the form was made with, it is shown again. The decision, its event and the code that rests on it are one
transaction.
Spec: OpenID Connect Core §3.1.2.4; Law 27/2022 (UU PDP) articles 20 to 22 and 24; RFC 9700 §4.16.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from consent import decisions
from consent.errors import DecisionRefused
from consent.notice import Notice, compose
from consent.registry.agreements import agreement_of, needs_agreement
from consent.statuses import PERMITTING
from idp.audit import AuditKind, record
from idp.browser import browser_of, client_address, csrf_token, read_form
from idp.errors import AccessDenied, PageRefusal, UnauthorizedClient
from idp.interaction.advance import advance, follow, refuse
from idp.interaction.outcome import Outcome, respond
from idp.interaction.page import AtPage, check_page_post, come_to_page
from idp.interaction.steps import AskConsent
from idp.interaction.store import finish, note_consent
from idp.provider import Provider, provider_of
from idp.tokens.carry_over import rest_on_successor
from idp.tokens.codes import AuthenticatedPerson

UNEXPECTED = "This form was not filled in as expected."


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The consent page, to be rendered once its transaction has ended. `ticked` are the optional items already on."""

    at: AtPage
    notice: Notice
    ticked: frozenset[str]


async def consent(request: Request) -> Response:
    """GET and POST /consent."""
    provider = provider_of(request)
    if request.method == "POST":
        return await _decide(provider, request, now=provider.clock())
    return await _show(provider, request, now=provider.clock())


async def _show(provider: Provider, request: Request, *, now: datetime) -> Response:
    interaction_id = request.query_params.get("interaction", "")
    browser = browser_of(request)
    async with provider.database.transaction() as session:
        at = await come_to_page(provider, request, session, interaction_id=interaction_id, browser=browser, now=now)
        if not isinstance(at, AtPage):
            shown: Page | Outcome = at
        elif isinstance(at.step, AskConsent):
            nobody_gives = await _if_nobody_gives(provider, session, at, now=now)
            shown = nobody_gives or Page(at=at, notice=compose_for(at), ticked=given_before(at))
        else:
            shown = await follow(provider, session, at.interaction, at.gathered, at.step, now=now)
    return _answer(provider, request, shown, browser=browser)


async def _decide(provider: Provider, request: Request, *, now: datetime) -> Response:
    form = await read_form(request, max_bytes=provider.settings.max_body_bytes)
    interaction_id, browser = check_page_post(provider, request, form)
    decision = form.one("decision")
    if decision not in {"allow", "deny"}:
        raise PageRefusal(UNEXPECTED, detail="neither allowed nor denied")
    async with provider.database.transaction() as session:
        at = await come_to_page(provider, request, session, interaction_id=interaction_id, browser=browser, now=now)
        if not isinstance(at, AtPage):
            outcome: Page | Outcome = at
        elif not isinstance(at.step, AskConsent):
            # Out of turn: nothing that was posted counts.
            outcome = await follow(provider, session, at.interaction, at.gathered, at.step, now=now)
        elif (nobody_gives := await _if_nobody_gives(provider, session, at, now=now)) is not None:
            outcome = nobody_gives
        else:
            notice = compose_for(at)
            posted = frozenset(form.get("item", []))
            if form.one("shown") != notice.sha256.hex():
                outcome = Page(at=at, notice=notice, ticked=posted)
            elif decision == "deny":
                outcome = await _refused(provider, request, session, at, notice, now=now)
            else:
                outcome = await _granted(provider, request, session, at, notice, posted, now=now)
    return _answer(provider, request, outcome, browser=browser)


def compose_for(at: AtPage) -> Notice:
    """The notice of what is asked here, in the interaction's language."""
    gathered = at.gathered
    ask = gathered.ask_in_full()
    language = at.interaction.locale
    return compose(
        gathered.version,
        client_id=gathered.client.client_id,
        client_name=gathered.client.name(language),
        client_is_verified=gathered.client.verified,
        language=language,
        asked=ask.items,
        offline_access=ask.offline_access,
    )


def given_before(at: AtPage) -> frozenset[str]:
    """The items that the person's consent in force grants: the page shows them as what they are, on.

    Nothing else is on beforehand: a box that somebody else ticked is nobody's consent.
    """
    gathered = at.gathered
    standing, now = gathered.standing, gathered.situation.now
    if standing is None or standing.status not in PERMITTING or standing.is_over(now):
        return frozenset()
    return standing.granted if gathered.ask.accepts(standing.purpose_version_id) else frozenset()


def granted_items(posted: Collection[str], notice: Notice) -> frozenset[str]:
    """What the person grants by allowing: everything needed, and those of the rest that they ticked.

    Where the legal basis leaves no choice there is nothing to tick, and the whole notice is what they acknowledge.
    Error: `PageRefusal` when something was posted that was not shown.
    """
    unknown = frozenset(posted) - notice.claims
    if unknown:
        raise PageRefusal(UNEXPECTED, detail=f"not among the items shown: {min(unknown)[:100]!r}")
    return notice.required | frozenset(posted) if notice.is_choice else notice.claims


async def _if_nobody_gives(provider: Provider, session: AsyncSession, at: AtPage, *, now: datetime) -> Outcome | None:
    """The refusal for the app when another agency's data is asked for and no agreement in force lets it be given.

    Without it people would be asked for what no answer of theirs can make flow.
    """
    version = at.gathered.version
    if needs_agreement(version) is None or await agreement_of(session, version, now=now) is not None:
        return None
    await finish(session, at.interaction, now=now)
    error = UnauthorizedClient("the agreement by which this data would be given is not in force")
    return refuse(provider, at.gathered.request, at.gathered.client, error)


async def _granted(
    provider: Provider,
    request: Request,
    session: AsyncSession,
    at: AtPage,
    notice: Notice,
    posted: Collection[str],
    *,
    now: datetime,
) -> Outcome:
    granted = granted_items(posted, notice)
    who = _who_decides(provider, at, notice)
    try:
        consent_id = await decisions.grant(
            session,
            who=who,
            granted=granted,
            refused=notice.claims - granted,
            offline_access=notice.offline_access is not None,
            notice=notice,
            now=now,
            entropy=provider.entropy,
        )
    except DecisionRefused as refused:
        raise PageRefusal(UNEXPECTED, detail=refused.why) from None
    await rest_on_successor(session, consent_id)
    note_consent(at.interaction, session_id=_person(at).session_id, consent_id=consent_id, now=now)
    await _keep(provider, request, session, AuditKind.CONSENT_GRANTED, at, consent_id, now=now)
    return await advance(provider, request, session, at.interaction, now=now)


async def _refused(
    provider: Provider, request: Request, session: AsyncSession, at: AtPage, notice: Notice, *, now: datetime
) -> Outcome:
    await finish(session, at.interaction, now=now)
    try:
        consent_id = await decisions.refuse(
            session,
            who=_who_decides(provider, at, notice),
            refused=notice.claims,
            notice=notice,
            cool_down=timedelta(days=provider.settings.refusal_remembered_days),
            now=now,
            entropy=provider.entropy,
        )
    except DecisionRefused as refused:
        raise PageRefusal(UNEXPECTED, detail=refused.why) from None
    await _keep(provider, request, session, AuditKind.CONSENT_REFUSED, at, consent_id, now=now)
    return refuse(provider, at.gathered.request, at.gathered.client, AccessDenied("the person refused"))


def _who_decides(provider: Provider, at: AtPage, notice: Notice) -> decisions.Decision:
    person = _person(at)
    return decisions.Decision(
        subject_id=person.account_id,
        client_id=at.gathered.client.client_id,
        agency_id=at.gathered.version.agency_id,
        purpose_id=at.gathered.version.purpose_id,
        purpose_version_id=at.gathered.version.id,
        language=notice.language,
        acr=person.acr,
        subject_ref=provider.subjects.sub_for(person.account_id, at.gathered.client),
    )


def _person(at: AtPage) -> AuthenticatedPerson:
    assert at.gathered.person is not None, "nobody is asked for consent before they have logged in"
    return at.gathered.person


async def _keep(
    provider: Provider,
    request: Request,
    session: AsyncSession,
    kind: AuditKind,
    at: AtPage,
    consent_id: str,
    *,
    now: datetime,
) -> None:
    person = _person(at)
    await record(
        session,
        kind,
        now=now,
        entropy=provider.entropy,
        account_id=person.account_id,
        client_id=at.gathered.client.client_id,
        session_id=person.session_id,
        address=client_address(request, provider.settings.trusted_proxies),
        detail={"consent_id": consent_id, "purpose": at.gathered.version.code},
    )


def _answer(provider: Provider, request: Request, outcome: Page | Outcome, *, browser: bytes | None) -> Response:
    if not isinstance(outcome, Page):
        return respond(provider, request, outcome)
    assert browser is not None, "no interaction is found without the browser's secret"
    interaction = outcome.at.interaction
    return provider.pages.render(
        request,
        "consent.html",
        {
            "notice": outcome.notice,
            "shown": outcome.notice.sha256.hex(),
            "interaction": interaction.id,
            "csrf": csrf_token(browser, interaction.id),
            "ticked": outcome.ticked,
        },
        locale=interaction.locale,
        form_action=(outcome.at.gathered.request.redirect_uri,),
    )
