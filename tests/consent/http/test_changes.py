"""The buttons on a person's own consent, and the questions on their own pages."""

from datetime import timedelta
from typing import Any

import httpx2
import pytest

from consent.decisions import pause, refuse, request, revoke
from consent.history import consent_by_id
from consent.http.questions import question_about
from tests.consent.http.window import Window, csrf_of
from tests.consent.registry import BUDI, SITI, a_purpose, decision, grant_to, item, notice_of, write_registry
from tests.support.html import read_html
from tests.support.purposes import active_purpose

pytestmark = pytest.mark.anyio


async def granted(window: Window, **changes: Any) -> str:
    """A consent of Siti's to name and email; gender is refused."""
    async with window.database.transaction() as session:
        return await grant_to(session, window.version, now=window.clock(), entropy=window.entropy, **changes)


async def denied(window: Window) -> str:
    """A no of Siti's."""
    async with window.database.transaction() as session:
        return await refuse(
            session,
            who=decision(window.version),
            refused=window.version.claims,
            notice=notice_of(window.version),
            now=window.clock(),
            entropy=window.entropy,
        )


async def asked(window: Window) -> str:
    """A question that waits for Siti."""
    async with window.database.transaction() as session:
        return await request(
            session,
            who=decision(window.version, channel="api", actor="client:sehat"),
            notice=notice_of(window.version),
            now=window.clock(),
            entropy=window.entropy,
        )


async def press(
    window: Window, consent_id: str, name: str, *, subject_id: str = SITI, csrf: str | None = None, **fields: Any
) -> httpx2.Response:
    """A citizen presses a button."""
    async with window.browser({"x-subject": subject_id}) as browser:
        return await browser.post(
            f"/my/consents/{consent_id}/{name}", data={"csrf": csrf or csrf_of(subject_id), **fields}
        )


async def page_of(window: Window, consent_id: str, *, locale: str = "en") -> str:
    """The consent's page."""
    return (await window.get_as(SITI, f"/my/consents/{consent_id}", locale=locale)).text


async def test_a_press_pauses_and_another_lets_it_go_on(window: Window) -> None:
    consent_id = await granted(window)
    answer = await press(window, consent_id, "pause")
    assert (answer.status_code, answer.headers["location"]) == (303, f"../{consent_id}")
    assert await window.status_of(consent_id) == "paused"
    paused = await page_of(window, consent_id)
    assert "receives no data until you let it go on" in paused
    assert 'id="resume"' in paused
    assert 'id="withdraw"' in paused, "what is paused can be taken back as well"
    assert 'id="pause"' not in paused
    await press(window, consent_id, "resume")
    assert await window.status_of(consent_id) == "given"
    assert await window.buried() == 0, "a pause kills no token: they live again"
    assert await window.kinds_of(consent_id) == ["granted", "paused", "resumed"]


async def test_a_paused_consent_stays_among_what_is_current(window: Window) -> None:
    consent_id = await granted(window)
    await press(window, consent_id, "pause")
    listed = (await window.get_as(SITI, "/my/consents")).text
    assert f'id="consent-{consent_id}" data-status="paused"' in listed
    assert listed.index(f'id="consent-{consent_id}"') < len(listed.partition('id="ended"')[0])
    assert f'id="withdraw-{consent_id}"' in listed


async def test_one_item_is_taken_back_with_one_press(window: Window) -> None:
    consent_id = await granted(window)
    before = await page_of(window, consent_id)
    assert 'id="let-go-email"' in before
    assert 'id="let-go-name"' not in before, "what is needed cannot be let go of alone"
    await press(window, consent_id, "let-go", item="email")
    after = await page_of(window, consent_id)
    assert 'data-claim="email"' in after[after.index('id="refused"') :]
    assert "You took back: Email address. The rest stayed." in after


@pytest.mark.parametrize("item", ["name", "gender", "address", ""])
async def test_an_item_that_cannot_be_let_go_of_changes_nothing_and_says_so(window: Window, item: str) -> None:
    consent_id = await granted(window)
    answer = await press(window, consent_id, "let-go", item=item)
    assert answer.status_code == 400
    assert 'data-problem="refused"' in answer.text
    assert await window.kinds_of(consent_id) == ["granted"]


async def test_an_end_is_brought_nearer_to_the_end_of_a_day(window: Window) -> None:
    consent_id = await granted(window)
    await press(window, consent_id, "shorten", until="2026-09-01")
    page = await page_of(window, consent_id)
    assert "You brought the end nearer: 2 September 2026 at 00:00 WIB" in page


