"""What the commands of the registry share: who acts, the files they read, and how events are shown."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from consent.agencies import agency_by_code
from consent.models import Agency
from consent.registry.events import RegistryEntry
from consent.registry.people import Person
from idp.accounts.directory import find_by_username
from idp.accounts.errors import AccountRefused
from idp.cli.output import Refused

By = Annotated[str, typer.Option("--by", help="Who does this: a username here, or a person's name.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is recorded.")]


async def acting(session: AsyncSession, by: str) -> Person:
    """The person of that username; or else the person of that name, who has no account here.

    Whoever approves in the console is known by their account: by their username they are the same person here.
    """
    try:
        account = await find_by_username(session, by)
    except AccountRefused:
        account = None
    if account is None:
        return Person(by)
    return Person(str(account.profile.get("name") or account.username), account.id)


async def agency_of(session: AsyncSession, code: str) -> Agency:
    """The agency of that code. Error: `Refused`."""
    found = await agency_by_code(session, code)
    if found is None:
        raise Refused(f"there is no agency with the code {code}")
    return found


def read_object(file: Path, *, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    """The members of a JSON object in a file. Error: `Refused` when one is missing, or there is another."""
    try:
        says = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as broken:
        raise Refused(f"{file} is not JSON: {broken}") from None
    if not isinstance(says, dict):
        raise Refused(f"{file} must be an object")
    absent = [name for name in required if name not in says]
    unknown = sorted(set(says) - set(required) - set(optional))
    if absent:
        raise Refused(f"{file} lacks: {', '.join(absent)}")
    if unknown:
        raise Refused(f"{file} has a member that is not known: {unknown[0]}")
    return says


def describe_event(event: RegistryEntry) -> dict[str, object]:
    """An event of the registry as commands show it."""
    detail = {name: value for name, value in event.detail.items() if name != "by"}
    return {
        "at": event.at,
        "kind": event.kind,
        "by": event.by.name,
        "side": detail.get("side"),
        "reason": detail.get("reason"),
        "detail": detail,
        "hash": event.hash.hex(),
        "id": event.id,
    }


HISTORY_COLUMNS = ("at", "kind", "by", "side", "reason")
