"""The privacy officer's window: lists, filters, and one consent opened."""

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import select, update

from consent.decisions import withdraw
from consent.http import console
from consent.models import ConsentEvent, ConsentRecord, OfficerAction, ShownText
from tests.consent.http.window import OFFICER, Window
from tests.consent.registry import APP, BUDI, SITI, grant_to, notice_of, write_registry

pytestmark = pytest.mark.anyio

UNKNOWN = "0198b3c2-4d5e-7f60-8123-456789abcdef"
PATHS = (
    "/console",
    "/console/consents",
    f"/console/consents/{UNKNOWN}",
    "/console/export?format=csv",
    "/console/actions",
)


async def granted(window: Window, **changes: Any) -> str:
    """A consent of Siti's."""
    async with window.database.transaction() as session:
        return await grant_to(session, window.version, now=window.clock(), entropy=window.entropy, **changes)


def listed(page: str) -> list[str]:
    """The consents that a list's rows open, in order."""
    return re.findall(r'data-consent="([^"]+)"', page)


def link(page: str, element_id: str) -> str:
    """Where the link of that id leads, or nothing."""
    found = re.search(rf'<a[^>]*\bid="{element_id}"[^>]*>', page)
    address = re.search(r'href="([^"]+)"', found[0]) if found else None
    return address[1].replace("&amp;", "&") if address else ""


@pytest.mark.threat(78)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("roles", ["", "operator", "privacy_officers", "PRIVACY_OFFICER"])
async def test_without_the_role_there_is_a_page_that_says_so_and_no_data(window: Window, path: str, roles: str) -> None:
    consent_id = await granted(window)
    answer = await window.get(path.replace(UNKNOWN, consent_id), {"x-subject": SITI, "x-roles": roles})
    assert answer.status_code == 403
    assert 'id="role-refused"' in answer.text
    assert "Ministry" not in answer.text
    assert "A visit" not in answer.text
    assert await window.looks() == []


@pytest.mark.parametrize("path", PATHS)
async def test_who_is_not_signed_in_is_sent_to_the_login(window: Window, path: str) -> None:
    answer = await window.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in?")


async def test_the_list_has_every_persons_events_newest_first(window: Window) -> None:
    first = await granted(window)
    window.clock.advance(60)
    second = await granted(window, subject_id=BUDI, client_id="lain")
    window.clock.advance(60)
    async with window.database.transaction() as session:
        await withdraw(session, consent_id=first, subject_id=SITI, now=window.clock(), entropy=window.entropy)
    answer = await window.get_as_officer("/console")
    assert answer.status_code == 200
    assert listed(answer.text) == [first, second, first]
    assert SITI in answer.text
    assert BUDI in answer.text
    assert "Ministry of kesehatan" in answer.text
    assert "<b>Bersama" not in answer.text
    assert await window.looks() == [("list", None, {}, 3)]


async def two_agencies(window: Window) -> dict[str, str]:
    """Siti granted A and withdrew it a day later; Budi granted B, of another agency, by another app."""
    a = await granted(window)
    async with window.database.transaction() as session:
        other = await write_registry(
            session, now=window.clock(), entropy=window.entropy, agency="administrasi", code="data-diri"
        )
        b = await grant_to(
            session, other, now=window.clock(), entropy=window.entropy, subject_id=BUDI, client_id="warga"
        )
        window.clock.advance(days=1)
        await withdraw(session, consent_id=a, subject_id=SITI, now=window.clock(), entropy=window.entropy)
    return {"a": a, "b": b}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "aba"),
        ("agency=kesehatan", "aa"),
        ("agency=administrasi", "b"),
        ("purpose=data-diri", "b"),
        ("purpose=kunjungan&agency=administrasi", ""),
        (f"citizen={SITI}", "aa"),
        (f"citizen=%20{BUDI.upper()}%20", "b"),
        (f"citizen={UNKNOWN}", ""),
        (f"client={APP}", "aa"),
        ("client=warga", "b"),
        ("client=nobody", ""),
        ("kind=withdrawn", "a"),
        ("kind=granted", "ba"),
        ("kind=expired", ""),
        ("from=2026-08-18", "a"),
        ("to=2026-08-17", "ba"),
        ("from=2026-08-17&to=2026-08-17&kind=", "ba"),
        ("from=2026-08-19", ""),
        ("unknown=parameter&lang=id", "aba"),
    ],
)
async def test_filters_leave_what_they_say(window: Window, query: str, found: str) -> None:
    consents = await two_agencies(window)
    answer = await window.get_as_officer(f"/console?{query}")
    assert answer.status_code == 200
    named = {consent_id: name for name, consent_id in consents.items()}
    # A and B were granted in one moment: their order among themselves is that of their ids.
    assert sorted(named[one] for one in listed(answer.text)) == sorted(found)
    looks = await window.looks()
    assert len(looks) == 1
    assert looks[0][3] == len(found)


