"""The consent page, as the tests about it reach it."""

from tests.idp.authorize_world import PASSWORD, World
from tests.support.browser_user import BrowserUser


async def at_consent(world: World, user: BrowserUser, username: str = "siti", **changes: str | None) -> BrowserUser:
    """A person who has logged in and sees the consent page."""
    await user.open(world.address(**changes))
    await user.log_in(username, PASSWORD)
    assert user.page.path == "/consent", user.page.text
    return user


async def agreed(world: World, user: BrowserUser, username: str = "siti", **changes: str | None) -> BrowserUser:
    """A person who has agreed to everything."""
    await at_consent(world, user, username, **changes)
    await user.allow(items={"email", "gender"})
    assert "code" in user.callback_parameters
    world.clock.advance(1)  # ids sort by time
    return user
