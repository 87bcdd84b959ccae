"""What one case adds to the figures: times over weekends, holidays and clock changes, waits, targets, promises, verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bot.staffing.hours import Hours
from surveys import statistics
from surveys.rollups import blocks, facts
from surveys.rollups.facts import Fact, Happened, Promise, RawCase, Word
from surveys.rollups.shelf import Shelf

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
OFFICE = {day: ((time(9), time(17)),) for day in ("mon", "tue", "wed", "thu", "fri")}
EASTER = frozenset({date(2026, 4, 3), date(2026, 4, 6)})
NIGHTS = {"sat": ((time(22), time(6)),), "sun": ((time(0), time(6)),)}
T0 = datetime(2026, 3, 9, 9, tzinfo=UTC)
HOUR = 3600.0


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=AMSTERDAM).astimezone(UTC)


def row(**values: Any) -> dict[str, Any]:
    empty = dict.fromkeys(
        (*("team", "agent_id", "last_agent_id", "topic", "outcome", "escalation", "flow", "escalated_at", "claimed_at"),
         *("first_reply_at", "resolved_at", "first_resolved_at", "confirmed", "last_customer_at"))
    )  # fmt: skip
    plain = {"id": "c1", "status": "closed", "channel": "web", "locale": "en", "opened_at": T0, "reopened": 0}
    return {**empty, **plain, "handoffs": 0, "questions": 0, "agents": [], **values}


def fact(hours: Hours | None = None, raw: RawCase | None = None, **values: Any) -> Fact:
    return facts.of_case(raw or RawCase(row(**values)), lambda _team: hours or Hours(UTC))


def happened(*steps: tuple[float, str], **data: Any) -> list[Happened]:
    """(minutes after T0, kind) …"""
    return [Happened(kind, T0 + timedelta(minutes=at), data) for at, kind in steps]


# ── times ──────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("hours", "opened", "solved", "clock_h", "business_h"),
    [
        (Hours(AMSTERDAM, OFFICE), "2026-03-10T10:00", "2026-03-10T12:30", 2.5, 2.5),
        (Hours(AMSTERDAM, OFFICE), "2026-03-10T16:00", "2026-03-11T10:00", 18, 2),  # overnight
        (Hours(AMSTERDAM, OFFICE), "2026-03-13T16:00", "2026-03-16T10:00", 66, 2),  # a weekend
        (Hours(AMSTERDAM, OFFICE), "2026-03-27T16:00", "2026-03-30T10:00", 65, 2),  # in which the clock goes forward
        (Hours(AMSTERDAM, OFFICE), "2026-10-23T16:00", "2026-10-26T10:00", 67, 2),  # … and back
        (
            Hours(AMSTERDAM, OFFICE, EASTER),
            "2026-04-02T16:00",
            "2026-04-07T10:00",
            114,
            2,
        ),  # Good Friday to Easter Monday
        (Hours(AMSTERDAM, OFFICE), "2026-03-14T10:00", "2026-03-15T10:00", 24, 0),  # only a weekend
        (Hours(AMSTERDAM, NIGHTS), "2026-03-28T23:00", "2026-03-29T06:00", 6, 6),  # the night that is an hour short
        (Hours(AMSTERDAM, NIGHTS), "2026-10-24T23:00", "2026-10-25T06:00", 8, 8),  # … and an hour long
        (Hours(UTC), "2026-03-10T10:00", "2026-03-10T10:00", 0, 0),
    ],
)
def test_time_to_resolution_by_the_clock_and_in_opening_hours(
    hours: Hours, opened: str, solved: str, clock_h: float, business_h: float
) -> None:
    end = local(solved)
    made = fact(hours, opened_at=local(opened), resolved_at=end, first_resolved_at=end, first_reply_at=end)
    assert (made["ttr"] / HOUR, made["ttr_business"] / HOUR) == (clock_h, business_h)
    assert (made["ttr_first"], made["frt"], made["frt_business"]) == (made["ttr"], made["ttr"], made["ttr_business"])


def test_a_reopened_case_has_two_ends_and_a_live_one_none() -> None:
    first, last = T0 + timedelta(hours=1), T0 + timedelta(hours=9)
    again = fact(resolved_at=last, first_resolved_at=first, reopened=1)
    assert (again["ttr_first"], again["ttr"], again["ever_reopened"]) == (HOUR, 9 * HOUR, 1)
    live = fact(status="open", first_resolved_at=first, reopened=1)
    assert "ttr" not in live
    assert "ended" not in live
    assert (live["ttr_first"], live["solved"]) == (HOUR, 1)


@pytest.mark.parametrize(("days", "counts"), [(6, 1), (7, 1), (8, None)])
def test_a_case_counts_as_reopened_within_seven_days(days: int, counts: int | None) -> None:
    later = 24 * 60 * days
    raw = RawCase(row(reopened=1, resolved_at=T0), happened((0, "resolve"), (later, "reopen"), (later + 9, "resolve")))
    assert fact(raw=raw).get("reopened") == counts


def said(*words: tuple[float, str]) -> list[Word]:
    return [Word(by, T0 + timedelta(minutes=at)) for at, by in words]


@pytest.mark.parametrize(
    ("words", "minutes"),
    [
        ([(0, "customer"), (1, "bot"), (5, "agent")], []),  # the first reply is no next one
        (
            [(0, "customer"), (5, "agent"), (8, "customer"), (9, "customer"), (12, "agent")],
            [4],
        ),  # from their first word on
        ([(0, "customer"), (5, "agent"), (6, "agent"), (8, "customer"), (10, "agent"), (20, "customer")], [2]),
        ([(0, "customer"), (5, "agent"), (8, "customer"), (9, "bot"), (10, "system"), (12, "agent")], [4]),
        ([], []),
    ],
)
def test_next_responses_run_from_the_first_word_that_nobody_answered(
    words: list[tuple[float, str]], minutes: list[float]
) -> None:
    made = fact(raw=RawCase(row(), words=said(*words)))
    assert made.get("next_response", []) == [60 * one for one in minutes]
    assert made.get("next_response_business", []) == [60 * one for one in minutes]


def test_the_bots_reply_is_told_once_the_case_has_moved_on() -> None:
    words = [Word("customer", T0), Word("bot", T0 + timedelta(seconds=3), "order/number")]
    assert "frt_bot" not in fact(raw=RawCase(row(status="bot"), words=words))
    ended = fact(raw=RawCase(row(resolved_at=T0, first_resolved_at=T0), words=words))
    assert (ended["frt_bot"], ended["step"]) == (3, "order/number")


# ── waits, targets, promises ───────────────────────────────────────────────────────────────────────────────────────
def test_the_wait_for_the_customer_stands_apart() -> None:
    steps = happened(
        *((0, "escalate"), (2, "claim"), (5, "reply"), (6, "reply"), (20, "customer_wrote"), (30, "await_customer")),
        *((45, "transfer"), (50, "claim"), (55, "reply"), (70, "resolve")),
    )
    ended = row(agents=["ann", "bill"], resolved_at=T0 + timedelta(minutes=70))
    made = fact(raw=RawCase(ended, steps))
    assert (made["waiting"], made["queue_wait"]) == (60 * (15 + 15 + 15), 120)
    assert "waiting" not in fact(raw=RawCase({**ended, "status": "open"}, steps))


def test_targets_that_ended_count_and_so_do_those_that_passed() -> None:
    def line(kind: str, target: str, met: bool | None = None) -> Happened:
        return Happened(kind, T0, {"target": target, "met": met})

    lines = [
        line("sla", "first_response", True),
        line("sla_breach", "next_response"),
        line("sla", "next_response", False),
        line("sla", "next_response", True),
        line("sla_breach", "resolution"),
    ]
    made = fact(raw=RawCase(row(status="open"), lines))
    counted = {name: made[name] for name in made if name.startswith("sla")}
    assert counted == {"sla_first": 1, "sla_first_met": 1, "sla_next": 2, "sla_next_met": 1, "sla_resolution": 1}


def test_promises_are_kept_or_broken_and_the_first_estimate_has_an_error() -> None:
    def promise(kind: str, wait: float | None, outcome: str | None, took: float) -> Promise:
        return Promise(kind, T0, wait, outcome, T0 + timedelta(seconds=took))

    given: Sequence[Promise] = (
        promise("wait", 180, "broken", 300),
        promise("wait", 600, "kept", 60),
        promise("callback", None, "void", 9),
        promise("back", None, None, 9),
    )
    made = fact(raw=RawCase(row(), promises=given))
    assert (made["kept"], made["promised"], made["wait_bias"]) == (1, 2, 120)


def test_effort_is_questions_hand_overs_and_changes_of_channel() -> None:
    ended = row(questions=4, handoffs=2, resolved_at=T0)
    assert fact(raw=RawCase(ended, happened((1, "moved"))))["effort"] == 7
    assert "effort" not in fact(raw=RawCase({**ended, "status": "open"}))
    assert fact(resolved_at=T0)["effort"] == 0


def test_a_case_that_people_were_fetched_for_stays_so_though_nobody_took_it_and_it_was_reopened() -> None:
    reopened = fact(escalation={"reason_code": "asked"}, escalated_at=None, agents=[], reopened=1, status="bot")
    ended = fact(escalation={"reason_code": "asked"}, escalated_at=None, agents=[], reopened=1, resolved_at=T0)
    assert reopened.get("escalated") == ended.get("escalated") == 1
    assert not ended.get("alone")
    assert not fact().get("escalated")


def test_the_last_verdict_counts() -> None:
    lines = [*happened((1, "verdict"), needed=True), *happened((2, "verdict"), needed=False)]
    made = fact(raw=RawCase(row(), lines))
    assert (made["judged"], made.get("needed", 0)) == (1, 0)


@pytest.mark.parametrize(("days", "returned"), [(6.9, 1), (7, 1), (7.1, None), (None, None)])
def test_who_comes_back_with_the_topic_within_a_week_was_not_done(days: float | None, returned: int | None) -> None:
    again_at = None if days is None else T0 + timedelta(days=days)
    made = fact(raw=RawCase(row(status="closed", resolved_at=T0, outcome="resolved"), again_at=again_at))
    assert made.get("returned") == returned


# ── blocks ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_block_gives_back_what_was_put_into_it() -> None:
    some = [
        fact(resolved_at=T0 + timedelta(seconds=90), topic="levering ✓", outcome="resolved"),
        fact(raw=RawCase(row(status="open"), words=said((0, "customer"), (1, "agent"), (2, "customer"), (4, "agent")))),
    ]
    table = blocks.unpack("cases", blocks.pack(blocks.of("cases", some)))
    assert (table.n, table.at.tolist()) == (2, [one["at"] for one in some])
    assert [table.names["topic"][code] for code in table.codes["topic"]] == ["levering ✓", ""]
    assert table.numbers["ttr"].tolist()[0] == 90
    assert table.count("ended").tolist() == [1, 0]
    rows, values = table.lists["next_response"]
    assert (rows.tolist(), values.tolist()) == ([1], [120])


def test_days_are_joined_with_each_name_meaning_the_same() -> None:
    days = [[fact(topic=topic, resolved_at=T0)] for topic in ("b", "a", None, "b")]
    table = blocks.join("cases", [blocks.of("cases", day) for day in days])
    assert [table.names["topic"][code] for code in table.codes["topic"]] == ["b", "a", "", "b"]
    assert blocks.join("cases", []).n == 0


def test_days_numbered_alike_are_joined_as_others_are() -> None:
    """On the shelf all tables share one list of names: what they are joined to is the same."""
    days = [[fact(topic=topic, resolved_at=T0, reopened=n % 2)] for n, topic in enumerate(("b", "a", None, "b"))]
    shelf = Shelf()
    alike = [
        *shelf.take(
            "cases",
            ["one", "two"],
            lambda names: {name: blocks.pack(blocks.of("cases", days[n])) for n, name in enumerate(names)},
        ),
        *(shelf.numbered(blocks.of("cases", day)) for day in days[2:]),
    ]
    table, plain = blocks.join("cases", alike), blocks.join("cases", [blocks.of("cases", day) for day in days])
    assert [table.names["topic"][code] for code in table.codes["topic"]] == ["b", "a", "", "b"]
    assert table.count("ever_reopened").tolist() == plain.count("ever_reopened").tolist() == [0, 1, 0, 1]


def test_the_shelf_keeps_what_fits_and_reads_the_rest_again() -> None:
    read: list[str] = []
    block = blocks.pack(blocks.of("cases", [fact(resolved_at=T0)]))
    size = blocks.unpack("cases", block).size
    shelf = Shelf(most=2 * size)

    def reader(names: Sequence[str]) -> dict[str, bytes]:
        read.extend(names)
        return dict.fromkeys(names, block)

    for names in (["a", "b"], ["b", "a"], ["b", "c"], ["b"], ["a"]):
        assert [table.n for table in shelf.take("cases", names, reader)] == [1] * len(names)
    assert read == ["a", "b", "c", "a"]


# ── agents among each other ────────────────────────────────────────────────────────────────────────────────────────
def test_values_are_drawn_together_by_how_little_they_rest_on() -> None:
    """By hand: weights 4 and 4, mean 1, Q = 8, scale 4, τ² = 7/4; each is drawn by 1/(1 + 1/4 · 4/7) = 7/8."""
    assert statistics.shrink([(0.0, 0.25), (2.0, 0.25)]) == pytest.approx([0.125, 1.875])
    assert statistics.shrink([(1.0, 1.0), (1.5, 1.0)]) == [1.25, 1.25]  # no more apart than chance lets them
    assert statistics.shrink([(3.0, 1.0)]) == [3.0]
    alone, unsure = statistics.shrink([(1.0, 0.01), (9.0, float("inf"))])
    assert alone == unsure == 1.0
    with pytest.raises(ValueError, match="above zero"):
        statistics.shrink([(1.0, 0.0)])
