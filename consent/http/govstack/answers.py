"""What the GovStack endpoints take and give: envelopes around the standard's objects, under its names."""

from consent.http.govstack.schemas import (
    ConsentRecord,
    DataAgreement,
    GovStack,
    Individual,
    Policy,
    Revision,
    Signature,
    Webhook,
)


class PolicyBody(GovStack):
    """A policy to write."""

    policy: Policy


class PolicyAndRevision(GovStack):
    """A policy and the revision that it is at."""

    policy: Policy
    revision: Revision


class OnlyRevision(GovStack):
    """The revision that came of it."""

    revision: Revision


class PolicyRevisions(GovStack):
    """A policy and all its revisions (the standard's answer has only the policy)."""

    policy: Policy | None
    revisions: list[Revision]


class PolicyList(GovStack):
    """Policies."""

    policies: list[Policy]


class DataAgreementBody(GovStack):
    """A data agreement to propose."""

    dataAgreement: DataAgreement


class DataAgreementAndRevision(GovStack):
    """A data agreement and the revision that it is at."""

    dataAgreement: DataAgreement
    revision: Revision


class OnlyDataAgreement(GovStack):
    """A data agreement."""

    dataAgreement: DataAgreement


class DataAgreementList(GovStack):
    """Data agreements, under the name that the config part has for them."""

    dataAgreement: list[DataAgreement]


class DataAgreements(GovStack):
    """Data agreements, under the name that the other parts have for them."""

    dataAgreements: list[DataAgreement]


class IndividualBody(GovStack):
    """A person to look for."""

    individual: Individual


class Individuals(GovStack):
    """People."""

    individuals: list[Individual]


class OnlyConsentRecord(GovStack):
    """A consent record."""

    consentRecord: ConsentRecord


class ConsentRecordAndRevision(GovStack):
    """A consent record and its last revision."""

    consentRecord: ConsentRecord
    revision: Revision


class ConsentRecordAndSignature(GovStack):
    """A consent record and a signature."""

    consentRecord: ConsentRecord
    signature: Signature


class ConsentRecordSigned(GovStack):
    """A consent record with its last revision and the signature over it."""

    consentRecord: ConsentRecord
    revision: Revision
    signature: Signature


class ConsentRecordBody(GovStack):
    """A consent record to change."""

    consentRecord: ConsentRecord


class ConsentRecords(GovStack):
    """Consent records."""

    consentRecords: list[ConsentRecord]


class SignatureBody(GovStack):
    """A signature."""

    signature: Signature


class WebhookBody(GovStack):
    """A webhook."""

    webhook: Webhook


class Webhooks(GovStack):
    """Webhooks."""

    webhooks: list[Webhook]
