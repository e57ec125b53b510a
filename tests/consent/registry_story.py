"""Steps of the registry for tests that look at each of them: who proposes, who approves, what is then there."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from consent.log.models import LogEntry
from consent.purposes import PurposeVersionView, purpose_version, versions_of
from consent.registry.agreements import AgreementVersionView
from consent.registry.attributes import register_attribute
from consent.registry.events import PURPOSE_VERSION, RegistryEntry, events_of
from consent.registry.people import Person
from consent.registry.review import Review
from consent.registry.versions import approve, propose_version
from idp.database import Database
from keys.entropy import Entropy
from tests.consent.registry import a_purpose, write_agency
from tests.support.clock import FakeClock
from tests.support.purposes import AGENCYS_REVIEWER, OPERATORS_REVIEWER, PROPOSER, TERMS, a_review, active_agreement

FAMILY_CARD = "urn:satupintu:data:dukcapil:family_card_number"


@dataclass(frozen=True)
class Story:
    """A registry with one agency in a test's database. Every step is a transaction of its own, a minute later."""

    database: Database
    clock: FakeClock
    entropy: Entropy
    agency_id: str

    async def propose(
        self, *, by: Person | str = PROPOSER, terms: dict[str, Any] | None = None, **changes: Any
    ) -> PurposeVersionView:
        """A version, proposed (or, with `draft=True`, only written down)."""
        draft = changes.pop("draft", False)
        compatible_with = changes.pop("compatible_with", None)
        agency_id = changes.pop("agency_id", self.agency_id)
        async with self.database.transaction() as session:
            return await propose_version(
                session,
                agency_id=agency_id,
                **a_purpose(**changes),
                terms={**TERMS, **(terms or {})},
                compatible_with=compatible_with,
                proposed_by=by,
                draft=draft,
                now=self.clock.advance(60),
                entropy=self.entropy,
            )

    async def approve(
        self, version: PurposeVersionView, *, side: str = "agency", by: Person | str = AGENCYS_REVIEWER, **review: Any
    ) -> PurposeVersionView:
        """One side's approval."""
        answered: Review = a_review(**review)
        async with self.database.transaction() as session:
            return await approve(
                session, version.id, side=side, by=by, review=answered, now=self.clock.advance(60), entropy=self.entropy
            )

    async def activate(self, version: PurposeVersionView, **review: Any) -> PurposeVersionView:
        """Both sides' approvals."""
        await self.approve(version, **review)
        return await self.approve(version, side="operator", by=OPERATORS_REVIEWER, **review)

    async def provider(self) -> str:
        """Another agency, which holds the family card's number. Returns its id."""
        now = self.clock.advance(60)
        async with self.database.transaction() as session:
            agency_id = await write_agency(session, now=now, entropy=self.entropy, code="dukcapil")
            await register_attribute(
                session,
                source_agency_id=agency_id,
                name="family_card_number",
                labels={"id": "Nomor kartu keluarga", "en": "Family card number"},
                category="family",
                dpv_iri="https://w3id.org/dpv/pd#OfficialID",
                now=now,
                entropy=self.entropy,
            )
        return agency_id

    async def agree(self, version: PurposeVersionView, provider_id: str, **changes: Any) -> AgreementVersionView:
        """An agreement in force for what the version asks of the provider."""
        async with self.database.transaction() as session:
            return await active_agreement(
                session,
                version=version,
                provider_agency_id=provider_id,
                now=self.clock.advance(60),
                entropy=self.entropy,
                **changes,
            )

    async def read(self, version: PurposeVersionView) -> PurposeVersionView:
        """The version as it is now."""
        async with self.database.reading() as session:
            return await purpose_version(session, version.id)

    async def versions(self, code: str = "kunjungan") -> list[tuple[int, str]]:
        """Every version's number and status, oldest first."""
        async with self.database.reading() as session:
            return [(one.version, one.status) for one in reversed(await versions_of(session, code))]

    async def events(self, object_id: str, kind: str = PURPOSE_VERSION) -> list[RegistryEntry]:
        """What happened to a thing."""
        async with self.database.reading() as session:
            return await events_of(session, kind, object_id)

    async def leaf(self, event: RegistryEntry) -> LogEntry | None:
        """What the log has of an event."""
        async with self.database.reading() as session:
            return (await session.scalars(select(LogEntry).where(LogEntry.id == event.id))).one_or_none()
