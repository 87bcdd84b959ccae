"""Nothing lost, nothing twice, nothing out of order: what the widget promises over a bad line."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest
from playwright.async_api import Page, Route, expect

from tests.browser.stub_server import Frame, StubServer, Visitor
from tests.browser.widget import Widget, eventually


@pytest.mark.parametrize("echo", [True, False], ids=["echoed", "only acknowledged"])
async def test_a_message_goes_out_once_and_shows_once(page: Page, stub: StubServer, echo: bool) -> None:
    stub.echo = echo
    widget = await (await Widget(page, stub).visit()).connected()
    await widget.write("Where is my order?")
    await expect(widget.unsent).to_have_count(0)
    await stub.say("Which number?")
    await widget.shows("Where is my order?", "Which number?")
    assert [frame["text"] for frame in stub.visitor.frames if frame["type"] == "message"] == ["Where is my order?"]
    assert widget.crashes == []


async def test_after_a_lost_line_all_is_there_in_order_and_nothing_twice(page: Page, stub: StubServer) -> None:
    widget = await (await Widget(page, stub).visit()).connected()
    await widget.write("one")
    await stub.say("two")
    await widget.shows("one", "two")
    await stub.cut()
    await stub.say("three")
    await stub.say("four")
    await widget.shows("one", "two", "three", "four")
    assert stub.hellos[-1]["after"] == 2


async def test_a_message_whose_acknowledgement_was_lost_is_sent_again_and_is_one(page: Page, stub: StubServer) -> None:
    widget = await (await Widget(page, stub).visit()).connected()
    stub.swallow = 1
    await widget.write("Hello?")
    await eventually(lambda: len([frame for frame in stub.visitor.frames if frame["type"] == "message"]) == 2)
    await expect(widget.unsent).to_have_count(0)
    await widget.shows("Hello?")
    assert len(stub.visitor.story) == 1
    assert len({frame["id"] for frame in stub.visitor.frames if frame["type"] == "message"}) == 1


async def test_a_line_that_swallows_what_is_sent_is_left_for_a_new_one(page: Page, stub: StubServer) -> None:
    """A half-open socket gives no sign: only the missing acknowledgement tells."""
    await page.clock.install()
    widget = await (await Widget(page, stub).visit()).connected()
    stub.deaf = True
    await widget.write("Anybody?")
    await expect(widget.unsent).to_have_count(1)
    stub.deaf = False
    await page.clock.fast_forward(13_000)
    await expect(widget.unsent).to_have_count(0)
    await widget.shows("Anybody?")
    assert len(stub.hellos) == 2


async def test_a_gap_is_seen_and_fetched(page: Page, stub: StubServer) -> None:
    widget = await (await Widget(page, stub).visit()).connected()
    await stub.say("one")
    await widget.shows("one")
    stub.skip = {2}
    await stub.say("two")
    await stub.say("three")
    await widget.shows("one", "two", "three")
    assert stub.hellos[-1]["after"] == 1


async def test_the_same_frame_twice_shows_once(page: Page, stub: StubServer) -> None:
    widget = await (await Widget(page, stub).visit()).connected()
    frame = await stub.say("one")
    await stub.tell(stub.visitor, frame)
    await stub.say("two")
    await widget.shows("one", "two")


async def test_what_is_written_offline_waits_survives_a_reload_and_goes_out(page: Page, stub: StubServer) -> None:
    widget = await (await Widget(page, stub).visit()).connected()
    await stub.say("hello")
    await widget.shows("hello")
    stub.down = True
    await stub.cut()
    await widget.write("first")
    await widget.write("second")
    await expect(widget.unsent).to_have_count(2)
    await page.reload()
    await expect(widget.panel).to_be_visible()
    stub.down = False
    await expect(widget.unsent).to_have_count(0)
    await widget.shows("hello", "first", "second")


async def test_offline_is_told_and_coming_online_connects_at_once(page: Page, stub: StubServer) -> None:
    widget = await (await Widget(page, stub).visit()).connected()
    await page.context.set_offline(True)
    await expect(widget.panel.get_by_text("You are offline.")).to_be_visible()
    await widget.write("out of the tunnel")
    await expect(widget.unsent).to_have_text("out of the tunnelWaiting for a connection")
    await page.context.set_offline(False)
    await expect(widget.unsent).to_have_count(0)
    await expect(widget.panel.get_by_text("You are offline.")).to_be_hidden()
    await widget.shows("out of the tunnel")


async def test_a_reload_keeps_the_customer_and_the_history(page: Page, stub: StubServer) -> None:
    widget = await (await Widget(page, stub).visit()).connected()
    await widget.write("Remember me")
    await stub.say("I will")
    await widget.shows("Remember me", "I will")
    await page.reload()
    await widget.shows("Remember me", "I will")
    assert len(stub.visitors) == 1


async def test_two_tabs_are_one_customer_and_stay_in_step(page: Page, stub: StubServer) -> None:
    first = Widget(page, stub)
    second = Widget(await page.context.new_page(), stub)
    await first.visit()
    await second.visit()
    await eventually(lambda: len(stub.visitor.sockets) == 2)
    assert len(stub.visitors) == 1
    await first.write("from the first tab")
    await second.write("from the second tab")
    await stub.say("heard")
    for tab in (first, second):
        await expect(tab.unsent).to_have_count(0)
        await expect(tab.bubbles).to_have_count(3)
    assert await first.bubbles.all_text_contents() == await second.bubbles.all_text_contents()


async def test_a_dead_token_makes_a_new_visitor_with_an_empty_story(page: Page, stub: StubServer) -> None:
    widget = await (await Widget(page, stub).visit()).connected()
    await widget.write("soon forgotten")
    await expect(widget.unsent).to_have_count(0)
    old = stub.visitors.pop(stub.visitor.token)
    for socket in list(old.sockets):
        await socket.close(code=4401)
    await eventually(lambda: bool(stub.visitors) and bool(stub.visitor.sockets))
    await widget.shows()
    await widget.write("hello again")
    await widget.shows("hello again")
    assert stub.hellos[-1] == {"type": "hello", "token": stub.visitor.token, "after": 0}


async def test_a_refused_message_can_be_tried_again(page: Page, stub: StubServer) -> None:
    widget = await (await Widget(page, stub).visit()).connected()
    stub.refuse = lambda _frame: {"code": "bad_frame", "message": "no"}
    await widget.write("please")
    await expect(widget.unsent).to_contain_text("Not sent")
    stub.refuse = lambda _frame: None
    await widget.unsent.get_by_role("button", name="Try again").click()
    await expect(widget.unsent).to_have_count(0)
    await widget.shows("please")


async def test_a_rate_limit_is_waited_out(page: Page, stub: StubServer) -> None:
    widget = await (await Widget(page, stub).visit()).connected()
    answers: list[Frame] = [{"code": "rate_limited", "message": "slow down", "retry_after": 1}]
    stub.refuse = lambda _frame: answers.pop() if answers else None
    await widget.write("quick")
    await expect(widget.panel.get_by_role("alert")).to_have_text("That was quick! It goes out in 1 s.")
    await expect(widget.unsent).to_have_count(0)
    await widget.shows("quick")


async def test_over_long_text_is_refused_before_it_leaves(page: Page, stub: StubServer) -> None:
    widget = await (await Widget(page, stub).visit()).connected()
    await widget.write("x" * 16_001)
    await expect(widget.panel.get_by_role("alert")).to_contain_text("16,000")
    assert await widget.text.input_value() == "x" * 16_001
    await page.evaluate("Stafett.say('y'.repeat(200000))")  # a page's own button: the server would hang up, and again
    await expect(widget.panel.get_by_role("alert")).to_contain_text("16,000")
    await expect(widget.unsent).to_have_count(0)
    assert not [frame for frame in stub.visitor.frames if frame["type"] == "message"]


async def test_nobody_is_contacted_before_the_chat_is_opened(page: Page, stub: StubServer) -> None:
    widget = await Widget(page, stub).visit("")
    assert stub.sessions == []
    await widget.launcher.click()
    await widget.connected()
    assert stub.sessions[0] == {"locale": "en", "timezone": stub.sessions[0]["timezone"]}


async def test_signing_in_shows_that_customers_story_from_its_beginning_and_nothing_else(
    page: Page, stub: StubServer
) -> None:
    widget = await (await Widget(page, stub).visit()).connected()
    await stub.say("to the anonymous one")
    await widget.shows("to the anonymous one")
    ann = stub.visitors["ann"] = stub.known["signed.by.host"] = Visitor(token="ann", name="Ann")
    await stub.say("to Ann, yesterday", visitor=ann)
    await stub.say("to Ann, today", visitor=ann)
    await page.evaluate("Stafett.identify('signed.by.host')")
    await widget.shows("to Ann, yesterday", "to Ann, today")
    assert stub.hellos[-1] == {"type": "hello", "token": "ann", "after": 0}


async def test_who_signs_out_leaves_nothing_to_the_next_one_though_the_server_is_away(
    page: Page, stub: StubServer
) -> None:
    """Neither what they were told, nor what they wrote and could not send."""
    widget = await (await Widget(page, stub).visit()).connected()
    ann = stub.visitors["ann"] = stub.known["signed.by.host"] = Visitor(token="ann", name="Ann")
    await stub.say("to Ann", visitor=ann)
    await page.evaluate("Stafett.identify('signed.by.host')")
    await widget.shows("to Ann")
    stub.down = True
    await stub.cut()
    await widget.write("from Ann, unsent")
    await expect(widget.unsent).to_have_count(1)
    await page.evaluate("Stafett.identify(null).catch(() => 0)")
    await expect(widget.bubbles).to_have_count(0)
    stub.down = False
    await eventually(lambda: stub.visitor.token != "ann" and len(stub.visitor.sockets) > 0)
    assert ann.sockets == []
    await widget.write("from the next one")
    await expect(widget.unsent).to_have_count(0)
    await widget.shows("from the next one")
    assert [one["text"] for one in stub.visitor.story] == ["from the next one"]


async def test_what_was_typed_leaves_with_who_typed_it_and_the_other_tabs_are_signed_out_too(
    page: Page, stub: StubServer
) -> None:
    """Though the server is away; and no tab that knew them signs them in again."""
    ann = stub.visitors["ann"] = stub.known[vouched("ann")] = Visitor(token="ann", name="Ann")
    await stub.say("to Ann", visitor=ann)
    query = f"open=true&identity={vouched('ann')}"
    here = await Widget(page, stub).visit(query)
    there = await Widget(await page.context.new_page(), stub).visit(query)
    for tab in (here, there):
        await tab.shows("to Ann")
        await tab.text.fill("my account number is")
    stub.down = True
    await here.page.evaluate("Stafett.identify(null).catch(() => 0)")
    for tab in (here, there):
        await expect(tab.bubbles).to_have_count(0)
        await expect(tab.text).to_have_value("")
    assert ann.sockets == []
    stub.down = False
    await eventually(lambda: stub.visitor.token != "ann" and len(stub.visitor.sockets) == 2)
    await there.page.evaluate("Stafett.locale = 'nl'")
    await eventually(lambda: stub.sessions[-1]["locale"] == "nl")
    assert "identity" not in stub.sessions[-1]
    await there.write("from the next one")
    for tab in (here, there):
        await tab.shows("from the next one")
    assert [one["text"] for one in stub.visitor.story] == ["from the next one"]


async def test_what_was_typed_before_signing_in_stays(page: Page, stub: StubServer) -> None:
    stub.visitors["ann"] = stub.known[vouched("ann")] = Visitor(token="ann", name="Ann")
    widget = await (await Widget(page, stub).visit()).connected()
    other = await Widget(await page.context.new_page(), stub).visit()
    for tab in (widget, other):
        await tab.text.fill("where is my")
    await page.evaluate(f"Stafett.identify('{vouched('ann')}')")
    await eventually(lambda: len(stub.visitors["ann"].sockets) == 2)
    for tab in (widget, other):
        await expect(tab.text).to_have_value("where is my")


async def test_a_page_that_vouches_for_somebody_else_than_before_sends_nothing_of_theirs(
    page: Page, stub: StubServer
) -> None:
    ann = stub.visitors["ann"] = stub.known[vouched("ann")] = Visitor(token="ann", name="Ann")
    ben = stub.visitors["ben"] = stub.known[vouched("ben")] = Visitor(token="ben", name="Ben")
    widget = await Widget(page, stub).visit(f"open=true&identity={vouched('ann')}")
    await eventually(lambda: len(ann.sockets) > 0)
    stub.down = True
    await stub.cut()
    await widget.write("from Ann, unsent")
    await expect(widget.unsent).to_have_count(1)
    stub.down = False
    await widget.visit(f"open=true&identity={vouched('ben')}")
    await eventually(lambda: len(ben.sockets) > 0)
    await widget.write("from Ben")
    await widget.shows("from Ben")
    assert [one["text"] for one in ben.story] == ["from Ben"]


async def test_who_signs_out_while_they_are_being_signed_in_is_signed_out(page: Page, stub: StubServer) -> None:
    ann = stub.visitors["ann"] = stub.known[vouched("ann")] = Visitor(token="ann", name="Ann")
    gate = asyncio.Event()
    gate.set()

    async def slow(route: Route) -> None:
        answer = await route.fetch()
        await gate.wait()
        await route.fulfill(response=answer)

    await page.route("**/api/web/session", slow)  # before the page: a busy one may learn of it after its next request
    widget = await (await Widget(page, stub).visit()).connected()
    begun = len(stub.sessions)
    gate.clear()
    await page.evaluate(f"void Stafett.identify('{vouched('ann')}').catch(() => 0)")
    await eventually(lambda: len(stub.sessions) > begun)
    await page.evaluate("void Stafett.identify(null).catch(() => 0)")
    gate.set()
    await eventually(lambda: len(stub.visitors) == 3 and len(stub.visitor.sockets) > 0)
    await widget.write("nobody in particular")
    await widget.shows("nobody in particular")
    assert ann.story == []


def vouched(sub: str) -> str:
    payload = base64.urlsafe_b64encode(json.dumps({"sub": sub, "aud": "stafett"}).encode()).decode().rstrip("=")
    return f"head.{payload}.signature"


async def test_who_signs_in_after_somebody_else_says_nothing_of_theirs(page: Page, stub: StubServer) -> None:
    """The host page says whom it is about, one after the other; a token of the same customer that is renewed changes nothing."""
    ann = stub.visitors["ann"] = stub.known[vouched("ann")] = Visitor(token="ann", name="Ann")
    ben = stub.visitors["ben"] = stub.known[vouched("ben")] = Visitor(token="ben", name="Ben")
    widget = await (await Widget(page, stub).visit()).connected()
    await page.evaluate(f"Stafett.identify('{vouched('ann')}')")
    await eventually(lambda: len(ann.sockets) > 0)
    stub.down = True
    await stub.cut()
    await widget.write("from Ann, unsent")
    await expect(widget.unsent).to_have_count(1)
    await page.evaluate(f"Stafett.identify('{vouched('ann')}').catch(() => 0)")
    await expect(widget.unsent).to_have_count(1)
    await page.evaluate(f"Stafett.identify('{vouched('ben')}').catch(() => 0)")
    await expect(widget.bubbles).to_have_count(0)
    stub.down = False
    await eventually(lambda: len(ben.sockets) > 0)
    await widget.write("from Ben")
    await widget.shows("from Ben")
    await expect(widget.unsent).to_have_count(0)
    assert [one["text"] for one in ben.story] == ["from Ben"]


async def test_typing_is_told_but_not_at_each_key(page: Page, stub: StubServer) -> None:
    widget = await (await Widget(page, stub).visit()).connected()
    await widget.text.press_sequentially("hello there")
    await widget.text.press("Enter")
    await widget.shows("hello there")
    assert [frame["type"] for frame in stub.visitor.frames].count("typing") == 1


async def test_every_frame_is_one_of_the_contract(page: Page, stub: StubServer) -> None:
    widget = await (await Widget(page, stub).visit()).connected()
    frame = await stub.say("Pick", choices=[{"value": "a", "label": "Apple"}])
    await widget.panel.get_by_role("button", name="Apple").click()
    await eventually(lambda: any(one["type"] == "choice" for one in stub.visitor.frames))
    await eventually(lambda: any(one["type"] == "read" for one in stub.visitor.frames))
    choice = next(one for one in stub.visitor.frames if one["type"] == "choice")
    assert json.loads(json.dumps(choice)) == {
        "type": "choice",
        "id": choice["id"],
        "message": frame["id"],
        "value": "a",
    }
    assert all(set(one) == {"type", "seq"} for one in stub.visitor.frames if one["type"] == "read")
