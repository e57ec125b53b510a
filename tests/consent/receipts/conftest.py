"""A log that runs, a consent in it, and what its receipts are made with."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from consent.log.publish import PublishedLog
from consent.log.store import replace_note
from consent.log.verify import Trust
from consent.purposes import PurposeVersionView
from consent.receipts.compose import Addresses
from consent.receipts.keys import ensure_receipt_key, receipt_jwks
from consent.receipts.receipt import IssuedReceipt, events_up_to, prove, sign_receipt
from idp.database import Database
from keys.entropy import Entropy
from tests.consent.log.growing import WITNESSES
from tests.consent.log.running import RunningLog, open_log
from tests.consent.registry import grant_to
from tests.support.clock import FakeClock

ADDRESSES = Addresses(base="https://idp.test")
POLICY = (
    f"witness bpk {WITNESSES[0].vkey}\nwitness uni {WITNESSES[1].vkey}\nwitness press {WITNESSES[2].vkey}\n"
    "group two 2 bpk uni press\nquorum two\n"
)


@dataclass
class Office:
    """Where receipts are made."""

    database: Database
    running: RunningLog
    clock: FakeClock
    entropy: Entropy

    @property
    def log(self) -> PublishedLog:
        """The log, as everybody may see it."""
        return self.running.published

    async def receipt(self, consent_id: str, seq: int | None = None) -> IssuedReceipt:
        """The receipt of a consent's newest event, or of event `seq`."""
        async with self.database.transaction() as session:
            await ensure_receipt_key(session, now=self.clock())
            events = await events_up_to(session, consent_id, seq)
            signed = await sign_receipt(
                session,
                events,
                addresses=ADDRESSES,
                origin=self.log.keys.origin,
                now=self.clock(),
                entropy=self.entropy,
            )
        return await prove(signed, self.log)

    async def trust_data(self) -> bytes:
        """What `/log/trust.json` says."""
        async with self.database.reading() as session:
            return json.dumps(self.log.trust(await receipt_jwks(session))).encode()

    async def trust(self) -> Trust:
        """The same, read."""
        return Trust.parse(await self.trust_data())

    async def sequence(self, *, witnesses: int = 2) -> None:
        """Gives every waiting event its place, and lets so many witnesses see the tree."""
        await self.running.sequence()
        newest = await self.running.newest()
        signatures = [witness.sign(newest.note.text, now=self.clock()) for witness in WITNESSES[:witnesses]]
        if signatures:
            note = newest.note.signed_also(signatures)
            async with self.database.transaction() as session:
                assert await replace_note(session, newest, note, cosigned_at=self.clock())


def file_of(receipt: IssuedReceipt, /, **changed: Any) -> bytes:
    """The receipt's file, with members changed."""
    return json.dumps({**receipt.file(), **changed}).encode()


@pytest.fixture
def office(database: Database, clock: FakeClock, entropy: Entropy, tmp_path: Path) -> Office:
    """The office."""
    return Office(database, open_log(database, tmp_path, clock, policy=POLICY), clock, entropy)


@pytest.fixture
async def given(database: Database, version: PurposeVersionView, clock: FakeClock, entropy: Entropy) -> str:
    """A consent of Siti's: name and email agreed to, gender refused."""
    async with database.transaction() as session:
        return await grant_to(session, version, now=clock(), entropy=entropy)
