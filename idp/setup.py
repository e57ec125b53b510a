"""What must exist before the provider can answer: its key ring and its secrets."""

from datetime import datetime

import consent.log.keys
from consent.receipts.keys import ensure_receipt_key
from idp.database import Database
from idp.provider import load_master_key
from idp.settings import Settings
from keys.entropy import Entropy
from keys.ring import ensure_ring, ensure_secret, list_keys
from keys.sealing import MasterKey

ALGORITHMS = ("ES256", "RS256", "PS256", "EdDSA", "Ed25519")
SECRETS = ("pairwise", "refresh", *consent.log.keys.SECRETS)


async def prepare_keys(database: Database, settings: Settings, *, now: datetime, entropy: Entropy) -> bool:
    """Makes the master key (development only), the signing keys and the named secrets that are missing.

    In production the operator brings the master key: one made here, next to the database it protects, protects nothing.
    """
    missing = settings.master_key is None and not settings.master_key_path.exists()
    if missing and settings.mode == "development":
        MasterKey.generate(entropy).save(settings.master_key_path)
    master = load_master_key(settings)
    async with database.transaction() as session:
        before = len(await list_keys(session))
        await ensure_ring(session, master, algs=ALGORITHMS, now=now, entropy=entropy)
        for name in SECRETS:
            await ensure_secret(session, master, name, now=now, entropy=entropy)
        await ensure_receipt_key(session, now=now)
        return len(await list_keys(session)) > before
