"""Logs as JSON lines, safe to read: no control characters, no secrets, no parameters of requests."""

import logging
import sys
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict, WrappedLogger

SECRET_NAMES = frozenset(
    {
        "access_token",
        "assertion",
        "authorization",
        "client_assertion",
        "client_secret",
        "code",
        "code_verifier",
        "cookie",
        "id_token",
        "id_token_hint",
        "password",
        "refresh_token",
        "secret",
        "token",
    }
)


class StandardError:
    """Standard error as it is at the time of writing: loggers are kept for ever, while streams get replaced."""

    def write(self, text: str) -> int:
        """Writes to the stream of the moment."""
        return sys.stderr.write(text)

    def flush(self) -> None:
        """Flushes it."""
        sys.stderr.flush()


def mask_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Whatever is logged under a secret's name is masked, should somebody ever log one."""
    return {name: "***" if name in SECRET_NAMES else value for name, value in event.items()}


def configure_logs(*, level: int = logging.INFO) -> None:
    """Log lines of `level` and above go to standard error, each as one line of JSON (which escapes line breaks)."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            mask_secrets,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", StandardError())),
    )
