"""What `consent` refuses. Its callers map these once; each says in one sentence what was wrong."""


class ConsentError(Exception):
    """Something was asked of the registry or the records that they do not allow."""


class UnknownAgency(ConsentError):
    """No agency of that id or code."""


class AgencyRefused(ConsentError):
    """The agency cannot be written like this; `why` says what to change."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class UnknownPurpose(ConsentError):
    """No purpose, or no purpose version, of that id or code."""


class PurposeRefused(ConsentError):
    """The purpose cannot be written like this; `why` says what to change."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class DecisionRefused(ConsentError):
    """The decision does not fit what was shown: it grants more, leaves something open, or answers another text."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class UnknownConsent(ConsentError):
    """No consent of that id."""


class NotYours(ConsentError):
    """The consent is another person's, or does not exist; the answer is the same, so that nobody can probe."""


class CannotFollow(ConsentError):
    """That cannot happen to a consent of this status; `kind` is the event that was wanted, `status` what it is."""

    def __init__(self, consent_id: str, kind: str, status: str) -> None:
        super().__init__(f"this consent cannot be {kind}: it is {status}")
        self.consent_id = consent_id
        self.kind = kind
        self.status = status


class NothingToWithdraw(CannotFollow):
    """The consent is not in force any more; `status` says what ended it."""


class NotAChoice(ConsentError):
    """The data flows by law and not by consent: there is nothing to take back; `legal_basis` says which basis it is."""

    def __init__(self, consent_id: str, legal_basis: str) -> None:
        super().__init__(f"this rests on {legal_basis}, not on consent: the agency's privacy contact answers for it")
        self.consent_id = consent_id
        self.legal_basis = legal_basis


class NotMandated(ConsentError):
    """Nobody gave this representative the power to decide for this person."""


class UnknownCursor(ConsentError):
    """The place to continue a list from is not one that the list gave."""


class Erased(ConsentError):
    """The person's key was destroyed: what was said of them cannot be read any more, nor anything be added."""


class UnknownAttribute(ConsentError):
    """No data item of that name."""


class AttributeRefused(ConsentError):
    """The data item cannot be registered like this; `why` says what to change."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class UnknownAgreement(ConsentError):
    """No agreement, or no agreement version, of that id or code."""


class AgreementRefused(ConsentError):
    """The agreement cannot be written like this; `why` says what to change."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class ReviewRefused(ConsentError):
    """Nobody can approve, reject or end it like this: the wrong person, the wrong moment, an answer missing."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class UnknownPolicy(ConsentError):
    """No policy, or no revision of one, of that id with this agency."""
