"""The public register and the console's proposals, as people and machines open them."""

import json
import re
from typing import Any

import pytest

from consent.purposes import PurposeVersionView, purpose_version
from consent.registry.agreement_versions import propose_agreement
from consent.registry.agreements import AgreementVersionView, agreement_version
from consent.registry.review import CODES
from consent.registry.versions import approve, end_version
from tests.consent.http.window import AS_OFFICER, OFFICER, Window, csrf_of
from tests.consent.registry import SITI, item
from tests.consent.registry_story import FAMILY_CARD, Story
from tests.support.purposes import AGENCYS_REVIEWER, PROPOSER, a_review

pytestmark = pytest.mark.anyio


@pytest.fixture
def story(window: Window) -> Story:
    """The window's registry, to be gone on with. It has one purpose in force."""
    return Story(window.database, window.clock, window.entropy, window.version.agency_id)


async def second(story: Story, **changes: Any) -> PurposeVersionView:
    """A proposed second version."""
    return await story.propose(**{"retention_days": 30, "compatible_with": [1], **changes})


def answers(**changes: str) -> dict[str, str]:
    """The form, filled in for the operator's side."""
    form = {f"confirmed-{code}": "yes" for code in CODES} | {
        "csrf": csrf_of(OFFICER),
        "decision": "approve",
        "side": "operator",
        "public_task": "no",
        "public_task_reason": "Nobody has to.",
        "remark": "",
    }
    return {**form, **changes}


async def post(window: Window, path: str, form: dict[str, str], **headers: str) -> Any:
    async with window.browser({**AS_OFFICER, **headers}) as browser:
        return await browser.post(path, data=form)


# --- the register ---


async def test_anybody_reads_the_register_in_either_language(window: Window) -> None:
    english = (await window.get("/register", {"x-locale": "en"})).text
    indonesian = (await window.get("/register", {"x-locale": "id"})).text
    assert "Ministry of kesehatan" in english
    assert "A visit" in english
    assert "You decide. Ministry of kesehatan may receive this data only if you agree." in english
    assert "Kementerian kesehatan" in indonesian
    assert "Kunjungan" in indonesian
    assert 'href="/register/kunjungan"' in english


async def test_a_purpose_is_told_in_the_words_of_its_notice(window: Window) -> None:
    page = (await window.get("/register/kunjungan")).text
    for sentence in (
        "To register a visit.",
        "People are asked, and may say no.",
        "For email",
        "Ministry of kesehatan keeps this data for 1 year at most.",
        "In Satu Pintu, under My consents.",
        "withdraw consent",
        window.version.digest.hex(),
        "17 August 2026",
    ):
        assert sentence in page, sentence


async def test_where_nobody_is_asked_the_register_says_so(window: Window, story: Story) -> None:
    await story.activate(
        await story.propose(code="bantuan", legal_basis="public_task", items=[item("name", required=True)]),
        public_task_applies=True,
    )
    page = (await window.get("/register/bantuan")).text
    assert 'id="no-choice"' in page
    assert 'id="choice"' not in page
    assert "This is a notice; you are not asked to agree." in page


async def test_versions_are_shown_with_what_changed(window: Window, story: Story) -> None:
    await story.activate(await second(story))
    page = (await window.get("/register/kunjungan")).text
    assert "Who agreed to version 1 need not be asked again." in page
    changes = page[page.index('id="changes-2"') :]
    assert "Days that the data is kept" in changes
    assert "<del>365</del>" in changes
    assert "<ins>30</ins>" in changes
    assert page.index('id="version-2"') < page.index('id="version-1"')


async def test_what_is_only_proposed_is_nobodys_business_yet(window: Window, story: Story) -> None:
    await second(story)
    await story.propose(code="rahasia")
    assert 'id="version-2"' not in (await window.get("/register/kunjungan")).text
    assert (await window.get("/register/rahasia")).status_code == 404
    assert "rahasia" not in (await window.get("/register.json")).text


