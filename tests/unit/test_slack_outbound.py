"""What Slack is sent: within its limits, whatever is said; and nobody is pinged by anybody's words."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import NotSent, RateLimited, Refused, Uncertain
from bot.model import BOT, Author, AuthorKind, Body, Choice, FileRef, Message, SurveyCard
from channels.slack.manifest import BOT_EVENTS, manifest
from channels.slack.outbound import SlackOutlet, last_post, posts
from channels.slack.outcomes import fault_line, outcome
from tests.fakes.slack_checks import check_blocks

CONTROL = re.compile(r"<(?!https?://)[^>]*>")
OUTLET = SlackOutlet()


def message(text: str = "", *, author: Author = BOT, **body: Any) -> Message:
    return Message("m1", "c1", 1, None, author, "slack", Body(text, **body), datetime(2026, 1, 1, tzinfo=UTC))


def checked(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for post in found:
        check_blocks(post["blocks"])
        assert post["text"]
        assert len(post["text"]) <= 40_000
    return found


def words(found: list[dict[str, Any]]) -> str:
    return "\n".join(block["text"]["text"] for post in found for block in post["blocks"] if block["type"] == "section")


def test_markdown_becomes_mrkdwn_and_addresses_become_links() -> None:
    [post] = checked(posts(message("**Hi** & see https://a.example/x?a=1&b=2.", markdown=True)))
    [section] = post["blocks"]
    shown = "*Hi* &amp; see <https://a.example/x?a=1&amp;b=2>."
    assert section == {"type": "section", "text": {"type": "mrkdwn", "text": shown, "verbatim": True}}


def test_a_link_with_a_name_stays_one() -> None:
    [post] = posts(message("[shop](https://a.example/)", markdown=True))
    assert post["blocks"][0]["text"]["text"] == "<https://a.example/|shop>"


ATTACKS = ["<!channel>", "<!here|x>", "<@U1>", "<#C1>", "<!subteam^S1>", "<https://evil.example|https://bank.example>", "&lt;!channel&gt;"]  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("markdown", [True, False])
def test_nobodys_words_ping_anybody(attack: str, markdown: bool) -> None:
    said = message(
        attack, markdown=markdown, choices=(Choice(attack, attack),), author=Author(AuthorKind.AGENT, attack, "a")
    )
    for post in checked(posts(said)):
        assert not CONTROL.search(post["text"])
        for block in post["blocks"]:
            inner = block.get("text", {})
            assert inner.get("type") != "mrkdwn" or not CONTROL.search(inner["text"])


def test_plain_text_is_shown_letter_by_letter() -> None:
    [post] = posts(message("*Agent:* `hi` > no"))
    assert post["blocks"][0]["text"] == {"type": "plain_text", "text": "*Agent:* `hi` > no", "emoji": False}


@given(text=st.text(max_size=400), times=st.integers(1, 60), markdown=st.booleans(), buttons=st.integers(0, 60))
def test_any_text_fits_slacks_limits(text: str, times: int, markdown: bool, buttons: int) -> None:
    options = tuple(Choice(f"{n}{text}", text or str(n)) for n in range(buttons))
    checked(posts(message(text * times, markdown=markdown, choices=options)))


@pytest.mark.parametrize("text", ["&" * 16_000, "<" * 9_000, "word " * 3_200, "א" * 16_000, "😀" * 8_000])
def test_long_texts_are_split_and_whole(text: str) -> None:
    found = checked(posts(message(text)))
    assert words(found).replace("\n", "").replace(" ", "") == text.replace(" ", "")
    in_mrkdwn = checked(posts(message(text, markdown=True)))
    assert in_mrkdwn


def test_long_lists_stand_in_rows_of_25() -> None:
    [post] = checked(posts(message("Pick", choices=tuple(Choice(str(n), f"Choice {n}") for n in range(60)))))
    rows = [block for block in post["blocks"] if block["type"] == "actions"]
    assert [len(row["elements"]) for row in rows] == [25, 25, 10]
    assert rows[2]["elements"][0]["action_id"] == "choice:m1:50"
    assert rows[2]["elements"][0]["value"] == "50"


def test_buttons_without_words_are_sent_too() -> None:
    [post] = checked(posts(message(choices=(Choice("a", ""),))))
    assert post["blocks"][0]["elements"][0]["text"]["text"] == "a"


def test_a_pressed_button_is_shown_and_a_survey_stays() -> None:
    menu = message("Pick", choices=(Choice("a", "First"), Choice("b", "Second")))
    assert last_post(menu, "b")["blocks"][-1] == {
        "type": "context",
        "elements": [{"type": "plain_text", "text": "✓ Second", "emoji": False}],
    }
    scale = tuple(Choice(str(n), str(n)) for n in range(11))
    nps = message("How likely?", choices=scale, survey=SurveyCard("s", "nps", 0, 10, "not at all", "surely"))
    [row] = [block for block in last_post(nps, "9")["blocks"] if block["type"] == "actions"]
    assert len(row["elements"]) == 11
    assert [one["text"]["text"] for one in row["elements"] if "style" in one] == ["✓ 9"]
    assert "0 = not at all · 10 = surely" in str(last_post(nps, None))


def test_files_go_one_by_one_after_the_text() -> None:
    files = (FileRef("f1", "a.png", "image/png", 3), FileRef("f2", "b.pdf", "application/pdf", 4))
    assert [part.kind for part in OUTLET.parts(message("see", files=files), "D1")] == ["text", "file", "file"]
    assert OUTLET.parts(message(files=files), "D1")[1].payload == {"file_id": "f2", "name": "b.pdf"}


def test_edits_change_add_and_take_away() -> None:
    long = "word " * 4_000
    assert [part.kind for part in OUTLET.edits(message("short"), ["D1:1", "file:F1"], "D1")] == ["edit"]
    assert [part.kind for part in OUTLET.edits(message(long), ["D1:1"], "D1")] == ["edit", "text"]
    assert [(p.kind, p.payload["ref"]) for p in OUTLET.edits(message("short"), ["D1:1", "D1:2"], "D1")] == [
        ("edit", "D1:1"),
        ("delete", "D1:2"),
    ]
    assert OUTLET.edits(message("short"), [], "D1") == ()
    assert [part.payload["ref"] for part in OUTLET.deletes(message(), ["D1:1", "file:F1"], "D1")] == ["D1:1", "file:F1"]


def test_a_lane_per_conversation_and_a_pace_per_channel() -> None:
    assert (OUTLET.lane("C1:1.1"), OUTLET.bucket("C1:1.1"), OUTLET.bucket("D1")) == (
        "slack:C1:1.1",
        "slack:C1",
        "slack:D1",
    )


@pytest.mark.parametrize(
    ("status", "headers", "answer", "kind", "wait"),
    [
        (429, {"Retry-After": "30"}, {"ok": False, "error": "ratelimited"}, RateLimited, 30),
        (429, {}, {}, RateLimited, None),
        (429, {"retry-after": "86400"}, {}, RateLimited, 600),
        (429, {"Retry-After": "soon"}, {}, RateLimited, None),
        (200, {}, {"ok": False, "error": "internal_error"}, Uncertain, None),
        (200, {}, {"ok": False, "error": "fatal_error"}, Uncertain, None),
        (200, {}, {"ok": False, "error": "request_timeout"}, Uncertain, None),
        (200, {}, {"ok": False, "error": "service_unavailable"}, Uncertain, None),
        (503, {}, {"ok": False, "error": "channel_not_found"}, Uncertain, None),
        (502, {}, b"<html>", Uncertain, None),
        (200, {}, {}, Uncertain, None),
        (200, {}, None, Uncertain, None),
        (200, {}, {"ok": False, "error": "channel_not_found"}, Refused, None),
        (200, {}, {"ok": False, "error": "invalid_blocks"}, Refused, None),
        (200, {}, {"ok": False, "error": "token_revoked"}, NotSent, 60),
        (200, {}, {"ok": False, "error": "invalid_auth"}, NotSent, 60),
        (200, {}, {"ok": False, "error": "account_inactive"}, NotSent, 60),
        (200, {}, {"ok": False, "error": "not_in_channel"}, NotSent, 60),
        (200, {}, {"ok": False, "error": "missing_scope", "needed": "files:write"}, NotSent, 60),
    ],
)
def test_what_became_of_a_call(
    status: int, headers: dict[str, str], answer: Any, kind: type, wait: float | None
) -> None:
    found = outcome(status, headers, answer)
    assert type(found) is kind
    assert getattr(found, "retry_after", None) == wait


def test_faults_say_what_to_do() -> None:
    assert "STAFETT_SLACK_BOT_TOKEN was revoked" in (fault_line("token_revoked", {}) or "")
    assert "files:write" in (fault_line("missing_scope", {"needed": "files:write"}) or "")
    assert "C1" in (fault_line("is_archived", {}, "C1") or "")
    assert fault_line("channel_not_found", {}) is None


def test_the_manifest_fits_both_ways_in() -> None:
    http, socket = (
        manifest("https://help.example/", socket_mode=False),
        manifest("https://help.example", socket_mode=True),
    )
    assert http["settings"]["event_subscriptions"]["request_url"] == "https://help.example/slack/events"
    assert http["settings"]["interactivity"]["request_url"] == http["features"]["slash_commands"][0]["url"]
    assert "request_url" not in str(socket)
    assert socket["settings"]["socket_mode_enabled"] is True
    needs = {"message.im": "im:history", "message.channels": "channels:history", "message.groups": "groups:history"}
    scopes = socket["oauth_config"]["scopes"]["bot"]
    assert all(scope in scopes for name, scope in needs.items() if name in BOT_EVENTS)
    assert {short["callback_id"] for short in socket["features"]["shortcuts"]} == {
        "note",
        "take_back",
        "claim",
        "reply",
        "resolve",
        "transfer",
        "snooze",
        "more",
    }
    assert len(socket["features"]["shortcuts"]) <= 10
    assert socket["features"]["app_home"]["home_tab_enabled"] is True
    assert len(socket["features"]["slash_commands"][0]["description"]) <= 2000
    assert all(
        len(short["name"]) <= 24 and len(short["description"]) <= 150 for short in socket["features"]["shortcuts"]
    )
    assert len(socket["display_information"]["description"]) <= 140
