"""Programs on Node.js that nobody here wrote: their packages, installed once, and an app on npm's openid-client.

async with NodeApp(packages) as app:
    await app.ask("discover", issuer=…, client_id=…, auth="none")
    url = (await app.ask("authorize", parameters={"scope": "openid"}))["url"]
"""

import asyncio
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Self

from tests.support.postgres import locked

FOLDER = Path(__file__).parents[1] / "interop" / "node"
LONGEST_LINE = 1 << 20


class Refused(Exception):
    """The library would not, or was told no. `told` is what it says: `name`, `code`, `error`, `message`, `cause`."""

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__(json.dumps(told))
        self.told = told


def node_major() -> int:
    """The main version of the Node.js on this machine, 0 when there is none."""
    if shutil.which("node") is None:
        return 0
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    return int(said.removeprefix("v").split(".")[0])


def installed_packages(lock: Path) -> Path:
    """The folder of the packages, installed as locked if they are not there yet. `lock` keeps other workers waiting."""
    modules = FOLDER / "node_modules"
    with locked(lock):
        done = modules / ".package-lock.json"
        if not done.exists() or done.stat().st_mtime < (FOLDER / "package-lock.json").stat().st_mtime:
            subprocess.run(
                ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit-lockfile-registry-resolved"],
                cwd=FOLDER,
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
            done.touch()
    return modules


class NodeApp:
    """One run of `relying_party.mjs`: one app, one login at a time."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            "node",
            "relying_party.mjs",
            cwd=FOLDER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            limit=LONGEST_LINE,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        # The script ends with its input.
        self._process.stdin.close()
        await self._process.wait()

    async def ask(self, command: str, **parameters: Any) -> dict[str, Any]:
        """Has the library do something. Error: `Refused`."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"command": command, **parameters}).encode() + b"\n")
        await self._process.stdin.drain()
        told: dict[str, Any] = json.loads(await self._process.stdout.readline())
        if not told["ok"]:
            raise Refused(told)
        return told
