"""Does what was agreed cover what is asked?"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent import gate
from consent.coverage import Ask, Covered, Reason, Standing, Uncovered, covers, widen

NOW = datetime(2026, 1, 5, tzinfo=UTC)
LATER = NOW + timedelta(days=1)

FACTS = gate.Facts(
    consent_id="c",
    subject_id="s",
    client_id="app",
    agency_id="agency",
    purpose_id="p",
    purpose_version_id="v1",
    status="given",
    granted=("email", "name"),
    refused=("gender",),
    valid_until=LATER,
    fetch_type="periodic",
    use_limit=None,
    use_window_days=None,
    used=0,
    window_started_at=None,
    agreement_version_id=None,
    purpose_status="active",
    legal_basis="consent",
    legal_citation="UU 27/2022",
    agency_status="active",
    agreement_status=None,
    agreement_valid_from=None,
    agreement_valid_until=None,
    agreement_items=None,
)
ASK = Ask(
    client_id="app",
    agency_id="agency",
    purpose_version_id="v1",
    purpose_id="p",
    required=frozenset({"name"}),
    optional=frozenset({"email", "gender"}),
    offline_access=False,
    claims=frozenset({"name", "email", "gender", "address", "birthdate"}),
)


def stands(*, offline_access: bool = False, **changes: Any) -> Standing:
    """Where somebody stands who agreed to `name` and `email` and refused `gender`, with changes."""
    return Standing(facts=FACTS._replace(**changes), offline_access=offline_access)


STANDING = stands()


def test_a_consent_in_force_covers_what_it_granted() -> None:
    assert covers(STANDING, ASK, NOW) == Covered("c", frozenset({"name", "email"}))


@pytest.mark.parametrize(
    ("standing", "ask", "now", "reason", "missing"),
    [
        (None, {}, NOW, Reason.NEVER_DECIDED, {"name", "email", "gender"}),
        ({"status": "refused"}, {}, NOW, Reason.REFUSED, {"name", "email", "gender"}),
        ({"status": "withdrawn"}, {}, NOW, Reason.WITHDRAWN, {"name", "email", "gender"}),
        ({"status": "expired"}, {}, NOW, Reason.EXPIRED, {"name", "email", "gender"}),
        ({"status": "superseded"}, {}, NOW, Reason.SUPERSEDED, {"name", "email", "gender"}),
        ({"status": "revoked"}, {}, NOW, Reason.REVOKED, {"name", "email", "gender"}),
        ({"status": "invalidated"}, {}, NOW, Reason.INVALIDATED, {"name", "email", "gender"}),
        ({"status": "paused"}, {}, NOW, Reason.PAUSED, {"name", "email", "gender"}),
        ({"status": "requested"}, {}, NOW, Reason.REQUESTED, {"name", "email", "gender"}),
        ({"status": "invented"}, {}, NOW, Reason.NOT_IN_FORCE, {"name", "email", "gender"}),
        ({"client_id": "another"}, {}, NOW, Reason.NOT_IN_FORCE, {"name", "email", "gender"}),
        ({"agency_id": "another"}, {}, NOW, Reason.NOT_IN_FORCE, {"name", "email", "gender"}),
        ({"purpose_id": "another"}, {}, NOW, Reason.NOT_IN_FORCE, {"name", "email", "gender"}),
        ({"purpose_status": "ended"}, {}, NOW, Reason.NOT_IN_FORCE, {"name", "email", "gender"}),
        ({"agency_status": "suspended"}, {}, NOW, Reason.NOT_IN_FORCE, {"name", "email", "gender"}),
        ({"agreement_version_id": "a"}, {}, NOW, Reason.NOT_IN_FORCE, {"name", "email", "gender"}),
        ({}, {}, LATER, Reason.EXPIRED, {"name", "email", "gender"}),
        ({}, {}, LATER + timedelta(days=1), Reason.EXPIRED, {"name", "email", "gender"}),
        ({}, {"purpose_version_id": "v2"}, NOW, Reason.CHANGED, {"name", "email", "gender"}),
        ({}, {"purpose_version_id": "v3", "compatible": {"v2"}}, NOW, Reason.CHANGED, {"name", "email", "gender"}),
        (
            {},
            {"purpose_version_id": "v2", "compatible": {"v1"}, "required": {"address"}},
            NOW,
            Reason.ITEMS,
            {"address"},
        ),
        ({}, {"required": {"name", "birthdate"}}, NOW, Reason.ITEMS, {"birthdate"}),
        ({}, {"required": {"name", "gender"}}, NOW, Reason.ITEMS, {"gender"}),
        ({}, {"optional": {"email", "address"}}, NOW, Reason.ITEMS, {"address"}),
        ({}, {"offline_access": True}, NOW, Reason.OFFLINE_ACCESS, set()),
    ],
)
def test_a_person_is_asked_when(
    standing: dict[str, Any] | None, ask: dict[str, Any], now: datetime, reason: Reason, missing: set[str]
) -> None:
    had = None if standing is None else stands(**standing)
    asked: dict[str, Any] = {n: frozenset(value) if isinstance(value, set) else value for n, value in ask.items()}

    assert covers(had, replace(ASK, **asked), now) == Uncovered(reason, frozenset(missing))


@pytest.mark.parametrize(
    ("standing", "ask", "items"),
    [
        ({"valid_until": None}, {}, {"name", "email"}),
        ({"status": "renewed"}, {}, {"name", "email"}),
        ({"purpose_status": "superseded"}, {}, {"name", "email"}),
        ({"use_limit": 1, "used": 1, "window_started_at": NOW}, {}, {"name", "email"}),
        ({}, {"purpose_version_id": "v2", "compatible": frozenset({"v1"})}, {"name", "email"}),
        ({"valid_until": NOW + timedelta(microseconds=1)}, {}, {"name", "email"}),
        ({"offline_access": True}, {"offline_access": True}, {"name", "email"}),
        ({"offline_access": True}, {}, {"name", "email"}),
        ({}, {"optional": frozenset()}, {"name"}),
        ({}, {"required": frozenset(), "optional": frozenset()}, set()),
        ({}, {"optional": frozenset({"gender"})}, {"name"}),
    ],
)
def test_nobody_is_asked_twice_for_what_was_decided(
    standing: dict[str, Any], ask: dict[str, Any], items: set[str]
) -> None:
    assert covers(stands(**standing), replace(ASK, **ask), NOW) == Covered("c", frozenset(items))


def test_an_item_that_is_both_granted_and_refused_is_not_released() -> None:
    torn = stands(refused=("email", "gender"))

    assert covers(torn, ASK, NOW) == Covered("c", frozenset({"name"}))


def test_what_the_agreement_between_the_agencies_leaves_out_is_agreed_to_and_does_not_flow() -> None:
    ask = replace(ASK, required=frozenset({"name", "x-pajak:npwp"}))
    by_agreement = stands(
        granted=("email", "name", "x-pajak:npwp"),
        agreement_version_id="a",
        agreement_status="active",
        agreement_valid_from=NOW,
        agreement_valid_until=LATER,
        agreement_items=(),
    )

    assert covers(by_agreement, ask, NOW) == Covered("c", frozenset({"name", "email"}))


def test_a_wider_request_is_put_to_the_person_with_what_they_agreed_to_before() -> None:
    ask = replace(ASK, required=frozenset({"name"}), optional=frozenset({"address"}))

    shown = widen(stands(offline_access=True), ask, NOW)

    assert shown.items == {"name", "email", "gender", "address"}
    assert shown.offline_access


@pytest.mark.parametrize(
    "standing",
    [
        None,
        stands(status="withdrawn"),
        stands(status="paused"),
        stands(valid_until=NOW),
        stands(purpose_version_id="v0"),
    ],
)
def test_what_is_not_in_force_widens_nothing(standing: Standing | None) -> None:
    assert widen(standing, ASK, NOW) == ASK


def test_a_compatible_version_asks_for_nothing_that_it_does_not_have() -> None:
    ask = replace(
        ASK,
        purpose_version_id="v2",
        compatible=frozenset({"v1"}),
        optional=frozenset(),
        claims=frozenset({"name", "email"}),
    )

    assert widen(STANDING, ask, NOW).items == {"name", "email"}


claims = st.frozensets(st.sampled_from(["name", "email", "gender", "address", "birthdate"]))
moments = st.integers(min_value=-2, max_value=2).map(lambda hours: NOW + timedelta(hours=hours))
standings = st.builds(
    stands,
    status=st.sampled_from(["given", "renewed", "paused", "refused", "withdrawn", "expired", "superseded", "?"]),
    purpose_version_id=st.sampled_from(["v1", "v2"]),
    granted=claims,
    refused=claims,
    offline_access=st.booleans(),
    valid_until=st.none() | moments,
    purpose_status=st.sampled_from(["active", "superseded", "ended"]),
    agency_status=st.sampled_from(["active", "suspended"]),
)
asks = st.builds(
    Ask,
    client_id=st.sampled_from(["app", "another"]),
    agency_id=st.just("agency"),
    purpose_version_id=st.sampled_from(["v1", "v2"]),
    purpose_id=st.just("p"),
    required=claims,
    optional=claims,
    offline_access=st.booleans(),
    claims=st.just(ASK.claims),
    compatible=st.sampled_from([frozenset(), frozenset({"v1"})]),
)


@given(standings, asks, moments)
def test_nothing_is_released_beyond_what_was_granted_and_asked(standing: Standing, ask: Ask, now: datetime) -> None:
    answer = covers(standing, ask, now)

    if isinstance(answer, Covered):
        assert answer.items <= standing.granted & ask.items
        assert not answer.items & standing.refused
        assert ask.required <= answer.items


@given(standings, asks, moments)
def test_only_a_consent_in_force_that_answers_this_version_covers(standing: Standing, ask: Ask, now: datetime) -> None:
    if isinstance(covers(standing, ask, now), Covered):
        assert standing.status in {"given", "renewed"}
        assert standing.valid_until is None or now < standing.valid_until
        assert standing.purpose_version_id in {ask.purpose_version_id, *ask.compatible}
        assert standing.facts.client_id == ask.client_id
        assert standing.facts.purpose_status != "ended"
        assert standing.facts.agency_status == "active"
        assert standing.offline_access or not ask.offline_access


@given(standings, asks, moments)
def test_asking_for_less_is_never_asked_about_again(standing: Standing, ask: Ask, now: datetime) -> None:
    if isinstance(covers(standing, ask, now), Covered):
        for dropped in ask.items:
            less = replace(ask, required=ask.required - {dropped}, optional=ask.optional - {dropped})
            assert isinstance(covers(standing, less, now), Covered)


@given(standings, asks, moments)
def test_a_yes_to_all_that_is_put_to_the_person_covers_both_the_old_and_the_new(
    standing: Standing, ask: Ask, now: datetime
) -> None:
    shown = widen(standing, ask, now)
    decided = stands(
        client_id=ask.client_id,
        purpose_version_id=ask.purpose_version_id,
        granted=tuple(shown.items),
        refused=(),
        offline_access=shown.offline_access,
        valid_until=None,
    )

    assert isinstance(covers(decided, ask, now), Covered)
    before = covers(standing, ask, now)
    if isinstance(before, Covered):
        assert before.items <= shown.items
