"""What must hold in the database at any moment, whatever was killed: read in SQL, past the product's own functions."""

from collections.abc import Iterable
from dataclasses import dataclass, fields

from sqlalchemy import select

from consent.event_store import EVENT_COLUMNS, read_events
from consent.events import Event, Intact, rebuild, verify_chain
from consent.models import ConsentEvent, ConsentRecord, ShownText
from consent.statuses import CURRENT
from idp.audit import AuditEvent
from idp.database import Database
from idp.tokens.models import AccessToken, Authorization, RefreshToken
from keys.entropy import sha256


@dataclass(frozen=True)
class Found:
    """How much was looked at."""

    consents: int
    events: int
    authorizations: int
    access_tokens: int
    refresh_tokens: int

    def __str__(self) -> str:
        return ", ".join(f"{getattr(self, field.name)} {field.name}" for field in fields(self))


async def check_invariants(database: Database, *, codes: Iterable[str] = ()) -> Found:
    """Every invariant. `codes` are those that browsers were given: each must be there."""
    async with database.reading() as session:
        consents = (await session.execute(select(*ConsentRecord.__table__.columns))).all()
        rows = await session.execute(select(*EVENT_COLUMNS).order_by(ConsentEvent.consent_id, ConsentEvent.seq))
        stories: dict[str, list[Event]] = {}
        for event in await read_events(session, rows):
            stories.setdefault(event.consent_id, []).append(event)
        texts = set(await session.scalars(select(ShownText.sha256)))
        audited = (await session.execute(select(AuditEvent.kind, AuditEvent.detail))).all()
        authorizations = (await session.execute(select(*Authorization.__table__.columns))).all()
        access = (await session.execute(select(*AccessToken.__table__.columns))).all()
        refresh = (await session.execute(select(*RefreshToken.__table__.columns))).all()

    by_id = {row.id: row for row in consents}
    assert stories.keys() == by_id.keys(), "a consent without events, or events without a consent"
    for row in consents:
        story = stories[row.id]
        assert isinstance(verify_chain(story, expected_last_seq=row.last_seq), Intact), row.id
        projected = rebuild(story)
        for name in projected.__dataclass_fields__:
            stored = getattr(row, name)
            assert getattr(projected, name) == (tuple(stored) if isinstance(stored, list) else stored), (row.id, name)
        assert story[0].text_sha256 in texts, "a decision without the text that was shown"
    in_force = [(row.subject_id, row.client_id, row.purpose_id) for row in consents if row.status in CURRENT]
    assert len(set(in_force)) == len(in_force), "two consents in force for one thing"
    granted = {detail["consent_id"] for kind, detail in audited if kind == "consent.granted"}
    assert granted == {row.id for row in consents if row.status != "refused"}, "audit and consents tell two stories"

    families = {row.id: row for row in authorizations}
    for row in authorizations:
        consent = by_id.get(row.consent_id)
        assert consent is not None, "an authorization without its consent"
        assert (consent.subject_id, consent.client_id) == (row.account_id, row.client_id)
    for token in [*access, *refresh]:
        if token.authorization_id is not None:
            assert families[token.authorization_id].redeemed_at is not None, "a token of a code that was not redeemed"
    for row in authorizations:
        links = [link for link in refresh if link.authorization_id == row.id]
        if row.redeemed_at is not None and row.offline and row.revoked_at is None and links:
            assert sum(link.rotated_at is None for link in links) == 1, "a family with two heads, or none"
    kept = {row.code_sha256 for row in authorizations}
    lost = [code for code in codes if sha256(code.encode()) not in kept]
    assert not lost, f"{len(lost)} codes that browsers were given are not there"
    return Found(len(consents), sum(map(len, stories.values())), len(authorizations), len(access), len(refresh))
