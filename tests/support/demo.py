"""The demonstration as a newcomer runs it: `satupintu demo run`, three real processes, in a test's own folder."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import httpx2

from consent.vault import Vault
from idp.accounts.directory import create_account, grant_role
from idp.accounts.passwords import Passwords
from idp.clock import system_clock
from idp.database import Database
from idp.demo.world import PEOPLE
from keys.entropy import SystemEntropy
from keys.sealing import MasterKey
from tests.support.databases import sqlite_url
from tests.support.ports import free_port
from tests.support.postgres import run_apart
from tests.support.server import ROOT

READY_WITHIN_SECONDS = 90
ENDS_WITHIN_SECONDS = 20
PASSWORD = "sawah-hijau-di-kaki-gunung"


class DemoProcess:
    """One run of the demonstration, ended by its process id."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "demo.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._info: dict[str, Any] = {}

    def __enter__(self) -> Self:
        ports = [free_port() for _ in range(3)]
        names = ("--port", "--health-port", "--population-port")
        options = [word for name, port in zip(names, ports, strict=True) for word in (name, str(port))]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "idp", "demo", "run", "--data-dir", str(self.folder), *options],
                cwd=ROOT,
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._await_ready([f"http://localhost:{port}/" for port in ports])
            self._info = self._ask_for_info()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    @property
    def issuer(self) -> str:
        """The provider's address."""
        return str(self._info["issuer"])

    def url(self, name: str) -> str:
        """An app's address."""
        return next(str(app["url"]) for app in self._info["apps"] if app["name"] == name)

    def client_id(self, name: str) -> str:
        """An app's client id."""
        return next(str(app["client_id"]) for app in self._info["apps"] if app["name"] == name)

    def password(self, username: str) -> str:
        """The password of one of the demonstration's people, or of a citizen made here."""
        known = {str(person["username"]): str(person["password"]) for person in self._info["people"]}
        return known.get(username, PASSWORD)

    def make_citizen(self, username: str, *, role: str | None = None) -> str:
        """Another person like Siti, with nothing agreed to yet; with a role, if named. Returns the username."""
        run_apart(lambda: self._make(username, role))
        return username

    async def _make(self, username: str, role: str | None) -> None:
        vault = Vault(lambda: MasterKey.from_file(self.folder / "master.key"), SystemEntropy())
        database = Database(sqlite_url(self.folder / "satupintu.db"), vault=vault, pool_size=1)
        passwords = Passwords(1)
        try:
            password_hash = await passwords.hash(PASSWORD)
            async with database.transaction() as session:
                await create_account(
                    session,
                    username=username,
                    password=PASSWORD,
                    password_hash=password_hash,
                    profile=PEOPLE[0].profile,
                    now=system_clock(),
                    entropy=SystemEntropy(),
                )
                if role is not None:
                    await grant_role(session, username=username, role=role, granted_by="test", now=system_clock())
        finally:
            passwords.close()
            await database.dispose()

    def _ask_for_info(self) -> dict[str, Any]:
        said = subprocess.run(
            [sys.executable, "-m", "idp", "demo", "info", "--json", "--data-dir", str(self.folder)],
            cwd=ROOT,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        ).stdout
        info: dict[str, Any] = json.loads(said)
        return info

    def _await_ready(self, addresses: list[str]) -> None:
        assert self._process is not None
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                if all(httpx2.get(address, timeout=5).status_code == 200 for address in addresses):
                    return
            except httpx2.TransportError:
                time.sleep(0.2)
        raise AssertionError(f"the demonstration is not ready: {self.log.read_text(errors='replace')[-4000:]}")

    def _stop(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(ENDS_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError("the demonstration did not end on SIGTERM") from None


def clean_environment() -> dict[str, str]:
    """The environment without settings of anybody's provider."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SATUPINTU_")}
    return {**kept, "PYTHONUNBUFFERED": "1"}
