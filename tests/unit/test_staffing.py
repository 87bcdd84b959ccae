"""When people are there and who of them takes a case: the rules alone, against plain counting."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.staffing.holidays import DaysOff, PublicHolidays, countries
from bot.staffing.hours import Hours, after_business, business_between, is_open_at, next_opening, spans
from bot.staffing.routing import WAYS, Choice, Colleague, Rung, Wanted, allot, choose, due, suited, team_for

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri")
OFFICE = Hours(AMSTERDAM, {day: ((time(9), time(17)),) for day in WEEKDAYS}, frozenset({date(2026, 4, 6)}))
ALWAYS = Hours(AMSTERDAM)
MINUTE = timedelta(minutes=1)


def at(text: str, zone: ZoneInfo = AMSTERDAM) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


# ── business time ──────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("hours", "start", "end", "minutes"),
    [
        (OFFICE, "2026-03-27T16:00", "2026-03-30T10:00", 120),  # over the weekend on which the clock jumps ahead
        (OFFICE, "2026-04-03T16:30", "2026-04-07T09:15", 45),  # over Easter Monday
        (OFFICE, "2026-10-23T16:00", "2026-10-26T09:00", 60),  # over the weekend on which the clock falls back
        (OFFICE, "2026-03-28T10:00", "2026-03-29T22:00", 0),
        (OFFICE, "2026-03-27T12:00", "2026-03-27T11:00", 0),
        (ALWAYS, "2026-03-29T00:00", "2026-03-30T00:00", 23 * 60),
        (ALWAYS, "2026-10-25T00:00", "2026-10-26T00:00", 25 * 60),
    ],
)
def test_business_time_is_what_passes_while_they_are_open(hours: Hours, start: str, end: str, minutes: int) -> None:
    assert business_between(hours, at(start), at(end)) == minutes * MINUTE


@pytest.mark.parametrize(
    ("start", "span", "end"),
    [
        ("2026-03-27T16:30", 60, "2026-03-30T09:30"),
        ("2026-03-27T16:30", 30, "2026-03-27T17:00"),  # ends as they close, not when they open again
        ("2026-03-28T03:00", 15, "2026-03-30T09:15"),
        ("2026-04-03T16:00", 8 * 60, "2026-04-07T16:00"),
        ("2026-03-27T10:00", 0, "2026-03-27T10:00"),
    ],
)
def test_a_deadline_falls_into_opening_hours(start: str, span: int, end: str) -> None:
    assert after_business(OFFICE, at(start), span * MINUTE) == at(end)


def test_a_desk_that_never_opens_has_no_deadlines() -> None:
    assert after_business(Hours(UTC, {}), at("2026-03-27T10:00"), MINUTE) is None
    assert business_between(Hours(UTC, {}), at("2026-03-27T10:00"), at("2026-04-27T10:00")) == timedelta()


clocks = st.tuples(st.integers(0, 23), st.sampled_from((0, 30))).map(lambda one: time(*one))
weeks = st.dictionaries(
    st.sampled_from((*WEEKDAYS, "sat", "sun")), st.lists(st.tuples(clocks, clocks), max_size=2).map(tuple), max_size=7
)
days_off = st.frozensets(st.dates(date(2026, 3, 26), date(2026, 4, 1)), max_size=2)
hours_of_all_kinds = st.builds(Hours, st.sampled_from((AMSTERDAM, ZoneInfo("Asia/Jerusalem"))), weeks, days_off)
moments = st.integers(0, 6 * 24 * 60).map(lambda minute: datetime(2026, 3, 26, tzinfo=UTC) + minute * MINUTE)


@settings(max_examples=60, deadline=None)
@given(hours_of_all_kinds, moments, st.integers(0, 3 * 24 * 60))
def test_business_time_is_the_number_of_open_minutes(hours: Hours, start: datetime, minutes: int) -> None:
    """Against counting every minute, over the nights on which Amsterdam and Jerusalem change their clocks."""
    counted = sum(is_open_at(hours, start + minute * MINUTE) for minute in range(minutes))
    assert business_between(hours, start, start + minutes * MINUTE) == counted * MINUTE


@settings(max_examples=60, deadline=None)
@given(hours_of_all_kinds, moments, st.integers(1, 600))
def test_after_a_span_just_that_much_business_time_has_passed(hours: Hours, start: datetime, minutes: int) -> None:
    end = after_business(hours, start, minutes * MINUTE)
    if end is not None:
        assert business_between(hours, start, end) == minutes * MINUTE
        assert business_between(hours, start, end - MINUTE) < minutes * MINUTE


@settings(max_examples=60, deadline=None)
@given(hours_of_all_kinds, moments)
def test_open_time_is_never_counted_twice_and_the_next_opening_is_its_beginning(hours: Hours, now: datetime) -> None:
    found = list(spans(hours, now, 24))
    assert all(start < stop for start, stop in found)
    assert all(stop <= following for (_, stop), (following, _) in pairwise(found))
    assert next_opening(hours, now) == (found[0][0] if found else None)


# ── holidays ───────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("country", "part", "day", "is_off"),
    [
        ("NL", None, "2026-04-27", True),  # King's Day
        ("NO", None, "2026-05-17", True),
        ("NO", None, "2026-04-27", False),
        ("IL", None, "2026-09-21", True),  # Yom Kippur moves each year
        ("IL", None, "2027-09-21", False),
        ("DE", "BY", "2026-01-06", True),
        ("DE", "BE", "2026-01-06", False),
    ],
)
def test_public_holidays_are_those_of_the_country_and_its_part(country: str, part: str, day: str, is_off: bool) -> None:
    assert (date.fromisoformat(day) in DaysOff(public=PublicHolidays(country, part))) is is_off


def test_own_days_are_added_and_some_public_ones_are_worked() -> None:
    off = DaysOff(frozenset({date(2026, 12, 24)}), PublicHolidays("NL"), frozenset({date(2026, 4, 27)}))
    assert [day in off for day in (date(2026, 12, 24), date(2026, 12, 25), date(2026, 4, 27))] == [True, True, False]


def test_every_language_of_the_house_has_a_country_with_holidays() -> None:
    known = countries()
    assert {"NL", "NO", "IL", "GB", "US"} <= set(known)
    assert "BY" in known["DE"]


# ── routing ────────────────────────────────────────────────────────────────────────────────────────────────────────
ANN = Colleague("ann", "support", ("en", "nl"), ("billing",), given=3)
BOB = Colleague("bob", "support", ("en",), given=1)
EVE = Colleague("eve", None, ("he",), given=2)
STAFF = (ANN, BOB, EVE)


def whom(wanted: Wanted, staff: tuple[Colleague, ...] = STAFF, way: str = "round_robin") -> str | None:
    choice = choose(wanted, staff, way)
    return choice.agent if choice else None


def test_by_turns_the_one_who_was_given_none_for_longest() -> None:
    assert whom(Wanted("c", "support", "en")) == "bob"
    assert [one.agent for one in allot([Wanted(str(n), "support", "en") for n in range(4)], STAFF, "round_robin").values()] == [
        "bob", "ann", "bob", "ann",
    ]  # fmt: skip


def test_the_least_busy_and_of_equals_by_turns() -> None:
    busy = (ANN, replace(BOB, holds=2), EVE)
    assert whom(Wanted("c", "support", "en"), busy, "least_busy") == "ann"
    assert whom(Wanted("c", "support", "en"), STAFF, "least_busy") == "bob"


def test_who_knew_the_customer_goes_first_if_they_are_there() -> None:
    assert choose(Wanted("c", "support", "en", knew="ann"), STAFF, "round_robin") == Choice("ann", "knew")
    assert whom(Wanted("c", "support", "en", knew="gone")) == "bob"
    assert whom(Wanted("c", "support", "en", knew="ann", tried=frozenset({"ann"}))) == "bob"


def test_language_and_skill_are_asked_for_but_are_no_dead_end() -> None:
    assert whom(Wanted("c", "support", "nl-BE")) == "ann"
    assert whom(Wanted("c", "support", "he")) == "eve"  # of no team: everybody's
    assert whom(Wanted("c", "support", "nb")) == "bob"  # nobody speaks it
    assert whom(Wanted("c", "support", "en", skills=("billing",))) == "ann"
    assert whom(Wanted("c", "support", "en", skills=("law",))) == "bob"
    away = Colleague("ann", "support", ("en", "nl"), available=False)
    assert whom(Wanted("c", "support", "nl"), (away, BOB)) is None  # somebody does: it waits for them


def test_where_agents_claim_by_themselves_nobody_is_given_anything() -> None:
    assert whom(Wanted("c", "support", "en", knew="ann"), way="manual") is None


def test_a_team_that_speaks_the_language_gets_what_nobody_sent_elsewhere() -> None:
    teams = (("support", ("en", "nl"), ()), ("haifa", ("he",), ()), ("law", (), ("law",)))
    assert team_for("nl", (), "support", teams) == "support"
    assert team_for("he", (), "support", teams) == "haifa"
    assert team_for("en", ("law",), "support", teams) == "law"
    assert team_for("nb", ("juggling",), "support", teams) == "support"


def test_the_rungs_of_a_ladder_come_in_their_order_each_at_its_time() -> None:
    ladder = (Rung(3 * MINUTE, team="backup"), Rung(5 * MINUTE, group="S0123456"), Rung(9 * MINUTE, person="lea"))
    assert list(due(ladder, 0, 2 * MINUTE)) == []
    assert list(due(ladder, 0, 5 * MINUTE)) == list(ladder[:2])
    assert list(due(ladder, 2, 5 * MINUTE)) == []
    assert list(due(ladder, 2, 60 * MINUTE)) == [ladder[2]]


names = st.sampled_from(("ann", "bob", "eve", "lea"))
locales = st.sampled_from(("en", "nl", "he", "nb"))
skill_sets = st.lists(st.sampled_from(("billing", "law")), unique=True, max_size=2).map(tuple)
colleagues = st.lists(
    st.builds(
        Colleague,
        names,
        st.sampled_from((None, "support", "billing")),
        st.lists(locales, unique=True, max_size=2).map(tuple),
        skill_sets,
        st.booleans(),
        st.integers(0, 4),
        st.one_of(st.none(), st.integers(1, 4)),
        st.integers(0, 9),
    ),
    max_size=4,
    unique_by=lambda one: one.id,
)
queues = st.lists(
    st.builds(
        Wanted,
        st.uuids().map(str),
        st.sampled_from((None, "support", "billing")),
        locales,
        skill_sets,
        st.one_of(st.none(), names),
        st.frozensets(names, max_size=2),
    ),
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(queues, colleagues, st.sampled_from(WAYS))
def test_nobody_gets_more_than_they_can_hold_and_nobody_who_is_away_gets_any(
    waiting: list[Wanted], staff: list[Colleague], way: str
) -> None:
    found = allot(waiting, staff, way)
    for one in staff:
        given_out = sum(choice.agent == one.id for choice in found.values())
        if given_out:
            assert one.available
            assert one.capacity is None or one.holds + given_out <= one.capacity
    for wanted in waiting:
        if wanted.case in found:
            taker = next(one for one in staff if one.id == found[wanted.case].agent)
            assert taker in suited(wanted, staff)
            assert taker.id not in wanted.tried
            assert wanted.team is None or taker.team in {None, wanted.team}
    if way == "manual":
        assert found == {}


@settings(max_examples=100, deadline=None)
@given(queues, colleagues)
def test_a_case_waits_only_while_nobody_suited_has_room(waiting: list[Wanted], staff: list[Colleague]) -> None:
    found = allot(waiting, staff, "least_busy")
    for wanted in waiting:
        if wanted.case not in found:
            for one in suited(wanted, staff):
                got = sum(choice.agent == one.id for choice in found.values())
                full = one.capacity is not None and one.holds + got >= one.capacity
                assert not one.available or full or one.id in wanted.tried
