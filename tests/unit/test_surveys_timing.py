"""Whom to ask and when: each reason to leave people alone, in its order, and a moment that suits them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.model import CaseStatus
from bot.quiet import after_quiet
from surveys.timing import (
    AT_ONCE,
    Ask,
    Facts,
    PastAsk,
    Reason,
    Rules,
    Skip,
    decide,
    is_sampled,
    rules_from,
)

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
FACTS = Facts("case-1", "cust-1", "resolved", CaseStatus.RESOLVED, NOON)


def past(days: float, *, case: str = "case-0", answered: bool = True) -> PastAsk:
    return PastAsk(case, NOON - timedelta(days=days), answered)


def test_a_resolved_case_is_asked_after_the_delay() -> None:
    ask = decide(FACTS, Rules(), [], NOON, AMSTERDAM)
    assert ask == Ask("ces7", NOON + timedelta(minutes=1), NOON + timedelta(days=7))


def test_the_demo_desk_asks_at_once_and_always() -> None:
    night = NOON.replace(hour=23)
    facts = replace(FACTS, resolved_at=night)
    assert decide(facts, AT_ONCE, [PastAsk("case-0", night, answered=False)] * 5, night, AMSTERDAM) == Ask(
        "ces7", night, night + timedelta(days=7)
    )


@pytest.mark.parametrize(
    ("facts", "rules", "asked", "reason"),
    [
        (FACTS, Rules(instrument=None), [], Reason.OFF),
        (replace(FACTS, outcome="spam"), Rules(), [], Reason.OUTCOME),
        (replace(FACTS, outcome="duplicate"), Rules(), [], Reason.OUTCOME),
        (replace(FACTS, outcome="abandoned"), Rules(), [], Reason.OUTCOME),
        (replace(FACTS, opted_out=True), Rules(), [], Reason.OPTED_OUT),
        (replace(FACTS, status=CaseStatus.OPEN), Rules(), [], Reason.OPEN_CASE),
        (replace(FACTS, other_live_case=True), Rules(), [], Reason.OPEN_CASE),
        (FACTS, AT_ONCE, [past(90, case="case-1")], Reason.ALREADY_ASKED),
        (replace(FACTS, reachable=False), Rules(), [], Reason.UNREACHABLE),
        (FACTS, Rules(), [past(29.9)], Reason.THROTTLED),
        (FACTS, Rules(), [past(days, answered=False) for days in (40, 80, 120)], Reason.FATIGUE),
        (FACTS, Rules(share=0), [], Reason.NOT_SAMPLED),
    ],
)
def test_each_reason_not_to_ask(facts: Facts, rules: Rules, asked: list[PastAsk], reason: Reason) -> None:
    assert decide(facts, rules, asked, NOON, AMSTERDAM) == Skip(reason)


def test_the_first_reason_in_order_is_the_one_told() -> None:
    everything = replace(FACTS, outcome="spam", opted_out=True, status=CaseStatus.OPEN, reachable=False)
    asked = [past(1, case="case-1", answered=False)] * 3
    rules, seen = Rules(share=0, instrument=None), []
    for change in (
        {},
        {"instrument": "ces7"},
        {"outcome": "resolved"},
        {"opted_out": False},
        {"status": CaseStatus.CLOSED},
        {"case_id": "case-9"},
        {"reachable": True},
        {"throttle": timedelta(0)},
        {"fatigue_after": 0},
    ):
        mine = {key: value for key, value in change.items() if key in Rules.__slots__}
        rules = replace(rules, **mine)
        everything = replace(everything, **{key: value for key, value in change.items() if key not in mine})
        decision = decide(everything, rules, asked, NOON, AMSTERDAM)
        assert isinstance(decision, Skip)
        seen.append(decision.reason)
    assert seen == [reason for reason in Reason if reason is not Reason.EXPIRED]


def test_one_answer_among_the_last_lifts_the_brake() -> None:
    asked = [past(40, answered=False), past(80), past(120, answered=False), past(160, answered=False)]
    assert isinstance(decide(FACTS, Rules(), asked, NOON, AMSTERDAM), Ask)


def test_the_brake_looks_at_the_latest_asks_in_whatever_order_they_come() -> None:
    silent = [past(days, answered=False) for days in (160, 120, 80)]
    assert isinstance(decide(FACTS, Rules(), [*silent, past(40)], NOON, AMSTERDAM), Ask)


def test_throttle_ends_on_its_day() -> None:
    assert isinstance(decide(FACTS, Rules(), [past(30)], NOON, AMSTERDAM), Ask)


def test_a_flow_chooses_instrument_and_delay() -> None:
    ask = decide(replace(FACTS, chosen={"instrument": "csat5", "delay_s": 3600}), Rules(), [], NOON, AMSTERDAM)
    assert ask == Ask("csat5", NOON + timedelta(hours=1), NOON + timedelta(days=7))


def test_a_question_that_is_a_week_late_is_not_asked() -> None:
    """The process was down: the timer fires once after boot, or is skipped because it is stale."""
    week = NOON + timedelta(days=7)
    assert decide(FACTS, Rules(), [], week, AMSTERDAM) == Skip(Reason.EXPIRED)
    assert decide(FACTS, Rules(), [], week - timedelta(seconds=1), AMSTERDAM) == Ask(
        "ces7", week - timedelta(seconds=1), week
    )


@pytest.mark.parametrize(
    ("at", "asked"),
    [
        ("2026-03-10T20:59:59+01:00", "2026-03-10T20:59:59+01:00"),
        ("2026-03-10T21:00:00+01:00", "2026-03-11T08:00:00+01:00"),
        ("2026-03-10T03:00:00+01:00", "2026-03-10T08:00:00+01:00"),
        ("2026-03-10T08:00:00+01:00", "2026-03-10T08:00:00+01:00"),
        ("2026-03-28T23:00:00+01:00", "2026-03-29T08:00:00+02:00"),  # the clock goes forward that night
        ("2026-10-24T23:00:00+02:00", "2026-10-25T08:00:00+01:00"),  # and back
    ],
)
def test_nobody_is_asked_in_quiet_hours(at: str, asked: str) -> None:
    moment = datetime.fromisoformat(at).astimezone(UTC)
    assert after_quiet(moment, (time(21), time(8)), AMSTERDAM) == datetime.fromisoformat(asked)


def test_in_the_hour_that_comes_twice_quiet_ends_in_the_same_one() -> None:
    second_half_past_two = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)  # 02:30 again, now in winter time
    ends = after_quiet(second_half_past_two, (time(1), time(2, 45)), AMSTERDAM)
    assert ends == second_half_past_two + timedelta(minutes=15)


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC)),
    st.times(),
    st.times(),
    st.sampled_from(["Europe/Amsterdam", "Asia/Jerusalem", "America/New_York", "UTC"]),
)
def test_quiet_hours_only_ever_put_off_and_by_less_than_a_day(at: datetime, start: time, end: time, zone: str) -> None:
    later = after_quiet(at, (start.replace(microsecond=0), end.replace(microsecond=0)), ZoneInfo(zone))
    assert timedelta(0) <= later - at <= timedelta(hours=25)


@given(st.uuids(), st.floats(0, 1), st.floats(0, 1))
def test_sampling_never_changes_its_mind(customer: object, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert not is_sampled(str(customer), low) or is_sampled(str(customer), high)
    assert is_sampled(str(customer), 1)


def test_sampling_takes_about_its_share() -> None:
    assert 0.24 < sum(is_sampled(f"customer-{i}", 0.25) for i in range(20_000)) / 20_000 < 0.26


def test_the_desks_section_becomes_rules() -> None:
    rules = rules_from(
        {
            "instrument": "csat5",
            "delay": "2h",
            "quiet_hours": "off",
            "throttle_days": 0,
            "sample": 0.5,
            "outcomes": {"spam": True},
        }
    )
    assert rules == replace(
        Rules(),
        instrument="csat5",
        delay=timedelta(hours=2),
        quiet=(time(0), time(0)),
        throttle=timedelta(0),
        share=0.5,
        outcomes={"spam": True, "duplicate": False},
    )
    assert rules_from(None) == Rules()
    assert rules_from({"instrument": False}).instrument is None  # YAML reads a bare `off` as false


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        ({"instrument": "ces9"}, r'surveys\.instrument: unknown instrument "ces9"'),
        ({"delay": "soon"}, r'surveys\.delay: "soon" is not a duration'),
        ({"quiet_hours": "late"}, r'surveys\.quiet_hours: "late" is not a span'),
        ({"quiet_hours": "25:00-08:00"}, r"surveys\.quiet_hours"),
        ({"sample": 2}, r"surveys\.sample: 2 is not between 0 and 1"),
        ({"throttle_days": -1}, r"surveys\.throttle_days: -1 is not a whole number"),
        ({"outcomes": "all"}, r"surveys\.outcomes: "),
        ({"instrment": "ces7"}, r'surveys: unknown key "instrment"'),
    ],
)
def test_a_wrong_section_is_told_by_its_key(section: dict[str, object], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        rules_from(section)
