"""The officer's pages for what people say at a counter, by telephone, on paper."""

from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from consent.events import Event
from consent.log.entry import commit
from consent.log.models import LogEntry
from consent.models import OfficerAction
from consent.oversight import read_look
from consent.vault import key_of
from keys.entropy import sha256
from tests.consent.http.window import OFFICER, Window, csrf_of
from tests.consent.registry import BUDI, SITI, grant_to
from tests.consent.stored import events, every_row_is_what_its_events_say, records
from tests.support.html import Form, read_html

pytestmark = pytest.mark.anyio

AS_ASSISTANT = {"x-subject": OFFICER, "x-roles": "assisting_officer"}
NIK = "3201010101010001"
SCAN = b"%PDF-1.7\n" + bytes(range(256)) * 40
CSRF = csrf_of(OFFICER)


async def post(window: Window, path: str, fields: dict[str, Any], headers: Any = AS_ASSISTANT) -> httpx2.Response:
    """The officer sends a form."""
    async with window.browser(headers) as browser:
        return await browser.post(f"/console/assisted/{path}", data={"csrf": CSRF, **fields})


async def upload(
    window: Window, path: str, fields: dict[str, Any], document: bytes | None = None, headers: Any = AS_ASSISTANT
) -> httpx2.Response:
    """The officer sends a form that may have a document."""
    files = {"document": ("scan.pdf" if document is not None else "", document or b"", "application/octet-stream")}
    async with window.browser(headers) as browser:
        return await browser.post(f"/console/assisted/{path}", data={"csrf": CSRF, **fields}, files=files)


async def found(window: Window, **fields: Any) -> httpx2.Response:
    """The officer looks for Siti."""
    wanted = {"by": "username", "identifier": "siti", "reason": "She asked at counter 3.", **fields}
    return await post(window, "find", wanted)


async def question(window: Window, *, language: str = "id") -> dict[str, str]:
    """The fields of the form by which the officer writes Siti's answer down."""
    fields = {"subject": SITI, "about": "sehat kunjungan", "language": language, "reason": "She asked at counter 3."}
    answer = await post(window, "question", fields)
    assert answer.status_code == 200
    return dict(form_with(answer.text, "allow").values())


def form_with(page: str, button: str) -> Form:
    """The form that has a button."""
    (form,) = [form for form in read_html(page).forms if form.has(button)]
    return form


async def the_event(window: Window) -> Event:
    """The only event there is."""
    (row,) = await records(window.database)
    (event,) = await events(window.database, row.id)
    return event


@pytest.mark.parametrize(("by", "identifier"), [("username", "siti"), ("national_id", NIK)])
async def test_whom_an_officer_looks_for_and_why_is_written_down_and_is_a_leaf(
    window: Window, by: str, identifier: str
) -> None:
    answer = await found(window, by=by, identifier=identifier)
    assert answer.status_code == 200
    assert SITI in answer.text
    async with window.database.transaction() as session:
        row = (await session.execute(select(*OfficerAction.__table__.columns))).one()
        look = read_look(row)
        assert (look.action, look.subject_id, look.reason, look.rows) == ("find", SITI, "She asked at counter 3.", 1)
        assert look.filters == {"by": by}, "neither a name nor a number is kept in a record of looks"
        key = await key_of(session, SITI, now=window.clock())
        leaf = await session.get(LogEntry, look.id)
        assert leaf is not None
        assert (leaf.kind, leaf.commitment) == (5, commit(key.opening(look.id), look.as_json()))


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"identifier": "nobody"}, "nobody"),
        ({"identifier": ""}, "nobody"),
        ({"identifier": "x" * 201}, "nobody"),
        ({"by": "birthday"}, "nobody"),
        ({"reason": ""}, "no_reason"),
        ({"reason": "x" * 501}, "no_reason"),
        ({"identifier": "dewi"}, "yourself"),
    ],
)
async def test_a_search_that_finds_nobody_to_write_for_says_so(
    window: Window, fields: dict[str, str], problem: str
) -> None:
    answer = await found(window, **fields)
    assert answer.status_code == 400
    assert f'data-problem="{problem}"' in answer.text
    assert SITI not in answer.text


