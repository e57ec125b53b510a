"""What someone wants a purpose to say, before it is checked and written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from consent.errors import PurposeRefused
from consent.registry.terms import Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class PurposeItem:
    """One data item of a purpose: its claim, whether the purpose needs it, and why, in each language."""

    claim: str
    required: bool
    why: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A purpose version as written down by an agency.

    `use_limit` uses in `use_window_days` days at most; None: as often as the purpose needs. A `fetch_type` of
    `onetime` is one use altogether.
    """

    code: str
    texts: Mapping[str, Mapping[str, str]]
    items: tuple[PurposeItem, ...]
    legal_basis: str
    legal_citation: str
    retention_days: int
    validity_days: int
    fetch_type: str
    use_limit: int | None
    use_window_days: int | None
    terms: Terms

    @classmethod
    def read(
        cls,
        *,
        code: str,
        texts: Mapping[str, Mapping[str, str]],
        items: Sequence[PurposeItem | Mapping[str, Any]],
        legal_basis: str,
        legal_citation: str,
        retention_days: int,
        validity_days: int,
        fetch_type: str = "periodic",
        use_limit: int | None = None,
        use_window_days: int | None = None,
        terms: Terms | Mapping[str, Any] | None = None,
    ) -> Self:
        """The draft of these values; `items` and `terms` may be those of a JSON file. Error: `PurposeRefused`."""
        return cls(
            code=code,
            texts=texts,
            items=tuple(item if isinstance(item, PurposeItem) else _item(item) for item in items),
            legal_basis=legal_basis,
            legal_citation=legal_citation,
            retention_days=retention_days,
            validity_days=validity_days,
            fetch_type=fetch_type,
            use_limit=use_limit,
            use_window_days=use_window_days,
            terms=Terms.read(terms),
        )

    def as_json(self) -> dict[str, Any]:
        """The draft in plain JSON values: what is stored, and what the digest is taken of."""
        return {
            "code": self.code,
            "texts": {language: dict(texts) for language, texts in self.texts.items()},
            "items": [{"claim": item.claim, "required": item.required, "why": dict(item.why)} for item in self.items],
            "legal_basis": self.legal_basis,
            "legal_citation": self.legal_citation,
            "retention_days": self.retention_days,
            "validity_days": self.validity_days,
            "fetch_type": self.fetch_type,
            "use_limit": self.use_limit,
            "use_window_days": self.use_window_days,
            "terms": self.terms.as_json(),
        }


def _item(item: object) -> PurposeItem:
    if not isinstance(item, Mapping) or set(item) != {"claim", "required", "why"}:
        raise PurposeRefused('an item is {"claim", "required", "why"}, with nothing missing and nothing else')
    if not isinstance(item["claim"], str):
        raise PurposeRefused("an item's claim is a text")
    return PurposeItem(claim=item["claim"], required=item["required"], why=item["why"])
