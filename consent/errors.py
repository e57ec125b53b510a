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


class NothingToWithdraw(ConsentError):
    """The consent is not in force any more; `status` says what ended it."""

    def __init__(self, consent_id: str, status: str) -> None:
        super().__init__(f"this consent is not in force: it is {status}")
        self.consent_id = consent_id
        self.status = status


class UnknownCursor(ConsentError):
    """The place to continue a list from is not one that the list gave."""
