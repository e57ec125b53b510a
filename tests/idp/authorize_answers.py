"""What /authorize answers, and how to get there, for the tests about it."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2

from tests.consent.registry import grant_to
from tests.idp.authorize_world import CALLBACK, World
from tests.support.html import read_html


def told(response: httpx2.Response) -> dict[str, str]:
    """What the app was told by redirect."""
    assert response.status_code == 303, response.text
    location = response.headers["location"]
    assert location.startswith(CALLBACK + "?")
    pairs = parse_qsl(urlsplit(location).query, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def assert_is_a_page_only(response: httpx2.Response) -> None:
    """A refusal for the person's eyes; nobody is redirected anywhere."""
    assert response.status_code == 400
    assert "location" not in response.headers
    assert "refresh" not in response.headers
    assert response.headers["content-type"].startswith("text/html")
    assert response.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
    targets = [
        value
        for _, attributes in read_html(response.text).elements
        for name, value in attributes.items()
        if name in {"href", "src", "action", "formaction", "content"} and value and "://" in value
    ]
    assert targets == []


async def agree(world: World, account_id: str, **changes: Any) -> str:
    """The person's consent for the app."""
    async with world.provider.database.transaction() as session:
        return await grant_to(
            session,
            world.version,
            now=world.provider.clock(),
            entropy=world.provider.entropy,
            subject_id=account_id,
            **changes,
        )
