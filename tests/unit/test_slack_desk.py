"""The agents' desk in Slack, its pure half: the card, the thread, who is an agent, what leaves the house."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.desk_folder.desk import Agent, Desk, SlackAccount
from bot.model import Author, AuthorKind, Body, CaseStatus, Choice, FileRef, Message
from channels.slack.payloads import SlackUser
from handoff.brief import Brief, Earlier, Score
from handoff.case import Case, Relay
from handoff.hints.hint import Hints, Solved, Suggested
from handoff.sla import Due
from handoff.slack import transcript
from handoff.slack.agents import authorised
from handoff.slack.card import card, digest
from handoff.slack.desk import mark_of
from handoff.slack.posts import Gone, Post, Words, fate, mentioned, read, words
from handoff.slack.sweep import Sweep
from handoff.slack.wording import Wording
from tests.fakes.slack_checks import check_blocks
from tests.fakes.slack_shapes import flat, rich_text, shown

NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
LINKS = {"case-0": "https://acme.slack.com/archives/C1/p11"}
EVIL = "<!channel> *Agent:* <@U1> ```x``` <https://evil.example|bank> & \u202eevil"
LOCALES = ("en", "nl", "nb", "he")


def wording(locale: str = "en") -> Wording:
    return Wording(Desk("Acme", (locale,)))


def a_brief(**values: Any) -> Brief:
    said = "where is my parcel?"
    base = Brief(
        "case-1", 12, "Kari", "telegram", ("telegram", "web"), True, "nb", "signed", NOW, "asked", "wants a human",
        "Support", "high", (("order", "A-1"),), ("looked up the order",), (said,), (Score("ces7", 6, "finally", NOW),),
        (Earlier(7, NOW, "delivery", "resolved", "Ann", "case-0"),), 0, "queued", "", None, None, 0,
        (("telegram", "platform"), ("web", "signed")), "queued", NOW, None, Due("first_response", LATER, NOW), "Asia/Kolkata", NOW,
    )  # fmt: skip
    return replace(base, **values)


def post_of(drawn: dict[str, Any]) -> Any:
    """As the channel would show it; fails where Slack would refuse it."""
    blocks = check_blocks(drawn["blocks"])
    return shown("C1", {"ts": "1.1", "text": drawn["text"], "blocks": blocks}, 0)


# ── the card ───────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("locale", LOCALES)
def test_the_card_says_all_that_is_needed_to_take_over(locale: str) -> None:
    says = post_of(card(a_brief(), wording(locale), LINKS)).says
    for part in ("#12", "Kari", wording(locale).channel("telegram"), "(nb)", "wants a human", "order: A-1", "looked up the order",
                 "where is my parcel?", "|#7>", LINKS["case-0"], "delivery", "6/7", "finally", f"<!date^{int(NOW.timestamp())}^", "17:30",
                 "Asia/Kolkata, UTC+5:30", f"<!date^{int(LATER.timestamp())}^", wording(locale)("evidence_signed"),
                 wording(locale)("turn_queued")):  # fmt: skip
        assert part in says


def test_a_card_has_the_buttons_that_fit_its_case() -> None:
    assert post_of(card(a_brief(), wording())).labels == ["Claim", "Reply…", "Resolve…", "Transfer…", "More…"]
    held = post_of(card(a_brief(status="open", agent="Ann", turn="agent"), wording()))
    assert held.labels == ["Reply…", "Resolve…", "Transfer…", "Snooze…", "Customer's turn", "More…"]
    assert "Taken by Ann" in held.says
    assert {button.value for button in held.buttons} == {"case-1"}
    for over in ("resolved", "closed"):
        assert post_of(card(a_brief(status=over, agent="Ann"), wording())).labels == ["More…"]
    assert post_of(card(a_brief(status="bot"), wording())).labels == []


def test_what_a_customer_typed_pings_nobody_and_is_no_markup_on_a_card() -> None:
    drawn = card(
        a_brief(
            customer=EVIL, reason=EVIL, topic=EVIL, team=EVIL, asked=((EVIL, EVIL),), tried=(EVIL,), summary=(EVIL,),
            scores=(Score("csat5", 1, EVIL, NOW),), earlier=(Earlier(1, NOW, EVIL, None, EVIL),), agent=EVIL,
        ),
        wording(),
    )  # fmt: skip
    post = post_of(drawn)
    assert not post.pages_everybody
    assert "<!channel>" not in drawn["text"]
    assert "\u202e" not in flat(drawn["blocks"])
    assert all("evil" not in part for part in mrkdwn_in(drawn["blocks"]))


@given(st.text(max_size=6000), st.integers(1, 40))
def test_no_case_makes_a_card_or_a_post_that_slack_refuses(text: str, many: int) -> None:
    drawn = card(
        a_brief(
            customer=text, reason=text, topic=text, asked=((text, text),) * many, tried=(text,) * many,
            summary=(text,) * 3, earlier=(Earlier(1, NOW, text, text, text),) * 5, scores=(Score("nps", 3, text, NOW),) * 3,
        ),
        wording(),
    )  # fmt: skip
    check_blocks(drawn["blocks"])
    said = [a_message(text, number) for number in range(many)]
    for post in transcript.posts(piece for one in said for piece in transcript.pieces(one, wording())):
        check_blocks(post["blocks"])
        assert transcript.weight(post["blocks"]) <= transcript.POST
        assert len(post["text"]) <= 4 * transcript.POST
        assert sum(count for _, count in post["pieces"]) == len(post["blocks"])


def test_a_card_that_says_the_same_is_not_sent_again() -> None:
    one, other = card(a_brief(), wording()), card(a_brief(agent="Ann", status="open"), wording())
    assert digest(one, "queued") == digest(card(a_brief(), wording()), "queued")
    assert digest(one, "queued") != digest(other, "open")


def mrkdwn_in(blocks: Any) -> list[str]:
    if isinstance(blocks, dict):
        own = [blocks["text"]] if blocks.get("type") == "mrkdwn" else []
        return own + [text for part in blocks.values() for text in mrkdwn_in(part)]
    return [text for part in blocks for text in mrkdwn_in(part)] if isinstance(blocks, list) else []


# ── the thread ─────────────────────────────────────────────────────────────────────────────────────────────────────
def a_message(text: str, number: int = 1, kind: AuthorKind = AuthorKind.CUSTOMER, **values: Any) -> Message:
    base = Message(f"m{number}", "kari", number, "case-1", Author(kind, "Kari"), "telegram", Body(text), NOW)
    return replace(base, **values)


def drawn_of(*messages: Message) -> list[dict[str, Any]]:
    return transcript.posts(piece for one in messages for piece in transcript.pieces(one, wording()))


def test_short_messages_share_a_post_and_keep_their_order() -> None:
    [post] = drawn_of(*(a_message(f"line {n}", n) for n in range(10)))
    says = post_of(post).says
    assert [says.index(f"line {n}") for n in range(10)] == sorted(says.index(f"line {n}") for n in range(10))
    assert "Kari · Telegram" in says


def test_a_long_message_is_whole_over_several_posts() -> None:
    text = " ".join(f"word{n}" for n in range(3000))
    posts = drawn_of(a_message(text))
    assert len(posts) > 3
    assert "".join(flat(post["blocks"]) for post in posts).count("word") == 3000


def test_each_author_is_named_with_where_they_spoke() -> None:
    ann = Author(AuthorKind.AGENT, "Ann")
    [post] = drawn_of(
        a_message("Pick", 1, AuthorKind.BOT, body=Body("**Pick**", markdown=True, choices=(Choice("a", "Mine"),))),
        a_message("Hi", 2, author=ann, meta={"desk": "web", "ref": "r"}),
        a_message("psst", 3, author=ann, seq=None, meta={"desk": "web"}),
        a_message("", 4, body=Body(files=(FileRef("f", "plan <!here>.pdf", "application/pdf", 3),))),
    )
    says = post_of(post).says
    for part in ("🤖 Bot", "Pick\n[Mine]", "💬 Ann · the website", "🔒 Ann", "📎 plan"):
        assert part in says
    assert not post_of(post).pages_everybody


def test_a_deleted_message_leaves_its_place_and_not_its_words() -> None:
    first, secret, last = a_message("first", 1), a_message("my pin is 1234", 2), a_message("last", 3)
    [post] = drawn_of(first, secret, last)
    gone = replace(secret, body=Body(), deleted_at=NOW)
    says = post_of(transcript.redrawn(post, gone, wording())).says
    assert "1234" not in says
    assert "first" in says
    assert "last" in says
    assert "The customer deleted a message." in says
    edited = transcript.redrawn(post, replace(secret, body=Body("never mind"), edited_at=NOW), wording())
    assert "1234" not in post_of(edited).says
    assert "never mind" in post_of(edited).says


def test_posts_join_up_to_slacks_limits_and_no_further() -> None:
    small, large = transcript.note_of_ours("a"), transcript.note_of_ours("b" * 2500)
    assert transcript.join(small, small) is not None
    assert transcript.join(large, large) is None
    assert transcript.join({**small, "broadcast": True}, small) is None


# ── who is an agent ────────────────────────────────────────────────────────────────────────────────────────────────
ANN = SlackUser("U1", "T1", "Ann")
LISTED = (Agent("ann", "Ann", slack=SlackAccount("T1", "U1")), Agent("bob", "Bob"))


@pytest.mark.parametrize(
    ("person", "listed", "members", "agent"),
    [
        (ANN, LISTED, (), "ann"),
        (replace(ANN, id="U2"), LISTED, ("U2",), None),
        (replace(ANN, team="T9"), LISTED, ("U1",), None),
        (replace(ANN, is_guest=True), LISTED, ("U1",), None),
        (replace(ANN, deleted=True), LISTED, (), None),
        (ANN, (Agent("bob", "Bob"),), ("U1",), "slack:T1:U1"),
        (ANN, (), ("U2",), None),
        (replace(ANN, is_guest=True), (), ("U1",), None),
        (replace(ANN, is_bot=True), (), ("U1",), None),
        (replace(ANN, is_stranger=True), (), ("U1",), None),
        (replace(ANN, deleted=True), (), ("U1",), None),
        (replace(ANN, is_known=False), (), ("U1",), None),
    ],
)
def test_only_listed_agents_or_full_members_of_the_channel_are_agents(
    person: SlackUser, listed: tuple[Agent, ...], members: tuple[str, ...], agent: str | None
) -> None:
    found = authorised(person, listed, members)
    assert (found.agent_id if found else None) == agent


@pytest.mark.parametrize(
    ("person", "listed", "agent", "team"),
    [
        (ANN, (), "slack:T1:U1", "billing"),
        (ANN, LISTED, "ann", None),
        (replace(ANN, id="U2"), LISTED, "slack:T1:U2", "shop"),
        (replace(ANN, id="U3"), (), None, None),
        (replace(ANN, is_guest=True), (), None, None),
        (replace(ANN, is_stranger=True), (), None, None),
    ],
)
def test_a_user_group_makes_its_members_agents_of_its_team_and_then_the_channel_makes_nobody_one(
    person: SlackUser, listed: tuple[Agent, ...], agent: str | None, team: str | None
) -> None:
    found = authorised(person, listed, ("U1", "U2", "U3"), {"billing": ("U1",), "shop": ("U1", "U2")})
    assert (found and found.agent_id, found and found.team) == (agent, team)


# ── what leaves the house ──────────────────────────────────────────────────────────────────────────────────────────
def a_case(**values: Any) -> Case:
    return replace(Case("case-1", 12, "kari", CaseStatus.OPEN, "web", "en", NOW, NOW, agent_id="ann"), **values)


SAID = Words("hello", is_note=False, mentions=False)


@pytest.mark.parametrize(
    ("case", "agent", "said", "replies", "leaves", "hint"),
    [
        (a_case(), "ann", SAID, "thread", True, None),
        (a_case(status=CaseStatus.PENDING), "ann", SAID, "thread", True, None),
        (a_case(), "bob", SAID, "thread", False, "not_relayed_not_yours"),
        (a_case(), "ann", SAID, "explicit", False, "not_relayed_explicit"),
        (a_case(), "ann", replace(SAID, is_note=True), "thread", False, None),
        (a_case(), "ann", replace(SAID, mentions=True), "thread", False, "not_relayed_mention"),
        (a_case(status=CaseStatus.QUEUED, agent_id=None), "ann", SAID, "thread", False, "not_relayed_unclaimed"),
        (a_case(status=CaseStatus.BOT), "ann", SAID, "thread", False, "not_relayed_unclaimed"),
        (a_case(status=CaseStatus.RESOLVED), "ann", SAID, "thread", False, "not_relayed_over"),
        (a_case(status=CaseStatus.CLOSED), "ann", replace(SAID, is_note=True), "thread", False, "not_relayed_over"),
    ],
)
def test_only_the_holders_plain_words_in_a_live_case_leave(
    case: Case, agent: str, said: Words, replies: str, leaves: bool, hint: str | None
) -> None:
    does = fate(case, agent, said, replies)
    assert (does.leaves, does.hint) == (leaves, hint)


def test_what_was_written_before_the_claim_stays_here_however_late_it_comes() -> None:
    assert not fate(a_case(), "ann", SAID, "thread", after_claim=False).leaves


def event(text: str = "", **values: Any) -> dict[str, Any]:
    base = {
        "type": "message",
        "channel": "C1",
        "ts": "2.2",
        "thread_ts": "1.1",
        "user": "U1",
        "team": "T1",
        "text": text,
    }
    return {**base, "blocks": rich_text(text), **values}


def said_in(text: str, **values: Any) -> Words:
    post = read(event(text, **values), "T1")
    assert isinstance(post, Post)
    return words(post, {"U2": "Bob"})


@pytest.mark.parametrize(
    "text", ["note: he is angry", "Note: x", "NOTE : x", "🔒 x", ":lock: x", "  note:x", "🔒x", "Notat: x", "הערה: x"]
)
def test_the_note_mark_is_seen_however_it_is_written(text: str) -> None:
    assert said_in(text).is_note
    assert said_in(text, blocks=None).is_note
    assert not said_in(text).text.casefold().startswith(("note", "notat", "הערה", "🔒"))


@pytest.mark.parametrize("text", ["notes are taken", "please note: we close at 5", "hello"])
def test_other_words_are_no_note_mark(text: str) -> None:
    assert not said_in(text).is_note


@pytest.mark.parametrize(
    "text", ["<@U2> can you look?", "ask <@U2|bob>", "<!here> anybody?", "<!subteam^S1|@vips>", "<!channel>"]
)
def test_a_mention_is_seen_in_text_and_in_blocks(text: str) -> None:
    assert said_in(text, blocks=None).mentions
    assert said_in("<@U2> hi").text == "@Bob hi"
    inside = [{"type": "rich_text", "elements": [{"type": "rich_text_list", "style": "bullet", "elements": [
        {"type": "rich_text_section", "elements": [{"type": "usergroup", "usergroup_id": "S1"}]}]}]}]  # fmt: skip
    assert said_in("x", blocks=inside).mentions


def test_a_date_or_a_link_is_no_mention() -> None:
    post = read(event("<!date^1^{date}|today> <https://a.example|a> <#C2|b>", blocks=None), "T1")
    assert isinstance(post, Post)
    assert mentioned(post) == []


@pytest.mark.parametrize(
    "values",
    [
        {"bot_id": "B1"},
        {"subtype": "channel_join"},
        {"subtype": "bot_message"},
        {"thread_ts": None},
        {"thread_ts": "2.2"},
        {"subtype": "message_changed", "message": {"ts": "2.2", "thread_ts": "1.1", "user": "U1", "text": "x"}},
    ],
)
def test_what_is_nobodys_words_in_a_thread_is_nothing(values: dict[str, Any]) -> None:
    assert read(event("x", **values), "T1") is None


def test_a_deletion_is_read_from_either_of_slacks_shapes() -> None:
    before = {"ts": "2.2", "thread_ts": "1.1", "user": "U1"}
    gone = Gone("C1", "2.2", "U1")
    assert read(event(subtype="message_deleted", deleted_ts="2.2", previous_message=before, ts="3.3"), "T1") == gone
    stone = {"ts": "2.2", "subtype": "tombstone", "user": "USLACKBOT"}
    assert read(event(subtype="message_changed", message=stone, previous_message=before, ts="3.3"), "T1") == gone


def test_a_broken_event_is_told_apart() -> None:
    with pytest.raises(ValueError, match="no user"):
        read(event("x", user=None), "T1")


@pytest.mark.parametrize(
    ("state", "delivery", "mark"),
    [
        ("waiting", None, ("hourglass_flowing_sand", ())),
        ("said", "sent", ("white_check_mark", ("hourglass_flowing_sand",))),
        ("said", "failed", ("warning", ("hourglass_flowing_sand",))),
        ("taken_back", None, ("leftwards_arrow_with_hook", ("hourglass_flowing_sand", "white_check_mark"))),
        ("note", None, ("lock", ("hourglass_flowing_sand",))),
        ("refused", None, ("lock", ("hourglass_flowing_sand",))),
        ("said", "pending", None),
    ],
)
def test_an_answers_mark_tells_where_it_is(state: str, delivery: str | None, mark: Any) -> None:
    relay = Relay("r", "c", "k", "ann", "slack", "C1:2.2", "hi", (), state, 1, NOW, None, NOW, delivery=delivery)
    assert mark_of(relay, NOW.replace(hour=13)) == mark


@given(st.text(max_size=4000))
def test_what_may_help_stands_on_the_card_within_slacks_limits_and_is_no_markup(text: str) -> None:
    solved = (Solved("c", 4, text, text, text, NOW),) * 3
    hints = Hints("angry", (), (Suggested("a", text, "en"),) * 3, solved, text or None)
    drawn = card(a_brief(summary=(text,) * 3, tried=(text,) * 20, asked=((text, text),) * 20), wording(), hints=hints)
    check_blocks(drawn["blocks"])
    assert "😠 Angry" in post_of(drawn).says
    over = card(a_brief(status="closed"), wording(), hints=hints)
    assert "😠 Angry" not in post_of(over).says
    shown_mrkdwn = mrkdwn_in(card(a_brief(), wording(), hints=replace(hints, summary="<!channel> *x*"))["blocks"])
    assert all("<!channel>" not in part for part in shown_mrkdwn)


async def test_one_sweep_that_fails_does_not_end_the_sweeping(monkeypatch: pytest.MonkeyPatch) -> None:
    hooks: list[Any] = []
    sweeping = Sweep(SimpleNamespace(add_connect_hook=hooks.append), None, None, None)  # type: ignore[arg-type]
    sweeps = asyncio.Queue[float]()

    async def fails(pace: float) -> None:
        sweeps.put_nowait(pace)
        raise ValueError("nobody foresaw it")

    monkeypatch.setattr(sweeping, "once", fails)
    monkeypatch.setattr("handoff.slack.sweep.AGAIN", 0)
    running = asyncio.create_task(sweeping.run())
    await hooks[0]()
    for _sweep in range(3):
        await asyncio.wait_for(sweeps.get(), 10)
    running.cancel()
