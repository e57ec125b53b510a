"""What is said about uses on the wire: reports, their results, and what is hidden or missing."""

from collections.abc import Mapping
from datetime import UTC
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic.json_schema import SkipJsonSchema

from consent.uses.report import OTHER_BASES, Delay, Fault, ReportedUse

MOST_USES: Final = 1000


def _only_text(value: Any) -> Any:
    # A number would be taken for seconds since 1970.
    if not isinstance(value, str):
        raise ValueError("a moment is written as 2026-11-24T00:00:00Z")  # noqa: TRY004 - pydantic reports this kind
    return value


Word = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,200}$")]
Sub = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,255}$")]
ClientId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._~:/-]{1,200}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.-]{0,39}$")]
RowId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Line = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,200}$")]
Citation = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{10,500}$")]
Moment = Annotated[AwareDatetime, BeforeValidator(_only_text), Field(strict=False)]

_BY_CONSENT: Final[dict[str, Any]] = {
    "reference": "2026-11-24/000017",
    "sub": "Gk0r8YV1nXbT2cQ5mZ4pWfLs7uHjRa9dEoKiCyBvNx3",
    "client_id": "sehat",
    "at": "2026-11-24T03:12:09Z",
    "action": "lookup",
    "items": ["urn:satupintu:data:dukcapil:family_card"],
    "purpose": "kunjungan-puskesmas",
    "token_id": "q7Jp3mV0Rk2xYb1c",
    "system": "SIAK",
}
_BY_LAW: Final[dict[str, Any]] = {
    "reference": "2026-11-24/000018",
    "sub": "Gk0r8YV1nXbT2cQ5mZ4pWfLs7uHjRa9dEoKiCyBvNx3",
    "client_id": "sehat",
    "at": "2026-11-24T03:14:30Z",
    "action": "lookup",
    "items": ["urn:satupintu:data:dukcapil:family_card"],
    "legal_basis": "legal_obligation",
    "legal_citation": "UU 8/1981 pasal 7 ayat (1) huruf j",
    "officer": "198703122011011004",
    "reason": "penyidikan",
    "delay": {"until": "2027-02-01T00:00:00Z", "basis": "UU 27/2022 pasal 15 ayat (1) huruf b"},
}


class DelayOfUse(BaseModel):
    """From when on the person may see the use, and by which law so late. It is counted in public until then."""

    model_config = ConfigDict(extra="forbid", strict=True)

    until: Moment = Field(description="at most 180 days from now")
    basis: Citation

    def delay(self) -> Delay:
        """As the record takes it."""
        return Delay(until=self.until.astimezone(UTC), basis=self.basis)


class UseReport(BaseModel):
    """One use. The person is named by the `sub` by which the receiving app, `client_id`, knows them.

    It has a basis: a consent that stood at that moment (named by `consent_id` or `purpose`, or the one there is), or
    else `legal_basis` with the article (`legal_citation`). `token_id` (the access token's `jti`) and `check` (the
    `reference` of a check's answer) say what it was done upon, and close that gap in the reconciliation.
    """

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [_BY_CONSENT, _BY_LAW]})

    reference: Word = Field(description="the agency's own; the same again is the same use")
    sub: Sub
    client_id: ClientId
    at: Moment = Field(description="when the data was given, within the last 90 days")
    action: Name
    items: Annotated[list[Word], Field(min_length=1, max_length=100)]
    consent_id: RowId | SkipJsonSchema[None] = None
    purpose: Word | SkipJsonSchema[None] = Field(default=None, description="the purpose's code")
    legal_basis: Annotated[str, Field(json_schema_extra={"enum": list(OTHER_BASES)})] | SkipJsonSchema[None] = None
    legal_citation: Citation | SkipJsonSchema[None] = None
    token_id: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,64}$")] | SkipJsonSchema[None] = None
    check: RowId | SkipJsonSchema[None] = None
    system: Line | SkipJsonSchema[None] = None
    officer: Line | SkipJsonSchema[None] = Field(default=None, description="the agency's own reference")
    reason: Line | SkipJsonSchema[None] = None
    delay: DelayOfUse | SkipJsonSchema[None] = None

    @model_validator(mode="after")
    def _cites_what_it_names(self) -> "UseReport":
        if self.legal_basis is not None and self.legal_basis not in OTHER_BASES:
            raise ValueError("legal_basis is a basis other than consent")
        if (self.legal_basis is None) != (self.legal_citation is None):
            raise ValueError("a basis other than consent has its article: legal_basis and legal_citation go together")
        if self.legal_basis is not None and (self.consent_id is not None or self.purpose is not None):
            raise ValueError("say either the consent or another basis")
        return self

    def reported(self) -> ReportedUse:
        """As the record takes it."""
        said = self.model_dump(exclude={"at", "items", "delay"})
        return ReportedUse(
            **said,
            at=self.at.astimezone(UTC),
            items=tuple(self.items),
            delay=self.delay.delay() if self.delay is not None else None,
        )


