"""The web desk as an agent at the page lives it: real routes, verbs and database, with a customer played beside it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from bot.model import AuthorKind
from bot.storage import history
from handoff import cases
from tests.browser.desk_site import Site
from tests.support.browser import slow_line

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c4944415408d763f8cfc000000301010018dd8db00000000049454e44ae426082"
)
ATTACK = "<img src=x onerror=window.hacked=1><script>window.hacked=1</script>"


@pytest_asyncio.fixture(loop_scope="session")
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Site(f"sqlite+aiosqlite:///{tmp_path / 'desk.db'}") as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def at_desk(page: Page, site: Site) -> AsyncIterator[Page]:
    """Ann at her desk; whatever the browser complains of (a script of ours that fails, a rule that we break) fails the test."""
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.set_default_timeout(30_000)
    await page.set_viewport_size({"width": 1400, "height": 860})
    await page.goto(f"{site.url}/desk")
    await expect(page.get_by_role("tab", name="Queue")).to_be_visible()
    yield page
    assert [one for one in complaints if "409" not in one] == []


async def test_a_newcomer_is_told_what_to_do_and_then_plays_the_agent(at_desk: Page, site: Site) -> None:
    """The whole way: a case comes in by itself, is claimed, answered, annotated and resolved."""
    page = at_desk
    await expect(page.locator(".strip.demo")).to_contain_text("built-in desk on your own machine")
    await expect(page.get_by_role("link", name="Open the demo page")).to_be_visible()

    case = await site.told()
    row = page.get_by_role("option", name="Kari Nordmann")
    await expect(row).to_contain_text("Can I talk to a person?")
    await expect(page).to_have_title(re.compile(r"^\(1\)"))
    await row.click()
    await expect(page.locator(".brief")).to_contain_text("AB123456")
    await expect(page.locator(".brief")).to_contain_text("Looked up the order")
    await expect(page.locator(".msg.bot strong")).to_have_text("AB123456")
    await expect(page.get_by_role("textbox")).to_have_count(0)  # nothing can go out before the claim

    await page.keyboard.press("c")
    box = page.get_by_role("textbox", name="Reply to customer")
    await expect(box).to_be_enabled()
    await expect(box).not_to_be_focused()  # the next letter is a key as well, and no word to the customer
    await page.keyboard.press("r")
    await expect(box).to_be_focused()
    await expect(box).to_have_value("")
    await page.keyboard.type("It came back to us. I send it again **today**.")
    await page.keyboard.press("Enter")
    await expect(page.locator(".undo")).to_contain_text("Goes to the customer in")
    assert "It came back" not in " ".join(await site.house.said(case.customer_id))
    await expect(page.locator(".msg.agent:not(.pending) .bubble strong")).to_have_text("today")
    assert "It came back to us. I send it again **today**." in await site.house.said(case.customer_id)
    await expect(page.locator(".undo")).to_be_hidden()
    await site.deliver(case.customer_id)
    await expect(page.locator(".msg.agent .mark.sent")).to_be_visible()

    await site.house.writes(case.customer_id, "Thank you!")
    await expect(page.locator(".msg.customer").last).to_contain_text("Thank you!")

    await page.keyboard.press("Escape")
    await page.keyboard.press("e")
    dialog = page.get_by_role("dialog")
    await dialog.get_by_text("No solution", exact=True).click()
    await dialog.get_by_role("button", name="Resolve").click()
    await expect(dialog).to_contain_text("the customer is owed a reason")
    await dialog.get_by_text("Solved", exact=True).click()
    await dialog.get_by_label("Topic").fill("returned parcel")
    await dialog.get_by_role("button", name="Resolve").click()
    await expect(page.locator(".bar")).to_contain_text("Resolved")
    ended = await site.house.case(case)
    assert (ended.outcome, ended.topic, ended.resolved_by) == ("resolved", "returned parcel", "agent")


async def test_who_claims_and_replies_in_one_go_writes_in_that_case_and_who_claims_and_goes_on_writes_in_none(
    at_desk: Page, site: Site
) -> None:
    """The claim takes a moment: R waits for it, and another case may be looked at before it comes."""
    page = at_desk
    await site.told()
    await site.told("Ola Hansen")
    box = page.get_by_role("textbox", name="Reply to customer")
    line = await slow_line(page, "**/claim")
    await page.reload()
    for name in ("Kari Nordmann", "Ola Hansen"):
        await expect(page.get_by_role("option", name=name)).to_be_visible()
    await page.get_by_role("option", name="Ola Hansen").click()
    await expect(page.locator(".bar h2")).to_have_text("Ola Hansen")
    line.clear()
    await page.keyboard.press("c")
    await page.keyboard.press("r")
    line.set()
    await expect(box).to_be_focused()
    await expect(box).to_have_value("")
    await page.keyboard.press("Escape")

    line.clear()
    await page.get_by_role("tab", name="Queue").click()
    await page.get_by_role("option", name="Kari Nordmann").click()
    await expect(page.locator(".bar h2")).to_have_text("Kari Nordmann")
    await page.get_by_role("button", name="Claim").first.click()
    await page.get_by_role("tab", name="Mine").click()
    await page.get_by_role("option", name="Ola Hansen").click()
    await expect(page.locator(".bar h2")).to_have_text("Ola Hansen")
    await page.keyboard.press("Escape")
    async with page.expect_response("**/claim"):
        line.set()
    await expect(page.get_by_role("option", name="Kari Nordmann")).to_be_visible()  # among mine now
    await expect(box).not_to_be_focused()


async def taken(page: Page, site: Site) -> str:
    """Ann holds a case and has it open; the customer's id."""
    case = await site.told()
    await site.house.do(cases.claim, case.id, "ann", desk="web")
    await page.goto(f"{site.url}/desk#{case.id}")
    await page.reload()
    await expect(page.get_by_role("textbox", name="Reply to customer")).to_be_enabled()
    return case.customer_id


