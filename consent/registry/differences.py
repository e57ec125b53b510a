"""What differs between two versions of a purpose, member by member: for people to read, and for machines."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from consent.purpose_draft import Draft

# What a version says once, in the order in which people are told.
_MEMBERS: Final = ("legal_basis", "legal_citation", "retention_days", "validity_days", "fetch_type")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One member that differs. `before` or `after` is None where it was not there; `language` where it is a text."""

    member: str
    before: Any
    after: Any
    language: str | None = None
    claim: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The change in plain JSON values; what does not apply is left out."""
        said = {"member": self.member, "language": self.language, "claim": self.claim}
        return {
            **{name: value for name, value in said.items() if value is not None},
            "before": self.before,
            "after": self.after,
        }


def differences(earlier: Draft, later: Draft) -> tuple[Change, ...]:
    """Everything that the later version says differently. Empty if and only if they say the same."""
    before, after = earlier.as_json(), later.as_json()
    return (
        *_texts(before, after),
        *_items(before, after),
        *(
            Change(member=name, before=before[name], after=after[name])
            for name in _MEMBERS
            if before[name] != after[name]
        ),
        *_frequency(before, after),
        *_terms(before["terms"], after["terms"]),
    )


def _texts(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for language, texts in before["texts"].items():
        for name, text in texts.items():
            other = after["texts"].get(language, {}).get(name)
            if other != text:
                yield Change(member=name, language=language, before=text, after=other)


def _items(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    earlier = {item["claim"]: item for item in before["items"]}
    later = {item["claim"]: item for item in after["items"]}
    for claim in [*earlier, *(claim for claim in later if claim not in earlier)]:
        one, other = earlier.get(claim), later.get(claim)
        if one is None or other is None:
            yield Change(member="item", claim=claim, before=_need(one), after=_need(other))
            continue
        if one["required"] != other["required"]:
            yield Change(member="required", claim=claim, before=_need(one), after=_need(other))
        for language in one["why"]:
            if one["why"][language] != other["why"].get(language):
                why = {"before": one["why"][language], "after": other["why"].get(language)}
                yield Change(member="why", claim=claim, language=language, **why)
    if list(earlier) != list(later) and set(earlier) == set(later):
        yield Change(member="order", before=list(earlier), after=list(later))


def _need(item: Mapping[str, Any] | None) -> str | None:
    return None if item is None else "required" if item["required"] else "optional"


def _frequency(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    names = ("use_limit", "use_window_days")
    one, other = ({name: says[name] for name in names} for says in (before, after))
    if one != other:
        yield Change(member="frequency", before=one, after=other)


def _terms(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name), after.get(name)
        if one == other:
            continue
        if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys() == {"id", "en"}:
            for language in one:
                if one[language] != other[language]:
                    yield Change(member=name, language=language, before=one[language], after=other[language])
        else:
            yield Change(member=name, before=one, after=other)
