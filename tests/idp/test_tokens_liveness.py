"""What ends a token, as a table: one fact changed at a time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from idp.tokens.liveness import CHECKS, FACTS, Facts, cause_of_death

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ALIVE = Facts(
    revoked_at=None,
    auth_time=NOW - timedelta(minutes=5),
    offline=False,
    client_status="live",
    account_id="a",
    account_disabled_at=None,
    password_changed_at=NOW - timedelta(days=30),
    consent_status="given",
    consent_valid_until=NOW + timedelta(days=1),
    consent_offline_access=True,
    session_id="s",
    session_ended_at=None,
)
GONE: dict[str, Any] = {"session_id": None, "session_ended_at": None}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"password_changed_at": None},
        {"password_changed_at": ALIVE.auth_time},
        {"consent_valid_until": None},
        {"consent_offline_access": False},
        {"offline": True, "session_ended_at": NOW},
        {"offline": True, **GONE},
    ],
)
def test_what_holds_lives(changes: dict[str, Any]) -> None:
    assert cause_of_death(replace(ALIVE, **changes), NOW) is None


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"revoked_at": NOW}, "revoked"),
        ({"client_status": "disabled"}, "client"),
        ({"client_status": None}, "client"),
        ({"account_id": None}, "account"),
        ({"account_disabled_at": NOW}, "account"),
        ({"password_changed_at": NOW}, "password"),
        ({"consent_status": "withdrawn"}, "withdrawn"),
        ({"consent_status": "superseded"}, "superseded"),
        ({"consent_status": "refused"}, "refused"),
        ({"consent_status": None}, "missing"),
        ({"consent_valid_until": NOW}, "expired"),
        ({"offline": True, "consent_offline_access": False}, "offline"),
        ({"session_ended_at": NOW}, "session"),
        (GONE, "session"),
    ],
)
def test_one_thing_that_ended_ends_the_token(changes: dict[str, Any], cause: str) -> None:
    said = cause_of_death(replace(ALIVE, **changes), NOW)
    assert said is not None
    assert cause in said


def test_the_statement_reads_every_fact_in_order() -> None:
    assert len(FACTS) == len(Facts.__dataclass_fields__)
    assert len(set(CHECKS)) == len(CHECKS)
    assert cause_of_death(Facts(*[None] * len(FACTS)), NOW) is not None  # type: ignore[arg-type]  # rows that are missing