async def test_what_ended_stays_in_the_register(window: Window, story: Story) -> None:
    async with window.database.transaction() as session:
        await end_version(
            session, window.version.id, by="Ratna", reason="Over", now=window.clock.advance(60), entropy=window.entropy
        )
    page = (await window.get("/register/kunjungan")).text
    assert re.search(r'class="tag warn">Ended', page)
    (purpose,) = json.loads((await window.get("/register.json")).text)["purposes"]
    assert (purpose["in_force"], purpose["versions"][0]["status"]) == (None, "ended")


async def test_machines_get_all_of_it(window: Window, story: Story) -> None:
    provider = await story.provider()
    proposed = await second(story, items=[item("name", required=True), item(FAMILY_CARD)], compatible_with=[])
    await story.agree(proposed, provider)
    active = await story.activate(proposed)
    answer = await window.get("/register.json")
    register = json.loads(answer.text)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    (purpose,) = register["purposes"]
    assert (purpose["code"], purpose["in_force"]) == ("kunjungan", 2)
    newest, first = purpose["versions"]
    assert (newest["sha256"], newest["terms"]["jurisdiction"]) == (active.digest.hex(), "ID")
    assert newest["ended_at"] is None
    assert first["ended_at"] == newest["activated_at"]
    assert {"member": "retention_days", "before": 365, "after": 30} in newest["changes"]
    items = {one["name"]: one for one in register["data_items"]}
    assert items[FAMILY_CARD]["source"] == "dukcapil"
    assert items["name"]["dpv_iri"] == "https://w3id.org/dpv/pd#Name"
    (agreement,) = register["agreements"]
    assert (agreement["provider"], agreement["items"]) == ("dukcapil", [FAMILY_CARD])
    assert [agency["code"] for agency in register["agencies"]] == ["dukcapil", "kesehatan"]
    assert AGENCYS_REVIEWER not in answer.text, "who reviewed is not the public's business"
    page = (await window.get("/register/kunjungan")).text
    assert "It comes from Ministry of dukcapil." in page
    assert "PKS-7/2026" in page


# --- the console ---


@pytest.mark.parametrize(
    "path", ["/console/proposals", "/console/proposals/{id}", "/console/proposals/agreements/{id}"]
)
async def test_proposals_are_for_officers(window: Window, story: Story, path: str) -> None:
    proposed = await second(story)
    path = path.format(id=proposed.id)
    assert (await window.get(path)).headers["location"].startswith("/sign-in")
    assert (await window.get_as(SITI, path)).status_code == 403
    async with window.browser({"x-subject": SITI}) as browser:
        refused = await browser.post(path, data=answers(csrf=csrf_of(SITI)))
    assert refused.status_code in {403, 405}
    assert (await story.read(proposed)).status == "proposed"
    assert [event.kind for event in await story.events(proposed.id)] == ["drafted", "proposed"]


async def test_an_officer_sees_what_waits_and_what_to_look_at(window: Window, story: Story) -> None:
    assert 'id="no-purposes"' in (await window.get_as_officer("/console/proposals")).text
    texts = {language: dict(words) for language, words in window.version.texts.items()}
    texts["en"]["description"] = "To register a visit, etc."
    proposed = await second(story, texts=texts)
    listed = (await window.get_as_officer("/console/proposals")).text
    assert f'data-proposal="{proposed.id}"' in listed
    assert PROPOSER in listed
    page = (await window.get_as_officer(f"/console/proposals/{proposed.id}")).text
    assert 'data-finding="vague"' in page
    assert 'name="reason-vague"' in page
    assert all(f'name="confirmed-{code}"' in page for code in CODES)
    assert " checked" not in page, "nothing is confirmed beforehand"
    assert "<del>365</del>" in page
    assert (await window.get_as_officer("/console/proposals/nothing")).status_code == 404


