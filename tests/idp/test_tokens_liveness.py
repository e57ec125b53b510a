"""What ends a token, as a table: one fact changed at a time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from consent.gate import Permit, Reason
from idp.tokens.liveness import CHECKS, FACTS, Dead, Facts, cause_of_death, facts_of, weigh
from tests.consent.test_gate import GIVEN

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ALIVE = Facts(
    revoked_at=None,
    auth_time=NOW - timedelta(minutes=5),
    offline=False,
    client_id=GIVEN.client_id,
    client_agency_id=GIVEN.agency_id,
    client_status="live",
    account_id=GIVEN.subject_id,
    account_disabled_at=None,
    password_changed_at=NOW - timedelta(days=30),
    session_id="s",
    session_ended_at=None,
    consent_offline_access=True,
    consent=GIVEN,
)
GONE: dict[str, Any] = {"session_id": None, "session_ended_at": None}


def changed(**changes: Any) -> Facts:
    """What is alive, but for the changes; those of the consent are in `consent`."""
    consent = changes.pop("consent", {})
    return ALIVE._replace(consent=GIVEN._replace(**consent), **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"password_changed_at": None},
        {"password_changed_at": ALIVE.auth_time},
        {"consent": {"valid_until": None}},
        {"consent": {"status": "renewed"}},
        {"consent": {"use_limit": 1, "used": 1}},
        {"consent_offline_access": False},
        {"offline": True, "session_ended_at": NOW},
        {"offline": True, **GONE},
    ],
)
def test_what_holds_lives(changes: dict[str, Any]) -> None:
    assert cause_of_death(changed(**changes), NOW) is None


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"revoked_at": NOW}, "revoked"),
        ({"client_status": "disabled"}, "client"),
        ({"client_status": None}, "client"),
        ({"account_id": None}, "account"),
        ({"account_disabled_at": NOW}, "account"),
        ({"password_changed_at": NOW}, "password"),
        ({"consent": {"status": "withdrawn"}}, "withdrawn"),
        ({"consent": {"status": "paused"}}, "paused"),
        ({"consent": {"consent_id": None}}, "missing"),
        ({"consent": {"valid_until": NOW}}, "expired"),
        ({"client_agency_id": "another"}, "another agency"),
        ({"client_id": "another"}, "another app"),
        ({"account_id": "another"}, "another person"),
        ({"offline": True, "consent_offline_access": False}, "offline"),
        ({"session_ended_at": NOW}, "session"),
        (GONE, "session"),
    ],
)
def test_one_thing_that_ended_ends_the_token(changes: dict[str, Any], cause: str) -> None:
    said = cause_of_death(changed(**changes), NOW)
    assert said is not None
    assert cause in said


def test_what_may_go_out_is_what_was_wanted_and_agreed_to() -> None:
    permit = weigh(ALIVE, NOW, items=frozenset({"name", "gender", "address"}), is_use=True)
    assert isinstance(permit, Permit)
    assert permit.items == {"name"}


def test_spent_uses_end_no_token_and_release_nothing() -> None:
    spent = changed(consent={"use_limit": 1, "used": 1})
    assert cause_of_death(spent, NOW) is None
    refused = weigh(spent, NOW, items=frozenset({"name"}), is_use=True)
    assert isinstance(refused, Dead)
    assert refused.reason is Reason.USES_SPENT


def test_the_statement_reads_every_fact_in_order() -> None:
    row = tuple(range(len(FACTS)))
    facts = facts_of(row)  # type: ignore[arg-type]  # a row is read by its places
    assert [*facts[:-1], *facts.consent] == list(row)
    assert len(set(CHECKS)) == len(CHECKS)
    assert cause_of_death(facts_of((None,) * len(FACTS)), NOW) is not None  # type: ignore[arg-type]  # rows that are missing
