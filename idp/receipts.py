"""Where receipts are issued, filled from the provider that the application will have once it has started."""

from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from consent.receipts.compose import Addresses
from consent.receipts.office import ReceiptOffice
from idp.provider import Provider
from idp.settings import Settings
from keys.entropy import Entropy, SystemEntropy


def receipt_office(app: FastAPI, settings: Settings, *, entropy: Entropy | None = None) -> ReceiptOffice:
    """The office of this application."""

    def provider() -> Provider:
        opened: Provider = app.state.provider
        return opened

    def transaction() -> AbstractAsyncContextManager[AsyncSession]:
        return provider().database.transaction()

    def reading() -> AbstractAsyncContextManager[AsyncSession]:
        return provider().database.reading()

    return ReceiptOffice(
        addresses=Addresses(base=settings.issuer),
        log=lambda: provider().log,
        reading=reading,
        transaction=transaction,
        clock=lambda: provider().clock(),
        entropy=entropy or SystemEntropy(),
    )