@pytest.mark.parametrize("channel", ["counter", "phone"])
async def test_what_a_person_says_is_written_down_as_they_say_it(window: Window, channel: str) -> None:
    fields = await question(window)
    answer = await upload(window, "record", {**fields, "channel": channel, "item": ["email"], "decision": "allow"})
    assert (answer.status_code, answer.headers["location"]) == (303, "../assisted?done=recorded")
    event = await the_event(window)
    assert (event.kind, event.channel, event.entered_by, event.actor) == ("granted", channel, OFFICER, "subject")
    assert (event.granted, event.refused, event.language) == (("email", "name"), ("gender",), "id")
    assert (event.document_sha256, event.acr, event.subject_ref) == (None, None, f"{SITI[:8]}-at-sehat")
    assert [(action, rows) for action, _, _, rows in await window.looks()] == [("act", 1)]
    await every_row_is_what_its_events_say(window.database)


async def test_a_paper_leaves_its_fingerprint_and_nothing_else(window: Window) -> None:
    fields = await question(window, language="en")
    await upload(window, "record", {**fields, "channel": "paper", "decision": "deny"}, SCAN)
    event = await the_event(window)
    assert (event.kind, event.document_sha256, event.language) == ("refused", sha256(SCAN), "en")


@pytest.mark.parametrize(
    ("changes", "document", "problem"),
    [
        ({"channel": "paper"}, None, "no_document"),
        ({"channel": "counter"}, SCAN, "no_paper"),
        ({"channel": "paper"}, b"not a scan at all", "not_a_scan"),
        ({"channel": "web"}, None, "no_channel"),
        ({"channel": ""}, None, "no_channel"),
        ({"shown": "00" * 32}, None, "changed"),
        ({"reason": ""}, None, "no_reason"),
        ({"decision": "perhaps"}, None, "does_not_fit"),
        ({"item": ["address"]}, None, "does_not_fit"),
    ],
)
async def test_what_does_not_fit_together_is_not_written_and_says_why(
    window: Window, changes: dict[str, Any], document: bytes | None, problem: str
) -> None:
    fields = await question(window)
    answer = await upload(window, "record", {**fields, "channel": "phone", "decision": "allow", **changes}, document)
    assert answer.status_code == 400
    assert f'data-problem="{problem}"' in answer.text
    assert await records(window.database) == []
    assert await window.looks() == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"subject": BUDI}, "nobody"),
        ({"subject": "no id"}, "nobody"),
        ({"about": "sehat lapor"}, "nothing"),
        ({"about": "gone kunjungan"}, "nothing"),
        ({"about": ""}, "nothing"),
        ({"language": "jv"}, "nothing"),
    ],
)
async def test_a_question_about_nobody_or_nothing_is_not_asked(
    window: Window, changes: dict[str, str], problem: str
) -> None:
    fields = {"subject": SITI, "about": "sehat kunjungan", "language": "id", "reason": "why", **changes}
    asked = await post(window, "question", fields)
    assert asked.status_code == 400
    assert f'data-problem="{problem}"' in asked.text
    written = await upload(window, "record", {**fields, "shown": "", "channel": "counter", "decision": "allow"})
    assert f'data-problem="{problem}"' in written.text
    assert await records(window.database) == []


async def test_an_officer_writes_down_nothing_of_their_own(window: Window) -> None:
    fields = {**(await question(window)), "subject": OFFICER, "channel": "counter", "decision": "allow"}
    answer = await upload(window, "record", fields)
    assert 'data-problem="does_not_fit"' in answer.text
    assert await records(window.database) == []


async def given(window: Window) -> str:
    """A consent that Siti gave on a page."""
    async with window.database.transaction() as session:
        return await grant_to(session, window.version, now=window.clock(), entropy=window.entropy)


