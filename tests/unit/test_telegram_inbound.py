"""What Telegram tells us is read by the letter of the Bot API, in the sender's language, and never breaks on anything."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.model import Chose, Edited, Inbound, Reachability, RemoteFile, Wrote, new_id
from channels.telegram.buttons import data, read_data
from channels.telegram.inbound import Malformed, read, version
from channels.telegram.intake import Press, chat_of, press_of

BOT_ID = 7000000001
UPDATES: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "payloads" / "telegram_updates.json").read_text(encoding="utf-8")
)


def taken(name: str) -> Inbound:
    found = read(copy.deepcopy(UPDATES[name]), BOT_ID)
    assert found is not None
    return found


def wrote(name: str) -> Wrote:
    happening = taken(name).happening
    assert isinstance(happening, Wrote)
    return happening


def test_a_text_carries_who_where_and_its_own_name() -> None:
    found = taken("text")
    assert (found.source, found.key) == ("telegram", f"{BOT_ID}:700000001")
    assert json.loads(found.raw) == UPDATES["text"]
    sender = found.sender
    assert (sender.channel, sender.external_id, sender.address) == ("telegram", "42", "42")
    assert (sender.name, sender.locale, sender.evidence) == ("Kari Nordmann", "nb", "platform")
    assert found.happening == Wrote(text="Hvor er pakken min?", ref="42:1")


@pytest.mark.parametrize(
    ("language", "locale"),
    [("nb", "nb"), ("no", "nb"), ("nl-be", "nl"), ("iw", "he"), ("fr-CA", "fr-CA"), ("n\x00", ""), (7, "")],
)
def test_the_language_is_a_hint_and_a_desk_may_speak_more_than_we_do(language: Any, locale: str) -> None:
    update = copy.deepcopy(UPDATES["text"])
    update["message"]["from"]["language_code"] = language
    found = read(update, BOT_ID)
    assert found is not None
    assert found.sender.locale == locale


def test_a_deep_link_arrives_as_the_command_with_its_payload() -> None:
    assert wrote("command").text == "/start ABCD2345"


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("photo", RemoteFile("AgACAgQAAxkB0003", "photo.jpg", "image/jpeg", 3000)),  # the largest size
        ("document", RemoteFile("AgACAgQAAxkB0004", "faktura.pdf", "application/pdf", 4000)),
        ("voice", RemoteFile("AgACAgQAAxkB0005", "voice.ogg", "audio/ogg", 5000)),
        ("audio", RemoteFile("AgACAgQAAxkB0006", "opptak.mp3", "audio/mpeg", 6000)),
        ("video", RemoteFile("AgACAgQAAxkB0007", "film.mp4", "video/mp4", 7000)),
        ("video_note", RemoteFile("AgACAgQAAxkB0008", "video.mp4", "video/mp4", 8000)),
        ("animation", RemoteFile("AgACAgQAAxkB0009", "katt.mp4", "video/mp4", 9000)),
    ],
)
def test_a_file_is_named_to_be_fetched_later(name: str, file: RemoteFile) -> None:
    assert wrote(name).remote_files == (file,)


def test_a_caption_is_the_text_and_an_album_keeps_its_name() -> None:
    assert wrote("photo").text == "Esken var åpen"
    assert (wrote("album").text, wrote("album").album) == ("To bilder", "13000000001")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sticker", "👍"),
        ("dice", "🎲"),
        ("location", "[posisjon 59.91, 10.75]"),
        ("venue", "[posisjon 59.91, 10.75]\nOperaen\nKirsten Flagstads plass 1"),
        ("own_contact", "[kontakt Kari, +4791234567]"),
        ("poll", "[en melding som ikke kan vises her]"),
    ],
)
def test_what_is_no_text_is_told_in_the_senders_language(name: str, text: str) -> None:
    assert wrote(name).text == text


def test_only_ones_own_contact_tells_ones_number() -> None:
    assert wrote("own_contact").extra["contact"] == {"name": "Kari", "phone": "+4791234567", "own": True}
    assert wrote("other_contact").extra["contact"]["own"] is False


def test_a_location_is_kept_as_numbers_beside_the_text() -> None:
    assert wrote("location").extra == {"location": {"latitude": 59.91, "longitude": 10.75}}


def test_a_reply_names_what_it_answers_and_a_forward_is_marked() -> None:
    assert wrote("reply").reply_to == "42:9"
    assert wrote("forwarded").extra == {"forwarded": True}


def test_an_edit_names_the_message_that_it_changes() -> None:
    happening = taken("edited").happening
    assert isinstance(happening, Edited)
    assert (happening.ref, happening.text) == ("42:1", "Hvor er pakken min? Ordre 1234")


def test_edits_sort_by_their_time_however_they_arrive() -> None:
    versions = [version({"edit_date": at}, number) for at, number in ((9, 7), (10, 3), (10, 20), (1_700_000_000, 1))]
    assert versions == sorted(versions)
    assert version({"edit_date": "soon"}, 5) == version({}, 5)


def test_a_pressed_button_names_our_message_and_the_choice_and_is_known_by_the_press_too() -> None:
    found = taken("pressed")
    assert found.happening == Chose("019c0000-0000-7000-8000-000000000001", index=1, ref="42:9")
    assert found.also == (f"{BOT_ID}:press:4382bfdwdsb323b2d9",)
    assert isinstance(taken("pressed_long_ago").happening, Chose)


def test_blocking_the_bot_makes_the_customer_unreachable_until_they_come_back() -> None:
    assert taken("blocked").happening == Reachability(False)
    assert taken("unblocked").happening == Reachability(True)


@pytest.mark.parametrize("name", ["group", "channel_post", "other_bot", "inline_query", "pinned", "moving"])
def test_what_is_not_a_customer_writing_in_private_is_not_for_us(name: str) -> None:
    assert read(UPDATES[name], BOT_ID) is None


@pytest.mark.parametrize(
    "change",
    [
        {"update_id": None},
        {"update_id": True},
        {"update_id": -1},
        {"update_id": 2**70},
        {"message": None},
        {"message": {}},
        {"message": {"chat": {"type": "private"}, "from": {}}},
        {"message": {**UPDATES["text"]["message"], "text": 7}},
        {"message": {**UPDATES["text"]["message"], "message_id": "1"}},
        {"message": {**UPDATES["location"]["message"], "location": {"latitude": float("nan"), "longitude": 1}}},
        {"message": {**UPDATES["photo"]["message"], "photo": []}},
    ],
)
def test_what_breaks_telegrams_rules_is_malformed(change: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        read({**UPDATES["text"], **change}, BOT_ID)


@pytest.mark.parametrize(
    "forged",
    ["", "yes", "AZwAAAAAcACAAAAAAAAAAQ", "AZwAAAAAcACAAAAAAAAAAQ:-1", "x" * 64, None, 5, "AZwAAAAAcACAAAAAAAAAAQ:٣"],
)
def test_a_button_that_we_never_made_is_malformed(forged: Any) -> None:
    update = copy.deepcopy(UPDATES["pressed"])
    update["callback_query"]["data"] = forged
    with pytest.raises(Malformed):
        read(update, BOT_ID)


@pytest.mark.parametrize("name", ["4382\ud800", "a\x00b", "", "x" * 65, 7, None])
def test_a_press_by_a_name_that_is_no_text_is_malformed(name: Any) -> None:
    update = copy.deepcopy(UPDATES["pressed"])
    update["callback_query"]["id"] = name
    with pytest.raises(Malformed):
        read(update, BOT_ID)
    assert press_of(update) is None


@pytest.mark.parametrize(
    ("language", "locale"), [("nb-NO", "nb"), ("he", "he"), ("fi", ""), ("n\x00", ""), (7, ""), (None, "")]
)
def test_a_press_that_can_not_be_read_is_answered_in_the_language_of_the_app(language: Any, locale: str) -> None:
    update = copy.deepcopy(UPDATES["pressed"])
    update["callback_query"]["data"] = "admin:1"
    update["callback_query"]["from"]["language_code"] = language
    assert press_of(update) == Press(update["callback_query"]["id"], locale)


def test_nul_and_lone_surrogates_do_not_reach_the_database() -> None:
    update = copy.deepcopy(UPDATES["text"])
    update["message"]["text"] = "a\x00b\ud800c"
    update["message"]["from"]["first_name"] = "K\x00\udfff"
    found = read(update, BOT_ID)
    assert found is not None
    assert isinstance(found.happening, Wrote)
    assert found.happening.text == "ab\ufffdc"
    found.sender.name.encode()
    assert "\x00" not in found.sender.name


@given(st.integers(0, 999))
def test_a_button_fits_telegrams_64_bytes_and_comes_back(index: int) -> None:
    message_id = new_id()
    carried = data(message_id, index)
    assert len(carried.encode()) <= 64
    assert read_data(carried) == (message_id, index)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "chat", "type", "from", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


@st.composite
def mangled(draw: st.DrawFn) -> Any:
    update = copy.deepcopy(draw(st.sampled_from(sorted(UPDATES.items())))[1])
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places(update)))
        if not path:
            return draw(JUNK)
        inside = update
        for key in path[:-1]:
            inside = inside[key]
        if draw(st.booleans()) and isinstance(inside, dict):
            del inside[path[-1]]
        else:
            inside[path[-1]] = draw(JUNK)
    return update


@given(mangled())
def test_any_mangled_update_is_read_or_refused_and_nothing_else(update: Any) -> None:
    chat_of(update)
    press_of(update)
    try:
        found = read(update, BOT_ID)
    except Malformed:
        return
    if found is not None:
        json.dumps([found.sender.name, found.sender.attributes], allow_nan=False).encode()
        if isinstance(found.happening, Wrote):
            json.dumps(dict(found.happening.extra), allow_nan=False)
            found.happening.text.encode()
            assert "\x00" not in found.happening.text
        assert found.sender.external_id.isdigit()


def test_a_very_deep_update_is_no_accident() -> None:
    deep: Any = "x"
    for _ in range(100_000):
        deep = [deep]
    update = copy.deepcopy(UPDATES["text"])
    update["message"]["reply_to_message"] = deep
    found = read(update, BOT_ID)
    assert found is not None
    assert found.raw == b"(too deep to be written down)"
    while isinstance(deep, list):
        deep = deep.pop()
