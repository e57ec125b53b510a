"""The peer's side: npm oidc-provider on the same PostgreSQL, through the adapter under `peers/oidc_provider`."""

import base64
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from benchmarks.operations import Request

FOLDER = Path(__file__).parent / "peers" / "oidc_provider"


class PeerFailed(Exception):
    """The peer does not run here; the text says why."""


def is_possible() -> bool:
    """Whether Node.js and npm are here."""
    return shutil.which("node") is not None and shutil.which("npm") is not None


@contextmanager
def serving(
    database_url: str, folder: Path, *, port: int, count: int
) -> Iterator[tuple[int, dict[str, list[Request]]]]:
    """The peer, seeded: its process id, and the requests of each operation."""
    if not (FOLDER / "node_modules").exists():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=FOLDER, check=True)
    secret = secrets.token_urlsafe(32)
    spent = folder / "peer.json"
    environment = {
        "PATH": os.environ["PATH"],
        "NODE_ENV": "production",
        "PEER_DATABASE_URL": database_url.replace("+asyncpg", ""),
        "PEER_CLIENT_SECRET": secret,
    }
    with (folder / "peer.log").open("wb") as log:
        process = subprocess.Popen(
            ["node", "server.mjs", str(port), str(count), str(spent)],
            cwd=FOLDER,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        if said.strip() != b"ready":
            raise PeerFailed(f"it did not start: {(folder / 'peer.log').read_text()[-2000:]}")
        yield process.pid, operations(json.loads(spent.read_text()), secret)
    finally:
        process.terminate()
        process.wait(timeout=10)


def operations(made: dict[str, list[str]], secret: str) -> dict[str, list[Request]]:
    """The requests of each measured operation, as the peer's endpoints want them."""
    basic = "Authorization: Basic " + base64.b64encode(f"bench:{secret}".encode()).decode()
    tokens = made["access_tokens"]

    def post(path: str, **form: str) -> Request:
        headers = ("Content-Type: application/x-www-form-urlencoded", basic)
        return Request("POST", path, headers, urlencode(form))

    return {
        "discovery": [Request("GET", "/.well-known/openid-configuration")],
        "jwks": [Request("GET", "/jwks")],
        "client_credentials": [post("/token", grant_type="client_credentials", scope="api")],
        "code": [
            post(
                "/token",
                grant_type="authorization_code",
                code=code,
                code_verifier=verifier,
                redirect_uri=str(made["redirect_uri"]),
            )
            for code, verifier in made["codes"]
        ],
        "refresh": [post("/token", grant_type="refresh_token", refresh_token=one) for one in made["refresh_tokens"]],
        "introspection": [post("/token/introspection", token=token) for token in tokens],
        "userinfo": [Request("GET", "/me", (f"Authorization: Bearer {token}",)) for token in tokens],
    }
