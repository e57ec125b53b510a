"""Ports of this machine for servers that tests start."""

import secrets
import socket


def free_port() -> int:
    """A port that nobody listens on just now, and that no outgoing connection is given."""
    while True:
        port = 20000 + secrets.randbelow(12000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