@pytest.mark.parametrize(
    ("at", "day", "found"),
    [
        (datetime(2026, 8, 16, 16, 59, 59, 999999, tzinfo=UTC), "2026-08-17", False),
        (datetime(2026, 8, 16, 17, 0, 0, tzinfo=UTC), "2026-08-17", True),
        (datetime(2026, 8, 17, 16, 59, 59, 999999, tzinfo=UTC), "2026-08-17", True),
        (datetime(2026, 8, 17, 17, 0, 0, tzinfo=UTC), "2026-08-17", False),
        (datetime(2028, 2, 29, 10, 0, 0, tzinfo=UTC), "2028-02-29", True),
    ],
)
async def test_a_day_is_a_whole_day_in_jakarta(window: Window, at: datetime, day: str, found: bool) -> None:
    window.clock.set(at)
    await granted(window)
    answer = await window.get_as_officer(f"/console?from={day}&to={day}")
    assert len(listed(answer.text)) == int(found)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("agency=nobody", "agency"),
        ("agency=%3Cscript%3E", "agency"),
        ("purpose=nothing", "purpose"),
        ("citizen=Siti", "citizen"),
        ("citizen=%00", "citizen"),
        ("client=a%00b", "client"),
        ("client=" + "a" * 201, "client"),
        ("kind=deleted", "kind"),
        ("from=17-08-2026", "from"),
        ("from=2026-02-30", "from"),
        ("from=20260817", "from"),
        ("from=9999-12-31", "from"),
        ("to=0001-01-01", "to"),
        ("to=%D9%A1%D9%A2", "to"),
        ("from=2026-08-18&to=2026-08-17", "to"),
        ("older=nowhere", "place"),
        ("newer=99999999999999999999-" + "0" * 32, "place"),
        ("older=", "place"),
    ],
)
async def test_what_is_wrong_is_said_and_what_was_typed_is_kept(window: Window, query: str, field: str) -> None:
    consent_id = await granted(window)
    asked = f"{query}&client={APP}" if not query.startswith("client") else query
    answer = await window.get_as_officer(f"/console?{asked}")
    assert answer.status_code == 400
    assert f'data-field="{field}"' in answer.text
    assert consent_id not in answer.text, "nothing is listed"
    assert await window.looks() == [], "and so nothing was looked at"
    assert "<script>" not in answer.text
    for name, values in parse_qs(asked).items():
        if name in {"older", "newer"}:
            continue
        kept = re.search(
            rf'<(?:input[^>]* id="{name}"[^>]*>|select[^>]* id="{name}".*?</select>)', answer.text, re.DOTALL
        )
        assert kept is not None
        shown = values[0].strip().replace("<", "&lt;").replace(">", "&gt;")
        assert f'value="{shown}"' in kept[0]


