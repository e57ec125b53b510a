"""The log as the settings describe it."""

from collections.abc import Callable
from urllib.parse import urlsplit

from sqlalchemy.ext.asyncio import AsyncSession

from consent.http.witness_client import check_witness_url
from consent.log.errors import FormatRefused, LogError
from consent.log.guard import Guard, refuse_rollback
from consent.log.keys import LogKeys
from consent.log.policy import TrustedWitness
from consent.log.publish import PublishedLog, Rules
from consent.log.store import head_of
from idp.database import Database
from idp.log_witnesses import read_witness
from idp.settings import Settings


class OriginRefused(LogError):
    """The settings name another log than the one in the database."""


async def open_log(settings: Settings, database: Database, secret: Callable[[str], bytes]) -> PublishedLog:
    """The database's log. Raises `LogError` on settings that do not fit it, or a policy that cannot be read."""
    async with database.reading() as session:
        origin = await settled_origin(session, settings)
    keys = LogKeys.open(origin, secret)
    return PublishedLog(
        keys=keys, guard=Guard(settings.log_state_path), rules=_rules(settings, keys), reading=database.reading
    )


async def settled_origin(session: AsyncSession, settings: Settings) -> str:
    """The log's name: the one that the database's log has, which does not change when the issuer does.

    Raises `OriginRefused` when the settings name another one explicitly.
    """
    head = await head_of(session)
    if head is None:
        return settings.log_name
    if settings.log_origin and settings.log_origin != head.origin:
        raise OriginRefused(
            f"SATUPINTU_LOG_ORIGIN is {settings.log_origin}, and the database has the log {head.origin}; a log keeps "
            "its name (to begin another one, see docs/operate/log.md)"
        )
    return head.origin


async def refuse_an_older_copy(settings: Settings, database: Database) -> None:
    """Checks, before anything is served, that the database is not an older copy of itself. Raises `RolledBack`."""
    guard = Guard(settings.log_state_path)
    known = guard.known()
    async with database.reading() as session:
        head = await head_of(session)
        await refuse_rollback(session, guard, known=known, stored=None if head is None else head.tree)


def _rules(settings: Settings, keys: LogKeys) -> Rules:
    text = None
    if settings.log_policy_file is not None:
        try:
            text = settings.log_policy_file.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError as broken:
            raise FormatRefused(f"the policy cannot be read: {broken}") from None
    rules = Rules.of(text, keys, [read_witness(witness) for witness in settings.log_witnesses])
    for witness in rules.policy.witnesses:
        _check_url(witness, settings)
    return rules


def _check_url(witness: TrustedWitness, settings: Settings) -> None:
    if witness.url is None:
        return
    try:
        check_witness_url(witness.url)
    except ValueError as refused:
        raise FormatRefused(f"the witness {witness.name}: {refused}") from None
    if settings.mode == "production" and urlsplit(witness.url).scheme != "https":
        raise FormatRefused(f"the witness {witness.name}: production asks witnesses over https only")
