"""The citizen's window."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from consent.decisions import refuse, withdraw
from consent.http import dashboard
from consent.models import ShownText
from tests.consent.http.window import Window, bury_tokens, csrf_of
from tests.consent.registry import APP, BUDI, SITI, a_purpose, decision, grant_to, notice_of, write_registry
from tests.support.purposes import active_purpose

pytestmark = pytest.mark.anyio

UNKNOWN = "0198b3c2-4d5e-7f60-8123-456789abcdef"


async def granted(window: Window, **changes: Any) -> str:
    """A consent of Siti's."""
    async with window.database.transaction() as session:
        return await grant_to(session, window.version, now=window.clock(), entropy=window.entropy, **changes)


async def test_the_list_has_what_is_in_force_by_agency_and_then_what_ended(window: Window) -> None:
    health = await granted(window)
    async with window.database.transaction() as session:
        population = await write_registry(
            session, now=window.clock(), entropy=window.entropy, agency="administrasi", code="data-diri"
        )
        other = await grant_to(
            session, population, now=window.clock.advance(60), entropy=window.entropy, client_id="warga"
        )
        ended = await grant_to(
            session, population, now=window.clock.advance(60), entropy=window.entropy, client_id="lama"
        )
        await withdraw(session, consent_id=ended, subject_id=SITI, now=window.clock.advance(60), entropy=window.entropy)
        foreign = await grant_to(session, population, now=window.clock(), entropy=window.entropy, subject_id=BUDI)
    answer = await window.get_as(SITI, "/my/consents")
    assert answer.status_code == 200
    places = [answer.text.index(f'id="consent-{consent_id}"') for consent_id in (other, health, ended)]
    assert places == sorted(places), "by agency's name, and the ended one last"
    assert "Ministry of administrasi" in answer.text
    assert "Full name, Email address" in answer.text.replace("Email address, Full name", "Full name, Email address")
    assert "17 August 2026 at 10:00 WIB" in answer.text
    assert f'id="withdraw-{health}"' in answer.text
    assert f'id="withdraw-{ended}"' not in answer.text
    assert foreign not in answer.text


async def test_a_consent_whose_time_is_up_is_not_shown_as_in_force_before_the_sweep(window: Window) -> None:
    consent_id = await granted(window)
    window.clock.advance(days=90)
    listed = await window.get_as(SITI, "/my/consents")
    assert 'id="none-in-force"' in listed.text
    assert f'id="consent-{consent_id}" data-status="expired"' in listed.text
    opened = await window.get_as(SITI, f"/my/consents/{consent_id}")
    assert "The agreed time was up on" in opened.text
    assert 'id="withdraw"' not in opened.text


async def test_someone_without_consents_is_told_so(window: Window) -> None:
    answer = await window.get_as(SITI, "/my/consents")
    assert 'id="none-in-force"' in answer.text
    assert 'id="ended"' not in answer.text


async def test_ended_consents_go_on_to_older_pages(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard, "PAGE", 2)
    consents = []
    for _ in range(5):  # each replaces the one before
        consents.append(await granted(window))
        window.clock.advance(60)
    seen, address = [], "/my/consents"
    while address:
        page = (await window.get_as(SITI, address)).text
        seen += [one for one in reversed(consents) if f'id="consent-{one}" data-status="superseded"' in page]
        _, _, rest = page.partition('id="older" href="')
        address = rest.partition('"')[0]
    assert seen == consents[-2::-1]


async def test_the_detail_shows_the_text_in_the_language_and_words_it_was_shown_in(window: Window) -> None:
    consent_id = await granted(window)
    changed = {
        "id": {"name": "Lain", "description": "Lain sama sekali.", "refusal": "Tidak."},
        "en": {"name": "Other", "description": "Another thing altogether.", "refusal": "No."},
    }
    async with window.database.transaction() as session:
        await active_purpose(
            session,
            agency_id=window.version.agency_id,
            **a_purpose(texts=changed),
            now=window.clock.advance(60),
            entropy=window.entropy,
        )
    page = (await window.get_as(SITI, f"/my/consents/{consent_id}", locale="en")).text
    shown = page[page.index('id="shown-text"') : page.index('id="text-sha256"')]
    assert 'lang="id"' in shown.partition(">")[0]
    notice = notice_of(window.version)
    for sentence in (
        notice.heading,
        notice.agency_name,
        notice.verification,
        notice.purpose_name,
        notice.purpose_description,
        notice.legal_basis_sentence,
        notice.legal_citation,
        notice.identifier,
        notice.retention,
        notice.validity,
        *notice.refusal,
        notice.withdrawal,
        notice.contact,
        notice.allow,
        notice.deny,
        *(item.label for item in notice.items),
        *(item.why for item in notice.items),
    ):
        assert sentence in shown
    assert notice.sha256.hex() in page
    assert "Another thing altogether" not in page


