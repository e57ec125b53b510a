"""Whether consents to an earlier version may hold for a new one: only where the new one takes no more.

A version that claims it is compared with each version it names, member by member. What widens is refused: people who
agreed to less would find themselves having agreed to more.
Spec: Law 27/2022 (UU PDP) article 21(2) (tell people before a change); GovStack Consent BB (compatibleWithVersion).
"""

from collections.abc import Callable
from typing import Final

from consent.purpose_draft import Draft

Widening = Callable[[Draft, Draft], str | None]


def asks_for_more_items(earlier: Draft, later: Draft) -> str | None:
    """An item that nobody was asked about."""
    new = {item.claim for item in later.items} - {item.claim for item in earlier.items}
    return f"it asks for {min(new)} besides" if new else None


def needs_what_could_be_refused(earlier: Draft, later: Draft) -> str | None:
    """Whoever refused an item has not agreed to a version that needs it."""
    optional = {item.claim for item in earlier.items if not item.required}
    needed = optional & {item.claim for item in later.items if item.required}
    return f"it needs {min(needed)}, which could be refused" if needed else None


def keeps_longer(earlier: Draft, later: Draft) -> str | None:
    """Retention."""
    if later.retention_days <= earlier.retention_days:
        return None
    return f"it keeps the data for {later.retention_days} days instead of {earlier.retention_days}"


def lasts_longer(earlier: Draft, later: Draft) -> str | None:
    """The period of processing."""
    if later.validity_days <= earlier.validity_days:
        return None
    return f"it lasts {later.validity_days} days instead of {earlier.validity_days}"


def rests_on_another_basis(earlier: Draft, later: Draft) -> str | None:
    """A consent is no notice, and a notice no consent."""
    if later.legal_basis == earlier.legal_basis:
        return None
    return f"its legal basis is {later.legal_basis} instead of {earlier.legal_basis}"


def fetches_more_often(earlier: Draft, later: Draft) -> str | None:
    """Once is not again and again, and twice a month is not daily."""
    if earlier.fetch_type == "onetime":
        return "it fetches the data more than once" if later.fetch_type != "onetime" else None
    if earlier.use_limit is None or earlier.use_window_days is None or later.fetch_type == "onetime":
        return None
    if later.use_limit is None or later.use_window_days is None:
        return "it fetches the data without a limit"
    # Both the number in a window and the rate may not grow: ten in ten days is more at once than one a day.
    wider = later.use_limit > earlier.use_limit
    faster = later.use_limit * earlier.use_window_days > earlier.use_limit * later.use_window_days
    return "it fetches the data more often" if wider or faster else None


def is_for_another_purpose(earlier: Draft, later: Draft) -> str | None:
    """DPV's term is the purpose's kind."""
    if later.terms.dpv_purpose_iri == earlier.terms.dpv_purpose_iri:
        return None
    return f"its kind of purpose is {later.terms.dpv_purpose_iri} instead of {earlier.terms.dpv_purpose_iri}"


def does_more(earlier: Draft, later: Draft) -> str | None:
    """Operations, places and third parties."""
    for name, what in (
        ("processing", "it does more with the data"),
        ("storage_locations", "it stores the data elsewhere"),
        ("processing_locations", "it processes the data elsewhere"),
    ):
        more = set(getattr(later.terms, name) or ()) - set(getattr(earlier.terms, name) or ())
        if more:
            return f"{what}: {min(more)}"
    known = {recipient.names["id"] for recipient in earlier.terms.recipients or ()}
    others = {recipient.names["id"] for recipient in later.terms.recipients or ()} - known
    return f"it gives the data to {min(others)} besides" if others else None


def lifts_a_border(earlier: Draft, later: Draft) -> str | None:
    """Geographic restrictions are where the data may be at all: none means anywhere."""
    before, after = earlier.terms.geographic_restrictions, later.terms.geographic_restrictions
    if not before:
        return None
    return "it lets the data go elsewhere" if not after or set(after) - set(before) else None


WIDENINGS: Final[tuple[Widening, ...]] = (
    asks_for_more_items,
    needs_what_could_be_refused,
    keeps_longer,
    lasts_longer,
    rests_on_another_basis,
    fetches_more_often,
    is_for_another_purpose,
    does_more,
    lifts_a_border,
)


def widened(earlier: Draft, later: Draft) -> str | None:
    """The first way in which the later version takes more than the earlier one; None if it takes no more."""
    return next((why for widening in WIDENINGS if (why := widening(earlier, later)) is not None), None)
