"""What the provider itself discloses, written down before it leaves: at userinfo, and in an ID token.

Spec: Law 27/2022 (UU PDP) articles 31 and 32 (a record of all processing, and of who accessed what).
"""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from consent.errors import Erased
from consent.gate import Facts, Permit
from consent.uses.counted import record_counted
from consent.uses.recorder import NotRecorded, TooManyUses
from idp.errors import InvalidToken, TemporarilyUnavailable
from idp.provider import Provider
from idp.uses.recording import USERINFO, Observed

IN_ID_TOKEN: Final = "id_token"  # noqa: S105 - the name of an action, and no secret


async def record_userinfo(
    provider: Provider,
    permit: Permit,
    facts: Facts,
    *,
    items: Collection[str],
    sealed_key: bytes | None,
    jti: str,
    now: datetime,
) -> None:
    """Returns when it is committed that these items went out.

    Errors: `NotRecorded` when the consent is not as it was looked at any more; `temporarily_unavailable`.
    Any other error (the database is gone) is a refusal too: nothing is released unrecorded.
    """
    try:
        key = provider.database.vault.open(facts.subject_id or "", sealed_key)
        observed = Observed(permit, facts, items, key, jti, now)
        if permit.is_limited:
            await _record_counted(provider, observed, now=now)
        else:
            await provider.uses.record(observed)
    except Erased as erased:
        raise InvalidToken("the access token is no longer valid", detail=str(erased)) from None
    except TooManyUses as refused:
        raise TemporarilyUnavailable("too much at once; try again", detail=str(refused)) from None


async def _record_counted(provider: Provider, observed: Observed, *, now: datetime) -> None:
    written = observed.written(USERINFO, entropy=provider.entropy)
    async with provider.database.transaction() as session:
        recorded = await record_counted(session, written, observed.facts, now=now, entropy=provider.entropy)
    if not recorded:
        raise NotRecorded("the uses that were agreed to are spent, or the consent has ended")