async def test_the_detail_tells_granted_from_refused_items(window: Window) -> None:
    consent_id = await granted(window, granted=("name",))
    page = (await window.get_as(SITI, f"/my/consents/{consent_id}")).text
    agreed, _, refused = page[page.index('id="granted"') : page.index('id="text"')].partition('id="refused"')
    assert 'data-claim="name"' in agreed
    assert 'data-claim="email"' not in agreed
    assert 'data-claim="email"' in refused
    assert 'data-claim="gender"' in refused


async def test_a_refusal_can_be_opened_and_has_nothing_to_withdraw(window: Window) -> None:
    async with window.database.transaction() as session:
        consent_id = await refuse(
            session,
            who=decision(window.version),
            refused=window.version.claims,
            notice=notice_of(window.version),
            now=window.clock(),
            entropy=window.entropy,
        )
    page = (await window.get_as(SITI, f"/my/consents/{consent_id}")).text
    assert "You said no on" in page
    assert 'id="withdraw"' not in page
    answer = await window.withdraw(consent_id)
    assert answer.status_code == 303
    assert await window.status_of(consent_id) == "refused"


async def test_a_replaced_consent_points_to_the_newer_one(window: Window) -> None:
    first = await granted(window)
    window.clock.advance(60)
    second = await granted(window)
    page = (await window.get_as(SITI, f"/my/consents/{first}")).text
    assert f'href="/my/consents/{second}"' in page
    assert "replaced by" not in page


async def test_one_press_withdraws_and_everything_that_rests_on_it_dies_with_it(window: Window) -> None:
    consent_id = await granted(window)
    window.clock.advance(3600)
    answer = await window.withdraw(consent_id)
    assert answer.status_code == 303
    assert answer.headers["cache-control"] == "no-store"
    assert str(answer.url.join(answer.headers["location"])) == f"https://idp.test/my/consents/{consent_id}"
    assert await window.status_of(consent_id) == "withdrawn"
    assert await window.kinds_of(consent_id) == ["granted", "withdrawn"]
    assert await window.buried() == 1
    page = (await window.get_as(SITI, f"/my/consents/{consent_id}")).text
    assert "You withdrew this on 17 August 2026 at 11:00 WIB" in page
    assert "can no longer get your data from Satu Pintu" in page
    assert "has to ask you again" in page


async def test_a_withdrawal_that_cannot_kill_the_tokens_is_no_withdrawal(window: Window) -> None:
    consent_id = await granted(window)

    async def fails(session: AsyncSession, withdrawn_id: str, now: datetime, /) -> None:
        await bury_tokens(session, withdrawn_id, now)
        raise RuntimeError("the tokens are still alive")

    broken = window.with_ports(after_withdrawal=fails)
    async with broken.browser({"x-subject": SITI}, faults_are_answers=True) as browser:
        answer = await browser.post(f"/my/consents/{consent_id}/withdraw", data={"csrf": csrf_of(SITI)})
    assert answer.status_code == 500
    assert await window.status_of(consent_id) == "given"
    assert await window.kinds_of(consent_id) == ["granted"]
    assert await window.buried() == 0


async def test_withdrawing_twice_is_no_fault_and_one_withdrawal(window: Window) -> None:
    consent_id = await granted(window)
    await window.withdraw(consent_id)
    again = await window.withdraw(consent_id)
    assert again.status_code == 303
    assert await window.kinds_of(consent_id) == ["granted", "withdrawn"]
    assert await window.buried() == 1


@pytest.mark.threat(78)
@pytest.mark.parametrize("whose", [BUDI, "privacy_officer"])
async def test_another_persons_consent_is_not_there_whatever_is_tried(window: Window, whose: str) -> None:
    consent_id = await granted(window)
    headers = {"x-subject": BUDI, "x-roles": "privacy_officer" if whose == "privacy_officer" else ""}
    async with window.browser(headers) as browser:
        for verb, path in (("GET", ""), ("POST", "/withdraw")):
            form = {"data": {"csrf": csrf_of(BUDI)}} if verb == "POST" else {}
            foreign = await browser.request(verb, f"/my/consents/{consent_id}{path}", **form)  # type: ignore[arg-type]  # a mapping of one keyword
            unknown = await browser.request(verb, f"/my/consents/{UNKNOWN}{path}", **form)  # type: ignore[arg-type]  # likewise
            assert foreign.status_code == unknown.status_code == 404
            assert foreign.text.replace(consent_id, UNKNOWN) == unknown.text
    assert await window.status_of(consent_id) == "given"
    assert await window.buried() == 0