@pytest.mark.parametrize(
    ("day", "problem"),
    [("", "not_a_day"), ("tomorrow", "not_a_day"), ("2026-08-16", "refused"), ("2027-08-16", "refused")],
)
async def test_a_day_that_is_no_nearer_end_changes_nothing_and_says_so(window: Window, day: str, problem: str) -> None:
    consent_id = await granted(window)
    answer = await press(window, consent_id, "shorten", until=day)
    assert answer.status_code == 400
    assert f'data-problem="{problem}"' in answer.text
    assert await window.kinds_of(consent_id) == ["granted"]


async def test_a_no_can_be_taken_back_so_that_the_app_may_ask(window: Window) -> None:
    consent_id = await denied(window)
    page = await page_of(window, consent_id)
    assert "The app does not ask you again before 15 November 2026" in page
    await press(window, consent_id, "lift")
    lifted = await page_of(window, consent_id)
    assert 'id="lift"' not in lifted
    assert "You let the app ask you again." in lifted


async def test_letting_it_go_on_shows_what_was_agreed_and_is_one_press(window: Window) -> None:
    consent_id = await granted(window)
    window.clock.advance(days=80)
    page = (await window.get_as(SITI, f"/my/consents/{consent_id}/renew")).text
    assert 'data-claim="email" data-granted="yes"' in page
    assert 'data-claim="gender" data-granted="no"' in page
    (form,) = [form for form in read_html(page).forms if form.has("renew")]
    fields = dict(form.values())
    assert not any(field.kind == "checkbox" for field in form.fields), "there is nothing to choose"
    answer = await press(window, consent_id, "renew", shown=fields["shown"])
    assert answer.status_code == 303
    assert await window.status_of(consent_id) == "renewed"
    after = await page_of(window, consent_id)
    assert "You let it go on, until 3 February 2027" in after
    assert 'data-status="renewed"' in (await window.get_as(SITI, "/my/consents")).text


async def test_a_renewal_of_another_text_than_the_one_shown_is_shown_again(window: Window) -> None:
    consent_id = await granted(window)
    answer = await press(window, consent_id, "renew", shown="00" * 32)
    assert answer.status_code == 200
    assert 'id="renew"' in answer.text
    assert await window.kinds_of(consent_id) == ["granted"]


async def test_what_has_changed_is_not_renewed(window: Window) -> None:
    consent_id = await granted(window)
    async with window.database.transaction() as session:
        await active_purpose(
            session,
            agency_id=window.version.agency_id,
            **a_purpose(retention_days=10),
            now=window.clock.advance(60),
            entropy=window.entropy,
        )
        question = await question_about(
            window.ports,
            session,
            client_id="sehat",
            purpose_code="kunjungan",
            language="en",
            now=window.clock(),
        )
    assert question is not None
    answer = await press(window, consent_id, "renew", shown=question.shown)
    assert answer.status_code == 409
    assert 'data-problem="changed"' in answer.text
    assert await window.status_of(consent_id) == "given"


async def test_what_is_not_in_use_any_more_is_not_renewed(window: Window) -> None:
    consent_id = await granted(window, client_id="gone")
    answer = await window.get_as(SITI, f"/my/consents/{consent_id}/renew")
    assert answer.status_code == 409
    assert 'data-problem="not_in_use"' in answer.text


async def test_a_question_that_waits_is_answered_on_the_persons_own_page(window: Window) -> None:
    consent_id = await asked(window)
    listed = (await window.get_as(SITI, "/my/consents")).text
    assert f'id="answer-{consent_id}"' in listed
    page = (await window.get_as(SITI, f"/my/consents/{consent_id}/answer")).text
    (form,) = [form for form in read_html(page).forms if form.has("allow")]
    assert not any(field.checked for field in form.fields), "nothing is ticked by anybody else"
    assert [button.id for button in form.buttons] == ["allow", "deny"]
    shown = dict(form.values())["shown"]
    answer = await press(window, consent_id, "answer", shown=shown, decision="allow", item=["email"])
    assert answer.status_code == 303
    async with window.database.reading() as session:
        detail = await consent_by_id(session, consent_id)
    assert detail.consent.status == "given"
    assert detail.consent.granted == ("email", "name")
    assert detail.consent.subject_ref == f"{SITI[:8]}-at-sehat"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"decision": "deny"}, "refused"),
        ({"decision": "perhaps"}, "requested"),
        ({}, "requested"),
        ({"decision": "allow", "item": ["address"]}, "requested"),
    ],
)
async def test_only_an_answer_answers(window: Window, fields: dict[str, Any], status: str) -> None:
    consent_id = await asked(window)
    page = (await window.get_as(SITI, f"/my/consents/{consent_id}/answer")).text
    (form,) = [form for form in read_html(page).forms if form.has("allow")]
    await press(window, consent_id, "answer", shown=dict(form.values())["shown"], **fields)
    assert await window.status_of(consent_id) == status


