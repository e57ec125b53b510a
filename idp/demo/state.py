"""What the demonstration remembers between runs: addresses, the apps' secrets, the people's passwords.

A file only its owner can read, in the data folder; made at the first run, so that no password is in the repository.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

FILE = "demo.json"


@dataclass
class AppState:
    """An app, as it runs."""

    name: str
    url: str
    client_id: str
    client_secret: str
    # The key by which the app attests (PEM), and what it is called where it is registered.
    signing_key: str = ""
    key_id: str = ""


@dataclass
class PersonState:
    """Who can log in, and with what. `role` is in words: one, or several with commas."""

    role: str
    username: str
    password: str


@dataclass
class DemoState:
    """The whole demonstration."""

    issuer: str
    apps: list[AppState] = field(default_factory=list)
    people: list[PersonState] = field(default_factory=list)

    def public(self) -> dict[str, object]:
        """What `demo info --json` tells programs: no client secrets."""
        return {
            "issuer": self.issuer,
            "apps": [{"name": app.name, "url": app.url, "client_id": app.client_id} for app in self.apps],
            "people": [asdict(person) for person in self.people],
        }


def load(data_dir: Path) -> DemoState | None:
    """The demonstration in this folder, if one was made."""
    path = data_dir / FILE
    if not path.exists():
        return None
    said = json.loads(path.read_text(encoding="utf-8"))
    return DemoState(
        issuer=said["issuer"],
        apps=[AppState(**app) for app in said["apps"]],
        people=[PersonState(**person) for person in said["people"]],
    )


def save(data_dir: Path, state: DemoState) -> None:
    """Writes the file whole or not at all, readable by its owner only."""
    path = data_dir / FILE
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(state), file, indent=2)
    fresh.replace(path)
