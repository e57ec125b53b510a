"""A question put to a person outside an app's request: on their dashboard, or by an officer who reads it out."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from consent.decisions import Decision
from consent.http.ports import App, Ports
from consent.notice import Notice, compose
from consent.purposes import PurposeCatalogue, PurposeVersionView


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked: which app's, about which version, in which words."""

    app: App
    version: PurposeVersionView
    notice: Notice

    @property
    def shown(self) -> str:
        """What a form carries, so that the answer is to these very words."""
        return self.notice.sha256.hex()

    async def decided_by(
        self,
        ports: Ports,
        session: AsyncSession,
        subject_id: str,
        *,
        channel: str = "web",
        acr: str | None = None,
        document_sha256: bytes | None = None,
        entered_by: str | None = None,
    ) -> Decision:
        """A person's decision about it."""
        return Decision(
            subject_id=subject_id,
            client_id=self.app.client_id,
            agency_id=self.version.agency_id,
            purpose_id=self.version.purpose_id,
            purpose_version_id=self.version.id,
            language=self.notice.language,
            channel=channel,
            acr=acr,
            subject_ref=await ports.subject_ref(session, subject_id, self.app.client_id),
            document_sha256=document_sha256,
            entered_by=entered_by,
        )


async def question_about(
    ports: Ports,
    session: AsyncSession,
    *,
    client_id: str,
    purpose_code: str,
    asked: Collection[str] | None = None,
    offline_access: bool = False,
    language: str,
    now: datetime,
) -> Question | None:
    """The question about the version in force of a purpose; nothing when the app or the purpose is not in use.

    `asked` are the items; those that the version does not have are left out, None are all.
    """
    app = await ports.app(session, client_id, language)
    version = await PurposeCatalogue().newest(session, purpose_code, now=now)
    if app is None or version is None or version.agency_id != app.agency_id:
        return None
    notice = compose(
        version,
        client_id=app.client_id,
        client_name=app.name,
        client_is_verified=app.is_verified,
        language=language,
        asked=version.claims if asked is None else version.claims.intersection(asked),
        offline_access=offline_access,
    )
    return Question(app=app, version=version, notice=notice)