async def test_what_a_person_takes_back_at_a_counter_is_taken_back_at_once(window: Window) -> None:
    consent_id = await given(window)
    page = (await found(window)).text
    fields = dict(form_with(page, f"withdraw-{consent_id}").values())
    answer = await upload(window, "withdraw", {**fields, "channel": "paper"}, SCAN)
    assert answer.headers["location"] == "../assisted?done=withdrawn"
    assert await window.status_of(consent_id) == "withdrawn"
    assert await window.buried() == 1
    last = (await events(window.database, consent_id))[-1]
    assert (last.channel, last.entered_by, last.document_sha256) == ("paper", OFFICER, sha256(SCAN))
    again = await upload(window, "withdraw", {**fields, "channel": "counter"})
    assert 'data-problem="ended"' in again.text


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"consent": BUDI}, "does_not_fit"),
        ({"subject": OFFICER}, "nobody"),
        ({"channel": "paper"}, "no_document"),
    ],
)
async def test_a_withdrawal_that_does_not_fit_takes_nothing_back(
    window: Window, changes: dict[str, str], problem: str
) -> None:
    consent_id = await given(window)
    fields = {"subject": SITI, "consent": consent_id, "reason": "why", "channel": "counter", **changes}
    answer = await upload(window, "withdraw", fields)
    assert f'data-problem="{problem}"' in answer.text
    assert await window.status_of(consent_id) == "given"
    assert await window.buried() == 0


@pytest.mark.parametrize(("locale", "says"), [("en", "at a counter"), ("id", "di loket")])
async def test_the_person_sees_that_an_officer_wrote_it_down(window: Window, locale: str, says: str) -> None:
    fields = await question(window)
    await upload(window, "record", {**fields, "channel": "counter", "decision": "allow"})
    (row,) = await records(window.database)
    page = read_html((await window.get_as(SITI, f"/my/consents/{row.id}", locale=locale)).text)
    assert says in page.text_by_id["assisted"]
    assert says in page.text_by_id["history"]
    listed = (await window.get_as(SITI, "/my/consents", locale=locale)).text
    assert says in listed
    assert OFFICER not in listed


async def test_a_privacy_officer_sees_who_wrote_it_down_and_the_papers_fingerprint(window: Window) -> None:
    fields = await question(window)
    await upload(window, "record", {**fields, "channel": "paper", "decision": "allow"}, SCAN)
    (row,) = await records(window.database)
    page = (await window.get_as_officer(f"/console/consents/{row.id}")).text
    assert OFFICER in page[page.index('id="history"') :]
    assert f'data-document="{sha256(SCAN).hex()}"' in page


PAGES = (("GET", ""), ("POST", "/find"), ("POST", "/question"), ("POST", "/record"), ("POST", "/withdraw"))


@pytest.mark.threat(78)
@pytest.mark.parametrize(("verb", "path"), PAGES)
@pytest.mark.parametrize("roles", ["", "privacy_officer"])
async def test_nobody_without_the_role_gets_in(window: Window, verb: str, path: str, roles: str) -> None:
    async with window.browser({"x-subject": OFFICER, "x-roles": roles}) as browser:
        answer = await browser.request(verb, f"/console/assisted{path}")
    assert answer.status_code == 403
    assert 'id="role-refused"' in answer.text


@pytest.mark.parametrize(("verb", "path"), PAGES)
async def test_who_is_not_signed_in_is_sent_to_the_login(window: Window, verb: str, path: str) -> None:
    async with window.browser() as browser:
        answer = await browser.request(verb, f"/console/assisted{path}")
    assert answer.status_code == 303


@pytest.mark.threat(67)
@pytest.mark.parametrize("path", ["find", "question"])
async def test_a_form_of_somebody_elses_does_nothing(window: Window, path: str) -> None:
    fields = {"csrf": "wrong", "by": "username", "identifier": "siti", "reason": "why", "subject": SITI}
    answer = await post(window, path, fields)
    assert answer.status_code == 403
    assert await window.looks() == []


@pytest.mark.threat(67)
@pytest.mark.parametrize("path", ["record", "withdraw"])
async def test_an_upload_of_somebody_elses_does_nothing(window: Window, path: str) -> None:
    consent_id = await given(window)
    answer = await upload(window, path, {"csrf": "wrong", "subject": SITI, "consent": consent_id, "channel": "counter"})
    assert answer.status_code == 403
    assert await window.kinds_of(consent_id) == ["granted"]


async def test_an_assistant_has_no_other_page_of_the_console(window: Window) -> None:
    for path in ("/console", "/console/actions", "/console/export?format=csv"):
        answer = await window.get(path, AS_ASSISTANT)
        assert answer.status_code == 403
    page = (await window.get("/console/assisted", AS_ASSISTANT)).text
    assert 'href="/console/actions"' not in page
