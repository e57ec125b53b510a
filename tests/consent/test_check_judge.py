"""Whom a data provider's question concerns, and what they are told, as a table."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent import gate
from consent.checks.judge import concerns, gives, judge, nothing_to_tell
from consent.checks.question import Asked, Asking, Known

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
RECIPIENT, PROVIDER, HOLDER, FOREIGNER = (f"{name:a<36}" for name in ("recipient", "provider", "holder", "foreigner"))
CARD, TITLE, AGREED = "urn:satupintu:data:holder:card", "urn:satupintu:data:other:title", "urn:satupintu:data:reg:card"
GRANTED = ["email", CARD, TITLE, AGREED]


def known(*, is_served: bool = True, provider: str | None = PROVIDER, sub: str = "siti", **facts: Any) -> Known:
    """Siti's consent for an app of `RECIPIENT`: some of it by an agreement with `PROVIDER`, a card held by `HOLDER`."""
    values: dict[str, Any] = {
        "consent_id": "c",
        "subject_id": "s",
        "client_id": "app",
        "agency_id": RECIPIENT,
        "purpose_id": "p",
        "purpose_version_id": "v",
        "status": "given",
        "granted": GRANTED,
        "refused": [],
        "valid_until": NOW + timedelta(days=1),
        "fetch_type": "periodic",
        "use_limit": None,
        "use_window_days": None,
        "used": 0,
        "window_started_at": None,
        "agreement_version_id": "av",
        "purpose_status": "active",
        "legal_basis": "consent",
        "legal_citation": "UU 27/2022",
        "agency_status": "active",
        "agreement_status": "active",
        "agreement_valid_from": NOW - timedelta(days=1),
        "agreement_valid_until": NOW + timedelta(hours=1),
        "agreement_items": [AGREED, CARD, TITLE],
    }
    return Known(
        facts=gate.Facts(**{**values, **facts}),
        sub=sub,
        purpose="visit",
        version=3,
        provider_agency_id=provider,
        recipient_agency_id=RECIPIENT,
        is_served=is_served,
    )


def asking(agency_id: str) -> Asking:
    return Asking(agency_id=agency_id, agency_code=agency_id.rstrip("a"))


def asked(*items: str, **changes: Any) -> Asked:
    values: dict[str, Any] = {"client_id": "app", "sub": "siti", "purpose": "visit", "items": frozenset(items) or None}
    return Asked(**{**values, **changes})


@pytest.mark.parametrize(
    ("who", "items", "permitted", "may_flow", "missing"),
    [
        (RECIPIENT, ("email",), True, ["email"], []),
        (RECIPIENT, (), True, sorted(GRANTED), []),
        (PROVIDER, (AGREED,), True, [AGREED], []),
        (PROVIDER, (), True, sorted([AGREED, CARD, TITLE]), []),
        (PROVIDER, ("email",), False, [], ["email"]),
        (PROVIDER, (AGREED, "email"), False, [AGREED], ["email"]),
        (HOLDER, (CARD,), True, [CARD], []),
        (HOLDER, (), True, [CARD], []),
        (HOLDER, (CARD, TITLE), False, [CARD], [TITLE]),
        (HOLDER, ("email",), False, [], ["email"]),
    ],
)
def test_each_agency_is_told_of_what_it_gives(
    who: str, items: tuple[str, ...], permitted: bool, may_flow: list[str], missing: list[str]
) -> None:
    said = judge(asked(*items), asking(who), known(), NOW)
    assert (said.permitted, list(said.items), list(said.missing)) == (permitted, may_flow, missing)
    assert said.reason == ("permitted" if permitted else "items")
    assert (said.consent_id, said.purpose, said.purpose_version) == ("c", "visit", 3)
    assert said.valid_until == NOW + timedelta(hours=1)  # the agreement ends first


