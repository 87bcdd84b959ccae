"""Slack's payloads as what customers did: samples in Slack's own words, and the same ones mangled."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.model import Chose, Deleted, Edited, Inbound, Wrote
from channels.slack.inbound import Malformed, place_of, read
from channels.slack.payloads import SlackPayload, is_for, is_own, kind_of, user_of

TEAM, BOT = "T0001", "U0BOT"
TS = "1700000000.000100"


def rich(*elements: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": list(elements)}]}]


def text(words: str, **style: bool) -> dict[str, Any]:
    return {"type": "text", "text": words, **({"style": style} if style else {})}


def event(**inner: Any) -> SlackPayload:
    base = {
        "type": "message",
        "channel": "D1",
        "channel_type": "im",
        "user": "U1",
        "text": "hello",
        "ts": TS,
        "team": TEAM,
    }
    found = {name: value for name, value in {**base, **inner}.items() if value is not None}
    return SlackPayload("event", {"type": "event_callback", "team_id": TEAM, "event_id": "Ev1", "event": found})


def edited(channel: str = "D1", kind: str = "im", **post: Any) -> SlackPayload:
    message = {
        "type": "message",
        "user": "U1",
        "text": "better",
        "ts": TS,
        "edited": {"user": "U1", "ts": "1700000001.0"},
        **post,
    }
    return event(
        subtype="message_changed",
        channel=channel,
        channel_type=kind,
        user=None,
        message=message,
        previous_message={"user": "U1", "ts": TS},
    )


def deleted(**more: Any) -> SlackPayload:
    return event(subtype="message_deleted", user=None, deleted_ts=TS, previous_message={"user": "U1", "ts": TS}, **more)


def press(action_id: str = "choice:m1:2", **more: Any) -> SlackPayload:
    action = {"action_id": action_id, "action_ts": "1700000002.0", "type": "button", "value": "v"}
    body = {
        "type": "block_actions", "team": {"id": TEAM}, "user": {"id": "U1", "team_id": TEAM}, "channel": {"id": "D1"},
        "message": {"ts": TS}, "actions": [action], **more,
    }  # fmt: skip
    return SlackPayload("action", body)


def found(payload: SlackPayload, **more: Any) -> Inbound:
    inbound = read(payload, team=TEAM, bot_user=BOT, **more)
    assert isinstance(inbound, Inbound), inbound
    return inbound


def test_a_direct_message() -> None:
    inbound = found(event())
    assert inbound.happening == Wrote("hello", ref=f"D1:{TS}")
    assert (inbound.source, inbound.key, inbound.also) == ("slack", "Ev1", (f"{TEAM}:D1:{TS}",))
    assert (inbound.sender.external_id, inbound.sender.address) == ("T0001:U1", "D1")


def test_a_reply_in_a_direct_message_is_answered_there() -> None:
    assert found(event(thread_ts="1.1")).sender.address == "D1:1.1"


def test_formatting_becomes_plain_text_and_mentions_are_no_ids() -> None:
    blocks = rich(text("a "), text("bold", bold=True), text(" & <b> *star* "), {"type": "user", "user_id": "U7"})
    assert found(event(text="ignored", blocks=blocks)).happening.text == "a bold & <b> *star* @…"  # type: ignore[union-attr]
    assert found(event(text="1 &lt; 2 &amp; *so*")).happening.text == "1 < 2 & so"  # type: ignore[union-attr]


def test_an_unknown_block_falls_back_to_the_text() -> None:
    broken = [{"type": "rich_text", "elements": [{"type": "rich_text_list", "indent": "x", "elements": [3]}]}]
    assert found(event(text="plain", blocks=broken)).happening.text == "plain"  # type: ignore[union-attr]


def test_a_mention_opens_and_its_own_name_is_left_out() -> None:
    blocks = rich({"type": "user", "user_id": BOT}, text(" where is my order?"))
    posted = {"channel": "C7", "channel_type": "channel", "text": f"<@{BOT}> where is my order?", "blocks": blocks}
    as_message, as_mention = (
        found(event(**posted)),
        found(event(**{**posted, "type": "app_mention", "channel_type": None})),
    )
    assert as_message.happening == as_mention.happening == Wrote("where is my order?", ref=f"C7:{TS}")
    assert as_message.also == as_mention.also == (f"{TEAM}:C7:{TS}",)
    assert as_message.sender.address == f"C7:{TS}"


def test_a_mention_alone_asks_for_us() -> None:
    assert (
        found(event(type="app_mention", channel="C7", channel_type=None, text=f"<@{BOT}>")).happening.text == "/start"
    )  # type: ignore[union-attr]


def test_in_a_thread_only_its_followers_count() -> None:
    reply = event(channel="C7", channel_type="channel", thread_ts="1.1", text="more")
    assert read(reply, team=TEAM, bot_user=BOT) is None
    assert found(reply, followers={"T0001:U1"}).sender.address == "C7:1.1"


def test_a_stranger_is_of_their_own_workspace() -> None:
    mention = event(
        type="app_mention", channel="C7", channel_type=None, text=f"<@{BOT}> hi", user_team="T9", source_team="T9"
    )
    assert found(mention).sender.external_id == "T9:U1"


def test_an_edit_and_its_key() -> None:
    inbound = found(edited())
    assert inbound.happening == Edited(f"D1:{TS}", "better", "1700000001.0")
    assert inbound.also == (f"{TEAM}:D1:{TS}:1700000001.0",)


def test_deletions_in_both_of_slacks_ways() -> None:
    assert found(deleted()).happening == Deleted(f"D1:{TS}")
    stone = {"user": "USLACKBOT", "subtype": "tombstone", "ts": TS}
    gone = event(subtype="message_changed", user=None, message=stone, previous_message={"user": "U1", "ts": TS})
    assert found(gone).happening == Deleted(f"D1:{TS}")
    assert found(gone).also == found(deleted()).also


def test_files_and_what_is_none() -> None:
    files = [
        {
            "id": "F1",
            "name": "a.png",
            "mimetype": "image/png",
            "size": 3,
            "url_private_download": "https://files.slack.com/a",
        },
        {"id": "F2", "mode": "tombstone"},
        {"id": "F3", "name": "doc", "is_external": True, "url_private": "https://docs.example/x"},
        {"id": "F4", "file_access": "check_file_info"},
    ]
    wrote = found(event(subtype="file_share", text="", files=files)).happening
    assert isinstance(wrote, Wrote)
    assert [(file.ref, file.name, file.size) for file in wrote.remote_files] == [
        ("https://files.slack.com/a", "a.png", 3),
        ("id:F4", "file", None),
    ]


def test_a_pressed_button() -> None:
    inbound = found(press())
    assert inbound.happening == Chose("m1", value="v", index=2)
    assert inbound.key == f"T0001:U1:1700000002.0:choice:m1:2:{TS}"
    in_thread = press(message={"ts": TS, "thread_ts": "1.1"}, channel={"id": "C7"})
    assert found(in_thread).sender.address == "C7:1.1"


@pytest.mark.parametrize(
    "payload",
    [
        event(subtype="channel_join"),
        event(subtype="bot_message", bot_id="B2"),
        event(bot_id="B2"),
        event(user="USLACKBOT"),
        event(text="", blocks=[]),
        event(channel_type="mpim", channel="G1"),
        event(channel="C7", channel_type="channel", text="small talk"),
        event(type="reaction_added"),
        edited(edited=None),
        edited(bot_id="B0001"),
        edited(channel="C7", kind="channel"),
        press("claim:1"),
        press("choice:m1:x"),
        press("choice::1"),
        press(actions=[]),
        SlackPayload("view", {"type": "view_submission"}),
    ],
)
def test_what_is_nobodys(payload: SlackPayload) -> None:
    assert read(payload, team=TEAM, bot_user=BOT) is None


def test_the_agents_channel_is_no_customers_channel() -> None:
    mention = event(type="app_mention", channel="C1", channel_type=None, text=f"<@{BOT}> hi")
    assert place_of(mention, {"C1"}) is None
    assert read(mention, team=TEAM, bot_user=BOT, agent_channels={"C1"}) is None


@pytest.mark.parametrize("broken", [{"ts": None}, {"user": None}, {"user": 7}, {"ts": ["1"]}, {"ts": "x" * 5000}])
def test_what_looks_like_a_customers_and_cannot_be_read_is_malformed(broken: dict[str, Any]) -> None:
    assert isinstance(read(event(**broken), team=TEAM, bot_user=BOT), Malformed)


SAMPLES = [event(blocks=rich(text("hi"))), edited(), deleted(), press(), event(subtype="file_share", files=[{"id": "F", "url_private": "https://files.slack.com/a"}])]  # fmt: skip
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["\ud800", "\0", BOT]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, part in inner for place in places(part, (*path, key)))]


@given(data=st.data(), which=st.integers(0, len(SAMPLES) - 1), times=st.integers(1, 3))
def test_a_mangled_payload_never_raises(data: st.DataObject, which: int, times: int) -> None:
    """Whatever stands in any place: an Inbound, Malformed or None; and the texts can be stored."""
    body = copy.deepcopy(dict(SAMPLES[which].body))
    for _ in range(times):
        *way, last = data.draw(st.sampled_from(places(body)[1:]))
        target: Any = body
        for step in way:
            target = target[step]
        target[last] = data.draw(JUNK)
    payload = SlackPayload(kind_of(body), body)
    is_for(body, TEAM, "A0001")
    is_own(body, BOT, "B0001")
    inbound = read(payload, team=TEAM, bot_user=BOT, followers={"T0001:U1"})
    assert inbound is None or isinstance(inbound, Inbound | Malformed)
    if isinstance(inbound, Inbound):
        assert all(isinstance(key, str) for key in (inbound.key, *inbound.also))
        getattr(inbound.happening, "text", "").encode()
        inbound.sender.external_id.encode()


def test_in_shared_channels_either_workspace_may_stand_outside() -> None:
    shared = {"type": "event_callback", "team_id": "T9", "context_team_id": TEAM, "api_app_id": "A1"}
    assert is_for(shared, TEAM, "A1")
    assert not is_for({**shared, "context_team_id": "T8"}, TEAM, "A1")
    assert is_for({"type": "block_actions", "team": {"id": "T9"}, "api_app_id": "A1"}, TEAM, "A1")
    assert not is_for({"type": "block_actions", "team": {"id": TEAM}, "api_app_id": "A2"}, TEAM, "A1")


@pytest.mark.parametrize(
    ("about", "member"),
    [
        ({}, True),
        ({"is_restricted": True}, False),
        ({"is_ultra_restricted": True}, False),
        ({"is_bot": True}, False),
        ({"deleted": True}, False),
        ({"team_id": "T9"}, False),
        ({"team_id": None}, False),
    ],
)
def test_only_full_members_of_our_workspace_are_members(about: dict[str, Any], member: bool) -> None:
    assert user_of({"user": {"id": "U1", "team_id": TEAM, "name": "ann", **about}}, TEAM).is_member is member
