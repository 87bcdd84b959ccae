"""The week in one post: which week, what it says, its picture, and that it is told once."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert

from bot.desk_folder.desk import Desk
from bot.desk_folder.load import load
from bot.desk_folder.starter import write_starter
from bot.events import DigestMade
from bot.intervals import Interval
from bot.model import new_id
from bot.staffing.hours import Hours
from bot.storage import files, kept, schema
from bot.storage import tables as t
from bot.storage.engine import Storage
from bot.storage.tx import Wiring
from channels.text import to_mrkdwn
from handoff.slack import weekly
from surveys.digest import picture, words
from surveys.digest.teller import Teller
from surveys.digest.week import Plan, due, next_due, plan_from
from surveys.figures.shape import Figure, Figures, Question, Series, Shown
from surveys.pages import shown
from surveys.rollups.keeping import Rollups

OSLO = ZoneInfo("Europe/Oslo")
MONDAY = datetime(2026, 3, 9, 8, tzinfo=UTC)  # nine in Oslo
WEEK = date(2026, 3, 2)


# ── when ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_the_last_whole_week_is_told_from_its_moment_on() -> None:
    assert due(Plan(), MONDAY, OSLO) == (WEEK, MONDAY)
    assert next_due(Plan(), MONDAY, OSLO) == MONDAY + timedelta(days=7)
    assert next_due(Plan(), MONDAY - timedelta(minutes=1), OSLO) == MONDAY
    friday = plan_from({"day": "fri", "at": "16:30", "slack_channel": "C0123456789"})
    assert friday == Plan(4, time(16, 30), "C0123456789")
    assert due(friday, MONDAY, OSLO) == (WEEK, datetime(2026, 3, 13, 15, 30, tzinfo=UTC))
    assert plan_from({"off": True}) is None
    assert plan_from(None) == Plan()


@given(st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)), st.integers(0, 6))
def test_the_next_moment_is_within_a_week_and_at_its_hour_also_across_clock_changes(now: datetime, day: int) -> None:
    found = next_due(Plan(day), now, OSLO)
    assert now < found <= now + timedelta(days=7, hours=1)
    local = found.astimezone(OSLO)
    assert (local.weekday(), local.hour, local.minute) == (day, 9, 0)


# ── what ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def score(n: int, value: float, low: float, high: float) -> Figure:
    return Figure("csat5", {}, n, value, Interval(low, high), Shown.FIRM)


def test_every_score_has_its_n_and_interval_and_the_gap_to_the_goal() -> None:
    cases = tuple(
        Figure("escalated", {"topic": one}, n) for one, n in (("parcel", 12), ("refund", 9), ("size", 3), ("x", 1))
    )
    now = Figures(
        Question(), (score(50, 0.9, 0.8, 0.95), Figure("nps", {}, 3, shown=Shown.HIDDEN), *cases), {"cases": 25}
    )
    before = Figures(Question(), (score(40, 0.6, 0.5, 0.7), Figure("escalated", {"topic": "parcel"}, 4)), {"cases": 9})
    said = "\n".join(words.lines(WEEK, now, before, {"csat": 85}, "en"))
    assert "2026-03-02" in said
    assert "25 cases; the week before: 9" in said
    assert (
        "▲ Satisfied (CSAT, 4–5 of 5): **90%** (80% – 95%; n = 50) · before: 60% · goal: 85%, 5 points better (can't tell yet)"
        in said
    )
    assert "3 answers, fewer than 5 are not shown" in said
    assert "parcel: 12 (before: 4)" in said
    assert "x: 1" not in said


def test_the_score_of_each_channel_stands_in_the_post_where_there_are_several() -> None:
    def of(channel: str, n: int, shown_: Shown = Shown.GREY) -> Figure:
        return Figure("csat5", {"channel": channel}, n, 0.9, Interval(0.8, 0.95), shown_)

    now = Figures(Question(), (score(50, 0.9, 0.8, 0.95),), {"cases": 50})
    channels = [of("web", 9), of("telegram", 38), of("shop_1", 1, Shown.HIDDEN), of("slack", 0)]
    said = words.lines(WEEK, now, Figures(Question()), {}, "en", channels)
    at = said.index("**Satisfied (CSAT, 4–5 of 5), by channel**")
    assert said[at + 1 :] == [
        "• Telegram: **90%** (80% – 95%; n = 38)",
        "• the website: **90%** (80% – 95%; n = 9)",
        "• shop\\_1: 1 answer, fewer than 5 are not shown",
    ]
    assert not any("by channel" in one for one in words.lines(WEEK, now, now, {}, "en", channels[:1]))


def test_every_target_that_there_is_a_figure_of_is_held_against_it() -> None:
    contained = Figure("contained", {}, 40, 0.25, Interval(0.14, 0.4), Shown.FIRM)
    now = Figures(Question(), (score(50, 0.9, 0.8, 0.95), contained), {"cases": 50})
    with_goal = "\n".join(words.lines(WEEK, now, Figures(Question()), {"containment": 60}, "en"))
    assert "Ended without a person: **25%** (14% – 40%; n = 40) · goal: 60%, 35 points worse (missed)" in with_goal
    assert "Ended without a person" not in "\n".join(words.lines(WEEK, now, Figures(Question()), {}, "en"))


@pytest.mark.parametrize(
    ("metric", "value", "goal", "locale", "told"),
    [
        ("frt", 900.0, 600.0, "en", "5 min worse"),
        ("frt", 300.0, 600.0, "nl", "5 min beter"),
        ("ces7", 5.25, 5.5, "en", "0.2 worse"),
        ("nps", 31.0, 30.0, "nb", "1 poeng bedre"),
        ("csat5", 0.84, 0.85, "he", "נקודה אחת לרעה"),
        ("csat5", 0.85, 0.85, "en", ""),
    ],
)
def test_how_far_a_figure_is_from_its_goal(metric: str, value: float, goal: float, locale: str, told: str) -> None:
    found = shown.gap(Figure(metric, {}, 40, value, None, Shown.FIRM), goal, locale)
    assert found.replace("\u2068", "").replace("\u2069", "") == told


def test_what_customers_wrote_stands_in_the_post_as_they_wrote_it() -> None:
    """A wish is named by a customer's own words: they make no link that says one thing and leads elsewhere."""
    now = Figures(Question(), (Figure("escalated", {"topic": "size_2 *now*"}, 4),), {"cases": 4})
    topics = to_mrkdwn("\n".join(words.lines(WEEK, now, Figures(Question()), {}, "en")))
    called = {"w1": "[Sign in](https://evil.example) <!channel>", "w3": "Dark mode"}
    wishes = weekly.wished([("w1", 2), ("w2", 2), ("w3", 1)], called, "en")
    assert [bool(one) for one in wishes] == [False, True, True, True]  # none of the one that is gone
    assert wishes[-1].replace("\u200b", "") == "• Dark mode: 1"
    said = "\n".join((topics, *wishes))
    assert "|Sign in>" not in said
    assert "[Sign in](" in said
    assert "&lt;!channel&gt;: 2" in said
    assert "size_2 *now*: 4 (before: 0)" in said.replace("\u200b", "")
    assert weekly.wished([("w2", 2)], {}, "en") == []


