"""The recorder of what goes out at userinfo: one statement for all requests that wait."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from consent.gate import Facts, Permit
from consent.log.entry import Kind
from consent.uses.disclosure import OBSERVED, Disclosure, Written, write
from consent.uses.recorder import Recorder
from idp.driver.statement import Batch, Driver
from idp.uses.tables import CONSENTS, LOG_ENTRIES, PERMITS, USES
from keys.entropy import Entropy, new_row_id
from keys.personal import PersonalKey

USERINFO: Final = "userinfo"

_OBSERVED: Final = Batch(
    tables=(USES, LOG_ENTRIES),
    fixed={
        "evidence": OBSERVED,
        "action": USERINFO,
        "kind": int(Kind.ACCESS),
        **dict.fromkeys(("provider_agency_id", "visible_from", "delay_basis", "batch_id", "reference", "log_index")),
    },
    key="id",
    # As they were looked at: an item that was let go of in the meantime must not go out.
    stands={"consent_id": CONSENTS.c.id, "consent_seq": CONSENTS.c.last_seq},
    holds=PERMITS,
)


class Observed(NamedTuple):
    """A disclosure by the provider that is about to happen: which items of whom, by which permit and token."""

    permit: Permit
    facts: Facts
    items: Collection[str]
    key: PersonalKey
    jti: str
    at: datetime

    def written(self, action: str, *, entropy: Entropy) -> Written:
        """Its rows."""
        facts, permit = self.facts, self.permit
        # What the gate has seen to be there.
        assert facts.subject_id is not None
        assert facts.agency_id is not None
        said = Disclosure(
            id=new_row_id(entropy, self.at),
            at=self.at,
            subject_id=facts.subject_id,
            consent_id=permit.consent_id,
            purpose_version_id=permit.purpose_version_id,
            agency_id=facts.agency_id,
            client_id=facts.client_id,
            action=action,
            items=sorted(self.items),
            legal_basis=permit.legal_basis,
            legal_citation=permit.legal_citation,
            jti=self.jti,
        )
        return write(said, self.key, entropy=entropy)


def recorder_of(driver: Driver, entropy: Entropy) -> Recorder[Observed]:
    """A recorder that writes while the consents stand."""

    async def record(observed: Sequence[Observed], *, waits: bool) -> Sequence[bool]:
        rows = [_row(one, entropy) for one in observed]
        written = await driver.batch(_OBSERVED, rows, waits=waits)
        return [row["id"] in written for row in rows]

    return Recorder(record)


def _row(observed: Observed, entropy: Entropy) -> dict[str, Any]:
    """What `_OBSERVED` sends of each: the columns that are not the same for all."""
    said, body, commitment, _ = observed.written(USERINFO, entropy=entropy)
    return {
        "consent_id": said.consent_id,
        "consent_seq": observed.facts.last_seq,
        "id": said.id,
        "at": said.at,
        "subject_id": said.subject_id,
        "purpose_version_id": said.purpose_version_id,
        "agency_id": said.agency_id,
        "client_id": said.client_id,
        "legal_basis": said.legal_basis,
        "body": body,
        "commitment": commitment,
    }
