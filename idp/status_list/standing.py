"""What a list says of each token on it, found by the database among the rows that every other endpoint reads.

A hundred thousand tokens are not judged one by one: the database returns the few that something is wrong with. What can
be wrong is said once more here, in SQL, beside `tokens.liveness` and `consent.gate`. Tests hold the two together: each
check there must have an ending here, and the list must agree with introspection about it.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, and_, bindparam, case, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from consent.gate import STANDING_VERSIONS
from consent.models import Agency, ConsentRecord, PurposeVersion
from consent.registry.models import AgreementVersion
from consent.statuses import PERMITTING
from idp.accounts.models import Account
from idp.clients.models import Client
from idp.sessions.models import LoginSession
from idp.status_list.encoding import Status
from idp.status_list.places import SIZE
from idp.tokens.liveness import joined
from idp.tokens.models import AccessToken, Authorization
from keys.columns import UtcDateTime

# After so many rows, other requests have their turn.
AT_ONCE: Final = 4096

_NOW: Final = bindparam("now", type_=UtcDateTime)

_CONSENT_HOLDS: Final = and_(
    ConsentRecord.client_id == Client.client_id,
    ConsentRecord.agency_id == Client.agency_id,
    ConsentRecord.subject_id == Account.id,
    or_(ConsentRecord.valid_until.is_(None), ConsentRecord.valid_until > _NOW),
    PurposeVersion.status.in_(sorted(STANDING_VERSIONS)),
    Agency.status == "active",
    or_(
        ConsentRecord.agreement_version_id.is_(None),
        and_(
            AgreementVersion.status.in_(sorted(STANDING_VERSIONS)),
            AgreementVersion.valid_from <= _NOW,
            AgreementVersion.valid_until > _NOW,
        ),
    ),
)
_PERSON_HOLDS: Final = and_(
    Authorization.revoked_at.is_(None),
    Account.disabled_at.is_(None),
    or_(Account.password_changed_at.is_(None), Account.password_changed_at <= Authorization.auth_time),
    or_(~Authorization.offline, ConsentRecord.offline_access),
    or_(Authorization.offline, and_(LoginSession.id.is_not(None), LoginSession.ended_at.is_(None))),
)
_APP_HOLDS: Final = and_(AccessToken.revoked_at.is_(None), Client.status == "live")
_ALL_BUT_THE_STATUS: Final = and_(_APP_HOLDS, _PERSON_HOLDS, _CONSENT_HOLDS)
ALL_IS_WELL: Final = or_(
    and_(_APP_HOLDS, AccessToken.authorization_id.is_(None)),
    and_(_ALL_BUT_THE_STATUS, ConsentRecord.status.in_(sorted(PERMITTING))),
)
# SUSPENDED is what would live if the person went on with the consent that they paused: a resource server need not send
# such an app away for good.
_STATUS: Final = case(
    (and_(_ALL_BUT_THE_STATUS, ConsentRecord.status == "paused"), int(Status.SUSPENDED)), else_=int(Status.INVALID)
)

_TOKENS: Final[Select[Any]] = (
    select(AccessToken.status_position, _STATUS)
    .select_from(AccessToken)
    .outerjoin(Client, Client.client_id == AccessToken.client_id)
    .outerjoin(Authorization, Authorization.id == AccessToken.authorization_id)
)
_UNWELL: Final = joined(_TOKENS).where(
    AccessToken.status_position >= bindparam("first"),
    AccessToken.status_position < bindparam("beyond"),
    # `IS NOT TRUE`: what a missing row leaves open is no reason to believe.
    ALL_IS_WELL.is_not(true()),
)


async def statuses(session: AsyncSession, list_id: int, *, now: datetime) -> Mapping[int, Status]:
    """The statuses on a list by index; whoever is not among them is VALID."""
    first = list_id * SIZE
    rows = await session.execute(_UNWELL, {"first": first, "beyond": first + SIZE, "now": now})
    found: dict[int, Status] = {}
    for some in rows.partitions(AT_ONCE):
        found.update({position - first: Status(status) for position, status in some})
        await asyncio.sleep(0)
    return found