@pytest.mark.threat(89)
@pytest.mark.parametrize("consent_id", ["1", "%00", "'%20OR%201=1--", "..%5c", "{7}", "x" * 500, UNKNOWN.upper()])
async def test_what_is_no_id_is_not_found(window: Window, consent_id: str) -> None:
    assert (await window.get_as(SITI, f"/my/consents/{consent_id}")).status_code == 404
    assert (await window.withdraw(consent_id)).status_code == 404


@pytest.mark.threat(67)
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "application/x-www-form-urlencoded"),
        (b"csrf=", "application/x-www-form-urlencoded"),
        (b"csrf=wrong", "application/x-www-form-urlencoded"),
        (f"csrf={csrf_of(BUDI)}".encode(), "application/x-www-form-urlencoded"),
        (f"csrf={csrf_of(SITI)}&csrf=wrong".encode(), "application/x-www-form-urlencoded"),
        (f"csrf={csrf_of(SITI)}&a={'a' * 9000}".encode(), "application/x-www-form-urlencoded"),
        (f"csrf={csrf_of(SITI)}&a=%ff".encode(), "application/x-www-form-urlencoded"),
        (f"csrf={csrf_of(SITI)}".encode(), "text/plain"),
        (f'{{"csrf": "{csrf_of(SITI)}"}}'.encode(), "application/json"),
    ],
)
async def test_a_form_that_is_not_ours_changes_nothing(window: Window, body: bytes, content_type: str) -> None:
    consent_id = await granted(window)
    async with window.browser({"x-subject": SITI}) as browser:
        answer = await browser.post(
            f"/my/consents/{consent_id}/withdraw?csrf={csrf_of(SITI)}",
            content=body,
            headers={"content-type": content_type},
        )
    assert answer.status_code == 403
    assert 'id="form-refused"' in answer.text
    assert await window.status_of(consent_id) == "given"


async def test_an_address_alone_withdraws_nothing(window: Window) -> None:
    consent_id = await granted(window)
    answer = await window.get_as(SITI, f"/my/consents/{consent_id}/withdraw?csrf={csrf_of(SITI)}")
    assert answer.status_code == 303
    assert await window.status_of(consent_id) == "given"


async def test_who_is_not_signed_in_is_sent_to_the_login_and_learns_nothing(window: Window) -> None:
    consent_id = await granted(window)
    async with window.browser() as browser:
        for verb, path in (
            ("GET", "/my/consents"),
            ("GET", f"/my/consents/{consent_id}"),
            ("POST", f"/my/consents/{consent_id}/withdraw"),
            ("GET", f"/my/consents/{consent_id}/withdraw"),
        ):
            answer = await browser.request(verb, path)
            assert answer.status_code == 303
            assert answer.headers["location"].startswith("/sign-in?")
    assert await window.status_of(consent_id) == "given"


async def test_pages_have_the_headers_of_pages_and_no_name_becomes_markup(window: Window) -> None:
    consent_id = await granted(window)
    for path in ("/my/consents", f"/my/consents/{consent_id}"):
        answer = await window.get_as(SITI, path)
        assert answer.headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "<b>Bersama" not in answer.text
        assert "Sehat &lt;b&gt;Bersama" in answer.text


async def test_a_text_that_was_altered_says_so(window: Window) -> None:
    consent_id = await granted(window)
    body = notice_of(window.version).canonical().decode().replace("Untuk email", "Untuk apa saja")
    async with window.database.transaction() as session:
        await session.execute(update(ShownText).values(body=body))
    page = (await window.get_as(SITI, f"/my/consents/{consent_id}")).text
    assert 'id="text-altered"' in page


@pytest.mark.parametrize("body", ["<script>alert(1)</script>", "[]", '{"schema": "satupintu-notice/1"}'])
async def test_a_text_of_an_unknown_kind_is_shown_as_it_is(window: Window, body: str) -> None:
    consent_id = await granted(window)
    async with window.database.transaction() as session:
        await session.execute(update(ShownText).values(body=body))
    answer = await window.get_as(SITI, f"/my/consents/{consent_id}")
    assert answer.status_code == 200
    assert "<script>" not in answer.text


async def test_indonesian_readers_get_every_sentence_in_indonesian(window: Window) -> None:
    consent_id = await granted(window)
    page = (await window.get_as(SITI, f"/my/consents/{consent_id}", locale="id")).text
    assert "Kementerian kesehatan" in page
    assert "Nama lengkap" in page
    for english in ("Withdraw", "What you decided", "Take it back", "In force"):
        assert english not in page


async def test_the_apps_own_id_stands_in_when_it_has_no_name(window: Window) -> None:
    async def nobody(_ids: object, _locale: str, /) -> Mapping[str, str]:
        return {}

    consent_id = await granted(window)
    page = (await window.with_ports(client_names=nobody).get_as(SITI, f"/my/consents/{consent_id}")).text
    assert f"<h1><bdi>{APP}</bdi></h1>" in page
