"""Everything that decides the next step, read from where it is kept."""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from consent.coverage import Ask, Covered, Standing, Uncovered, covers, widen
from consent.decisions import paused_at, remembered_refusal
from consent.decisions import standing as standing_of
from consent.purposes import PurposeVersionView
from idp.authorize.asked import Asked, essential_acr, is_expected_subject, read_asked
from idp.authorize.parameters import AuthorizationRequest
from idp.clients.registry import RegisteredClient
from idp.interaction.models import Interaction
from idp.interaction.steps import Answered, AskConsent, Person, Progress, Remembered, Situation, next_step
from idp.login.factors.verified import ACR_VALUES
from idp.provider import Provider
from idp.tokens.codes import AuthenticatedPerson


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """A request, who is there, and how they stand to each other."""

    request: AuthorizationRequest
    client: RegisteredClient
    person: AuthenticatedPerson | None
    version: PurposeVersionView
    ask: Ask
    standing: Standing | None
    situation: Situation

    def ask_in_full(self) -> Ask:
        """What to ask the person for: with what they decided before, which a new decision would otherwise drop."""
        return widen(self.standing, self.ask, self.situation.now)


async def gather(
    provider: Provider,
    session: AsyncSession,
    request: AuthorizationRequest,
    client: RegisteredClient,
    person: AuthenticatedPerson | None,
    *,
    interaction: Interaction | None = None,
    now: datetime,
) -> Gathered:
    """The situation of a request, one that has just arrived or one that is under way.

    Errors: `unauthorized_client`, `invalid_authorization_details` when its purpose cannot be asked for.
    """
    asked = await read_asked(session, provider.purposes, request, client, now=now)
    standing: Standing | None = None
    if person is not None:
        standing = await standing_of(
            session,
            subject_id=person.account_id,
            client_id=client.client_id,
            purpose_id=asked.ask.purpose_id,
        )
    gathered = weigh(provider, request, client, person, asked, standing, interaction=interaction, now=now)
    if person is None or not isinstance(next_step(gathered.situation), AskConsent):
        return gathered
    remembered = await recall(session, person, client, asked, standing, now=now)
    return replace(gathered, situation=replace(gathered.situation, remembered=remembered))


async def recall(
    session: AsyncSession,
    person: AuthenticatedPerson,
    client: RegisteredClient,
    asked: Asked,
    standing: Standing | None,
    *,
    now: datetime,
) -> Remembered | None:
    """What the person said before, that an app does not ask away by asking again: a pause, or a no to this version."""
    if standing is not None and standing.status == "paused" and not standing.is_over(now):
        at = await paused_at(session, standing.consent_id)
        return Remembered(
            answered=Answered.PAUSED, consent_id=standing.consent_id, at=at or now, until=standing.valid_until
        )
    refusal = await remembered_refusal(
        session,
        subject_id=person.account_id,
        client_id=client.client_id,
        purpose_version_id=asked.version.id,
        now=now,
    )
    if refusal is None:
        return None
    return Remembered(answered=Answered.REFUSED, consent_id=refusal.consent_id, at=refusal.at, until=refusal.until)


def weigh(
    provider: Provider,
    request: AuthorizationRequest,
    client: RegisteredClient,
    person: AuthenticatedPerson | None,
    asked: Asked,
    standing: Standing | None,
    *,
    interaction: Interaction | None = None,
    now: datetime,
) -> Gathered:
    """The situation that these facts make, however they were read."""
    consent = covers(standing, asked.ask, now) if person is not None else None
    situation = Situation(
        now=now,
        person=_person(provider, request, client, person),
        consent=consent,
        progress=progress_of(interaction, person, consent),
        prompt=request.prompt,
        max_age=request.max_age if request.max_age is not None else client.default_max_age,
        essential_acr=essential_acr(request),
        reachable_acr=frozenset(ACR_VALUES),
        asks_every_time=could_be_an_impostor(client, request.redirect_uri),
    )
    return Gathered(
        request=request,
        client=client,
        person=person,
        version=asked.version,
        ask=asked.ask,
        standing=standing,
        situation=situation,
    )


def progress_of(
    interaction: Interaction | None, person: AuthenticatedPerson | None, consent: Covered | Uncovered | None
) -> Progress:
    """What this person, in this session, did in this interaction.

    What was done in another session, or led to another consent than the one in force, was done by or for somebody else.
    """
    if interaction is None or person is None or interaction.session_id != person.session_id:
        return Progress()
    return Progress(
        logged_in=interaction.logged_in_at is not None,
        account_confirmed=interaction.account_confirmed_at is not None,
        consented=(
            interaction.consented_at is not None
            and isinstance(consent, Covered)
            and consent.consent_id == interaction.consent_id
        ),
    )


def could_be_an_impostor(client: RegisteredClient, redirect_uri: str) -> bool:
    """Whether another app could be answered in this one's name, so that an earlier consent proves nothing.

    A public client proves nothing about itself. What remains is where its answers go: an https address is its own,
    while any app on a device can take a custom scheme or a loopback port. Nor does it help when nobody has looked at
    who runs it.
    Spec: RFC 6749 §10.2; RFC 8252 §8.6; RFC 9700 §4.1.1.
    """
    return client.is_public and not (client.verified and redirect_uri.startswith("https://"))


def _person(
    provider: Provider,
    request: AuthorizationRequest,
    client: RegisteredClient,
    person: AuthenticatedPerson | None,
) -> Person | None:
    if person is None:
        return None
    subject = provider.subjects.sub_for(person.account_id, client)
    return Person(auth_time=person.auth_time, acr=person.acr, is_expected=is_expected_subject(subject, request))