async def test_words_taken_back_never_reach_the_customer_and_stand_in_the_box_again(at_desk: Page, site: Site) -> None:
    page, customer = at_desk, await taken(at_desk, site)
    box = page.get_by_role("textbox", name="Reply to customer")
    await box.fill("The password is hunter2")
    await box.press("Enter")
    await page.locator(".undo").get_by_role("button", name="Take back").click()
    await expect(box).to_have_value("The password is hunter2")
    await expect(page.locator(".msg.gone")).to_contain_text("Taken back")
    await box.fill("For Bob: this one is odd")
    await box.press("Enter")
    await page.locator(".undo").get_by_role("button", name="Make it a note").click()
    await expect(page.locator(".msg.note")).to_contain_text("this one is odd")
    site.ahead = timedelta(seconds=20)
    site.timers.wake()
    await site.storage.write(lambda _: None)
    said = " ".join(await site.house.said(customer))
    assert "hunter2" not in said
    assert "odd" not in said


async def test_a_note_looks_like_one_and_stays_inside(at_desk: Page, site: Site) -> None:
    page, customer = at_desk, await taken(at_desk, site)
    before = await page.evaluate("getComputedStyle(document.querySelector('.box')).backgroundColor")
    await page.keyboard.press("Escape")
    await page.keyboard.press("n")
    note = page.get_by_role("textbox", name="Internal note")
    await expect(note).to_be_focused()
    await expect(page.locator(".box")).not_to_have_css("background-color", before)
    await note.fill("He called twice already")
    await note.press("Enter")
    await expect(page.locator(".msg.note .label")).to_have_text("Note")
    assert "He called twice already" not in await site.house.said(customer)


async def test_who_was_second_is_told_who_was_first(at_desk: Page, site: Site) -> None:
    case = await site.told()
    await at_desk.get_by_role("option", name="Kari Nordmann").click()
    await expect(at_desk.get_by_role("button", name="Claim").first).to_be_visible()
    # Bob claims on another node: this page gets no hint of it.
    site.web.hub.hint = lambda *_, **__: None  # type: ignore[method-assign]
    await site.house.do(cases.claim, case.id, "bob", desk="slack")
    await at_desk.locator(".bar").get_by_role("button", name="Claim").click()
    await expect(at_desk.locator(".toast")).to_have_text("Already taken by Bob.")
    await expect(at_desk.locator(".lockline")).to_contain_text("Bob holds this case")


