"""The person who comes back: signed in, and agreed before. One look, one insert, and no page.

This is what most requests are, so it goes by the driver's short way. Whatever is not as simple as that (nobody is
signed in, something must be asked, something must be noted) is left to `advance`, which starts from the beginning; the
router is the same.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import bindparam
from starlette.requests import Request

from consent import gate
from consent.decisions import STANDING, STANDING_ORDER, read_standing
from consent.models import ConsentRecord
from idp.authorize.asked import asked_of, purpose_code
from idp.authorize.parameters import AuthorizationRequest
from idp.authorize.response import Answer
from idp.browser import session_cookie_of
from idp.clients.registry import RegisteredClient
from idp.driver.statement import Statement
from idp.errors import OAuthError
from idp.interaction.advance import as_person, prepare
from idp.interaction.gather import weigh
from idp.interaction.steps import Issue, next_step
from idp.provider import Provider
from idp.sessions.current import lifetimes
from idp.sessions.models import LoginSession
from idp.sessions.store import BY_COOKIE, is_touch_due, live_with, read_session
from idp.tokens.codes import KEEP

_SESSION: Final = len(BY_COOKIE.selected_columns)
# Who is signed in, and where they stand with this app: as `current_session` and `standing` would say one by one.
_RETURNING: Final = Statement(
    gate.joined(
        BY_COOKIE.add_columns(*STANDING).outerjoin(
            ConsentRecord,
            (ConsentRecord.subject_id == LoginSession.account_id)
            & (ConsentRecord.client_id == bindparam("client"))
            & (ConsentRecord.purpose_id == bindparam("purpose")),
        )
    )
    .order_by(*STANDING_ORDER)
    .limit(1)
)


async def answer_at_once(
    provider: Provider, request: Request, asked: AuthorizationRequest, client: RegisteredClient, *, now: datetime
) -> Answer | None:
    """The answer to a request that is all covered; nothing when it takes more than that."""
    version = provider.purposes.remembered(purpose_code(asked, client), now=now)
    cookie = live_with(session_cookie_of(request), now=now, **lifetimes(provider))
    if version is None or cookie is None:
        return None
    try:
        ask = asked_of(version, asked, client)
    except OAuthError:
        return None
    row = await provider.database.driver.row(
        _RETURNING, {**cookie, "client": client.client_id, "purpose": version.purpose_id}
    )
    if row is None:
        return None
    current = read_session(row)
    if is_touch_due(current, now=now):
        return None
    gathered = weigh(provider, asked, client, as_person(current), ask, read_standing(row, _SESSION), now=now)
    step = next_step(gathered.situation)
    if not isinstance(step, Issue):
        return None
    new, answer = prepare(provider, gathered, step, now=now)
    await provider.database.driver.row(KEEP, new.row)
    return answer
