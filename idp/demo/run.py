"""Starts the provider and the two apps, says where they are, and ends them together."""

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

import httpx2

from idp.demo.state import DemoState
from idp.demo.world import APPS

READY_WITHIN_SECONDS = 45.0


class DemoFailed(Exception):
    """The demonstration could not start; the text says which part and why."""


class Demo:
    """The three processes of the demonstration."""

    def __init__(self, state: DemoState, *, environment: dict[str, str], port: int, host: str) -> None:
        self._state = state
        self._environment = environment
        self._port = port
        self._host = host
        self._children: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Starts everything and waits until all of it answers. Error: `DemoFailed`.

        The apps first: the provider may have something to tell them as soon as it is there.
        """
        self._refuse_taken_ports()
        for app, running in zip(APPS, self._state.apps, strict=True):
            address = httpx2.URL(running.url)
            self._start(
                app.name,
                [app.module],
                {
                    "OIDC_ISSUER": self._state.issuer,
                    "OIDC_CLIENT_ID": running.client_id,
                    "OIDC_CLIENT_SECRET": running.client_secret,
                    "OIDC_SCOPE": " ".join(app.scopes),
                    "APP_URL": running.url,
                    "APP_PORT": str(address.port),
                    "APP_SIGNING_KEY": running.signing_key,
                    "APP_KEY_ID": running.key_id,
                },
            )
        self._start("serve", ["idp", "serve", "--host", self._host, "--port", str(self._port)], {})
        self._await(f"http://{self._host}:{self._port}/health/ready", "the provider")
        for app, running in zip(APPS, self._state.apps, strict=True):
            self._await(running.url, f"the {app.name} app")

    def wait(self) -> None:
        """Stays until a part ends or somebody interrupts."""

        def stop(_number: int, _frame: FrameType | None) -> None:
            raise KeyboardInterrupt

        signal.signal(signal.SIGTERM, stop)
        try:
            while all(child.poll() is None for child in self._children):
                time.sleep(0.3)
        except KeyboardInterrupt:
            return
        raise DemoFailed("one of the parts ended by itself; see the lines above")

    def stop(self) -> None:
        """Ends what was started, and only that."""
        for child in self._children:
            if child.poll() is None:
                child.terminate()
        for child in self._children:
            try:
                child.wait(timeout=10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def _refuse_taken_ports(self) -> None:
        # Another server on the port would answer in our place, and the demonstration would call itself open.
        apps = [("127.0.0.1", httpx2.URL(running.url).port) for running in self._state.apps]
        with ExitStack() as held:
            for host, port in [(self._host, self._port), *apps]:
                family = socket.AF_INET6 if ":" in host else socket.AF_INET
                try:
                    held.enter_context(socket.create_server((host, port or 80), family=family))
                except OSError as wrong:
                    taken = wrong.errno == errno.EADDRINUSE
                    raise DemoFailed(
                        f"port {port} is taken" if taken else f"cannot listen on {host}, port {port}: {wrong}"
                    ) from None

    def _start(self, name: str, module: Sequence[str], extra: dict[str, str]) -> None:
        # Each app gets the secrets of its own registration and nothing of the provider's.
        inherited = self._environment if name == "serve" else {k: v for k, v in os.environ.items() if k == "PATH"}
        command = [sys.executable, "-m", *module]
        child = subprocess.Popen(command, env={**inherited, **extra}, cwd=Path.cwd())  # noqa: S603 - our own modules
        self._children.append(child)

    def _await(self, url: str, what: str) -> None:
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        while time.monotonic() < deadline:
            if any(child.poll() is not None for child in self._children):
                raise DemoFailed(f"{what} did not start; see the lines above")
            try:
                if httpx2.get(url, timeout=2).status_code == httpx2.codes.OK:
                    return
            except httpx2.TransportError:
                time.sleep(0.1)
        raise DemoFailed(f"{what} did not answer at {url} within {READY_WITHIN_SECONDS:.0f} s")
