"""The way through the door that most journeys take before they come to their point."""

from collections.abc import Collection
from typing import Any

from tests.support.browser_user import UNTOUCHED, BrowserUser
from tests.support.relying_party import Login, RelyingParty
from tests.support.world import World

HEALTH_SCOPE = "openid profile phone address identity"
NIK = "urn:satupintu:claims:nik"
VERIFIED = "urn:satupintu:claims:verified"


async def visit(
    world: World,
    user: BrowserUser,
    app: RelyingParty,
    *,
    who: str = "siti",
    scope: str = HEALTH_SCOPE,
    items: Collection[str] = UNTOUCHED,
    **parameters: Any,
) -> Login:
    """Opens the app, does whatever the door asks for, and comes back. `items` are the optional data to tick."""
    await user.open(await app.authorization_url(scope=scope, **parameters))
    if not user.is_at_app and user.page.path == "/login":
        await user.log_in(who, world.password(who))
    if not user.is_at_app and user.page.path == "/consent":
        await user.allow(items=items)
    return await app.finish(user.callback_parameters)


async def ask_silently(user: BrowserUser, app: RelyingParty, *, scope: str = HEALTH_SCOPE) -> dict[str, str]:
    """What `prompt=none` is answered with."""
    await user.open(await app.authorization_url(scope=scope, prompt="none"))
    return user.callback_parameters


async def userinfo(app: RelyingParty, access_token: str) -> dict[str, object]:
    """The person's data. Error: `AssertionError` when the token does not hold."""
    answer = await app.userinfo(access_token)
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


def offered(user: BrowserUser) -> tuple[set[str], set[str]]:
    """The data items on the consent page: those needed, and those that may be ticked."""
    boxes = {field.value for field in user.page.form_with("allow").fields if field.name == "item"}
    listed = {attributes["data-claim"] for _, attributes in user.page.document.elements if "data-claim" in attributes}
    return listed - boxes, boxes


def statuses(user: BrowserUser) -> list[str]:
    """How the consents on the page stand, in the page's order."""
    return [attributes["data-status"] for _, attributes in user.page.document.elements if "data-status" in attributes]


async def withdraw(user: BrowserUser, app_name: str) -> None:
    """Takes the consent for this app back, in my consents, and sees that it says so."""
    await user.open("/my/consents")
    in_force, *_ended = [href for href, text in user.page.document.links if text == app_name]
    await user.open(in_force)
    await user.press("withdraw")
    assert user.page.has("state")
    assert "Anda menarik persetujuan ini pada" in user.page.document.text_by_id["state"]
