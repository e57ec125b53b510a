"""The one decision, as a table: one fact changed at a time; and what no facts at all can make it say."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from consent.attributes import ITEMS
from consent.gate import (
    CHECKS,
    FACTS,
    ONE_TIME,
    Deny,
    Facts,
    Permit,
    Question,
    Reason,
    decide,
    facts_of,
    joined,
    limit_of,
    used_in_window,
)
from consent.models import ConsentRecord
from consent.statuses import PERMITTING

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = timedelta(days=1)
TAX = "urn:satupintu:attr:pajak:npwp"
GIVEN = Facts(
    consent_id="consent",
    subject_id="siti",
    client_id="app",
    agency_id="agency",
    purpose_id="purpose",
    purpose_version_id="version",
    status="given",
    granted=["name", "email", TAX],
    refused=["gender"],
    valid_until=NOW + DAY,
    fetch_type="periodic",
    use_limit=None,
    use_window_days=None,
    used=0,
    window_started_at=None,
    agreement_version_id=None,
    purpose_status="active",
    legal_basis="consent",
    legal_citation="UU 27/2022 pasal 20 ayat (2) huruf a",
    agency_status="active",
    agreement_status=None,
    agreement_valid_from=None,
    agreement_valid_until=None,
    agreement_items=None,
    last_seq=1,
)
AGREED: Mapping[str, Any] = {
    "agreement_version_id": "agreement",
    "agreement_status": "active",
    "agreement_valid_from": NOW,
    "agreement_valid_until": NOW + timedelta(hours=1),
    "agreement_items": [TAX],
}
ASKS: Mapping[str, Any] = {
    "client_id": "app",
    "subject_id": "siti",
    "agency_id": "agency",
    "purpose_id": "purpose",
    "items": frozenset({"name", "gender", "phone_number"}),
}


def asked(*, question: Mapping[str, Any] | None = None, **facts: Any) -> Permit | Deny:
    return decide(Question(**{**ASKS, **(question or {})}), GIVEN._replace(**facts), NOW)


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"status": "renewed"},
        {"valid_until": None},
        {"valid_until": NOW + timedelta(microseconds=1)},
        {"purpose_status": "superseded"},
        AGREED,
        {**AGREED, "agreement_status": "superseded"},
        {"use_limit": 2, "used": 1},
        {"use_limit": 1, "used": 1, "use_window_days": 1, "window_started_at": NOW - DAY},
        {"fetch_type": ONE_TIME},
        {"legal_basis": "public_task"},
    ],
)
def test_what_stands_lets_through_what_was_agreed_to(facts: dict[str, Any]) -> None:
    permit = asked(**facts)
    assert isinstance(permit, Permit)
    assert permit.items == {"name"}
    assert permit.consent_id == "consent"
    assert permit.legal_basis == facts.get("legal_basis", "consent")


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"consent_id": None}, Reason.NO_CONSENT),
        ({"client_id": "another"}, Reason.OTHER_CLIENT),
        ({"subject_id": "budi"}, Reason.OTHER_SUBJECT),
        ({"agency_id": "another"}, Reason.OTHER_AGENCY),
        ({"purpose_id": "another"}, Reason.OTHER_PURPOSE),
        ({"status": "requested"}, Reason.REQUESTED),
        ({"status": "paused"}, Reason.PAUSED),
        ({"status": "refused"}, Reason.REFUSED),
        ({"status": "withdrawn"}, Reason.WITHDRAWN),
        ({"status": "revoked"}, Reason.REVOKED),
        ({"status": "invalidated"}, Reason.INVALIDATED),
        ({"status": "expired"}, Reason.EXPIRED),
        ({"status": "superseded"}, Reason.SUPERSEDED),
        ({"status": "unknown"}, Reason.UNKNOWN),
        ({"status": "something new"}, Reason.UNKNOWN),
        ({"status": None}, Reason.UNKNOWN),
        ({"valid_until": NOW}, Reason.EXPIRED),
        ({"purpose_status": "ended"}, Reason.PURPOSE_ENDED),
        ({"purpose_status": "proposed"}, Reason.PURPOSE_ENDED),
        ({"purpose_status": None}, Reason.PURPOSE_ENDED),
        ({"agency_status": "suspended"}, Reason.AGENCY_SUSPENDED),
        ({"agency_status": None}, Reason.AGENCY_SUSPENDED),
        ({**AGREED, "agreement_status": "ended"}, Reason.AGREEMENT_ENDED),
        ({**AGREED, "agreement_status": None}, Reason.AGREEMENT_ENDED),
        ({**AGREED, "agreement_valid_from": NOW + DAY}, Reason.AGREEMENT_ENDED),
        ({**AGREED, "agreement_valid_until": NOW}, Reason.AGREEMENT_ENDED),
        ({"use_limit": 2, "used": 2}, Reason.USES_SPENT),
        ({"use_limit": 1, "used": 1, "use_window_days": 2, "window_started_at": NOW - DAY}, Reason.USES_SPENT),
        ({"fetch_type": ONE_TIME, "used": 1}, Reason.USES_SPENT),
        # A second window gives no second use of what was agreed to once.
        (
            {"fetch_type": ONE_TIME, "used": 1, "use_window_days": 1, "window_started_at": NOW - 2 * DAY},
            Reason.USES_SPENT,
        ),
    ],
)
def test_one_thing_that_does_not_hold_stops_everything(facts: dict[str, Any], reason: Reason) -> None:
    denied = asked(**facts)
    assert isinstance(denied, Deny)
    assert denied.reason is reason
    assert denied.sentence


def test_what_is_required_and_missing_is_named() -> None:
    denied = asked(question={"required": frozenset({"name", "gender", "address"})})
    assert isinstance(denied, Deny)
    assert denied.reason is Reason.ITEMS
    assert denied.missing == {"gender", "address"}


def test_a_refused_optional_item_leaves_the_rest_on_offer() -> None:
    permit = asked(question={"required": frozenset({"name"}), "items": frozenset({"gender"})})
    assert isinstance(permit, Permit)
    assert permit.items == {"name"}


def test_an_item_that_was_granted_and_refused_was_refused() -> None:
    permit = asked(refused=["name"])
    assert isinstance(permit, Permit)
    assert permit.items == frozenset()


def test_what_comes_from_another_agency_flows_by_the_agreement_only() -> None:
    everything = {"items": frozenset({"name", "email", TAX})}
    with_it, without = (
        asked(question=everything, **AGREED),
        asked(question=everything, **{**AGREED, "agreement_items": []}),
    )
    assert isinstance(with_it, Permit)
    assert isinstance(without, Permit)
    assert with_it.items == {"name", "email", TAX}
    assert without.items == {"name", "email"}
    assert TAX not in ITEMS


def test_a_permit_ends_with_whatever_ends_first() -> None:
    permit = asked(**AGREED)
    assert isinstance(permit, Permit)
    assert permit.valid_until == AGREED["agreement_valid_until"]


def test_issuing_a_token_is_no_use() -> None:
    assert isinstance(asked(question={"is_use": False}, use_limit=1, used=1), Permit)


def test_a_limited_consent_says_that_each_use_has_to_be_counted() -> None:
    for facts in ({"use_limit": 5}, {"fetch_type": ONE_TIME}):
        permit = asked(**facts)
        assert isinstance(permit, Permit)
        assert permit.is_limited
    assert not asked().is_limited  # type: ignore[union-attr]  # it is a permit


def test_each_check_is_there_once_and_every_fact_is_read_in_order() -> None:
    assert len(set(CHECKS)) == len(CHECKS)
    assert [column.name for column in FACTS] == [f"gate_{name}" for name in Facts._fields]
    row = (None, *range(len(FACTS)), None)
    assert tuple(facts_of(row, 1)) == tuple(range(len(FACTS)))
    assert str(joined(select(*FACTS).select_from(ConsentRecord))).count("LEFT OUTER JOIN") == 3


# --- whatever the facts are ---

NAMES = st.sampled_from(["name", "email", "gender", TAX])
SETS = st.frozensets(NAMES)
MOMENTS = st.one_of(st.none(), st.sampled_from([NOW - DAY, NOW, NOW + timedelta(microseconds=1), NOW + DAY]))
ANYTHING = st.builds(
    Facts,
    consent_id=st.sampled_from(["consent", None]),
    subject_id=st.sampled_from(["siti", "budi"]),
    client_id=st.sampled_from(["app", "another"]),
    agency_id=st.sampled_from(["agency", "another"]),
    purpose_id=st.sampled_from(["purpose", "another"]),
    purpose_version_id=st.just("version"),
    status=st.sampled_from(["given", "renewed", "paused", "withdrawn", "expired", "refused", "?"]),
    granted=st.lists(NAMES),
    refused=st.lists(NAMES),
    valid_until=MOMENTS,
    fetch_type=st.sampled_from(["onetime", "periodic"]),
    use_limit=st.one_of(st.none(), st.integers(1, 3)),
    use_window_days=st.one_of(st.none(), st.integers(1, 2)),
    used=st.integers(0, 3),
    window_started_at=MOMENTS,
    agreement_version_id=st.sampled_from([None, "agreement"]),
    purpose_status=st.sampled_from(["active", "superseded", "ended"]),
    legal_basis=st.sampled_from(["consent", "public_task"]),
    legal_citation=st.just("article"),
    agency_status=st.sampled_from(["active", "suspended"]),
    agreement_status=st.sampled_from(["active", "ended", None]),
    agreement_valid_from=MOMENTS,
    agreement_valid_until=MOMENTS,
    agreement_items=st.one_of(st.none(), st.lists(NAMES)),
)
QUESTIONS = st.builds(
    Question,
    client_id=st.just("app"),
    items=SETS,
    required=SETS,
    agency_id=st.sampled_from([None, "agency"]),
    subject_id=st.sampled_from([None, "siti"]),
    purpose_id=st.sampled_from([None, "purpose"]),
    is_use=st.booleans(),
)


@given(question=QUESTIONS, facts=ANYTHING)
def test_nothing_flows_that_was_not_asked_for_and_granted_by_what_stands(question: Question, facts: Facts) -> None:
    answer = decide(question, facts, NOW)
    if isinstance(answer, Deny):
        return
    assert answer.items <= question.items | question.required
    assert answer.items <= frozenset(facts.granted or ()) - frozenset(facts.refused or ())
    assert question.required <= answer.items
    assert facts.status in PERMITTING
    assert facts.valid_until is None or facts.valid_until > NOW
    assert facts.client_id == question.client_id
    assert question.subject_id in {None, facts.subject_id}
    assert (facts.purpose_status, facts.agency_status) in {("active", "active"), ("superseded", "active")}
    limit = limit_of(facts)
    assert answer.is_limited is (limit is not None)
    if question.is_use and limit is not None:
        assert used_in_window(facts, NOW) < limit


@given(question=QUESTIONS, facts=ANYTHING, more=SETS)
def test_to_refuse_more_never_lets_more_flow(question: Question, facts: Facts, more: frozenset[str]) -> None:
    before = decide(question, facts, NOW)
    after = decide(question, facts._replace(refused=[*(facts.refused or ()), *more]), NOW)
    if isinstance(after, Permit):
        assert isinstance(before, Permit)
        assert after.items == before.items - more
