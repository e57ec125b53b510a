"""The objects of the GovStack Consent Building Block, in its own words, and what ours add.

Spec: GovStack Consent Building Block API 1.1 (components). Members of ours: `DataAgreement.specification`,
`DataAgreement.dataAttributes`, `ConsentRecord.decideAt`; see docs/divergences.md.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(max_length=2000)]
Address = Annotated[str, Field(max_length=2000, pattern=r"^https://[^\s@#]+$")]


class GovStack(BaseModel):
    """An object on the wire. What it does not know it ignores, as the standard's clients send all sorts."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Individual(GovStack):
    """A person, as the calling agency knows them: `id` is the `sub` that its apps get."""

    id: Annotated[str, Field(max_length=255)] = ""
    externalId: Text | None = None
    externalIdType: Text | None = None
    identityProviderId: Text | None = None


class Controller(GovStack):
    """The agency that is responsible."""

    id: Text = ""
    name: Text = ""
    url: Text = ""


class Policy(GovStack):
    """What several data agreements refer to."""

    id: Annotated[str, Field(max_length=100)] = ""
    name: Annotated[str, Field(min_length=1, max_length=300)]
    version: Annotated[str, Field(min_length=1, max_length=100)]
    url: Address
    jurisdiction: Text | None = None
    industrySector: Text | None = None
    dataRetentionPeriodDays: Annotated[int, Field(ge=0, le=36500)] | None = None
    geographicRestriction: Text | None = None
    storageLocation: Text | None = None


class PolicyReference(GovStack):
    """A policy by its id."""

    id: Annotated[str, Field(max_length=100)] = ""


class Lifecycle(GovStack):
    """Where a data agreement is in its life: `Draft` until two people have approved it, then `Complete`."""

    id: Text = ""
    name: Text = ""


class DataAgreementAttribute(GovStack):
    """One data item of a data agreement."""

    id: Text = ""
    name: Text = ""
    sensitivity: Text = ""
    category: Text = ""


class CompatibleVersion(GovStack):
    """An earlier version, whose consents hold for the new one too."""

    version: Annotated[str, Field(pattern=r"^[0-9]{1,6}$")] = ""


class DataAgreement(GovStack):
    """A purpose, at one version. `specification` is what the law here wants said: see docs/integrate/purposes.md."""

    id: Text = ""
    version: Text = ""
    controller: Controller | None = None
    policy: Policy | PolicyReference | None = None
    purpose: Text
    lawfulBasis: Annotated[str, Field(max_length=100)]
    dataUse: Text | None = None
    dpia: Text = ""
    active: bool | None = None
    forgettable: bool | None = None
    compatibleWithVersion: CompatibleVersion | None = None
    lifecycle: Lifecycle | None = None
    dataAttributes: list[DataAgreementAttribute] | None = None
    specification: dict[str, Any] | None = None


class Revision(GovStack):
    """What one object said at one moment. `serializedHash` is a SHA-256 (the standard's SHA-1 is broken)."""

    id: str
    schemaName: str
    objectId: str
    signedWithoutObjectId: bool = False
    serializedSnapshot: str
    serializedHash: str
    timestamp: str
    authorizedByIndividual: Individual | None = None
    authorizedByOther: str | None = None
    successor: str | None = None
    predecessorHash: str | None = None
    predecessorSignature: str | None = None


class Signature(GovStack):
    """A signature over one revision: a JWS of this provider's (RFC 7515), whose payload is `payload`."""

    id: str = ""
    payload: str = ""
    signature: str = ""
    verificationMethod: str = ""
    verificationPayload: str = ""
    verificationPayloadHash: str = ""
    verificationSignedBy: str = ""
    verificationSignedAs: str | None = None
    verificationJwsHeader: str | None = None
    timestamp: str = ""
    objectType: str = "revision"
    objectReference: str = ""


class ConsentRecord(GovStack):
    """What a person decided. `decideAt` is where they decide a record that is still unsigned."""

    id: str = ""
    dataAgreement: DataAgreement | None = None
    dataAgreementRevision: Revision | None = None
    dataAgreementRevisionHash: str = ""
    individual: Individual | None = None
    optIn: bool = False
    state: Literal["unsigned", "pending more signatures", "signed"] = "unsigned"
    signature: Signature | None = None
    decideAt: str | None = None


class Webhook(GovStack):
    """Where an app wants to be told of withdrawals: its event stream. The secret is never given back."""

    id: Text = ""
    payloadUrl: Address
    contentType: Literal["application/secevent+jwt"]
    disabled: bool = False
    secretKey: Annotated[str, Field(max_length=1000)] = ""
