"""What every outlet promises to `bot/outbox.py`: pure, whole, in order, within its platform's limits; the double as well."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.model import BOT, Author, AuthorKind, Body, Choice, FileRef, Message, SurveyCard
from bot.outbox import Outlet
from channels.slack.outbound import SlackOutlet
from channels.telegram.outbound import TelegramOutlet
from channels.text import clean
from channels.web.channel import WebOutlet
from tests.fakes.slack_checks import check_blocks
from tests.fakes.slack_shapes import flat
from tests.unit.handoff_house import Outlet as Double

NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)
ANN = Author(AuthorKind.AGENT, "Ann", "ann")
FILE = FileRef("file-1", "plan.png", "image/png", 48)
SCALE = tuple(Choice(str(score), str(score)) for score in range(1, 8))
CARD = SurveyCard("s1", "ces7", 1, 7, "hard", "easy")
OUTLETS: dict[str, tuple[Outlet, str, tuple[str, ...]]] = {
    "web": (WebOutlet(), "visitor-1", ("seq:1",)),
    "telegram": (TelegramOutlet(), "42", ("42:7", "42:8")),
    "slack": (SlackOutlet(), "D1", ("D1:1.1", "D1:1.2")),
    "slack thread": (SlackOutlet(), "C1:1.0", ("C1:1.1",)),
    "double": (Double("telegram"), "42", ("42:7",)),
}
SHOWS_TEXT = {name for name in OUTLETS if name != "web"}
"""The web's rows only prove that a message was shown: its words stand in the timeline that its sockets push."""
SENDS_FILES = {"telegram", "slack", "slack thread"}

every_outlet = pytest.mark.parametrize("name", list(OUTLETS))
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=12_000).map(clean)


def a_message(text: str = "hello", **values: Any) -> Message:
    body = Body(
        text, **{name: values.pop(name) for name in ("markdown", "choices", "files", "survey") if name in values}
    )
    return replace(Message("0190b0d0-0000-7000-8000-000000000001", "kari", 1, None, BOT, "web", body, NOW), **values)


def words_of(payload: Any) -> str:
    if "blocks" in payload:
        return flat([block for block in payload["blocks"] if block["type"] == "section"])
    return str(payload.get("text") or payload.get("caption") or "")


def all_of(name: str, message: Message) -> list[tuple[str, dict[str, Any]]]:
    """Its parts, as they come back from the database."""
    outlet, address, _ = OUTLETS[name]
    parts = outlet.parts(message, address)
    return [(part.kind, json.loads(json.dumps(dict(part.payload)))) for part in parts]


@every_outlet
def test_it_says_who_sends_it_and_keeps_one_lane_for_each_place(name: str) -> None:
    outlet, address, _ = OUTLETS[name]
    assert outlet.via in {"web", "telegram", "slack"}
    assert outlet.lane(address) == outlet.lane(address)
    assert outlet.lane(address) != outlet.lane(address + "9")
    assert outlet.lane(address).startswith(f"{outlet.via}:"), "two channels never share a lane"
    bucket = outlet.bucket(address)
    assert bucket is None or bucket.startswith(f"{outlet.via}:"), (
        "the pace is looked up by what stands before the colon"
    )


@every_outlet
@pytest.mark.parametrize(
    "message",
    [
        a_message(),
        a_message("**bold** [x](https://a.example) <b>", markdown=True, author=ANN),
        a_message("Which?", choices=(Choice("a", "A"), Choice("b", "B"))),
        a_message("How easy?", choices=SCALE, survey=CARD),
        a_message("", files=(FILE,)),
        a_message("Look", files=(FILE, replace(FILE, id="file-2")), author=ANN),
        a_message("", choices=(Choice("a", "A"),)),
    ],
)
def test_a_message_that_says_something_is_at_least_one_part_and_always_the_same(name: str, message: Message) -> None:
    first = all_of(name, message)
    assert first, "else nobody would ever learn that it was delivered"
    assert first == all_of(name, message)
    assert all(kind and isinstance(payload, dict) for kind, payload in first)


@every_outlet
def test_each_file_is_a_part_of_its_own_named_by_its_id(name: str) -> None:
    files = tuple(replace(FILE, id=f"file-{number}") for number in range(3))
    parts = all_of(name, a_message("Three", files=files))
    sent = [payload["file_id"] for _, payload in parts if "file_id" in payload]
    assert sent == ([file.id for file in files] if name in SENDS_FILES else [])


@every_outlet
def test_buttons_stand_once_below_the_last_words(name: str) -> None:
    long = " ".join(f"word{number:04d}" for number in range(1200))
    parts = all_of(name, a_message(long, choices=SCALE, survey=CARD))
    with_buttons = [
        number for number, (_, payload) in enumerate(parts) if "reply_markup" in payload or _has_actions(payload)
    ]
    assert with_buttons == ([len(parts) - 1] if name not in {"web", "double"} else [])


def _has_actions(payload: Any) -> bool:
    return any(block["type"] == "actions" for block in payload.get("blocks", ()))


@every_outlet
@settings(max_examples=40)
@given(text=texts, markdown=st.booleans(), by_agent=st.booleans())
@example(text="🛒" * 5000, markdown=False, by_agent=True)
@example(text="<&>" * 4000, markdown=True, by_agent=False)
@example(text="שלום AB-12 " * 600, markdown=True, by_agent=True)
def test_any_text_is_within_the_platforms_limits(name: str, text: str, markdown: bool, by_agent: bool) -> None:
    for _, payload in all_of(name, a_message(text, markdown=markdown, author=ANN if by_agent else BOT)):
        if "blocks" in payload:
            check_blocks(payload["blocks"])
            assert len(payload["text"]) <= 40_000  # Slack cuts what is longer
        elif name == "telegram":
            assert len(words_of(payload).encode("utf-16-le")) // 2 <= 4096
            assert words_of(payload).strip()


@every_outlet
@settings(max_examples=30)
@given(st.lists(st.text("abcdefghij", min_size=1, max_size=30), min_size=1, max_size=900))
def test_all_words_are_there_once_and_in_order(name: str, words: list[str]) -> None:
    if name not in SHOWS_TEXT:
        assert len(all_of(name, a_message(" ".join(words)))) == 1
        return
    shown = " ".join(words_of(payload) for _, payload in all_of(name, a_message(" ".join(words))))
    assert shown.split() == words


@every_outlet
@pytest.mark.parametrize("text", ["shorter", "x " * 4000, ""])
def test_an_edit_and_a_deletion_name_what_was_sent_or_say_that_they_can_not(name: str, text: str) -> None:
    outlet, address, refs = OUTLETS[name]
    message = a_message(text, author=ANN)
    for parts in (outlet.edits(message, refs, address), outlet.deletes(message, refs, address)):
        json.dumps([dict(part.payload) for part in parts])
    if name == "web":
        assert not outlet.edits(message, refs, address), "the timeline's own edit is what its sockets show"
        return
    assert outlet.deletes(message, refs, address)
    if text and name != "double":
        first = outlet.edits(message, refs, address)[0].payload
        assert "7" in str(first.get("message_id", "")) or first.get("ref") in refs
