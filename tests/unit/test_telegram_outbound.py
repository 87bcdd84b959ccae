"""What we say fits Telegram: entities without a parse mode, parts that fit, keyboards that read well, names where they belong."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.model import BOT, Author, AuthorKind, Body, Choice, FileRef, Message, SurveyCard, new_id
from channels.port import Delivery, Verdict
from channels.telegram.buttons import data, read_data
from channels.telegram.outbound import TelegramOutlet
from channels.telegram.proof import proof, shown
from channels.telegram.sender import TelegramSender
from channels.text import length
from tests.support.rooms import rooms

OUTLET = TelegramOutlet()
NOW = datetime(2026, 3, 10, tzinfo=UTC)
ID = "0197f0e2-4d1b-7c3a-9b1e-2f6a8c0d4e5f"
OTHER = "0197f0e2-4d1b-7c3a-9b1e-2f6a8c0d4e60"
ANN = Author(AuthorKind.AGENT, "Ann", "ann")
PHOTO = FileRef("f1", "p.png", "image/png", 1000)
PDF = FileRef("f2", "a.pdf", "application/pdf", 1000)
VOICE = FileRef("f3", "v.ogg", "audio/ogg", 1000)


def message(text: str = "", author: Author = BOT, **body: Any) -> Message:
    return Message(new_id(), "c", 1, None, author, "telegram", Body(text=text, **body), NOW)


def sent(one: Message) -> list[tuple[str, dict[str, Any]]]:
    return [(part.kind, dict(part.payload)) for part in OUTLET.parts(one, "42")]


def labels(payload: dict[str, Any]) -> list[list[str]]:
    return [[button["text"] for button in row] for row in payload["reply_markup"]["inline_keyboard"]]


def marked(payload: dict[str, Any], kind: str) -> list[str]:
    raw = payload["text"].encode("utf-16-le")
    spans = [(e["offset"] * 2, (e["offset"] + e["length"]) * 2) for e in payload["entities"] if e["type"] == kind]
    return [raw[start:end].decode("utf-16-le") for start, end in spans]


def scale(instrument: str, low: int, high: int) -> dict[str, Any]:
    choices = tuple(Choice(str(score), str(score)) for score in range(low, high + 1))
    return {"choices": choices, "survey": SurveyCard("s", instrument, low, high, "hard", "easy")}


def test_plain_text_is_sent_as_it_is_and_markdown_as_entities() -> None:
    assert sent(message("*not bold* <b>")) == [("text", {"text": "*not bold* <b>"})]
    ((_, payload),) = sent(message("👋 **Hi** there", markdown=True))
    assert payload["text"] == "👋 Hi there"
    assert marked(payload, "bold") == ["Hi"]
    assert "parse_mode" not in payload


def test_a_long_text_is_split_within_telegrams_limit_and_its_keyboard_stands_below_the_last_part() -> None:
    parts = sent(message("Dette er en setning. " * 500, choices=(Choice("y", "Ja"), Choice("n", "Nei"))))
    assert len(parts) == 3
    assert all(length(payload["text"], "utf16") <= 4096 for _, payload in parts)
    assert all(payload["text"].endswith("setning.") for _, payload in parts)
    assert ["reply_markup" in payload for _, payload in parts] == [False, False, True]


@given(st.text(max_size=6000), st.booleans())
def test_every_text_fits_and_every_entity_lies_inside_it(text: str, markdown: bool) -> None:
    for _, payload in sent(message(text, author=ANN, markdown=markdown)):
        size = length(payload["text"], "utf16")
        assert 0 < size <= 4096
        assert all(0 <= e["offset"] < e["offset"] + e["length"] <= size for e in payload.get("entities", ()))


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        (scale("ces7", 1, 7), [7]),
        (scale("csat5", 1, 5), [5]),
        (scale("nps", 0, 10), [6, 5]),
        ({"choices": (Choice("y", "Yes"), Choice("n", "No"))}, [2]),
        ({"choices": (Choice("a", "My parcel has not come"), Choice("b", "Something else"))}, [1, 1]),
        ({"choices": (Choice("a", "A"), Choice("b", "B"), Choice("c", "C"))}, [1, 1, 1]),
    ],
)
def test_scales_stand_in_a_row_and_answers_below_one_another(body: dict[str, Any], rows: list[int]) -> None:
    ((_, payload),) = sent(message("How?", **body))
    assert [len(row) for row in labels(payload)] == rows


def test_each_button_leads_back_to_its_message_and_choice() -> None:
    one = message("Which?", choices=(Choice("a", "A long label that needs a row"), Choice("b", "B")))
    ((_, payload),) = sent(one)
    carried = [button["callback_data"] for row in payload["reply_markup"]["inline_keyboard"] for button in row]
    assert [read_data(data) for data in carried] == [(one.id, 0), (one.id, 1)]


def test_an_agents_message_begins_with_their_name_in_bold() -> None:
    ((_, payload),) = sent(message("It is **on** its way", author=ANN, markdown=True))
    assert payload["text"] == "Ann\nIt is on its way"
    assert marked(payload, "bold") == ["Ann", "on"]
    assert sent(message("Hello", author=Author(AuthorKind.BOT, "Shop")))[0][1] == {"text": "Hello"}


def test_a_latin_name_above_hebrew_keeps_its_place() -> None:
    ((_, payload),) = sent(message("שלום", author=ANN))
    assert payload["text"] == "\u2068Ann\u2069\nשלום"
    assert marked(payload, "bold") == ["Ann"]


def test_one_file_with_a_short_text_carries_it_as_its_caption() -> None:
    ((kind, payload),) = sent(message("Here **it** is", markdown=True, files=(PHOTO,)))
    assert (kind, payload["file_id"], payload["caption"]) == ("photo", "f1", "Here it is")
    assert payload["caption_entities"] == [{"type": "bold", "offset": 5, "length": 2}]


def test_many_files_or_a_long_text_go_one_by_one_and_payloads_hold_no_bytes() -> None:
    assert [kind for kind, _ in sent(message("Here", files=(PHOTO, PDF, VOICE)))] == [
        "text",
        "photo",
        "document",
        "voice",
    ]
    assert [kind for kind, _ in sent(message("x" * 1025, files=(PDF,)))] == ["text", "document"]
    assert sent(message("", files=(PDF,))) == [("document", {"file_id": "f2", "name": "a.pdf"})]
    huge = FileRef("f9", "p.png", "image/png", 11 * 1024 * 1024)
    assert [kind for kind, _ in sent(message("", files=(huge,)))] == ["document"]


def edits(one: Message, *refs: str) -> list[tuple[str, dict[str, Any]]]:
    return [(part.kind, dict(part.payload)) for part in OUTLET.edits(one, refs, "42")]


def test_an_edit_changes_the_sent_parts_in_their_order() -> None:
    assert edits(message("New"), "42:7") == [("edit", {"message_id": 7, "text": "New"})]
    long = "En setning her. " * 400
    first, second = edits(message(long), "42:10", "42:9")
    assert (first[1]["message_id"], second[1]["message_id"]) == (9, 10)


def test_an_edit_that_needs_more_parts_sends_them_and_fewer_deletes_the_rest() -> None:
    assert [kind for kind, _ in edits(message("En setning her. " * 400), "42:9")] == ["edit", "text"]
    assert edits(message("Short"), "42:9", "42:10")[1] == ("delete", {"message_ids": [10]})


def test_an_edited_caption_stays_with_its_file() -> None:
    ((kind, payload),) = edits(message("New words", files=(PHOTO,)), "42:7")
    assert (kind, payload["message_id"], payload["caption"]) == ("caption", 7, "New words")
    assert edits(message("x" * 2000, files=(PHOTO,)), "42:7") == []  # that can't be: the agent is told


def test_an_edit_of_what_is_still_on_its_way_looks_for_it_when_its_turn_comes() -> None:
    assert edits(message("New")) == [("text", {"text": "New", "edit": 0})]


def test_a_deletion_takes_every_part() -> None:
    assert [dict(part.payload) for part in OUTLET.deletes(message("x"), ["42:9", "42:10"], "42")] == [
        {"message_ids": [9, 10]}
    ]


def test_a_chat_is_one_lane_with_its_own_pace() -> None:
    assert (OUTLET.lane("42"), OUTLET.bucket("42")) == ("telegram:42", "telegram:42")


def test_a_code_says_on_each_part_that_it_must_not_arrive_twice() -> None:
    told = message("your code is ABCD")
    assert all("once" not in part.payload for part in OUTLET.parts(told, "42"))
    assert all(part.payload["once"] for part in OUTLET.parts(replace(told, meta={"once": True}), "42"))


async def test_a_code_whose_fate_nobody_knows_is_not_sent_again(sqlite_url: str) -> None:
    async with rooms(sqlite_url) as house:
        sender = TelegramSender(house.storage, house.inbox, 1, lambda: None)
        once = Delivery("o1", "telegram", "text", {"text": "ABCD", "once": True}, "l", 1, "c", None, "m", NOW, NOW)
        assert await sender.resolve(once) is Verdict.GIVE_UP
        again = replace(once, payload={"text": "hello"})
        assert await sender.resolve(again) is Verdict.RESEND


# ── what an update proves ──────────────────────────────────────────────────────────────────────────────────────────
def reply(number: Any = 9, *, by: int = 1, at: datetime = NOW, **said: Any) -> dict[str, Any]:
    quoted = {"message_id": number, "from": {"id": by}, "date": int(at.timestamp()), **said}
    return {"update_id": 1, "message": {"message_id": 99, "text": "what?", "reply_to_message": quoted}}


def press(number: int = 9, of: str = ID) -> dict[str, Any]:
    return {"update_id": 1, "callback_query": {"id": "q", "data": data(of, 0), "message": {"message_id": number}}}


HELLO = {"text": "Hello "}
MENU = {"text": "Which?", "reply_markup": {}}


@pytest.mark.parametrize(
    ("payload", "updates", "number"),
    [
        (HELLO, [reply(text="Hello")], 9),
        ({"caption": "Hello", "file_id": "f"}, [reply(caption="Hello")], 9),
        (HELLO, [reply(text="Hello"), reply(text="Hello")], 9),
        (HELLO, [reply(text="Hello"), reply(8, text="Hello")], None),  # which of the two?
        (HELLO, [reply(7, text="Hello")], None),  # that number is another send's
        (HELLO, [reply(text="Hello", by=2)], None),
        (HELLO, [reply(text="Hello", at=NOW - timedelta(seconds=5))], None),  # said before this send began
        (HELLO, [reply(text="Hello there")], None),
        ({"file_id": "f"}, [reply(caption="")], None),
        (MENU, [press()], 9),
        (MENU, [press(0)], None),  # too old to be shown again: Telegram gives no number
        (MENU, [press(7)], None),
        (MENU, [press(of=OTHER)], None),
        (HELLO, [press()], None),  # of another part of the message
        (HELLO, [None, [], {}, {"message": 1}, {"message": {"reply_to_message": {"message_id": True}}}], None),
        (HELLO, [{"callback_query": {"data": 1, "message": []}}, reply(text=1), reply("9", text="Hello")], None),
    ],
)
def test_what_shows_a_message_for_certain_proves_it_and_nothing_else_does(
    payload: dict[str, Any], updates: list[Any], number: int | None
) -> None:
    delivery = Delivery("o1", "telegram", "text", payload, "l", 1, "c", None, ID, NOW, NOW)
    seen = [one for one in (shown(update, 1) for update in updates) if one is not None]
    assert proof(delivery, seen, known={7}) == number