async def test_what_was_typed_in_a_form_that_was_refused_stands_in_it_again(at_desk: Page, site: Site) -> None:
    """The customer writes while the case is being ended: that is to be read, the rest not to be written again."""
    page, customer = at_desk, await taken(at_desk, site)
    await page.keyboard.press("Escape")
    await page.keyboard.press("e")
    dialog = page.get_by_role("dialog")
    await dialog.get_by_text("No solution", exact=True).click()
    await dialog.get_by_label("Topic").fill("returned parcel")
    await dialog.get_by_role("textbox", name="Reason").fill("It was lost")
    await site.house.writes(customer, "One more question")
    await dialog.get_by_role("button", name="Resolve").click()
    await expect(page.locator(".toast.bad")).to_be_visible()
    await expect(page.locator(".msg.customer").last).to_contain_text("One more question")
    await page.keyboard.press("e")
    await expect(dialog.get_by_label("Topic")).to_have_value("returned parcel")
    await expect(dialog.get_by_role("textbox", name="Reason")).to_have_value("It was lost")
    await dialog.get_by_role("button", name="Resolve").click()
    await expect(page.locator(".bar")).to_contain_text("Resolved")


async def test_marks_tell_what_became_of_an_answer(at_desk: Page, site: Site) -> None:
    page, customer = at_desk, await taken(at_desk, site)
    case = (await site.house.look(history.messages, customer))[-1].case_id
    await site.house.do(cases.reply, case, "ann", "Are you there?", desk="web")
    await expect(page.locator(".msg.agent .mark")).to_be_visible()
    await site.deliver(customer, "failed", "the customer has blocked the bot")
    await expect(page.locator(".msg.agent .mark.bad")).to_have_text("Not delivered: the customer has blocked the bot")


async def test_nothing_that_people_write_becomes_markup_and_nothing_hides(at_desk: Page, site: Site) -> None:
    case = await site.told(name=ATTACK, show=[(ATTACK, ATTACK)], tried=[ATTACK], reason=ATTACK)
    await site.house.writes(case.customer_id, f"{ATTACK} invoice\u202egpj.exe")
    await site.house.do(cases.note, case.id, "bob", ATTACK, desk="slack")
    await site.house.do(cases.claim, case.id, "ann", desk="web")
    await site.house.do(cases.reply, case.id, "ann", f"{ATTACK} [x](javascript:window.hacked=1)", desk="web")
    await at_desk.goto(f"{site.url}/desk#{case.id}")
    await at_desk.reload()
    await expect(at_desk.locator(".msg.customer").last).to_contain_text("invoice[U+202E]gpj.exe")
    await expect(at_desk.locator(".msg.note")).to_contain_text("<img src=x")
    assert await at_desk.evaluate("window.hacked") is None
    assert (
        await at_desk.evaluate("document.querySelectorAll('.app :is(script, iframe, [onerror], img[src=x])').length")
        == 0
    )
    links = await at_desk.evaluate("[...document.querySelectorAll('.log .prose a')].map((a) => a.href)")
    assert all(not link.startswith("javascript") for link in links)


async def test_files_go_to_the_customer_and_come_from_them(at_desk: Page, site: Site) -> None:
    page, customer = at_desk, await taken(at_desk, site)
    await page.locator("input[type=file]").set_input_files(
        {"name": "label.png", "mimeType": "image/png", "buffer": PNG}
    )
    await expect(page.locator(".tray .chip")).to_contain_text("label.png")
    await page.get_by_role("button", name="Send").click()
    picture = page.locator(".msg.agent .pic img")
    await expect(picture).to_be_visible(timeout=30_000)
    assert await picture.evaluate("(img) => img.decode().then(() => img.naturalWidth)") == 1
    told = [one for one in await site.house.look(history.messages, customer) if one.author.kind is AuthorKind.AGENT]
    assert [file.name for file in told[-1].body.files] == ["label.png"]


async def test_what_stands_in_the_conversation_stays_where_it_is(at_desk: Page, site: Site) -> None:
    """An agent who has marked an order number to copy it keeps the mark while new messages come in."""
    customer = await taken(at_desk, site)
    await at_desk.locator(".msg.customer .prose").nth(1).dblclick()
    await site.house.writes(customer, "Hello?")
    await expect(at_desk.locator(".msg.customer").last).to_contain_text("Hello?")
    assert await at_desk.evaluate("getSelection().toString().trim()") == "AB123456"


