"""Whether a decision answers what was shown. Pure; nothing is written before all of it holds.

The form that carries a decision comes from the browser: whoever holds the browser can put anything in it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from consent.errors import DecisionRefused
from consent.notice import Notice
from consent.purposes import PurposeVersionView

if TYPE_CHECKING:
    from consent.decisions.decision import Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a decision is about: the version, the notice of it, and who decides."""

    version: PurposeVersionView
    notice: Notice
    who: "Decision"


def check_grant(shown: Shown, *, granted: frozenset[str], refused: frozenset[str], offline_access: bool) -> None:
    """Error: `DecisionRefused` unless every shown item is decided, the needed ones are granted, and no other is."""
    _check_notice(shown)
    _check_items(shown, granted | refused)
    if granted & refused:
        raise DecisionRefused(f"{min(granted & refused)} is both granted and refused")
    withheld = shown.notice.required - granted
    if withheld:
        raise DecisionRefused(f"{min(withheld)} is required")
    undecided = shown.notice.claims - granted - refused
    if undecided:
        raise DecisionRefused(f"{min(undecided)} is not decided")
    if offline_access and shown.notice.offline_access is None:
        raise DecisionRefused("offline access was not shown")


def check_refusal(shown: Shown, *, refused: frozenset[str]) -> None:
    """Error: `DecisionRefused` unless only shown items are refused."""
    _check_notice(shown)
    _check_items(shown, refused)


def _check_notice(shown: Shown) -> None:
    version, notice, who = shown.version, shown.notice, shown.who
    for what, decided, expected in (
        ("agency", who.agency_id, version.agency_id),
        ("purpose", who.purpose_id, version.purpose_id),
        ("purpose version", notice.purpose_version_id, version.id),
        ("purpose's text", notice.purpose_digest, version.digest.hex()),
        ("app", notice.client_id, who.client_id),
        ("language", notice.language, who.language),
    ):
        if decided != expected:
            raise DecisionRefused(f"the {what} is not the one that was shown")


def _check_items(shown: Shown, decided: frozenset[str]) -> None:
    beyond = decided - (shown.notice.claims & shown.version.claims)
    if beyond:
        raise DecisionRefused(f"{min(beyond)} was not shown")