async def test_pages_lead_to_older_and_newer_ones_and_keep_the_filters(
    window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "PAGE", 2)
    mine = []
    for number in range(5):
        mine.append(await granted(window, client_id=f"app-{number}"))
        await granted(window, subject_id=BUDI, client_id=f"app-{number}")
        window.clock.advance(60)
    mine.reverse()
    first = (await window.get_as_officer(f"/console?citizen={SITI}&kind=granted")).text
    assert listed(first) == mine[:2]
    assert link(first, "newer") == ""
    second = (await window.get_as_officer(link(first, "older"))).text
    assert listed(second) == mine[2:4]
    third = (await window.get_as_officer(link(second, "older"))).text
    assert listed(third) == mine[4:]
    assert link(third, "older") == ""
    back = (await window.get_as_officer(link(third, "newer"))).text
    assert listed(back) == mine[2:4]
    top = (await window.get_as_officer(link(back, "newer"))).text
    assert listed(top) == mine[:2]
    assert link(top, "newer") == ""
    query = parse_qs(urlsplit(link(first, "older")).query)
    assert query["citizen"] == [SITI]
    assert query["kind"] == ["granted"]


async def test_going_back_to_newer_shows_a_full_page_with_what_came_in_meanwhile(
    window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "PAGE", 2)
    consents = []
    for number in range(3):
        consents.append(await granted(window, client_id=f"app-{number}"))
        window.clock.advance(60)
    last = (await window.get_as_officer(link((await window.get_as_officer("/console")).text, "older"))).text
    consents.append(await granted(window, client_id="new"))
    window.clock.advance(60)
    newer = (await window.get_as_officer(link(last, "newer"))).text
    assert listed(newer) == consents[2:0:-1]
    newest = (await window.get_as_officer(link(newer, "newer"))).text
    assert listed(newest) == consents[3:1:-1]
    assert link(newest, "newer") == ""


async def test_the_other_address_of_the_list_keeps_the_filters(window: Window) -> None:
    answer = await window.get_as_officer("/console/consents?kind=granted")
    assert answer.status_code == 303
    assert str(answer.url.join(answer.headers["location"])) == "https://idp.test/console?kind=granted"


async def test_an_opened_consent_shows_text_history_and_that_the_chain_holds(window: Window) -> None:
    consent_id = await granted(window)
    async with window.database.transaction() as session:
        await withdraw(
            session,
            consent_id=consent_id,
            subject_id=SITI,
            now=window.clock.advance(60),
            entropy=window.entropy,
            reason="<i>moved away</i>",
        )
    answer = await window.get_as_officer(f"/console/consents/{consent_id}")
    page = answer.text
    assert answer.status_code == 200
    assert 'id="chain-intact"' in page
    assert notice_of(window.version).sha256.hex() in page
    assert notice_of(window.version).purpose_description in page
    assert page.index('data-kind="granted"') < page.index('data-kind="withdrawn"')
    assert "<i>moved" not in page
    assert "moved away" in page
    async with window.database.reading() as session:
        head = await session.get(ConsentEvent, (await _last_event(window, consent_id)))
    assert head is not None
    assert head.hash.hex() in page
    assert await window.looks() == [("open", consent_id, {}, 1)]


async def _last_event(window: Window, consent_id: str) -> str:
    async with window.database.reading() as session:
        statement = select(ConsentEvent.id).where(ConsentEvent.consent_id == consent_id)
        return (await session.scalars(statement.order_by(ConsentEvent.seq.desc()).limit(1))).one()


@pytest.mark.threat(91)
async def test_an_edited_event_breaks_the_chain_before_the_officers_eyes(window: Window) -> None:
    consent_id = await granted(window)
    async with window.database.transaction() as session:
        await session.execute(update(ConsentEvent).values(channel="paper"))
    page = (await window.get_as_officer(f"/console/consents/{consent_id}")).text
    assert 'id="chain-broken"' in page
    assert 'id="chain-intact"' not in page


@pytest.mark.threat(91)
@pytest.mark.parametrize(
    "edit", [{"granted": ["email", "gender", "name"]}, {"status": "expired"}, {"offline_access": True}]
)
async def test_a_row_that_says_something_else_than_its_events_is_noticed(window: Window, edit: dict[str, Any]) -> None:
    consent_id = await granted(window)
    async with window.database.transaction() as session:
        await session.execute(update(ConsentRecord).values(**edit))
    page = (await window.get_as_officer(f"/console/consents/{consent_id}")).text
    assert 'id="row-differs"' in page
    assert 'id="chain-intact"' not in page