async def test_the_customer_typing_is_seen(at_desk: Page, site: Site) -> None:
    customer = await taken(at_desk, site)
    await expect(at_desk.locator(".profile")).to_be_visible()
    for _ in range(20):  # a widget tells again while somebody types; the page's event stream may open a moment late
        site.widgets.hint(customer, "typing", who="customer")
        await at_desk.wait_for_timeout(250)
        if await at_desk.locator(".typing").is_visible():
            break
    await expect(at_desk.locator(".typing")).to_be_visible()


async def test_hebrew_turns_the_desk_around(at_desk: Page, site: Site) -> None:
    await site.told("דנה", "he")
    await at_desk.locator(".profile").click()
    await at_desk.get_by_role("menuitemcheckbox", name="עברית").click()
    await expect(at_desk.locator("html")).to_have_attribute("dir", "rtl")
    await at_desk.get_by_role("option").click()
    await expect(at_desk.locator(".brief .card")).to_be_visible()
    bar, brief = await at_desk.locator(".list").bounding_box(), await at_desk.locator(".brief").bounding_box()
    assert bar
    assert brief
    assert bar["x"] > brief["x"]
    assert await at_desk.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_on_a_phone_the_list_leads_to_the_case_and_back(at_desk: Page, site: Site) -> None:
    await at_desk.set_viewport_size({"width": 360, "height": 740})
    await site.told()
    await at_desk.get_by_role("option").click()
    await expect(at_desk.locator(".list")).to_be_hidden()
    await expect(at_desk.locator(".log")).to_be_visible()
    assert await at_desk.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await at_desk.get_by_role("button", name="Details").click()
    await expect(at_desk.locator(".brief")).to_be_visible()
    await at_desk.locator(".brief").get_by_role("button", name="Close").click()
    await at_desk.get_by_role("button", name="Back to the list").click()
    await expect(at_desk.locator(".list")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_nobody_is_shut_out(at_desk: Page, site: Site, scheme: str) -> None:
    """axe finds nothing serious: names, roles, contrast; in both schemes, with a case open."""
    await at_desk.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    await taken(at_desk, site)
    found = await Axe().run(at_desk)
    serious = [one for one in found.response["violations"] if one["impact"] in {"serious", "critical"}]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in serious] == []


async def test_a_link_signs_in_once(page: Page, tmp_path: Path) -> None:
    from handoff.web.sign_in import invite

    async with Site(f"sqlite+aiosqlite:///{tmp_path / 'other.db'}", demo=False) as site:
        await page.goto(f"{site.url}/desk")
        await expect(page.get_by_role("heading")).to_have_text("Sign in to the desk")
        token = await site.house.do(invite, "bob")
        await page.goto(f"{site.url}/desk/join?token={token}")
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("tab", name="Queue")).to_be_visible()
        await expect(page.locator(".strip.demo")).to_have_count(0)
        await page.goto(f"{site.url}/desk/join?token={token}")
        await expect(page.get_by_role("heading")).to_have_text("This link does not work")
        await page.goto(f"{site.url}/desk")
        await page.locator(".profile").click()
        await page.get_by_role("menuitem", name="Sign out").click()
        await expect(page.get_by_role("heading", name="Sign in to the desk")).to_be_visible()


async def test_what_is_typed_while_words_are_on_their_way_is_neither_lost_nor_sent_with_them(
    at_desk: Page, site: Site
) -> None:
    """A slow line: the agent presses Enter, goes on typing, and presses Enter again."""
    page = at_desk
    line = await slow_line(page, "**/reply")
    customer = await taken(page, site)
    line.clear()
    box = page.get_by_role("textbox", name="Reply to customer")
    await box.fill("One moment.")
    await box.press("Enter")
    await box.press("End")
    await box.type("I look it up.")
    await box.press("Enter")
    line.set()
    await expect(box).to_have_value("")
    await expect(page.locator(".msg.agent:not(.pending) .bubble")).to_have_count(2)
    assert (await site.house.said(customer))[-2:] == ["One moment.", "I look it up."]
