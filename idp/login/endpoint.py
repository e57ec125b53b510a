"""The login page: GET shows it, POST verifies a password, signs in, and hands over to the next step.

A wrong password, an unknown username and a disabled account get the same answer after the same time. A guess is
counted, and the count committed, before the password is looked at.
Spec: OpenID Connect Core §3.1.2.3; NIST SP 800-63B-4 §3.2.2; RFC 9110 §15.4.4 (303: the password is not sent on).
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from idp.accounts.directory import normalise_username
from idp.audit import AuditKind, record
from idp.browser import (
    browser_digest,
    browser_of,
    check_form_post,
    client_address,
    read_form,
    session_cookie_of,
    set_session,
)
from idp.errors import PageRefusal, TemporarilyUnavailable
from idp.interaction.advance import advance
from idp.interaction.models import Interaction
from idp.interaction.outcome import page_of, respond
from idp.interaction.page_login import begin_page_login
from idp.interaction.store import keep_language, load, start_over
from idp.language import N_
from idp.login.factors.password import AccountChanged, Candidate, check_unchanged, find_candidate, renew_hash, verify
from idp.login.factors.verified import VerifiedFactor
from idp.login.known_browsers import remember_browser
from idp.login.page import show_login
from idp.provider import Provider, provider_of
from idp.sessions.store import start_session
from idp.throttle import LoginBuckets, count_attempt, give_back, login_buckets, throttle_key

WRONG: Final = N_("The username or the password is not right.")
INCOMPLETE: Final = N_("Please type your username and your password.")
TOO_MANY: Final = N_("There were too many attempts. Please try again in a quarter of an hour.")
BUSY: Final = "Very many people are signing in at this moment. Please try again in a minute."


@dataclass(frozen=True, slots=True)
class Guess:
    """One posted login: what was typed, in which browser, at which address."""

    interaction: Interaction
    browser: bytes
    username: str
    password: str = field(repr=False)
    candidate: Candidate | None
    address: str
    buckets: LoginBuckets


async def login(request: Request) -> Response:
    """GET and POST /login."""
    provider = provider_of(request)
    if request.method == "POST":
        return await _attempt(provider, request, now=provider.clock())
    return await _show(provider, request, now=provider.clock())


async def _show(provider: Provider, request: Request, *, now: datetime) -> Response:
    interaction_id = request.query_params.get("interaction", "")
    if not interaction_id:
        return await begin_page_login(provider, request, "/")
    browser = browser_of(request)
    async with provider.database.transaction() as session:
        interaction = await load(session, interaction_id=interaction_id, browser=browser, now=now, lock=True)
        keep_language(interaction, request)
        outcome = await advance(provider, request, session, interaction, now=now)
    # Back, an old address, or a login in another tab: what comes next is not decided by which page was opened.
    if outcome != page_of(interaction, "/login"):
        return respond(provider, request, outcome)
    assert browser is not None, "`load` refuses a browser without its cookie"
    hint = str((interaction.request or {}).get("login_hint", ""))
    return await show_login(provider, request, interaction, browser=browser, username=hint)


async def _attempt(provider: Provider, request: Request, *, now: datetime) -> Response:
    guess = await _read_guess(provider, request, now=now)
    if not guess.username or not guess.password:
        return await _again(provider, request, guess, INCOMPLETE)
    counted = await count_attempt(
        provider.database,
        guess.buckets.stages,
        window=timedelta(seconds=provider.settings.login_failure_window),
        now=now,
    )
    if not counted.allowed:
        if counted.first_refused:  # once for each window: a flood of guesses must not become a flood of rows
            await _record_refusal(provider, guess, AuditKind.LOGIN_THROTTLED, now=now)
        wait = {"Retry-After": str(int(counted.retry_after.total_seconds()) + 1)}
        return await _again(provider, request, guess, TOO_MANY, status=429, headers=wait)
    try:
        factor = await verify(provider.passwords, guess.candidate, guess.password)
    except TemporarilyUnavailable as busy:
        raise PageRefusal(BUSY, status=503, detail=str(busy)) from None
    if factor is None:
        await _record_refusal(provider, guess, AuditKind.LOGIN_REFUSED, now=now)
        return await _again(provider, request, guess, WRONG)
    try:
        return await _sign_in(provider, request, guess, factor, now=now)
    except AccountChanged:
        await _record_refusal(provider, guess, AuditKind.LOGIN_REFUSED, now=now)
        return await _again(provider, request, guess, WRONG)


async def _read_guess(provider: Provider, request: Request, *, now: datetime) -> Guess:
    settings = provider.settings
    form = await read_form(request, max_bytes=settings.max_body_bytes)
    interaction_id = form.one("interaction")
    browser = check_form_post(request, form, context=interaction_id, issuer=settings.issuer)
    username = normalise_username(form.one("username"))
    digest = browser_digest(browser)
    async with provider.database.reading() as session:
        interaction = await load(session, interaction_id=interaction_id, browser=browser, now=now)
        candidate = await find_candidate(session, username=username, browser_sha256=digest)
    address = client_address(request, settings.trusted_proxies)
    return Guess(
        interaction=interaction,
        browser=browser,
        username=username,
        password=form.one("password"),
        candidate=candidate,
        address=address,
        buckets=login_buckets(
            throttle_key(provider.keys.secret("pairwise")),
            username=username,
            browser_digest=digest,
            browser_is_known=candidate is not None and candidate.browser_is_known,
            address=address,
            per_account=settings.login_failures_per_account,
            per_address=settings.login_failures_per_address,
        ),
    )


async def _again(
    provider: Provider,
    request: Request,
    guess: Guess,
    error: str,
    *,
    status: int = 400,
    headers: dict[str, str] | None = None,
) -> Response:
    return await show_login(
        provider,
        request,
        guess.interaction,
        browser=guess.browser,
        username=guess.username[:200],
        error=error,
        status=status,
        headers=headers,
    )


async def _record_refusal(provider: Provider, guess: Guess, kind: AuditKind, *, now: datetime) -> None:
    # What was typed as a username is not kept: people type their password there.
    async with provider.database.transaction() as session:
        await record(
            session,
            kind,
            now=now,
            entropy=provider.entropy,
            account_id=guess.candidate.account_id if guess.candidate is not None else None,
            client_id=guess.interaction.client_id,
            address=guess.address,
            detail={"known_browser": guess.candidate is not None and guess.candidate.browser_is_known},
        )


async def _sign_in(
    provider: Provider, request: Request, guess: Guess, factor: VerifiedFactor, *, now: datetime
) -> Response:
    """From here on somebody is signed in: session, audit, interaction and what comes next in one transaction."""
    new_hash = await _hash_anew(provider, guess.password) if factor.hash_is_outdated else None
    async with provider.database.transaction() as session:
        await check_unchanged(session, guess.candidate)
        interaction = await load(
            session, interaction_id=guess.interaction.id, browser=guess.browser, now=now, lock=True
        )
        cookie, started = await start_session(
            session,
            account_id=factor.account_id,
            acr=factor.acr,
            amr=factor.amr,
            previous_cookie=session_cookie_of(request),
            lifetime=timedelta(seconds=provider.settings.session_absolute_lifetime),
            user_agent=request.headers.get("user-agent", ""),
            now=now,
            entropy=provider.entropy,
        )
        start_over(interaction)
        interaction.logged_in_at = now
        interaction.session_id = started.id
        if new_hash is not None and guess.candidate is not None:
            await renew_hash(session, guess.candidate, new_hash)
        await give_back(session, own=guess.buckets.own, shared=guess.buckets.shared)
        await remember_browser(
            session, account_id=factor.account_id, browser_sha256=browser_digest(guess.browser), now=now
        )
        await record(
            session,
            AuditKind.LOGIN_SUCCEEDED,
            now=now,
            entropy=provider.entropy,
            account_id=factor.account_id,
            client_id=interaction.client_id,
            session_id=started.id,
            address=guess.address,
            detail={"amr": list(factor.amr)},
        )
        await session.flush()
        outcome = await advance(provider, request, session, interaction, now=now, just_started=started)
    response = respond(provider, request, outcome)
    set_session(response, cookie)
    return response


async def _hash_anew(provider: Provider, password: str) -> str | None:
    try:
        return await provider.passwords.hash(password)
    except TemporarilyUnavailable:
        return None  # the next login will do
