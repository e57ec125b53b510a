"""What a person decides, written down, and what time and others do to it.

Nothing here commits. The caller's transaction carries the record, its event, its leaf and whatever depends on them, so
that no code exists without its consent and no consent without its event.

Spec: Law 27/2022 (UU PDP) articles 9, 20(2), 22, 24, 40 and 41.
"""

from consent.decisions.decision import ASSISTED, SYSTEM, Decision, How, Mandates, no_mandates
from consent.decisions.ending import expire_after_use, expire_due, invalidate, revoke, revoke_all
from consent.decisions.giving import COOL_DOWN, grant, refuse, renew, request
from consent.decisions.standing import (
    STANDING,
    STANDING_ORDER,
    Refusal,
    paused_at,
    read_standing,
    remembered_refusal,
    standing,
)
from consent.decisions.taking_back import Withdrawn, let_go, lift_refusal, pause, resume, shorten, withdraw

__all__ = [
    "ASSISTED",
    "COOL_DOWN",
    "STANDING",
    "STANDING_ORDER",
    "SYSTEM",
    "Decision",
    "How",
    "Mandates",
    "Refusal",
    "Withdrawn",
    "expire_after_use",
    "expire_due",
    "grant",
    "invalidate",
    "let_go",
    "lift_refusal",
    "no_mandates",
    "pause",
    "paused_at",
    "read_standing",
    "refuse",
    "remembered_refusal",
    "renew",
    "request",
    "resume",
    "revoke",
    "revoke_all",
    "shorten",
    "standing",
    "withdraw",
]
