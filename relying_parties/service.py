"""What any agency's app does to join: one registration, two routes, no passwords. Copy this and change the words.

Built on Authlib's Starlette client: discovery finds every address, PKCE and nonce are on, the ID token is verified.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import uvicorn
from authlib.integrations.starlette_client import OAuth, OAuthError
from httpx2 import HTTPError
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from relying_parties.events import Listener

PAGES = Path(__file__).parent / "pages"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Words:
    """What this app calls itself and its people's data."""

    slug: str
    name: str
    ministry: str
    greeting: str
    labels: dict[str, str]


@dataclass(frozen=True)
class Registration:
    """What the provider's operator gave this app, and the key that it made itself. Secret and key are not public."""

    issuer: str
    client_id: str
    client_secret: str
    scope: str
    url: str
    signing_key: str
    key_id: str

    @classmethod
    def from_environment(cls) -> "Registration":
        """Reads OIDC_ISSUER, OIDC_CLIENT_ID, OIDC_CLIENT_SECRET, OIDC_SCOPE; APP_URL, APP_SIGNING_KEY, APP_KEY_ID."""
        return cls(
            issuer=os.environ["OIDC_ISSUER"],
            client_id=os.environ["OIDC_CLIENT_ID"],
            client_secret=os.environ["OIDC_CLIENT_SECRET"],
            scope=os.environ["OIDC_SCOPE"],
            url=os.environ["APP_URL"].rstrip("/"),
            signing_key=os.environ["APP_SIGNING_KEY"],
            key_id=os.environ["APP_KEY_ID"],
        )


