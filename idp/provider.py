"""What every endpoint needs, made once at boot."""

from dataclasses import dataclass, field
from typing import Self

from starlette.requests import Request

from consent.log.publish import PublishedLog
from consent.purposes import PurposeCatalogue
from consent.uses.recorder import Recorder
from consent.vault import Vault
from idp.accounts.passwords import Passwords
from idp.accounts.subjects import Subjects
from idp.clients.registry import ClientRegistry
from idp.clock import Clock, system_clock
from idp.database import Database
from idp.driver.statement import Values
from idp.outbound.fetch import Fetcher
from idp.pages import Pages
from idp.running_log import open_log, refuse_an_older_copy
from idp.settings import Settings
from idp.status_list.builds import SharedBuilds
from idp.status_list.places import Places
from idp.status_list.published import Published
from idp.tokens.verified import VerifiedTokens
from idp.uses.checked import checks_of
from idp.uses.recording import Observed, recorder_of
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
    outbound: Fetcher
    places: Places
    log: PublishedLog
    uses: Recorder[Observed]
    checks: Recorder[Values]
    status_lists: SharedBuilds[Published] = field(default_factory=SharedBuilds, repr=False)
    verified: VerifiedTokens = field(default_factory=VerifiedTokens, repr=False)

    @classmethod
    async def open(cls, settings: Settings, *, clock: Clock = system_clock, entropy: Entropy | None = None) -> Self:
        """Opens the database, the key ring and the log. The database must be migrated, the keys made (`db upgrade`).

        Errors: `RolledBack` when the database is an older copy of itself, and `LogError` on settings that do not fit.
        """
        entropy = entropy or SystemEntropy()
        outbound = Fetcher.of(settings)
        database = Database(
            settings.url,
            vault=vault_for(settings, entropy),
            pool_size=settings.database_pool_size,
            synchronous=settings.database_synchronous,
        )
        try:
            await refuse_an_older_copy(settings, database)
            ring = await RingCache.start(database.reading, load_master_key(settings), now=clock())
            published = await open_log(settings, database, ring.ring.secret)
        except BaseException:
            await database.dispose()  # a wrong master key must leave no open connection behind
            raise
        return cls(
            settings=settings,
            clock=clock,
            entropy=entropy,
            database=database,
            ring=ring,
            clients=ClientRegistry(database, max_age=settings.client_cache_seconds),
            passwords=Passwords(parallelism=settings.password_parallelism),
            subjects=Subjects(ring.ring.secret("pairwise")),
            purposes=PurposeCatalogue(),
            pages=Pages(issuer=settings.issuer, default_locale=settings.default_locale),
            outbound=outbound,
            places=Places(database.driver, entropy, token_lifetime=settings.access_token_ttl),
            log=published,
            uses=recorder_of(database.driver, entropy),
            checks=checks_of(database.driver),
        )

    @property
    def keys(self) -> KeyRing:
        """The signing and verification keys and the named secrets, as last read."""
        return self.ring.ring

    async def close(self) -> None:
        """Writes down the uses that wait, and lets go of the threads and the connections."""
        await self.uses.close()
        await self.checks.close()
        self.passwords.close()
        self.outbound.close()
        await self.database.dispose()


def load_master_key(settings: Settings) -> MasterKey:
    """The key that seals all others: from the environment, else from its file."""
    if settings.master_key is not None:
        return MasterKey.from_base64(settings.master_key.get_secret_value())
    return MasterKey.from_file(settings.master_key_path)


def vault_for(settings: Settings, entropy: Entropy) -> Vault:
    """The vault of the settings' database. Its master key is read when it is first needed."""
    return Vault(lambda: load_master_key(settings), entropy)


def provider_of(request: Request) -> Provider:
    """The provider that answers this request."""
    provider: Provider = request.app.state.provider
    return provider
