"""Receipts of real events, checked offline by two verifiers that share no line."""

import json

import pytest
from sqlalchemy import delete, update

from consent.decisions import withdraw
from consent.log.models import LogEntry
from consent.log.verify import NotYetLogged, ReceiptRefused, verify
from consent.models import ConsentEvent
from consent.receipts.errors import NoReceipt, NoReceiptKey
from consent.receipts.keys import list_receipt_keys, receipt_signer, revoke_receipt_key, rotate_receipt_key
from consent.receipts.record import ConsentDocument
from idp.database import Database
from keys.encoding import b64url_decode
from keys.entropy import Entropy
from tests.consent.receipts.conftest import Office, file_of
from tests.consent.receipts.second import SECOND
from tests.consent.registry import SITI
from tests.support.clock import FakeClock

pytestmark = pytest.mark.anyio


async def test_both_verifiers_find_that_a_receipt_holds(office: Office, given: str) -> None:
    await office.sequence()
    receipt = await office.receipt(given)
    verified = verify(file_of(receipt), await office.trust())
    assert verified.claims["record_id"] == given
    assert verified.event["granted"] == ["email", "name"]
    assert verified.leaf.witnesses == ("bpk", "uni")

    shown = SECOND.verify(file_of(receipt), json.loads(await office.trust_data()))
    assert shown["event"] == verified.event
    assert (shown["index"], shown["tree_size"]) == (verified.leaf.index, verified.leaf.checkpoint.size)
    assert shown["witnesses"] == ["bpk", "uni"]


async def test_what_is_signed_is_the_record(office: Office, given: str) -> None:
    await office.sequence()
    receipt = await office.receipt(given)
    claims = verify(file_of(receipt), await office.trust()).claims
    own = {"iss", "iat", "jti", "event_sha256"}
    assert own <= claims.keys()
    assert ConsentDocument.read({name: claims[name] for name in claims.keys() - own}) == receipt.record
    assert claims["iss"] == "https://idp.test"
    assert claims["log"]["origin"] == office.log.keys.origin


async def test_a_receipt_is_signed_at_once_and_proven_once_witnesses_have_seen_it(office: Office, given: str) -> None:
    await office.receipt(given)
    trust = await office.trust()
    for witnesses, waits in ((None, "signed"), (0, "cosigned"), (1, "cosigned")):
        if witnesses is not None:
            await office.running.append(1)
            await office.sequence(witnesses=witnesses)
        receipt = await office.receipt(given)
        assert receipt.proof is None
        assert waits in str(receipt.waits_for)
        with pytest.raises(NotYetLogged):
            verify(file_of(receipt), trust)
        assert SECOND.verify(file_of(receipt), json.loads(await office.trust_data())) is None
    await office.running.append(1)
    await office.sequence(witnesses=2)
    receipt = await office.receipt(given)
    assert receipt.waits_for is None
    assert verify(file_of(receipt), trust).leaf.witnesses == ("bpk", "uni")


async def test_each_event_has_its_own_receipt(
    office: Office, given: str, database: Database, clock: FakeClock, entropy: Entropy
) -> None:
    async with database.transaction() as session:
        await withdraw(session, consent_id=given, subject_id=SITI, now=clock.advance(60), entropy=entropy)
    await office.sequence()
    first, last = await office.receipt(given, 1), await office.receipt(given)
    trust = await office.trust()
    for receipt, states in ((first, ["ConsentGiven"]), (last, ["ConsentGiven", "ConsentWithdrawn"])):
        claims = verify(file_of(receipt), trust).claims
        assert [event["event_state"] for event in claims["events"]] == states
    assert first.record.receipt_id != last.record.receipt_id
    assert first.record.record_id == last.record.record_id
    # Neither the event nor the proof of one does for the other.
    for mixed in (
        file_of(first, event=last.file()["event"]),
        file_of(first, proof=last.file()["proof"]),
        file_of(first, receipt=last.jws),
    ):
        with pytest.raises(ReceiptRefused, match=r"event|commitment"):
            verify(mixed, trust)


@pytest.mark.parametrize("seq", [0, -1, 2, 99])
async def test_there_is_no_receipt_of_an_event_that_never_was(office: Office, given: str, seq: int) -> None:
    with pytest.raises(NoReceipt):
        await office.receipt(given, seq)
    with pytest.raises(NoReceipt):
        await office.receipt("nothing")


async def test_the_apps_agency_gets_the_record_without_our_own_id_of_the_person(office: Office, given: str) -> None:
    await office.sequence()
    receipt = await office.receipt(given)
    told = json.dumps(receipt.signed_record())
    claims = b64url_decode(receipt.jws.split(".")[1]).decode()
    assert SITI not in told
    assert SITI not in claims
    opening = receipt.event.opening
    assert opening is not None
    assert "extra" not in str(receipt.signed_record()["proof"])


async def test_a_key_that_was_replaced_still_verifies_and_its_private_part_is_gone(
    office: Office, given: str, database: Database, clock: FakeClock
) -> None:
    await office.sequence()
    old = await office.receipt(given)
    async with database.transaction() as session:
        await rotate_receipt_key(session, now=clock.advance(1))
    new = await office.receipt(given)
    trust = await office.trust()
    kids = [verify(file_of(receipt), trust).kid for receipt in (old, new)]
    assert len(set(kids)) == 2
    async with database.reading() as session:
        assert {key.kid: key.state for key in await list_receipt_keys(session)} == {
            kids[0]: "verifying",
            kids[1]: "signing",
        }
        signer = await receipt_signer(session)
        assert signer is not None
        assert signer.kid == kids[1]


async def test_a_key_that_leaked_is_believed_no_more_and_its_receipts_are_fetched_again(
    office: Office, given: str, database: Database, clock: FakeClock
) -> None:
    await office.sequence()
    leaked = await office.receipt(given)
    kid = verify(file_of(leaked), await office.trust()).kid
    async with database.transaction() as session:
        await revoke_receipt_key(session, kid, now=clock.advance(1))
    trust = await office.trust()
    with pytest.raises(ReceiptRefused, match="no trusted key"):
        verify(file_of(leaked), trust)
    assert verify(file_of(await office.receipt(given)), trust).kid != kid
    async with database.transaction() as session:
        with pytest.raises(NoReceiptKey):
            await revoke_receipt_key(session, "nobody's", now=clock())


async def test_an_event_that_somebody_edited_gets_no_signature_of_ours(
    office: Office, given: str, database: Database
) -> None:
    async with database.transaction() as session:
        await session.execute(update(ConsentEvent).values(channel="paper"))
    with pytest.raises(NoReceipt, match="not what was written"):
        await office.receipt(given)


async def test_an_event_that_was_put_beside_the_log_gets_no_receipt(
    office: Office, given: str, database: Database
) -> None:
    async with database.transaction() as session:
        await session.execute(delete(LogEntry))
    await office.running.append(1)
    await office.sequence()
    with pytest.raises(NoReceipt, match="not in the log"):
        await office.receipt(given)
