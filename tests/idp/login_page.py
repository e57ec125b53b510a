"""The login page, as the tests about it use it."""

from typing import Any

import httpx2
from sqlalchemy import select

from idp.database import Database
from tests.idp.authorize_world import World
from tests.support.browser_user import BrowserUser

ENGLISH = {"ui_locales": "en"}


async def at_login(user: BrowserUser, world: World, **changes: str | None) -> BrowserUser:
    """An app sent the person here; the page is in English."""
    await user.open(world.address(**{**ENGLISH, **changes}))
    assert user.page.path == "/login"
    return user


async def rows(database: Database, table: type[Any]) -> list[Any]:
    """Everything in a table."""
    async with database.reading() as session:
        return list(await session.scalars(select(table)))


async def post(user: BrowserUser, fields: dict[str, str], **headers: str) -> httpx2.Response:
    """Sends the login form as a program would, with whatever fields and headers."""
    return await user.client.post(f"{user.issuer}/login", data=fields, headers=headers, follow_redirects=False)


def hidden(user: BrowserUser) -> dict[str, str]:
    """What the login form sends unasked."""
    return {field.name: field.value for field in user.page.form_with("continue").fields if field.kind == "hidden"}
