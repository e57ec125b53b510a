"""A PostgreSQL of the test's own, durable, whose plug can be pulled and put back."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.engine import URL

from tests.support.postgres import PostgresqlServer, server_binaries
from tests.support.postgres_keeper import SUPERUSER, Server


class OwnPostgresql(Server):
    """Start and stop it in the main thread: the kernel ends it with the thread that started it."""

    @property
    def server(self) -> PostgresqlServer:
        """What makes databases on it."""
        return PostgresqlServer(
            URL.create("postgresql+asyncpg", SUPERUSER, host="127.0.0.1", port=self.port, database="postgres")
        )

    def pull_the_plug(self) -> None:
        """Ends every process of it at once. What was not flushed is gone, and the next start has to recover."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait()
        self._process = None

    def put_it_back(self) -> None:
        """Starts it again where it was."""
        assert self._process is None
        if not self._started():
            raise RuntimeError(self._log().read_text(encoding="utf-8", errors="replace")[-3000:])


@contextmanager
def own_postgresql() -> Iterator[OwnPostgresql]:
    """The server, for as long as the block lasts. Error: `PostgresqlMissing`."""
    server = OwnPostgresql(server_binaries(), durable=True)
    try:
        server.start()
        yield server
    finally:
        server.stop()