async def test_an_officer_approves_and_with_the_other_side_it_is_in_force(window: Window, story: Story) -> None:
    proposed = await second(story)
    path = f"/console/proposals/{proposed.id}"
    done = await post(window, path, answers())
    assert (done.status_code, done.headers["location"]) == (303, proposed.id)
    assert (await story.read(proposed)).status == "proposed"
    again = await post(window, path, answers(side="agency"))
    assert again.status_code == 400
    assert "approved already, for the other side" in again.text
    other = "0f000000-0000-4000-8000-000000000002"
    form = answers(side="agency", csrf=csrf_of(other))
    assert (await post(window, path, form, **{"x-subject": other})).status_code == 303
    assert (await story.read(proposed)).status == "active"
    approvals = [event for event in await story.events(proposed.id) if event.kind == "approved"]
    assert [(one.actor, one.detail["side"]) for one in approvals] == [(OFFICER, "operator"), (other, "agency")]
    assert 'id="approve"' not in (await window.get_as_officer(path)).text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"csrf": "forged"}, None),
        ({"decision": "perhaps"}, "neither approved nor rejected"),
        ({"side": ""}, "the side is one of"),
        ({"confirmed-rights": ""}, "each item of article 21 is confirmed"),
        ({"public_task": ""}, "is not answered"),
        ({"public_task": "yes"}, "a public task would apply"),
        ({"public_task_reason": " "}, "about a public task is empty"),
        ({"decision": "reject", "reason": ""}, "the reason is empty"),
    ],
)
async def test_a_form_that_answers_too_little_records_nothing(
    window: Window, story: Story, changes: dict[str, str], said: str | None
) -> None:
    proposed = await second(story)
    refused = await post(window, f"/console/proposals/{proposed.id}", answers(**changes))
    assert refused.status_code == (403 if said is None else 400)
    if said is not None:
        assert said in refused.text
        assert 'role="alert"' in refused.text
    assert [event.kind for event in await story.events(proposed.id)] == ["drafted", "proposed"]


async def test_an_officer_rejects_with_a_reason(window: Window, story: Story) -> None:
    proposed = await second(story)
    path = f"/console/proposals/{proposed.id}"
    done = await post(window, path, answers(decision="reject", reason="Kept for <b>too</b> long"))
    assert done.status_code == 303
    assert (await story.read(proposed)).status == "rejected"
    page = (await window.get_as_officer(path)).text
    assert "Kept for &lt;b&gt;too&lt;/b&gt; long" in page


async def an_agreement(window: Window, story: Story) -> AgreementVersionView:
    provider = await story.provider()
    await second(story, items=[item("name", required=True), item(FAMILY_CARD)], compatible_with=[])
    now = window.clock.advance(60)
    async with window.database.transaction() as session:
        return await propose_agreement(
            session,
            code="keluarga",
            provider_agency_id=provider,
            purpose_code="kunjungan",
            instrument={"kind": "decree", "number": "7/2026", "title": "Data", "date": "2026-01-05"},
            items=[FAMILY_CARD],
            valid_from=now,
            valid_until=now.replace(year=now.year + 1),
            data_life_days=365,
            proposed_by=PROPOSER,
            now=now,
            entropy=window.entropy,
        )


async def test_an_officer_approves_or_rejects_an_agreement(window: Window, story: Story) -> None:
    agreement = await an_agreement(window, story)
    path = f"/console/proposals/agreements/{agreement.id}"
    assert f'data-proposal="{agreement.id}"' in (await window.get_as_officer("/console/proposals")).text
    assert "7/2026" in (await window.get_as_officer(path)).text
    assert (await post(window, path, answers(side="provider"))).status_code == 303
    twice = await post(window, path, answers(side="recipient"))
    assert (twice.status_code, "approved already" in twice.text) == (400, True)
    assert (await post(window, path, answers(decision="reject", reason="No"))).status_code == 303
    async with window.database.reading() as session:
        assert (await agreement_version(session, agreement.id)).status == "rejected"
    missing = path.replace(agreement.id, "0" * 36)
    assert (await window.get_as_officer(missing)).status_code == 404
    assert (await post(window, missing, answers(side="provider"))).status_code == 404


async def test_a_console_and_a_shell_cannot_be_two_people(window: Window, story: Story) -> None:
    proposed = await second(story)
    async with window.database.transaction() as session:
        await approve(
            session,
            proposed.id,
            side="agency",
            by="siti",  # what the console calls the officer, written by hand
            review=a_review(),
            now=window.clock(),
            entropy=window.entropy,
        )
    refused = await post(window, f"/console/proposals/{proposed.id}", answers())
    assert (refused.status_code, "approved already" in refused.text) == (400, True)
    async with window.database.reading() as session:
        assert (await purpose_version(session, proposed.id)).status == "proposed"