class Service:
    """One app: its login, its greeting, and what it does when the person takes their consent back."""

    def __init__(self, words: Words, registration: Registration) -> None:
        self.words = words
        self.registration = registration
        # Tokens stay on the server; the cookie holds only a random key to them.
        self.visitors: dict[str, dict[str, Any]] = {}
        self.templates = Environment(
            loader=FileSystemLoader(PAGES), autoescape=select_autoescape(), undefined=StrictUndefined
        )
        oauth = OAuth()
        self.provider: Any = oauth.register(
            "satupintu",
            client_id=registration.client_id,
            client_secret=registration.client_secret,
            server_metadata_url=f"{registration.issuer}/.well-known/openid-configuration",
            client_kwargs={"scope": registration.scope, "code_challenge_method": "S256"},
        )
        self.listener = Listener(
            self.provider,
            issuer=registration.issuer,
            client_id=registration.client_id,
            signing_key=registration.signing_key,
            key_id=registration.key_id,
            heed=self.heed,
        )

    async def home(self, request: Request) -> Response:
        """The front page: a login button, or the greeting with exactly what was agreed."""
        visitor = self._visitor(request)
        return self._page("home.html", visitor=visitor, said=request.session.pop("said", None))

    async def login(self, request: Request) -> Response:
        """Sends the person to the one door."""
        answer: Response = await self.provider.authorize_redirect(request, f"{self.registration.url}/callback")
        return answer

    async def check(self, request: Request) -> Response:
        """Asks silently (`prompt=none`) whether the person is still signed in and still agrees."""
        answer: Response = await self.provider.authorize_redirect(
            request, f"{self.registration.url}/callback", prompt="none"
        )
        return answer

    async def callback(self, request: Request) -> Response:
        """Takes the answer: verifies where it came from, redeems the code, reads what may be read."""
        if request.query_params.get("iss") != self.registration.issuer:
            return self._page("problem.html", status=400, problem="mix_up", detail="")
        try:
            token = await self.provider.authorize_access_token(request)
            data = await self.provider.userinfo(token=token)
        except OAuthError as refused:
            self._forget(request)
            return self._page("problem.html", status=403, problem=refused.error, detail=refused.description or "")
        key = token_urlsafe(32)
        self.visitors[key] = {"token": dict(token), "data": dict(data), "since": int(time.time()), "told": None}
        request.session.clear()
        request.session["visitor"] = key
        return RedirectResponse("/", status_code=303)

    async def read(self, request: Request) -> Response:
        """Reads the person's data again with the token at hand, as an app would on a later day."""
        visitor = self._visitor(request)
        if visitor is None:
            return RedirectResponse("/", status_code=303)
        try:
            visitor["data"] = dict(await self.provider.userinfo(token=visitor["token"]))
            visitor["told"] = None
            request.session["said"] = "read"
        except (HTTPError, OAuthError):
            request.session["said"] = "read_refused"
        return RedirectResponse("/", status_code=303)

    async def refresh(self, request: Request) -> Response:
        """Trades the refresh token for new tokens."""
        visitor = self._visitor(request)
        if visitor is None or "refresh_token" not in visitor["token"]:
            return RedirectResponse("/", status_code=303)
        metadata = await self.provider.load_server_metadata()
        async with self.provider._get_oauth_client(**metadata) as client:
            try:
                fresh = await client.refresh_token(
                    metadata["token_endpoint"], refresh_token=visitor["token"]["refresh_token"]
                )
                visitor["token"].update(fresh)
                request.session["said"] = "refreshed"
            except OAuthError:
                request.session["said"] = "refresh_refused"
        return RedirectResponse("/", status_code=303)

    def heed(self, kind: str, sub: str, event: dict[str, Any], happened_at: int) -> None:
        """Does what Satu Pintu tells of a consent: forgets what was taken back, and shows nothing during a pause.

        An event from before this login is about an earlier consent.
        """
        for visitor in self.visitors.values():
            data = visitor["data"]
            if data["sub"] != sub or happened_at < visitor["since"]:
                continue
            visitor["told"] = None if kind == "resumed" else kind
            if kind in {"withdrawn", "reduced"}:
                for claim in event["items"]:
                    data.pop(claim, None)

    async def logout(self, request: Request) -> Response:
        """Logs out here, and at the one door too."""
        visitor = self._visitor(request)
        self._forget(request)
        if visitor is None:
            return RedirectResponse("/", status_code=303)
        answer: Response = await self.provider.logout_redirect(
            request,
            post_logout_redirect_uri=f"{self.registration.url}/",
            id_token_hint=visitor["token"]["id_token"],
        )
        return answer

    async def file(self, request: Request) -> Response:
        """The style sheet or the icon."""
        return FileResponse(PAGES / request.url.path.removeprefix("/"), headers=HEADERS)

    def _visitor(self, request: Request) -> dict[str, Any] | None:
        return self.visitors.get(request.session.get("visitor", ""))

    def _forget(self, request: Request) -> None:
        self.visitors.pop(request.session.pop("visitor", ""), None)

    def _page(self, name: str, *, status: int = 200, **context: Any) -> Response:
        page = self.templates.get_template(name).render(words=self.words, registration=self.registration, **context)
        return HTMLResponse(page, status_code=status, headers=HEADERS)

    def application(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/", self.home),
                Route("/login", self.login),
                Route("/check", self.check),
                Route("/callback", self.callback),
                Route("/read", self.read, methods=["POST"]),
                Route("/refresh", self.refresh, methods=["POST"]),
                Route("/logout", self.logout, methods=["POST"]),
                Route("/events", self.listener.take, methods=["POST"]),
                Route("/style.css", self.file),
                Route("/icon.svg", self.file),
            ],
            middleware=[
                Middleware(
                    SessionMiddleware,
                    secret_key=token_urlsafe(32),
                    session_cookie=f"{self.words.slug}_session",
                    https_only=self.registration.url.startswith("https:"),
                    same_site="lax",
                )
            ],
        )


def run(words: Words) -> None:
    """Serves the app on APP_PORT, for this machine only."""
    service = Service(words, Registration.from_environment())
    uvicorn.run(
        service.application(),
        host="127.0.0.1",
        port=int(os.environ["APP_PORT"]),
        log_level="warning",
    )
