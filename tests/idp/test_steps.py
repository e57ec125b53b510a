"""The one router: every combination of what is asked and who is there has its one next step."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.coverage import Covered, Reason, Uncovered
from idp.errors import (
    AccountSelectionRequired,
    ConsentRequired,
    LoginRequired,
    OAuthError,
    UnmetAuthenticationRequirements,
)
from idp.interaction.steps import (
    AskConsent,
    ConsentReason,
    Issue,
    LogIn,
    LoginReason,
    Person,
    Progress,
    Refuse,
    SelectAccount,
    Situation,
    Step,
    next_step,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PASSWORD, CARD = "urn:acr:password", "urn:acr:card"
COVERED = Covered("consent-1", frozenset({"name"}))
UNCOVERED = Uncovered(Reason.ITEMS, frozenset({"email"}))
SOMEBODY = Person(auth_time=NOW - timedelta(minutes=10), acr=PASSWORD)
STRANGER = Person(auth_time=NOW - timedelta(minutes=10), acr=PASSWORD, is_expected=False)

NOTHING = Progress()
LOGGED_IN = Progress(logged_in=True)
CONFIRMED = Progress(account_confirmed=True)
CONSENTED = Progress(consented=True)


def situation(**changes: Any) -> Situation:
    """Somebody signed in, whose consent covers an undemanding request."""
    values: dict[str, Any] = {
        "now": NOW,
        "person": SOMEBODY,
        "consent": COVERED,
        "progress": NOTHING,
        "reachable_acr": frozenset({PASSWORD}),
    }
    values |= changes
    if values["person"] is None:
        values["consent"] = None
    if "prompt" in changes:
        values["prompt"] = frozenset(changes["prompt"].split())
    return Situation(**values)


def refusal(step: Step) -> type[OAuthError]:
    """The error of a refusal."""
    assert isinstance(step, Refuse), step
    return type(step.error)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Issue(COVERED)),
        ({"person": None}, LogIn(LoginReason.NOBODY)),
        ({"consent": UNCOVERED}, AskConsent(frozenset({"email"}), ConsentReason.UNCOVERED)),
        # a login was asked for
        ({"prompt": "login"}, LogIn(LoginReason.PROMPT)),
        ({"prompt": "login", "progress": CONFIRMED}, LogIn(LoginReason.PROMPT)),
        ({"prompt": "login", "progress": CONSENTED}, LogIn(LoginReason.PROMPT)),
        ({"prompt": "login", "progress": LOGGED_IN}, Issue(COVERED)),
        ({"prompt": "login", "person": None, "progress": LOGGED_IN}, LogIn(LoginReason.NOBODY)),
        # a new decision was asked for
        ({"prompt": "consent"}, AskConsent(frozenset(), ConsentReason.PROMPT)),
        ({"prompt": "consent", "progress": LOGGED_IN}, AskConsent(frozenset(), ConsentReason.PROMPT)),
        ({"prompt": "consent", "progress": CONSENTED}, Issue(COVERED)),
        (
            {"prompt": "consent", "progress": CONSENTED, "consent": UNCOVERED},
            AskConsent(frozenset({"email"}), ConsentReason.UNCOVERED),
        ),
        # an account was to be chosen
        ({"prompt": "select_account"}, SelectAccount()),
        ({"prompt": "select_account", "person": None}, LogIn(LoginReason.NOBODY)),
        ({"prompt": "select_account", "progress": CONFIRMED}, Issue(COVERED)),
        ({"prompt": "select_account", "progress": LOGGED_IN}, Issue(COVERED)),
        ({"prompt": "select_account login"}, LogIn(LoginReason.PROMPT)),
        ({"prompt": "select_account consent"}, SelectAccount()),
        (
            {"prompt": "select_account consent", "progress": CONFIRMED},
            AskConsent(frozenset(), ConsentReason.PROMPT),
        ),
        # how old a login may be: this one was 600 seconds ago
        ({"max_age": 601}, Issue(COVERED)),
        ({"max_age": 600}, Issue(COVERED)),
        ({"max_age": 599}, LogIn(LoginReason.TOO_LONG_AGO)),
        ({"max_age": 599, "progress": LOGGED_IN}, Issue(COVERED)),
        ({"max_age": 0, "person": Person(auth_time=NOW, acr=PASSWORD)}, LogIn(LoginReason.TOO_LONG_AGO)),
        ({"max_age": 0, "progress": LOGGED_IN}, Issue(COVERED)),
        ({"max_age": 9_999_999_999}, Issue(COVERED)),
        # somebody else was asked for
        ({"person": STRANGER}, LogIn(LoginReason.OTHER_PERSON)),
        ({"person": STRANGER, "progress": CONFIRMED}, LogIn(LoginReason.OTHER_PERSON)),
        # acr
        ({"essential_acr": frozenset({PASSWORD})}, Issue(COVERED)),
        ({"essential_acr": frozenset({PASSWORD, CARD})}, Issue(COVERED)),
        (
            {"essential_acr": frozenset({CARD}), "reachable_acr": frozenset({PASSWORD, CARD})},
            LogIn(LoginReason.STRONGER),
        ),
        # an app that anybody could be
        ({"asks_every_time": True}, AskConsent(frozenset(), ConsentReason.EVERY_TIME)),
        ({"asks_every_time": True, "progress": CONSENTED}, Issue(COVERED)),
        ({"asks_every_time": True, "person": None}, LogIn(LoginReason.NOBODY)),
    ],
)
def test_each_situation_has_its_next_step(changes: dict[str, Any], expected: Step) -> None:
    assert next_step(situation(**changes)) == expected


@pytest.mark.threat("N69", "N71")
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"person": STRANGER, "progress": LOGGED_IN}, LoginRequired),
        ({"essential_acr": frozenset({CARD})}, UnmetAuthenticationRequirements),
        ({"essential_acr": frozenset({CARD}), "person": None}, UnmetAuthenticationRequirements),
        ({"essential_acr": frozenset({CARD}), "prompt": "none"}, UnmetAuthenticationRequirements),
        (
            {
                "essential_acr": frozenset({CARD}),
                "reachable_acr": frozenset({PASSWORD, CARD}),
                "progress": LOGGED_IN,
            },
            UnmetAuthenticationRequirements,
        ),
        ({"prompt": "none", "person": None}, LoginRequired),
        ({"prompt": "none", "person": STRANGER}, LoginRequired),
        ({"prompt": "none", "max_age": 60}, LoginRequired),
        ({"prompt": "none", "max_age": 0}, LoginRequired),
        ({"prompt": "none", "consent": UNCOVERED}, ConsentRequired),
        ({"prompt": "none", "asks_every_time": True}, ConsentRequired),
        ({"prompt": "none select_account"}, AccountSelectionRequired),
    ],
)
def test_what_cannot_be_had_is_refused_by_its_own_code(changes: dict[str, Any], expected: type[OAuthError]) -> None:
    assert refusal(next_step(situation(**changes))) is expected


def test_prompt_none_with_a_session_and_a_consent_issues() -> None:
    assert next_step(situation(prompt="none")) == Issue(COVERED)


everything = st.builds(
    Situation,
    now=st.just(NOW),
    person=st.one_of(
        st.none(),
        st.builds(
            Person,
            auth_time=st.datetimes(datetime(2025, 1, 1), datetime(2026, 1, 2), timezones=st.just(UTC)),
            acr=st.sampled_from([PASSWORD, CARD, "other"]),
            is_expected=st.booleans(),
        ),
    ),
    consent=st.sampled_from([None, COVERED, UNCOVERED]),
    progress=st.builds(Progress, logged_in=st.booleans(), account_confirmed=st.booleans(), consented=st.booleans()),
    prompt=st.frozensets(st.sampled_from(["none", "login", "consent", "select_account"])),
    max_age=st.one_of(st.none(), st.integers(0, 10**9)),
    essential_acr=st.frozensets(st.sampled_from([PASSWORD, CARD])),
    reachable_acr=st.frozensets(st.sampled_from([PASSWORD, CARD])),
    asks_every_time=st.booleans(),
)


@pytest.mark.threat("N68", "N69", "N70", "N71")
@settings(max_examples=1000)
@given(everything)
def test_nothing_is_issued_without_the_right_person_and_their_consent(anything: Situation) -> None:
    step = next_step(anything)
    if not isinstance(step, Issue):
        return
    person, progress = anything.person, anything.progress
    assert person is not None
    assert person.is_expected
    assert step.consent is anything.consent
    assert isinstance(anything.consent, Covered)
    assert not anything.essential_acr or person.acr in anything.essential_acr
    assert progress.logged_in or "login" not in anything.prompt
    assert progress.logged_in or progress.account_confirmed or "select_account" not in anything.prompt
    assert progress.consented or ("consent" not in anything.prompt and not anything.asks_every_time)
    age = (NOW - person.auth_time).total_seconds()
    assert progress.logged_in or anything.max_age is None or 0 <= age <= anything.max_age


@pytest.mark.threat("N69")
@settings(max_examples=1000)
@given(everything)
def test_prompt_none_never_shows_a_page(anything: Situation) -> None:
    if "none" in anything.prompt:
        assert isinstance(next_step(anything), Issue | Refuse)


def test_whoever_does_what_each_step_asks_arrives() -> None:
    """No combination goes round in circles: log in, confirm and agree are each asked for once at most."""
    prompts = ["", "login", "consent", "select_account", "login consent", "select_account consent login"]
    for prompt, max_age, every_time, start in product(prompts, (None, 0, 60), (False, True), (None, SOMEBODY)):
        person, progress, asked = start, NOTHING, []
        for _ in range(4):
            step = next_step(
                situation(
                    prompt=prompt,
                    max_age=max_age,
                    asks_every_time=every_time,
                    person=person,
                    progress=progress,
                    consent=COVERED if progress.consented else UNCOVERED,
                )
            )
            asked.append(type(step))
            match step:
                case LogIn():
                    person, progress = Person(auth_time=NOW, acr=PASSWORD), LOGGED_IN
                case SelectAccount():
                    progress = CONFIRMED
                case AskConsent():
                    progress = replace(progress, consented=True)
                case _:
                    break
        assert asked[-1] is Issue, (prompt, max_age, every_time, start, asked)
        assert len(set(asked)) == len(asked), asked