def test_a_picture_is_drawn_also_over_weeks_without_answers() -> None:
    points = (score(40, 0.9, 0.8, 0.95), Figure("csat5", {}, 0), score(10, 0.7, 0.4, 0.9))
    drawn = picture.draw(Series("csat5", {}, ("2026-W09", "2026-W10", "2026-W11"), points))
    assert drawn.startswith(b"\x89PNG\r\n")
    assert len(drawn) > 5_000
    assert drawn != picture.draw(Series("csat5", {}, ("2026-W09", "2026-W10", "2026-W11"), points[:1] * 3))


# ── once ───────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_of_two_nodes_one_tells_the_week_and_nobody_tells_it_again(database_url: str) -> None:
    await schema.upgrade(database_url)
    clock = [MONDAY - timedelta(hours=1)]
    heard: list[DigestMade] = []
    nodes = [Storage(database_url, lambda: clock[0]) for _ in range(1 if database_url.startswith("sqlite") else 2)]
    tellers = []
    for node in nodes:
        node.wiring = Wiring(subscribers={DigestMade: [lambda tx, event: tx.after_commit(lambda: heard.append(event))]})
        await node.open()
        ask = Rollups(node, lambda _team: Hours(OSLO)).ask
        tellers.append(Teller(node, lambda: Desk("Fjord", time_zone="Europe/Oslo"), ask))
    try:
        await nodes[0].write(_a_case)
        await asyncio.gather(*(one.run() for one in tellers))
        assert heard == []  # not yet nine
        clock[0] = MONDAY
        await asyncio.gather(*(one.run() for one in (*tellers, *tellers)))
        assert [(one.week, one.channel) for one in heard] == [(WEEK.isoformat(), None)]
        assert await tellers[0].run() == MONDAY + timedelta(minutes=10)
        assert len(heard) == 1
        stored = await nodes[0].read(lambda conn: files.one(conn, heard[0].file_id or ""))
        assert stored is not None
        assert (stored.data or b"").startswith(b"\x89PNG")
    finally:
        for node in nodes:
            await node.close()


def _a_case(tx: Any) -> None:
    who, case, at = new_id(), new_id(), MONDAY - timedelta(days=4)
    tx.conn.execute(insert(t.customers).values(id=who, name="", locale="en", created_at=at))
    values = {
        "id": case,
        "customer_id": who,
        "status": "resolved",
        "channel": "web",
        "locale": "en",
        "outcome": "resolved",
    }
    tx.conn.execute(insert(t.cases).values(**values, opened_at=at, resolved_at=at, updated_at=at))
    answer = {"id": new_id(), "case_id": case, "customer_id": who, "instrument": "ces7", "score": 6, "at": at}
    tx.conn.execute(insert(t.survey_responses).values(**answer))


async def test_a_value_is_moved_once(database_url: str) -> None:
    await schema.upgrade(database_url)
    storage = Storage(database_url, lambda: MONDAY)
    await storage.open()
    try:
        moved = [await storage.write(partial(kept.move, key="k", value=value)) for value in ("a", "a", "b")]
        assert moved == [True, False, True]
        assert await storage.read(lambda conn: kept.get(conn, "k")) == "b"
    finally:
        await storage.close()


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("off", {"off": True}),
        (
            "{day: fri, at: '16:30', slack_channel: C0123456789}",
            {"day": "fri", "at": "16:30", "slack_channel": "C0123456789"},
        ),
    ],
)
def test_the_desk_reads_its_plan(tmp_path: Path, section: str, expected: Any) -> None:
    desk = tmp_path / "desk"
    write_starter(desk)
    with (desk / "desk.yaml").open("a", encoding="utf-8") as file:
        file.write(f"\ndigest: {section}\n")
    assert load(desk).digest == expected