class UsesReport(BaseModel):
    """A batch of uses."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"uses": [_BY_CONSENT, _BY_LAW]}]}
    )

    uses: Annotated[list[UseReport], Field(min_length=1, max_length=MOST_USES)]


class UseResult(BaseModel):
    """One use's result. `known`: it was reported before. A refused use that has an `id` had no basis, and is kept."""

    reference: str
    status: Literal["recorded", "known", "refused"]
    id: str | SkipJsonSchema[None] = None
    error: str | SkipJsonSchema[None] = Field(default=None, json_schema_extra={"enum": [str(one) for one in Fault]})
    error_description: str | SkipJsonSchema[None] = None


class UsesAnswer(BaseModel):
    """The results, in the order of the uses. The same batch again has the same answer."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "batch": "01936f0d-1a2b-7e44-9c1f-5d2e7f1c0b62",
                    "accepted": 1,
                    "results": [
                        {
                            "reference": "2026-11-24/000017",
                            "status": "recorded",
                            "id": "01936f0d-1a2c-7b10-8f3e-0d9c1a2b3c4d",
                        },
                        {
                            "reference": "2026-11-24/000018",
                            "status": "refused",
                            "error": "unknown_person",
                            "error_description": "no such person is known to this app, or not with this",
                        },
                    ],
                }
            ]
        }
    )

    batch: str
    accepted: int
    results: list[UseResult]


class DelayRenewal(BaseModel):
    """That a use stays unseen for longer: a new act, with a basis and a date of its own."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"reference": "2026-11-24/000018", "delay": _BY_LAW["delay"]}]},
    )

    reference: Word
    delay: DelayOfUse


class DelayAnswer(BaseModel):
    """The act, and from when on the person may see the use now."""

    id: str
    visible_from: str = Field(json_schema_extra={"format": "date-time"})


class HiddenUses(BaseModel):
    """How many uses an agency reported that their people may not see yet, and when the last of them may."""

    agency: str
    uses: int
    last_visible_from: str = Field(json_schema_extra={"format": "date-time"})


class HiddenAnswer(BaseModel):
    """What is hidden at this moment, by agency."""

    at: str = Field(json_schema_extra={"format": "date-time"})
    total: int
    agencies: list[HiddenUses]


class ReconciliationAnswer(BaseModel):
    """What the calling app's agency could have disclosed in a period, held against what it reported."""

    agency: str
    since: str = Field(json_schema_extra={"format": "date-time"})
    until: str = Field(json_schema_extra={"format": "date-time"})
    tokens: int = Field(description="access tokens of people for the agency's APIs")
    checks: int = Field(description="checks that were answered with yes")
    answered: int = Field(description="tokens and checks that a report names")
    gap: int = Field(description="tokens and checks that no report names")
    reported: int
    without_basis: int


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """A request body as OpenAPI has it, with every schema in its place: what it refers to would not be found."""
    schema = model.model_json_schema()
    parts = schema.pop("$defs", {})
    return {"required": True, "content": {"application/json": {"schema": _in_place(schema, parts)}}}


def _in_place(schema: Any, parts: Mapping[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_in_place(one, parts) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _in_place(parts[schema["$ref"].rpartition("/")[2]], parts)
    return {name: _in_place(value, parts) for name, value in schema.items()}
