"""Compares a presented client secret with the registered ones, taking the same time whatever is wrong.

A secret is 256 random bits, so its plain SHA-256 cannot be guessed back, and comparing hashes tells nothing about how
many first characters were right. An unknown client is compared with a hash that no secret has.
"""

import hashlib
import hmac
from typing import Final

from idp.clients.authentication.presented import Attempt, NotAuthenticated
from idp.clients.registry import RegisteredClient

NOBODYS_SECRET: Final = bytes(32)


async def verify_secret(attempt: Attempt) -> RegisteredClient:
    """The client, when one of its unexpired secrets was presented. Error: `NotAuthenticated`."""
    presented = hashlib.sha256(attempt.presented.proof.encode("utf-8", "surrogatepass")).digest()
    client = attempt.client
    secrets = client.secrets if client is not None and client.secrets else ((NOBODYS_SECRET, None),)
    matched = False
    for sha256, expires_at in secrets:
        equal = hmac.compare_digest(sha256, presented)
        matched = matched or (equal and (expires_at is None or expires_at > attempt.now))
    if client is None:
        raise NotAuthenticated("unknown or disabled client")
    if not matched:
        raise NotAuthenticated("wrong or expired secret")
    return client
