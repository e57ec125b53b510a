"""What every page of an interaction begins with: which interaction, whose browser, and is this the page's turn?"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from idp.browser import Form, check_form_post
from idp.errors import OAuthError
from idp.interaction.advance import as_person, asked_in, refuse
from idp.interaction.gather import Gathered, gather
from idp.interaction.models import Interaction
from idp.interaction.outcome import Outcome
from idp.interaction.steps import Step, next_step
from idp.interaction.store import finish, keep_language, load
from idp.provider import Provider
from idp.sessions.current import signed_in
from idp.sessions.store import CurrentSession


@dataclass(frozen=True, slots=True, kw_only=True)
class AtPage:
    """Where an interaction stands when one of its pages is opened. Only `step` says whether it is that page's turn."""

    interaction: Interaction
    gathered: Gathered
    current: CurrentSession | None
    step: Step


async def come_to_page(
    provider: Provider,
    request: Request,
    session: AsyncSession,
    *,
    interaction_id: str,
    browser: bytes | None,
    now: datetime,
) -> AtPage | Outcome:
    """Where the interaction stands; or its answer, when what it asks for is not to be had any more.

    Error: `PageRefusal`.
    """
    interaction = await load(session, interaction_id=interaction_id, browser=browser, now=now, lock=True)
    keep_language(interaction, request)
    asked, client = await asked_in(session, interaction)
    current = await signed_in(provider, request, session, now=now)
    person = as_person(current) if current is not None else None
    try:
        gathered = await gather(provider, session, asked, client, person, interaction=interaction, now=now)
    except OAuthError as error:
        await finish(session, interaction, now=now)
        return refuse(provider, asked, client, error)
    step = next_step(gathered.situation)
    return AtPage(interaction=interaction, gathered=gathered, current=current, step=step)


def check_page_post(provider: Provider, request: Request, form: Form) -> tuple[str, bytes]:
    """The interaction's id and the browser's secret of a form that came from our own page. Error: `PageRefusal`."""
    interaction_id = form.one("interaction")
    browser = check_form_post(request, form, context=interaction_id, issuer=provider.settings.issuer)
    return interaction_id, browser
