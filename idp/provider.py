"""What every endpoint needs, made once at boot."""

from dataclasses import dataclass, field
from typing import Self

from starlette.requests import Request

from consent.purposes import PurposeCatalogue
from idp.accounts.passwords import Passwords
from idp.accounts.subjects import Subjects
from idp.clients.registry import ClientRegistry
from idp.clock import Clock, system_clock
from idp.database import Database
from idp.pages import Pages
from idp.settings import Settings
from idp.tokens.verified import VerifiedTokens
from keys.entropy import Entropy, SystemEntropy
from keys.ring import KeyRing, RingCache
from keys.sealing import MasterKey


@dataclass(frozen=True)
class Provider:
    """The provider's parts. Handlers read `clock` once and pass `now` down."""

    settings: Settings
    clock: Clock
    entropy: Entropy
    database: Database
    ring: RingCache
    clients: ClientRegistry
    passwords: Passwords
    subjects: Subjects
    purposes: PurposeCatalogue
    pages: Pages
    verified: VerifiedTokens = field(default_factory=VerifiedTokens, repr=False)

    @classmethod
    async def open(cls, settings: Settings, *, clock: Clock = system_clock, entropy: Entropy | None = None) -> Self:
        """Opens the database and the key ring. The database must be migrated and the ring made (`db upgrade`)."""
        database = Database(
            settings.url, pool_size=settings.database_pool_size, synchronous=settings.database_synchronous
        )
        try:
            ring = await RingCache.start(database.reading, load_master_key(settings), now=clock())
        except BaseException:
            await database.dispose()  # a wrong master key must leave no open connection behind
            raise
        return cls(
            settings=settings,
            clock=clock,
            entropy=entropy or SystemEntropy(),
            database=database,
            ring=ring,
            clients=ClientRegistry(database, max_age=settings.client_cache_seconds),
            passwords=Passwords(parallelism=settings.password_parallelism),
            subjects=Subjects(ring.ring.secret("pairwise")),
            purposes=PurposeCatalogue(),
            pages=Pages(issuer=settings.issuer, default_locale=settings.default_locale),
        )

    @property
    def keys(self) -> KeyRing:
        """The signing and verification keys and the named secrets, as last read."""
        return self.ring.ring

    async def close(self) -> None:
        """Lets go of the threads and the connections."""
        self.passwords.close()
        await self.database.dispose()


def load_master_key(settings: Settings) -> MasterKey:
    """The key that seals all others: from the environment, else from its file."""
    if settings.master_key is not None:
        return MasterKey.from_base64(settings.master_key.get_secret_value())
    return MasterKey.from_file(settings.master_key_path)


def provider_of(request: Request) -> Provider:
    """The provider that answers this request."""
    provider: Provider = request.app.state.provider
    return provider
