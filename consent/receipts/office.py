"""Where receipts are issued: the sessions, the log and the addresses that one needs, kept together."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from consent.events import Event
from consent.log.publish import PublishedLog
from consent.receipts.compose import Addresses
from consent.receipts.errors import NoReceipt, NoReceiptKey
from consent.receipts.keys import ensure_receipt_key
from consent.receipts.receipt import IssuedReceipt, events_up_to, prove, sign_receipt
from keys.entropy import Entropy

OpensSession = Callable[[], AbstractAsyncContextManager[AsyncSession]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A receipt, and how many events its consent has by now."""

    receipt: IssuedReceipt
    events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptOffice:
    """Issues receipts to whoever may have them."""

    addresses: Addresses
    log: Callable[[], PublishedLog]
    reading: OpensSession
    transaction: OpensSession
    clock: Callable[[], datetime]
    entropy: Entropy

    async def issue(self, consent_id: str, seq: int | None = None, *, may: Callable[[Event], bool]) -> Issued:
        """The receipt of a consent's event `seq`, or of its newest one, to somebody who `may` see its events.

        Error: `NoReceipt`, the same where there is none and where it is not theirs.
        """
        try:
            issued = await self._sign(consent_id, seq, may)
        except NoReceiptKey:
            async with self.transaction() as session:
                await ensure_receipt_key(session, now=self.clock())
            issued = await self._sign(consent_id, seq, may)
        # Only now, for the log reads by sessions of its own: two at once for each reader could take them all.
        return Issued(receipt=await prove(issued.receipt, self.log()), events=issued.events)

    async def _sign(self, consent_id: str, seq: int | None, may: Callable[[Event], bool]) -> Issued:
        async with self.reading() as session:
            every = await events_up_to(session, consent_id)
            if not may(every[-1]):
                raise NoReceipt("there is no such consent or event")
            events = every if seq is None else every[:seq]
            if seq is not None and not 1 <= seq <= len(every):
                raise NoReceipt("there is no such consent or event")
            receipt = await sign_receipt(
                session,
                events,
                addresses=self.addresses,
                origin=self.log().keys.origin,
                now=self.clock(),
                entropy=self.entropy,
            )
        return Issued(receipt=receipt, events=len(every))
