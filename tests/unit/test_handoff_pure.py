"""The parts that need no database: what waiting customers hear, when people are there, what the card says."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.desk_folder.desk import Desk, Team
from bot.model import Author, AuthorKind, Body, Message
from handoff import hours
from handoff.brief import shorten, summarise
from handoff.hours import Hours, is_open_at, next_opening
from handoff.waiting import Outlook, Told, estimate_s, next_look, tell

NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)
EVERY = timedelta(minutes=3)


# ── waiting ────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("position", "handling_s", "agents", "wait_s"),
    [
        (1, None, 1, 180),
        (1, None, 3, 180),
        (3, None, 1, 540),
        (1, 240, 2, 120),
        (3, 241, 2, 420),
        (1, 10, 5, 60),
        (2, 600, 0, 1200),
    ],
)
def test_the_estimate_is_place_times_handling_time_by_agents_rounded_up(
    position: int, handling_s: float | None, agents: int, wait_s: int
) -> None:
    assert estimate_s(position, handling_s, agents) == wait_s


def minutes_of(outlook: Outlook, until_min: int) -> list[tuple[int, str]]:
    """What one customer hears, minute by minute, while nothing moves."""
    told, heard = None, []
    for minute in range(until_min + 1):
        now = NOW + timedelta(minutes=minute)
        news = tell(told, outlook, now, EVERY)
        if news is not None:
            key, told = news
            heard.append((minute, key))
    return heard


def test_a_broken_promise_is_mended_and_nobody_is_nagged() -> None:
    """R14: told at 0, 3 and 6 minutes; then ever rarer."""
    heard = minutes_of(Outlook(1, 180), 60)
    assert heard[:3] == [(0, "queue_place"), (3, "queue_longer"), (6, "queue_longer")]
    assert [minute for minute, _ in heard] == [0, 3, 6, 12, 24, 48]


def test_a_new_place_is_told_once_the_interval_is_over_and_next_at_once() -> None:
    told = Told(NOW, 5, 900)
    soon, later = NOW + timedelta(minutes=1), NOW + timedelta(minutes=3)
    assert tell(told, Outlook(4, 720), soon, EVERY) is None
    assert tell(told, Outlook(4, 720), later, EVERY) == ("queue_place", Told(later, 4, 720))
    assert tell(told, Outlook(1, 180), soon, EVERY) == ("queue_next", Told(soon, 1, 180))
    assert tell(told, Outlook(5, 900), later, EVERY) is None


def test_when_nobody_is_here_it_is_said_once_and_the_place_when_they_are_back() -> None:
    closed = Outlook(1, 180, back_at=NOW + timedelta(hours=2))
    key, told = tell(None, closed, NOW, EVERY) or ("", None)
    assert key == "no_agents_until"
    assert told is not None
    assert tell(told, closed, NOW + timedelta(hours=1), EVERY) is None
    assert next_look(told, closed, NOW, EVERY) == closed.back_at
    assert (tell(told, Outlook(1, 180), NOW + timedelta(hours=2), EVERY) or ("",))[0] == "queue_place"
    assert (tell(None, Outlook(1, 180, staffed=False), NOW, EVERY) or ("",))[0] == "no_agents_now"


def test_who_was_told_when_people_are_back_and_finds_nobody_hears_so_once() -> None:
    back_at = NOW + timedelta(hours=2)
    told = Told(NOW, back_at=back_at)
    nobody = Outlook(1, 180, staffed=False)
    assert tell(told, nobody, back_at, EVERY) is None, "who comes at nine signs in at nine"
    assert next_look(told, nobody, back_at, EVERY) == back_at + EVERY
    said = tell(told, nobody, back_at + EVERY, EVERY)
    assert said == ("no_agents_yet", Told(back_at + EVERY))
    tomorrow = back_at + timedelta(days=1)
    for later in (nobody, Outlook(1, 180, back_at=tomorrow + timedelta(hours=1))):
        assert tell(said[1], later, tomorrow, EVERY) is None
    assert (tell(said[1], Outlook(1, 180), tomorrow, EVERY) or ("",))[0] == "queue_place"


def test_who_was_told_when_people_are_back_hears_where_the_hours_were_changed_since() -> None:
    back_at = NOW + timedelta(hours=2)
    closed = Outlook(1, 180, back_at=back_at + timedelta(days=1))
    assert tell(Told(NOW, back_at=back_at), closed, back_at - timedelta(minutes=1), EVERY) is None
    told = Told(NOW, mode="bot", back_at=back_at)
    assert tell(told, closed, back_at, EVERY) == ("no_agents_until", Told(back_at, mode="bot", back_at=closed.back_at))


def test_what_was_told_survives_the_database() -> None:
    for told in (Told(NOW, 3, 540, 2), Told(NOW, mode="bot", back_at=NOW + timedelta(hours=1))):
        assert Told.from_json(told.to_json()) == told
    assert Told.from_json(None) is None


@given(
    st.one_of(
        st.none(),
        st.builds(
            Told,
            st.integers(0, 10_000).map(lambda s: NOW - timedelta(seconds=s)),
            st.integers(1, 9),
            st.integers(60, 9000),
        ),
    ),
    st.builds(Outlook, st.integers(1, 9), st.integers(60, 9000), st.booleans()),
)
def test_there_is_always_a_next_look_and_it_is_ahead(told: Told | None, outlook: Outlook) -> None:
    assert NOW < next_look(told, outlook, NOW, EVERY) <= NOW + EVERY


# ── hours ──────────────────────────────────────────────────────────────────────────────────────────────────────────
AMSTERDAM = ZoneInfo("Europe/Amsterdam")
NINE_TO_FIVE = {day: ((time(9), time(17)),) for day in ("mon", "tue", "wed", "thu", "fri")}
OFFICE = Hours(AMSTERDAM, NINE_TO_FIVE, frozenset({date(2026, 4, 6)}))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=AMSTERDAM)


@pytest.mark.parametrize(
    ("when", "is_open"),
    [
        ("2026-03-27T08:59", False),  # the Friday before the clocks change
        ("2026-03-27T09:00", True),
        ("2026-03-27T17:00", False),
        ("2026-03-30T09:00", True),  # the Monday after: nine is still nine
        ("2026-03-30T08:30", False),
        ("2026-10-26T16:59", True),
        ("2026-04-06T12:00", False),  # Easter Monday
        ("2026-04-11T12:00", False),
    ],
)
def test_nine_is_nine_on_both_sides_of_a_clock_change(when: str, is_open: bool) -> None:
    assert is_open_at(OFFICE, at(when).astimezone(UTC)) is is_open


def test_the_next_opening_skips_weekend_and_holiday_and_counts_the_lost_hour() -> None:
    friday = at("2026-03-27T18:00")
    assert next_opening(OFFICE, friday) == at("2026-03-30T09:00")
    assert at("2026-03-30T09:00").astimezone(UTC) - friday.astimezone(UTC) == timedelta(hours=62)
    assert next_opening(OFFICE, at("2026-04-03T18:00")) == at("2026-04-07T09:00")
    assert next_opening(OFFICE, at("2026-03-27T10:00")) == at("2026-03-27T10:00")


def test_a_night_shift_runs_past_midnight() -> None:
    night = Hours(AMSTERDAM, {"fri": ((time(22), time(2)),)})
    assert is_open_at(night, at("2026-03-28T01:30").astimezone(UTC))
    assert not is_open_at(night, at("2026-03-28T02:00").astimezone(UTC))
    assert is_open_at(Hours(AMSTERDAM, {"fri": ((time(9), time(0)),)}), at("2026-03-27T23:30"))


def test_without_hours_a_desk_is_always_open_and_with_none_ever_it_never_opens() -> None:
    assert is_open_at(Hours(UTC), NOW)
    assert next_opening(Hours(UTC, {}), NOW) is None


def test_a_team_has_its_own_hours_or_the_desks() -> None:
    night = Team("night", "Night", hours={"mon": ((time(20), time(23)),)})
    desk = Desk("Acme", time_zone="Europe/Amsterdam", hours={"mon": ((time(9), time(17)),)}, teams=(night,))
    assert hours.is_open(desk, None, at("2026-03-09T10:00"))
    assert not hours.is_open(desk, "night", at("2026-03-09T10:00"))
    assert hours.next_open(desk, "night", at("2026-03-09T10:00")) == at("2026-03-09T20:00")
    assert hours.is_open(None, None, NOW)


@given(st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)))
def test_an_opening_is_open_and_nothing_before_it_is(moment: datetime) -> None:
    now = moment.replace(tzinfo=UTC)
    opens = next_opening(OFFICE, now)
    assert opens is not None
    assert is_open_at(OFFICE, opens)
    assert opens == now or not is_open_at(OFFICE, opens - timedelta(seconds=1))


# ── the brief ──────────────────────────────────────────────────────────────────────────────────────────────────────
def wrote(text: str, *, kind: AuthorKind = AuthorKind.CUSTOMER, **meta: object) -> Message:
    return Message("id", "c", 1, "case", Author(kind), "web", Body(text), NOW, meta)


def test_the_summary_begins_with_the_question_not_with_the_greeting() -> None:
    lines = summarise([wrote("hi"), wrote("My parcel AB123456 never came"), wrote("human")])
    assert lines == ["My parcel AB123456 never came", "human"]


def test_the_summary_leaves_out_buttons_commands_and_the_bot() -> None:
    said = [
        wrote("/start"),
        wrote("Hello!", kind=AuthorKind.BOT),
        wrote("Yes", pressed={"value": "y"}),
        wrote("Where is it?"),
    ]
    assert summarise(said) == ["Where is it?"]
    assert summarise([]) == []


@given(st.text(max_size=600))
def test_a_shortened_text_is_one_line_within_its_limit(text: str) -> None:
    line = shorten(text, 40)
    assert len(line) <= 40
    assert "\n" not in line
