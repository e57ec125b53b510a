"""What happens next, decided in one pure function from everything that matters: the only router there is.

Pages do not know one another. Each does its part, writes down that it did, and comes back here; so no step can be
skipped by opening another page's address, going back, or posting out of order.

Spec: OpenID Connect Core §3.1.2.1 (prompt, max_age, id_token_hint), §3.1.2.3, §3.1.2.4, §5.5.1.1 (acr);
OpenID Connect Core Unmet Authentication Requirements 1.0.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from consent.coverage import Covered, Uncovered
from idp.errors import (
    AccountSelectionRequired,
    ConsentRequired,
    LoginRequired,
    OAuthError,
    UnmetAuthenticationRequirements,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who is signed in in this browser. `is_expected`: nobody else was asked for by a hint or a `sub`."""

    auth_time: datetime
    acr: str
    is_expected: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What this very person did within this very interaction. Nothing, at a request that has just arrived."""

    logged_in: bool = False
    account_confirmed: bool = False
    consented: bool = False


class Answered(StrEnum):
    """What a person answered before, that still counts and keeps a question away."""

    REFUSED = "refused"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """An earlier answer, when it was given, and until when it counts; None: until the person says otherwise."""

    answered: Answered
    consent_id: str
    at: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Everything that decides the next step.

    `max_age` is in seconds. `essential_acr` lists the acr values of which one must be reached, empty when any will do;
    `reachable_acr` those that a login here can reach. `consent` is None exactly when nobody is signed in.
    `asks_every_time`: the app could be an impostor's, so an earlier consent alone does not let it through.
    `remembered`: what they said before, in this version's matter, is not to be asked away by asking again.
    """

    now: datetime
    person: Person | None
    consent: Covered | Uncovered | None
    progress: Progress
    prompt: frozenset[str] = frozenset()
    max_age: int | None = None
    essential_acr: frozenset[str] = frozenset()
    reachable_acr: frozenset[str] = frozenset()
    asks_every_time: bool = False
    remembered: Remembered | None = None


class LoginReason(StrEnum):
    """Why a person has to log in."""

    NOBODY = "nobody"
    PROMPT = "prompt"
    TOO_LONG_AGO = "too_long_ago"
    OTHER_PERSON = "other_person"
    STRONGER = "stronger"


class ConsentReason(StrEnum):
    """Why a person is asked."""

    UNCOVERED = "uncovered"
    PROMPT = "prompt"
    EVERY_TIME = "every_time"


@dataclass(frozen=True, slots=True)
class LogIn:
    """The person has to log in."""

    reason: LoginReason


@dataclass(frozen=True, slots=True)
class SelectAccount:
    """The person has to say whether they go on as who they are."""


@dataclass(frozen=True, slots=True)
class AskConsent:
    """The person has to decide. `missing` are the items that nothing in force decides."""

    missing: frozenset[str]
    reason: ConsentReason


@dataclass(frozen=True, slots=True)
class RememberAnswer:
    """The person said no, or paused it, and is not asked again unless they want to be."""

    remembered: Remembered


@dataclass(frozen=True, slots=True)
class Issue:
    """Nothing is missing: the app gets its code, for these items of this consent."""

    consent: Covered


@dataclass(frozen=True, slots=True)
class Refuse:
    """The app gets an error."""

    error: OAuthError


Step = LogIn | SelectAccount | AskConsent | RememberAnswer | Issue | Refuse


def next_step(situation: Situation) -> Step:
    """The next step. Under `prompt=none`, whatever would need a person becomes the error that says so."""
    step = _step(situation)
    return _silenced(step) if "none" in situation.prompt else step


def _step(situation: Situation) -> Step:
    essential = situation.essential_acr
    if essential and not essential & situation.reachable_acr:
        return Refuse(UnmetAuthenticationRequirements("none of the essential acr values can be reached here"))
    person = situation.person
    if person is None:
        return LogIn(LoginReason.NOBODY)
    if situation.progress.logged_in:
        # They have just logged in for this: asking once more would go round in circles.
        refusal = _still_wrong(situation, person)
        if refusal is not None:
            return refusal
    else:
        reason = _reason_to_log_in(situation, person)
        if reason is not None:
            return LogIn(reason)
        if "select_account" in situation.prompt and not situation.progress.account_confirmed:
            return SelectAccount()
    step = _ask_or_issue(situation)
    if isinstance(step, AskConsent) and situation.remembered is not None:
        return RememberAnswer(situation.remembered)
    return step


def _reason_to_log_in(situation: Situation, person: Person) -> LoginReason | None:
    if "login" in situation.prompt:
        return LoginReason.PROMPT
    if not person.is_expected:
        return LoginReason.OTHER_PERSON
    age = (situation.now - person.auth_time).total_seconds()
    if situation.max_age is not None and age > situation.max_age:
        return LoginReason.TOO_LONG_AGO
    # max_age=0 is prompt=login in other words, also in the very second of an earlier login.
    if situation.max_age == 0:
        return LoginReason.TOO_LONG_AGO
    if situation.essential_acr and person.acr not in situation.essential_acr:
        return LoginReason.STRONGER
    return None


def _still_wrong(situation: Situation, person: Person) -> Refuse | None:
    if not person.is_expected:
        return Refuse(LoginRequired("another person logged in than the one who was asked for"))
    if situation.essential_acr and person.acr not in situation.essential_acr:
        return Refuse(UnmetAuthenticationRequirements("the login did not reach an essential acr value"))
    return None


def _ask_or_issue(situation: Situation) -> Step:
    consent = situation.consent
    if not isinstance(consent, Covered):
        return AskConsent(consent.missing if consent is not None else frozenset(), ConsentReason.UNCOVERED)
    if situation.progress.consented:
        return Issue(consent)
    if "consent" in situation.prompt:
        return AskConsent(frozenset(), ConsentReason.PROMPT)
    if situation.asks_every_time:
        return AskConsent(frozenset(), ConsentReason.EVERY_TIME)
    return Issue(consent)


def _silenced(step: Step) -> Issue | Refuse:
    """Spec: OpenID Connect Core §3.1.2.6."""
    if isinstance(step, (Issue, Refuse)):
        return step
    if isinstance(step, LogIn):
        return Refuse(LoginRequired("the person would have to log in"))
    if isinstance(step, SelectAccount):
        return Refuse(AccountSelectionRequired("the person would have to choose an account"))
    return Refuse(ConsentRequired("the person would have to agree"))
