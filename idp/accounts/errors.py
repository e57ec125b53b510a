"""What is refused about accounts, in words for the person who asked."""

from idp.errors import PageRefusal


class AccountRefused(PageRefusal):
    """The account cannot be made, found or changed like this; the message says why."""


class WeakPassword(AccountRefused):
    """The password is too easily guessed, or cannot be one. The message says what to do instead."""


class ProfileRefused(AccountRefused):
    """The profile has an unknown claim, or one of a wrong type."""
