"""Every setting, read once at boot. Unsafe combinations refuse to start and say why."""

import os
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from consent.log.errors import FormatRefused
from consent.log.vkey import check_name
from idp.log_witnesses import read_witness

PREFIX = "SATUPINTU_"
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


class Settings(BaseSettings):
    """Settings come from the environment (`SATUPINTU_…`). Durations are in seconds."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    issuer: str = "http://localhost:8000"
    mode: Literal["development", "production"] = "development"
    data_dir: Path = Path("var")
    database_url: str = ""
    database_pool_size: int = Field(default=10, ge=1, le=200)
    database_synchronous: Literal["full", "normal"] = "full"
    master_key_file: Path | None = None
    master_key: SecretStr | None = None

    code_lifetime: int = Field(default=60, ge=5, le=60)
    access_token_lifetime: int = Field(default=600, ge=30, le=600)
    id_token_lifetime: int = Field(default=600, ge=30, le=3600)
    refresh_idle_lifetime: int = Field(default=30 * 86400, ge=60)
    refresh_absolute_lifetime: int = Field(default=180 * 86400, ge=60)
    refresh_retry_window: int = Field(default=10, ge=0, le=60)
    session_idle_lifetime: int = Field(default=3600, ge=60)
    session_absolute_lifetime: int = Field(default=86400, ge=60)
    interaction_lifetime: int = Field(default=1800, ge=60, le=86400)

    password_parallelism: int = Field(default=0, ge=0, description="argon2 hashes at once; 0: one for each core")
    login_failures_per_account: int = Field(default=10, ge=1)
    login_failures_per_address: int = Field(default=100, ge=1)
    login_failure_window: int = Field(default=900, ge=1)

    client_cache_seconds: int = Field(default=5, ge=0, le=60)
    jwks_max_age: int = Field(default=300, ge=0, le=86400)
    key_refresh_seconds: int = Field(default=30, ge=1, le=300)
    status_list_ttl: int = Field(default=60, ge=5, le=300)
    trusted_proxies: tuple[str, ...] = ()
    outbound_private_networks: tuple[str, ...] = ()
    outbound_ca_file: Path | None = None
    events_at_once: int = Field(default=20, ge=0, le=200, description="security events being sent at once; 0: none")
    withdrawal_suspends: bool = Field(default=True, description="a breach of the 72 hours suspends the app")
    withdrawal_contradictions: int = Field(default=3, ge=0, description="this many in 30 days suspend; 0: never")
    refusal_remembered_days: int = Field(default=90, ge=0, le=365, description="no asking again after a no; 0: ask")
    evidence_years: int = Field(default=5, ge=1, le=40, description="how long the proof of an ended consent is kept")
    use_years: int = Field(default=5, ge=1, le=40, description="how long the record of a use is kept")
    refusal_years: int = Field(default=1, ge=0, le=40, description="how long a no is kept once it is not remembered")
    erasure_wait_days: int = Field(default=30, ge=0, le=90, description="how long an erasure waits for recipients")
    max_body_bytes: int = Field(default=65536, ge=4096)
    default_locale: Literal["id", "en"] = "id"

    log_origin: str = Field(default="", max_length=200)
    log_interval_ms: int = Field(default=500, ge=20, le=60_000)
    log_state_file: Path | None = None
    log_witnesses: tuple[str, ...] = ()
    log_policy_file: Path | None = None

    @classmethod
    def from_environment(cls) -> Self:
        """The settings of the environment. Error: `ValueError`, also for a name that is no setting.

        A misspelt name would otherwise leave the default in force, and nobody would know.
        """
        ours = [name for name in os.environ if name.upper().startswith(PREFIX)]
        unknown = sorted(name for name in ours if name[len(PREFIX) :].lower() not in cls.model_fields)
        if unknown:
            raise ValueError(f"there is no setting {', '.join(unknown)}")
        return cls()

    @field_validator("issuer")
    @classmethod
    def _issuer_is_a_plain_origin_or_path(cls, issuer: str) -> str:
        parts = urlsplit(issuer)
        if parts.scheme not in {"https", "http"} or not parts.hostname:
            raise ValueError("issuer must be an http(s) address")
        if parts.query or parts.fragment or parts.username is not None or issuer.endswith("/"):
            raise ValueError("issuer must have no query, fragment, user or trailing slash")
        return issuer

    @field_validator("trusted_proxies", "outbound_private_networks")
    @classmethod
    def _are_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            ip_network(network)
        return networks

    @field_validator("log_origin")
    @classmethod
    def _log_origin_is_a_name(cls, origin: str) -> str:
        try:
            if origin:
                check_name(origin)
        except FormatRefused as refused:
            raise ValueError(refused.why) from None
        return origin

    @field_validator("log_witnesses")
    @classmethod
    def _witnesses_are_a_key_and_a_url(cls, witnesses: tuple[str, ...]) -> tuple[str, ...]:
        for witness in witnesses:
            read_witness(witness)
        return witnesses

    @model_validator(mode="after")
    def _refuse_what_is_unsafe(self) -> Self:
        parts = urlsplit(self.issuer)
        if parts.scheme == "http" and parts.hostname not in LOOPBACK_HOSTS:
            raise ValueError("an http issuer is allowed on this machine only (localhost); use https")
        if self.mode == "production":
            if parts.scheme != "https":
                raise ValueError("production needs an https issuer")
            if self.master_key is None and self.master_key_file is None:
                raise ValueError("production needs SATUPINTU_MASTER_KEY_FILE or SATUPINTU_MASTER_KEY")
            if self.url.startswith("sqlite"):
                raise ValueError("production needs PostgreSQL; SQLite is for trying")
            if any(urlsplit(read_witness(witness).url or "").scheme != "https" for witness in self.log_witnesses):
                raise ValueError("production asks witnesses over https only")
            if self.outbound_private_networks:
                raise ValueError("production sends to no private network: SATUPINTU_OUTBOUND_PRIVATE_NETWORKS is set")
        if self.use_years > self.evidence_years:
            raise ValueError("use_years must not exceed evidence_years: a use rests on its consent")
        if self.refresh_idle_lifetime > self.refresh_absolute_lifetime:
            raise ValueError("refresh_idle_lifetime must not exceed refresh_absolute_lifetime")
        return self

    @property
    def url(self) -> str:
        """The database's address; SQLite in the data folder when none is set."""
        return self.database_url or f"sqlite+aiosqlite:///{self.data_dir / 'satupintu.db'}"

    @property
    def master_key_path(self) -> Path:
        """Where the master key is read from when it is not in the environment."""
        return self.master_key_file or self.data_dir / "master.key"

    @property
    def log_name(self) -> str:
        """The log's origin, when the database has no log yet: the issuer without its scheme, and `/log`."""
        return self.log_origin or f"{self.issuer.partition('://')[2]}/log"

    @property
    def log_state_path(self) -> Path:
        """Where this host remembers the newest checkpoint that it let out."""
        return self.log_state_file or self.data_dir / "log-head"

    @property
    def access_token_ttl(self) -> timedelta:
        """How long an access token lives."""
        return timedelta(seconds=self.access_token_lifetime)
