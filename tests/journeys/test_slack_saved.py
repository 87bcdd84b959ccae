"""Saved replies and the second look in Slack: found, previewed, inserted; what is rude waits for its agent, never for a timer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from bot.answers import language
from bot.desk_folder.desk import Macro
from channels.delivery import paces
from tests.fakes.slack import SlackServer
from tests.support.slack_house import DESK, NOTE, SENT, WAITS, House, SteppingClock, a_house

RUDE = "READ IT FIRST, YOU IDIOT"
MACROS = (
    Macro("hello", "Hello", "en", "Hello {{ customer.name }}, this is {{ agent.name }}, about case {{ case.id }}."),
    Macro("refund", "Refund", "en", "We paid you back for {{ order_number }}."),
    Macro("sorry", "Pardon", "nl", "Het spijt ons, {{ customer.name }}."),
)


@pytest_asyncio.fixture
async def house(monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> AsyncIterator[House]:
    monkeypatch.setattr(paces, "RATES", {})
    async with SlackServer(clock=SteppingClock()) as slack, a_house(slack, sqlite_url, "http") as made:
        made.app.desk.desk = replace(made.app.rules, macros=MACROS)
        yield made


async def opened(house: House) -> Any:
    card = await house.claimed()
    await house.ann.presses(DESK, card.ts, "More…")
    await house.ann.acts(await house.ann.is_shown("More"), "Macros…")
    return await house.ann.is_shown("Saved replies")


async def looked_for(house: House, view: Any, words: str) -> Any:
    """Types into the field above the list, and presses Enter."""
    [block] = [one for one in view["blocks"] if one.get("block_id") == "words"]
    action = {"action_id": block["element"]["action_id"], "type": "plain_text_input", "value": words}
    body = {"container": {"type": "view", "view_id": view["id"]}, "view": view, "actions": [action]}
    await house.ann._sends(house.ann._interaction("block_actions", None) | body)
    await house.rest()
    return house.ann.view


def words_of(view: Any) -> str:
    return str([one.get("text") or one.get("elements") for one in view["blocks"]])


async def test_a_saved_reply_is_found_previewed_and_leaves_only_when_its_form_is_sent(house: House) -> None:
    view = await opened(house)
    assert "Hello Kari, this is Ann, about case 1." in words_of(view)
    view = await looked_for(house, view, "paid you")
    assert "[order_number?]" in words_of(view)
    assert "Still to be filled in: order_number" in words_of(view)
    view = await looked_for(house, view, "")
    await house.ann.acts(view, "desk:macros:pick", option="Pardon (nl)")
    await house.rest()
    view = house.ann.view
    assert "Het spijt ons, Kari." in words_of(view)
    assert "In Dutch (nl)" in words_of(view)
    await house.ann.submits(view, {"desk:macros:pick": "Hello"})
    form = await house.ann.is_shown("Reply")
    assert not any("this is Ann" in says for says in house.got())
    [box] = [one["element"] for one in form["blocks"] if one["type"] == "input"]
    assert box["initial_value"] == "Hello Kari, this is Ann, about case 1."
    await house.ann.submits(form, {"text": box["initial_value"]})
    await house.rest()
    assert any("Hello Kari, this is Ann, about case 1." in says for says in house.got())


async def test_rude_words_wait_and_leave_when_their_agent_says_so(house: House) -> None:
    language.warm()
    card = await house.claimed()
    post = await house.ann.posts(DESK, RUDE, thread_ts=card.ts)
    await house.later(60)
    assert not any("IDIOT" in says for says in house.got())
    told = await house.ann.is_told("This has not left yet. It reads like shouting. The customer may be hurt by: idiot")
    assert told.labels == ["Send anyway", "Edit…", "Make it a note"]
    assert house.marks(post) == {WAITS}
    await house.ann.presses(DESK, told.ts, "Send anyway")
    await house.later(1)
    assert sum("IDIOT" in says for says in house.got()) == 1
    assert house.marks(post) == {SENT}
    await house.ann.presses(DESK, told.ts, "Send anyway")
    await house.rest()
    await house.ann.is_told("These words do not wait any more")
    await house.ann.posts(DESK, "Uw pakket is vanmorgen uit Utrecht vertrokken en komt morgen.", thread_ts=card.ts)
    await house.later(60)
    await house.ann.is_told("this looks like Dutch (nl)")
    assert any("Utrecht" in says for says in house.got()), "only told"


async def test_rude_words_are_edited_in_the_form_in_the_post_or_kept(house: House) -> None:
    card = await house.claimed()
    await house.ann.posts(DESK, RUDE, thread_ts=card.ts)
    await house.rest()
    told = await house.ann.is_told("This has not left yet")
    await house.ann.presses(DESK, told.ts, "Edit…")
    form = await house.ann.is_shown("Reply")
    again = await house.ann.submits(form, {"text": RUDE})
    assert again is not None
    assert again["response_action"] == "update"
    assert "reads like shouting" in words_of(again["view"])
    assert not any("IDIOT" in says for says in house.got())
    await house.ann.submits(house.ann.view, {"text": "Please read it first."})
    await house.rest()
    assert any("Please read it first." in says for says in house.got())
    post = await house.ann.posts(DESK, "SHUT UP NOW PLEASE", thread_ts=card.ts)
    await house.rest()
    await house.ann.edits(DESK, post.ts, "Give me a moment, please")
    await house.later(10)
    assert any("Give me a moment, please" in says for says in house.got())
    await house.ann.edits(DESK, post.ts, "GIVE ME A MOMENT, IDIOT")
    await house.rest()
    await house.ann.is_told("The customer still sees the old words")
    assert any("Give me a moment, please" in says for says in house.got())
    left = await house.ann.posts(DESK, "GO AWAY AND READ", thread_ts=card.ts)
    await house.later(20 * 60)
    assert not any("GO AWAY" in says or "SHUT UP" in says or "IDIOT" in says for says in house.got())
    assert NOTE in house.marks(left)