BUTTONS = ("withdraw", "pause", "resume", "let-go", "shorten", "lift", "renew", "answer")


@pytest.mark.threat(78)
@pytest.mark.parametrize("name", BUTTONS)
async def test_no_button_works_on_anothers_consent(window: Window, name: str) -> None:
    consent_id = await granted(window)
    answer = await press(window, consent_id, name, subject_id=BUDI, item="email", until="2026-09-01", shown="00")
    assert answer.status_code == 404
    assert await window.kinds_of(consent_id) == ["granted"]


@pytest.mark.threat(67)
@pytest.mark.parametrize("name", BUTTONS)
async def test_no_button_works_from_a_form_of_somebody_elses(window: Window, name: str) -> None:
    consent_id = await granted(window)
    answer = await press(window, consent_id, name, csrf="wrong", item="email", until="2026-09-01")
    assert answer.status_code == 403
    assert await window.kinds_of(consent_id) == ["granted"]


@pytest.mark.parametrize("name", BUTTONS)
async def test_an_address_alone_changes_nothing(window: Window, name: str) -> None:
    consent_id = await granted(window)
    answer = await window.get_as(SITI, f"/my/consents/{consent_id}/{name}?csrf={csrf_of(SITI)}&item=email")
    assert answer.status_code in {200, 303}
    assert await window.kinds_of(consent_id) == ["granted"]
    signed_out = await window.get(f"/my/consents/{consent_id}/{name}")
    assert signed_out.headers["location"].startswith("/sign-in?")


@pytest.mark.parametrize("locale", ["en", "id"])
async def test_what_is_by_law_has_no_button_and_says_whom_to_ask(window: Window, locale: str) -> None:
    async with window.database.transaction() as session:
        version = await write_registry(
            session,
            now=window.clock(),
            entropy=window.entropy,
            agency="pajak",
            code="lapor",
            items=[item("name", required=True)],
            legal_basis="legal_obligation",
            legal_citation="UU 28/2007 pasal 35A",
        )
        consent_id = await grant_to(
            session, version, granted=version.claims, client_id="pajak", now=window.clock(), entropy=window.entropy
        )
    page = await page_of(window, consent_id, locale=locale)
    for name in BUTTONS:
        assert f'id="{name}"' not in page
    assert 'id="whom-to-ask"' in page
    assert "pdp@pajak.example" in page
    assert "UU 28/2007 pasal 35A" in page
    assert "You agreed" not in page
    listed = (await window.get_as(SITI, "/my/consents", locale=locale)).text
    assert f'data-by-law="{consent_id}"' in listed
    assert f'id="withdraw-{consent_id}"' not in listed
    answer = await press(window, consent_id, "withdraw")
    assert answer.status_code == 409
    assert await window.status_of(consent_id) == "given"
    assert await window.buried() == 0


async def test_who_must_stop_and_by_when_is_shown(window: Window) -> None:
    consent_id = await granted(window)
    await press(window, consent_id, "withdraw")
    window.clock.advance(hours=30, minutes=30)
    page = await page_of(window, consent_id)
    assert 'data-recipient="recipient" data-state="waiting"' in page
    assert "0 of 1 has stopped. The law gives them 42 hours more." in page


@pytest.mark.parametrize("reason", ["the programme was stopped", "<b>because</b>"])
async def test_an_end_by_others_says_so_and_why(window: Window, reason: str) -> None:
    consent_id = await granted(window)
    async with window.database.transaction() as session:
        await revoke(
            session, consent_id=consent_id, actor=BUDI, reason=reason, now=window.clock(), entropy=window.entropy
        )
    page = await page_of(window, consent_id)
    assert "because what it was for was ended" in page
    assert "<b>because" not in page
    assert BUDI not in page, "who approved it is not the person's to know by a number"


@pytest.mark.parametrize("locale", ["en", "id"])
async def test_a_long_history_is_told_in_plain_words_in_the_readers_language(window: Window, locale: str) -> None:
    consent_id = await granted(window)
    async with window.database.transaction() as session:
        await pause(
            session, consent_id=consent_id, subject_id=SITI, now=window.clock.advance(60), entropy=window.entropy
        )
    for name in ("resume", "let-go", "shorten"):
        window.clock.advance(60)
        until = (window.clock() + timedelta(days=3)).date().isoformat()
        await press(window, consent_id, name, item="email", until=until)
    page = read_html(await page_of(window, consent_id, locale=locale))
    history = page.text_by_id["history"]
    sentences = {
        "en": ("You agreed.", "You paused it.", "after the pause", "You took back: Email address", "end nearer"),
        "id": ("Anda setuju.", "Anda menjeda", "setelah jeda", "Anda menarik kembali: Alamat email", "Anda memajukan"),
    }[locale]
    for sentence in sentences:
        assert sentence in history