async def test_an_altered_text_is_not_called_intact(window: Window) -> None:
    consent_id = await granted(window)
    async with window.database.transaction() as session:
        await session.execute(update(ShownText).values(body="{}"))
    page = (await window.get_as_officer(f"/console/consents/{consent_id}")).text
    assert 'id="text-altered"' in page
    assert 'id="chain-intact"' not in page


async def test_looking_for_a_consent_that_is_not_there_is_recorded_too(window: Window) -> None:
    answer = await window.get_as_officer(f"/console/consents/{UNKNOWN}")
    assert answer.status_code == 404
    assert await window.looks() == [("open", UNKNOWN, {}, 0)]


@pytest.mark.threat(89)
@pytest.mark.parametrize("consent_id", ["1", "%00", "'--", "x" * 500])
async def test_what_is_no_id_is_not_found(window: Window, consent_id: str) -> None:
    assert (await window.get_as_officer(f"/console/consents/{consent_id}")).status_code == 404


async def test_indonesian_officers_get_indonesian_pages(window: Window) -> None:
    consent_id = await granted(window)
    page = (await window.get_as_officer("/console", locale="id")).text
    assert "Kementerian kesehatan" in page
    assert "Peristiwa persetujuan" in page
    opened = (await window.get_as_officer(f"/console/consents/{consent_id}", locale="id")).text
    assert "Catatan ini utuh" in opened


async def test_the_officers_own_looks_can_be_looked_at(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    consent_id = await granted(window)
    await window.get_as_officer(f"/console?citizen={SITI}")
    window.clock.advance(60)
    await window.get_as_officer(f"/console/consents/{consent_id}")
    window.clock.advance(60)
    await window.get_as_officer("/console/export?format=csv")
    window.clock.advance(60)
    page = (await window.get_as_officer("/console/actions")).text
    assert re.findall(r'data-action="([a-z]+)"', page) == ["export", "open", "list"]
    assert f'href="/console?citizen={SITI}"' in page
    assert "format=csv" in page
    assert OFFICER in page
    monkeypatch.setattr(console, "PAGE", 2)
    window.clock.advance(60)
    first = (await window.get_as_officer("/console/actions")).text
    assert "Looked at this page" in first, "looking at the looks is a look"
    assert re.findall(r'data-action="([a-z]+)"', first) == ["list", "export"]
    second = (await window.get_as_officer(link(first, "older"))).text
    assert re.findall(r'data-action="([a-z]+)"', second) == ["open", "list"]
    assert (await window.get_as_officer("/console/actions?older=nowhere")).status_code == 404


async def test_why_an_officer_looks_is_kept_with_the_look_and_shown_to_whom_it_was_about(window: Window) -> None:
    await granted(window)
    await window.get_as_officer(f"/console?citizen={SITI}&reason=She+wrote+to+us")
    await window.get_as_officer(f"/console/export?format=csv&citizen={SITI}&reason=For+the+court")
    async with window.database.reading() as session:
        reasons = (await session.scalars(select(OfficerAction.reason).order_by(OfficerAction.id))).all()
    assert set(reasons) == {"For the court", "She wrote to us"}
    assert "She wrote to us" in (await window.get_as_officer("/console/actions")).text
    mine = (await window.get_as(SITI, "/my/officers")).text
    assert "She wrote to us" in mine
    assert 'data-action="export"' in mine
    assert "She wrote to us" not in (await window.get_as(BUDI, "/my/officers")).text


async def test_a_reason_that_is_no_line_of_text_shows_nothing(window: Window) -> None:
    answer = await window.get_as_officer(f"/console?reason={'x' * 501}")
    assert answer.status_code == 400
    assert await window.looks() == []
