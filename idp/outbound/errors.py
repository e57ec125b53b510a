"""Why something could not be fetched: a word that anybody may read, and a detail that only the log has."""

from typing import Final

# What may be told to whoever registered the address. "Unreachable" is one word for a name that does not resolve, an
# address that is not allowed, a port that is shut and a certificate that is wrong: telling them apart would map the
# networks behind the provider for whoever asks.
REASONS: Final = {
    "not_an_address": "this is not an https address that can be sent to",
    "unreachable": "the endpoint could not be reached",
    "too_slow": "the endpoint did not answer in time",
    "too_large": "the endpoint's answer is too large",
    "redirected": "the endpoint redirects; redirects are not followed",
    "unreadable": "the endpoint's answer cannot be read",
}


class FetchRefused(Exception):
    """Nothing was fetched. `reason` is one of `REASONS`; `detail` is for the log."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(REASONS[reason])
        self.reason = reason
        self.detail = detail

    @property
    def told(self) -> str:
        """The sentence that may be shown."""
        return REASONS[self.reason]