@pytest.mark.parametrize("status", ["given", "refused", "withdrawn", "paused"])
@pytest.mark.parametrize("items", [("email",), (AGREED,), ("urn:satupintu:data:foreigner:card",), ()])
@pytest.mark.parametrize("is_served", [True, False])
def test_a_foreigner_is_told_the_same_about_everybody_and_nobody(
    status: str, items: tuple[str, ...], is_served: bool
) -> None:
    question = asked(*items)
    about_nobody = judge(question, asking(FOREIGNER), None, NOW)
    assert judge(question, asking(FOREIGNER), known(status=status, is_served=is_served), NOW) == about_nobody
    assert judge(question, asking(RECIPIENT), None, NOW) == about_nobody
    assert about_nobody == nothing_to_tell(question, NOW)
    assert (about_nobody.permitted, about_nobody.reason, about_nobody.consent_id) == (False, "no_consent", None)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"status": "paused"}, "paused"),
        ({"status": "withdrawn"}, "withdrawn"),
        ({"status": "refused"}, "refused"),
        ({"valid_until": NOW}, "expired"),
        ({"purpose_status": "ended"}, "purpose_ended"),
        ({"agency_status": "suspended"}, "agency_suspended"),
        ({"agreement_status": "ended"}, "agreement_ended"),
        ({"fetch_type": "onetime", "used": 1}, "uses_spent"),
        ({"client_id": "another"}, "other_client"),
        ({"agency_id": RECIPIENT, "granted": [], "refused": GRANTED}, "items"),
    ],
)
@pytest.mark.parametrize("who", [RECIPIENT, PROVIDER, HOLDER])
def test_whom_it_concerns_is_told_why_not_and_nothing_else(facts: dict[str, Any], reason: str, who: str) -> None:
    said = judge(asked(CARD), asking(who), known(**facts), NOW)
    assert (said.permitted, said.reason, list(said.items)) == (False, reason, [])
    if reason != "items":
        assert (said.consent_id, said.valid_until, said.legal_basis) == (None, None, None)


def test_an_app_or_a_person_that_is_disabled_gets_nothing() -> None:
    said = judge(asked(CARD), asking(HOLDER), known(is_served=False), NOW)
    assert (said.permitted, said.reason) == (False, "not_served")
    by_token = judge(Asked(token="t"), asking(HOLDER), known(is_served=False), NOW)
    assert (by_token.permitted, by_token.reason) == (False, "token_not_valid")
    assert judge(Asked(token="t"), asking(FOREIGNER), known(), NOW) == judge(
        Asked(token="t"), asking(HOLDER), None, NOW
    )


@pytest.mark.parametrize("changes", [{"purpose": "another"}, {"sub": "budi"}])
def test_what_is_said_besides_a_token_must_fit_it(changes: dict[str, Any]) -> None:
    question = Asked(token="t", items=frozenset({CARD}))
    assert judge(question, asking(HOLDER), known(), NOW).permitted
    assert judge(replace(question, **changes), asking(HOLDER), known(), NOW).reason == "token_not_valid"


def test_an_app_that_was_handed_on_is_nobodys_key_to_the_old_consent() -> None:
    handed_on = known()._replace(recipient_agency_id=FOREIGNER)
    assert judge(asked(CARD), asking(FOREIGNER), handed_on, NOW).reason == "no_consent"
    assert judge(asked(CARD), asking(HOLDER), handed_on, NOW).reason == "other_agency"


def test_a_code_that_begins_like_another_holds_nothing_of_it() -> None:
    for code in ("hold", "holder:card", "", "HOLDER"):
        assert not concerns(Asking(agency_id=FOREIGNER, agency_code=code), known(provider=None))


names = st.sampled_from([*GRANTED, "name", "urn:satupintu:data:foreigner:x"])


@given(
    who=st.sampled_from([RECIPIENT, PROVIDER, HOLDER, FOREIGNER]),
    items=st.frozensets(names),
    granted=st.lists(names, unique=True),
    refused=st.lists(names, unique=True),
    status=st.sampled_from(["given", "renewed", "paused", "withdrawn", "refused", "superseded"]),
    agreed=st.lists(names, unique=True),
)
def test_whatever_is_asked_no_more_is_told_than_was_agreed_and_is_given(
    who: str, items: frozenset[str], granted: list[str], refused: list[str], status: str, agreed: list[str]
) -> None:
    about = known(granted=granted, refused=refused, status=status, agreement_items=agreed)
    said = judge(asked(*items), asking(who), about, NOW)
    assert set(said.items) <= (set(granted) - set(refused)) & (items or set(granted))
    assert all(gives(asking(who), about, item) for item in said.items)
    assert said.permitted == (bool(said.items) and not said.missing)
    assert said.permitted <= (status in {"given", "renewed"})
    assert set(said.items).isdisjoint(said.missing)
    assert set(said.missing) <= items
