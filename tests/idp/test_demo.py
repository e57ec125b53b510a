"""The demonstration starts on ports of its own, or says which is taken."""

import socket

import pytest

from idp.demo.run import Demo, DemoFailed
from idp.demo.state import AppState, DemoState
from tests.support.ports import free_port


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_a_port_that_is_taken_is_named_before_anything_starts(taken: int) -> None:
    ports = [free_port() for _ in range(3)]
    with socket.create_server(("127.0.0.1", ports[taken])):
        demo = demonstration(*ports)
        with pytest.raises(DemoFailed, match=f"port {ports[taken]} is taken"):
            demo.start()
    demo.stop()


def test_one_port_is_not_for_two_of_its_parts() -> None:
    port, other = free_port(), free_port()
    with pytest.raises(DemoFailed, match=f"port {port} is taken"):
        demonstration(port, other, port).start()


def demonstration(port: int, *app_ports: int) -> Demo:
    apps = [
        AppState(name=name, url=f"http://localhost:{number}", client_id="c", client_secret="s")
        for name, number in zip(("health", "population"), app_ports, strict=True)
    ]
    state = DemoState(issuer=f"http://localhost:{port}", apps=apps, people=[])
    # Without a PATH or a module to find, a part that started would end the test with another refusal.
    return Demo(state, environment={}, port=port, host="127.0.0.1")
