"""The tests' own tools do what the tests lean on them for."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.support.browser_user import BrowserUser
from tests.support.clock import FakeClock
from tests.support.html import read_html
from tests.support.scheduling import group_of
from tests.support.world import World

ROOT = Path(__file__).parents[1]

START_A_SERVER_AND_HANG = """
import sys, time
from pathlib import Path
from tests.support.postgres import postgresql_server
with postgresql_server(Path(sys.argv[1])) as server:
    print(server.maintenance.port, flush=True)
    time.sleep(600)
"""


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def start_and_hang(folder: Path) -> tuple[subprocess.Popen[str], int]:
    process = subprocess.Popen(
        [sys.executable, "-c", START_A_SERVER_AND_HANG, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


@pytest.mark.processes
@pytest.mark.skipif("TEST_POSTGRESQL_URL" in os.environ, reason="the server is not ours to start")
def test_killed_sessions_leave_no_database_server(tmp_path: Path) -> None:
    first, port = start_and_hang(tmp_path)
    second, same_port = start_and_hang(tmp_path)
    with first, second:
        assert port == same_port, "two workers of a session share a server"
        first.send_signal(signal.SIGKILL)
        first.wait()
        time.sleep(0.3)
        assert listens(port), "the other worker still uses it"
        second.send_signal(signal.SIGKILL)
        second.wait()
        deadline = time.monotonic() + 20
        while listens(port) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not listens(port)


def test_the_network_is_closed() -> None:
    with socket.socket() as outward, pytest.raises((RuntimeError, UserWarning), match="tried to use"):
        outward.connect(("192.0.2.1", 443))


def test_a_fake_clock_moves_only_when_told() -> None:
    clock = FakeClock()
    before = clock()
    assert clock() == before
    assert (clock.advance(61) - before).total_seconds() == 61
    assert (clock.advance(days=1) - before).total_seconds() == 86461


def test_html_is_read_as_a_browser_reads_it() -> None:
    document = read_html(
        """<!doctype html><html lang="id"><head><title>A &amp; B</title><script>var hidden</script></head>
        <body><h1 id="top">Halo <b>Siti</b></h1><form method="POST" action="/x" id="f"><input name="a" value="1">
        <input type="checkbox" name="c" value="x" checked><input type="checkbox" name="c" value="y">
        <select name="s"><option value="p">P<option value="q" selected>Q</select><textarea name="t">long</textarea>
        <button id="go" name="d" value="yes">Go</button></form><a href="/next">further</a></body></html>"""
    )
    (form,) = document.forms
    assert document.title == "A & B"
    assert document.language == "id"
    assert document.text_by_id["top"] == "Halo Siti"
    assert "hidden" not in document.text
    assert (form.method, form.action, [one.id for one in form.buttons]) == ("post", "/x", ["go"])
    assert form.values() == [("a", "1"), ("c", "x"), ("s", "q"), ("t", "long")]
    assert document.links == [("/next", "further")]


# --- the scripted citizen, against an app of a few lines ---

PAGE = '<form method="post" action="/sent"><input name="x" value="1"><button id="allow" name="d" value="allow"></form>'


def tiny_app(*, form_action: str) -> Starlette:
    async def page(_request: Request) -> Response:
        policy = f"default-src 'none'; form-action {form_action}"
        response = HTMLResponse(PAGE, headers={"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"})
        response.set_cookie("__Host-x", "1", secure=True, path="/")
        return response

    async def sent(request: Request) -> Response:
        if request.cookies.get("__Host-x") != "1" or request.headers.get("origin") != "null":
            return JSONResponse(dict(request.headers), status_code=400)
        body = (await request.body()).decode()
        return RedirectResponse(f"https://app.test/callback?code=1&sent={body.replace('&', '.')}", status_code=303)

    return Starlette(routes=[Route("/", page), Route("/sent", sent, methods=["POST"])])


@pytest.mark.anyio
@pytest.mark.parametrize("issuer", ["https://idp.test", "http://localhost:8000"])
async def test_a_citizen_presses_a_button_and_is_led_back_to_the_app(issuer: str) -> None:
    app = tiny_app(form_action="'self' https://app.test")
    async with BrowserUser.over(httpx2.ASGITransport(app), issuer=issuer) as user:
        await user.open("/")
        await user.allow()
        assert user.is_at_app
        assert user.callback_parameters == {"code": "1", "sent": "x=1.d=allow"}


@pytest.mark.anyio
async def test_a_redirect_that_chromium_would_block_is_blocked_here_too() -> None:
    app = tiny_app(form_action="'self'")
    async with BrowserUser.over(httpx2.ASGITransport(app), issuer="https://idp.test") as user:
        await user.open("/")
        with pytest.raises(AssertionError, match="form-action"):
            await user.allow()


@pytest.mark.anyio
async def test_a_whole_login_with_the_tools(
    user: BrowserUser, world: World, new_user: Callable[[], BrowserUser]
) -> None:
    app = world.app("health")
    await user.open(await app.authorization_url(scope=world.scope("health")))
    await user.log_in("siti", world.password("siti"))
    await user.allow(items={"gender"})
    login = await app.finish(user.callback_parameters)
    claims = (await app.userinfo(login.access_token)).json()
    assert claims["sub"] == login.sub
    assert claims["gender"] == "female"
    assert "phone_number" not in claims
    assert (await app.introspect(login.access_token))["active"]

    other = world.app("population")
    await user.open(await other.authorization_url(scope=world.scope("population")))
    await user.allow()
    assert (await other.finish(user.callback_parameters)).sub != login.sub

    assert new_user() is not user


def test_every_group_of_tests_is_known_to_the_scheduler() -> None:
    modules = [path for path in (ROOT / "tests").rglob("test_*.py") if path != Path(__file__)]
    marked = {str(path.relative_to(ROOT)) for path in modules if "xdist_group(" in path.read_text(encoding="utf-8")}
    assert marked
    assert {module for module in marked if group_of(module) is None} == set()
    assert group_of("tests/test_harness.py") is None
