"""The loop is closed: low scores are looked after, who wants to be contacted is, who is happy may tell others once; and NPS
asks each customer at most once a campaign."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from bot import alerts
from bot.errors import Conflict
from bot.events import AlertChanged, FollowUpAsked, GoalTold, Said, SendSettled
from bot.model import Chose, new_id
from bot.storage import alert_rows, customers, timer_rows
from bot.storage import tables as t
from surveys import relationship, store
from surveys.campaign import Relationship, current, is_drawn, relationship_from
from surveys.timing import AT_ONCE
from tests.unit.surveys_house import NOON, House, opened

UTRECHT = ZoneInfo("Europe/Amsterdam")
CAMPAIGN = Relationship(first=date(2026, 3, 10), at=time(10))


@pytest.fixture
def house() -> Iterator[House]:
    with opened() as made:
        yield made


def told(house: House) -> list[str]:
    return [one.what for one in house.heard if isinstance(one, AlertChanged)]


# ── low scores ─────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("instrument", "low", "fine"), [("ces7", 3, 4), ("ces7_statement", 3, 4), ("csat5", 2, 3), ("csat2", 0, 1)]
)
def test_a_low_score_is_an_alert_at_once_and_a_better_one_is_none(
    house: House, instrument: str, low: int, fine: int
) -> None:
    house.presses(house.question(house.ask(survey={"instrument": instrument})), str(fine))
    assert alert_rows.listed(house.conn) == []
    case_id = house.ask(survey={"instrument": instrument})
    house.presses(house.question(case_id), str(low))
    (alert,) = alert_rows.listed(house.conn)
    assert (alert.case_id, alert.score, alert.team, alert.state) == (case_id, low, "support", "open")
    assert alert.due_at == house.now + timedelta(hours=24)
    assert told(house) == ["opened", "changed"][: len(told(house))]


def test_an_alert_is_claimed_by_one_and_closed_with_an_outcome(house: House) -> None:
    house.ask()
    house.types("2")
    (alert,) = alert_rows.listed(house.conn)
    alerts.claim(house.tx, alert.id, "ann")
    alerts.claim(house.tx, alert.id, "ann")
    with pytest.raises(Conflict, match="looks after it already"):
        alerts.claim(house.tx, alert.id, "bob")
    with pytest.raises(Conflict, match="somebody else"):
        alerts.close(house.tx, alert.id, "bob", "solved")
    with pytest.raises(Conflict, match="use one of"):
        alerts.close(house.tx, alert.id, "ann", "fine")
    done = alerts.close(house.tx, alert.id, "ann", "apologised")
    assert (done.state, done.outcome, done.agent_id) == ("closed", "apologised", "ann")
    audit = house.conn.execute(select(t.audit.c.who, t.audit.c.what, t.audit.c.data).order_by(t.audit.c.at)).all()
    assert [(who, what, data.get("outcome")) for who, what, data in audit if data.get("alert") == alert.id] == [
        ("ann", "agent: alert claimed", None),
        ("ann", "agent: alert closed", "apologised"),
    ]
    house.now += timedelta(days=3)
    house.ring()
    assert "overdue" not in told(house)
    assert alert_rows.listed(house.conn, closed=True) == [done]


def test_who_looks_after_none_of_it_is_told_again_each_day_for_a_week(house: House) -> None:
    house.ask()
    house.types("1")
    for day in range(1, 10):
        house.now = NOON + timedelta(days=day, minutes=1)
        house.ring()
    assert told(house).count("overdue") == alerts.REMINDERS


def test_a_score_that_is_mended_withdraws_its_alert_unless_it_was_claimed(house: House) -> None:
    question = house.question(house.ask())
    house.presses(question, "2")
    house.presses(question, "6")
    (alert,) = alert_rows.listed(house.conn, closed=True)
    assert (alert.outcome, alert.score) == ("withdrawn", 6)
    assert alert_rows.bad_experience(house.conn, house.customer.id, house.now) is None
    question = house.question(house.ask())
    house.presses(question, "2")
    alerts.claim(house.tx, alert_rows.listed(house.conn)[0].id, "ann")
    house.presses(question, "7")
    assert [one.state for one in alert_rows.listed(house.conn)] == ["claimed"]


def test_a_bad_experience_is_remembered_for_the_next_card_for_ninety_days(house: House) -> None:
    house.ask()
    house.types("2")
    house.types("nobody answered")
    found = alert_rows.bad_experience(house.conn, house.customer.id, house.now + timedelta(days=89))
    assert found is not None
    assert (found.score, found.comment) == (2, "nobody answered")
    assert alert_rows.bad_experience(house.conn, house.customer.id, house.now + timedelta(days=91)) is None


# ── may a colleague contact you? ───────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("why", ["typed", "pressed", "silence"])
def test_who_was_unhappy_is_asked_once_whether_a_colleague_may_contact_them(house: House, why: str) -> None:
    case_id = house.ask()
    house.types("2")
    if why == "typed":
        house.types("nobody answered")
    elif why == "pressed":
        house.presses(house.why(), "why:speed")
    house.now += timedelta(minutes=11)
    house.ring()
    assert [text for text in house.said() if "contact you" in text] == [house.said()[-1]]
    wish = house.why()
    assert house.presses(wish, "contact:yes")
    assert house.presses(wish, "contact:yes")
    (asked,) = [one for one in house.heard if isinstance(one, FollowUpAsked)]
    assert (asked.case_id, asked.reason_code, asked.reopen) == (case_id, "low_score", False)
    assert asked.reason == ("CES7 2/7: “nobody answered”" if why == "typed" else "CES7 2/7")
    assert alert_rows.listed(house.conn)[0].contact is True


def test_a_typed_no_is_taken_and_a_question_is_not(house: House) -> None:
    house.ask()
    house.types("2")
    house.types("slow")
    assert not house.types("when will it come?")
    house.now += timedelta(hours=1)
    house.ask()
    house.types("2")
    house.types("slow")
    assert house.types("no, thanks")
    assert alert_rows.listed(house.conn)[-1].contact is False
    assert not [one for one in house.heard if isinstance(one, FollowUpAsked)]


def test_who_came_with_something_new_is_not_asked_meanwhile(house: House) -> None:
    house.ask()
    house.types("2")
    house.case(status="bot", resolved_at=None, outcome=None)
    house.now += timedelta(minutes=11)
    house.ring()
    assert not any("contact you" in text for text in house.said())


def test_who_asks_to_be_left_alone_before_we_speak_again_is_left_alone(house: House) -> None:
    house.setup = replace(house.setup, rules=replace(AT_ONCE, review_url="https://review.example/us"))
    for score in ("2", "7"):
        house.presses(house.question(house.ask()), score)
        left_alone = update(t.customers).where(t.customers.c.id == house.customer.id)
        house.conn.execute(left_alone.values(opted_out=True))
        house.now += timedelta(minutes=11)
        house.ring()
        house.conn.execute(left_alone.values(opted_out=False))
    assert not any("contact you" in text or "review.example" in text for text in house.said())


# ── who is happy ───────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_promoter_is_offered_the_link_once_in_their_life_and_a_detractor_never(house: House) -> None:
    house.setup = replace(house.setup, rules=replace(AT_ONCE, review_url="https://review.example/us"))
    for score in ("7", "7", "2", "5"):
        house.presses(house.question(house.ask()), score)
        house.presses(house.why(), "why:speed")
    offered = [text for text in house.said() if "review.example" in text]
    assert len(offered) == 1
    house.setup = replace(house.setup, rules=AT_ONCE)
    house.presses(house.question(house.ask()), "7")
    assert [text for text in house.said() if "review.example" in text] == offered


# ── did you get what you came for? ─────────────────────────────────────────────────────────────────────────────────
def test_the_goal_comes_first_and_yes_brings_the_score(house: House) -> None:
    house.setup = replace(house.setup, rules=replace(AT_ONCE, goal=True))
    case_id = house.ask()
    assert house.said() == ["Did you get what you came for?"]
    assert not house.types("5")  # no score was asked yet
    assert house.types("Yes")
    assert house.said()[-1].startswith("How easy was it")
    house.presses(house.question(case_id), "6")
    assert house.scores() == [(6, None)]
    (said,) = [one for one in house.heard if isinstance(one, GoalTold)]
    assert (said.case_id, said.met) == (case_id, True)
    assert house.decisions() == [("answered", None)]


def test_who_got_it_and_has_come_with_something_new_is_not_asked_for_a_score_meanwhile(house: House) -> None:
    house.setup = replace(house.setup, rules=replace(AT_ONCE, goal=True))
    case_id = house.ask()
    house.case(status="open", resolved_at=None, outcome=None)
    assert house.presses(house.question(case_id), "goal:yes")
    assert house.said()[1:] == ["Thank you, that helps us."]
    assert [one.met for one in house.heard if isinstance(one, GoalTold)] == [True]
    assert house.decisions() == [("cancelled", None)]
    house.now += timedelta(days=8)
    house.ring()
    assert house.decisions() == [("cancelled", None)]


@pytest.mark.parametrize("value", ["goal:yes", "goal:no"])
def test_who_says_it_a_week_late_is_told_so(house: House, value: str) -> None:
    """Else a press does nothing, and looks as if it had counted."""
    house.setup = replace(house.setup, rules=replace(AT_ONCE, goal=True))
    goal = house.question(house.ask())
    house.now += timedelta(days=8)
    house.ring()
    assert house.presses(goal, value)
    assert "expired" in house.said()[-1]
    assert [one for one in house.heard if isinstance(one, GoalTold)] == []
    assert house.decisions() == [("expired", None)]


def test_who_did_not_get_it_has_the_case_back_and_may_be_asked_again_at_its_new_end(house: House) -> None:
    house.setup = replace(house.setup, rules=replace(AT_ONCE, goal=True))
    case_id = house.ask()
    goal = house.question(case_id)
    house.conn.execute(update(t.survey_invitations).values(delivered_at=house.now))
    assert house.presses(goal, "goal:no")
    event = SendSettled("o", "telegram", "text", "sent", house.customer.id, None, goal.id, {}, said=Said.of(goal))
    house.invitations.on_send_settled(house.tx, event)  # the platform's receipt comes late
    delivered = house.conn.execute(select(t.survey_invitations.c.delivered_at)).scalar()
    assert delivered is None  # no score was asked, so none is missing in the response rate
    assert house.presses(goal, "goal:yes")  # late: the case is open again
    (said,) = [one for one in house.heard if isinstance(one, GoalTold)]
    assert (said.met, "reopened" in said.text) == (False, True)
    assert house.decisions() == [("cancelled", None)]
    house.resolve(case_id)
    house.ring()
    assert house.decisions() == [("asked", None)]


# ── whose answer it is ─────────────────────────────────────────────────────────────────────────────────────────────
def test_an_answer_to_another_customers_survey_changes_nothing(house: House) -> None:
    """Neither by naming their message, nor by a card of one's own that names their survey."""
    question = house.question(house.ask())
    house.customer, house.identity = house.newcomer("43")
    assert house.presses_by_name(Chose(question.id, "1")) is False
    forged = house.says_card(question)
    assert not house.presses(forged, "1")
    assert house.scores() == []


@pytest.mark.parametrize("value", ["0", "8", "-1", "7.0", "٧", "why:speed", "", "999999999999"])
def test_a_pressed_score_that_is_not_on_the_scale_is_none(house: House, value: str) -> None:
    house.presses(house.question(house.ask()), value)
    assert house.scores() == []


def test_only_one_edit_is_taken(house: House) -> None:
    question = house.question(house.ask())
    for score in ("6", "5", "4"):
        house.presses(question, score)
    assert house.scores() == [(5, None)]
    assert "no longer" in house.said()[-1]


# ── per flow, per outcome ──────────────────────────────────────────────────────────────────────────────────────────
def test_a_flow_can_be_left_out_or_asked_otherwise(house: House) -> None:
    house.setup = replace(house.setup, rules=replace(AT_ONCE, flows={"greeting": None, "refund": "csat2"}))
    house.ask(flow="greeting", survey={"instrument": "csat5"})
    case_id = house.ask(flow="refund")
    assert house.decisions() == [("skipped", "off"), ("asked", None)]
    assert [choice.label for choice in house.question(case_id).body.choices] == ["No", "Yes"]


def test_an_abandoned_case_is_asked_about_only_where_a_person_had_answered(house: House) -> None:
    house.ask(outcome="abandoned")
    house.ask(outcome="abandoned", first_reply_at=house.now)
    assert house.decisions() == [("skipped", "outcome"), ("asked", None)]


def test_nps_is_never_asked_about_a_case(house: House) -> None:
    house.ask(survey={"instrument": "nps"})
    house.setup = replace(house.setup, rules=replace(AT_ONCE, instrument="nps"))
    house.ask()
    assert house.decisions() == [("skipped", "off")] * 2


# ── one decision ───────────────────────────────────────────────────────────────────────────────────────────────────
STEPS = ("resolve", "replay", "reopen", "ring", "later", "press", "die")


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 1)), max_size=14))
def test_whatever_happens_each_ended_case_has_one_decision_and_at_most_one_answer(steps: list[tuple[str, int]]) -> None:
    """Ends and reopenings, told twice, in any order; timers that ring late; transactions that die and are run again."""
    with opened() as house:
        house.setup = replace(house.setup, rules=replace(AT_ONCE, delay=timedelta(minutes=1)))
        ids = [house.case(status="bot"), house.case(status="bot", customer_id=house.newcomer("43")[0].id)]
        ended = set()
        for step, which in steps:
            case_id = ids[which]
            if step == "resolve" or (step == "replay" and case_id in ended):
                house.resolve(case_id)
                ended.add(case_id)
            elif step == "reopen" and case_id in ended:
                house.reopen(case_id)
            elif step in {"ring", "later"}:
                house.now += timedelta(minutes=2 if step == "ring" else 60 * 24 * 8)
                house.ring()
            elif (
                step == "press" and (question := store.invitation_of_case(house.conn, case_id)) and question.message_id
            ):
                house.presses(house.question(case_id), str(1 + len(house.told) % 7))
            elif step == "die":
                lost = house.conn.begin_nested()
                house.resolve(case_id)
                house.ring()
                lost.rollback()
        i, r = t.survey_invitations.c, t.survey_responses.c
        decided = list(house.conn.execute(select(i.case_id)).scalars())
        assert sorted(decided) == sorted(ended)
        answered = list(house.conn.execute(select(r.case_id)).scalars())
        assert len(answered) == len(set(answered))
        asked = [one for one in house.conn.execute(select(t.messages.c.survey)).scalars() if one]
        assert len({one["id"] for one in asked}) == len(asked)


# ── campaigns ──────────────────────────────────────────────────────────────────────────────────────────────────────
def campaign(house: House, **changes: object) -> None:
    rules = replace(AT_ONCE, throttle=timedelta(days=30), nps=replace(CAMPAIGN, **changes))  # type: ignore[arg-type]
    house.setup = replace(house.setup, rules=rules)
    relationship.begin(house.tx)
    house.ring()
    house.ring()


def test_each_customer_is_asked_once_a_campaign_also_after_a_crash_and_on_two_nodes(house: House) -> None:
    others = [house.newcomer(f"n{number}")[0] for number in range(110)]
    campaign(house)
    for _ in range(4):
        house.now += timedelta(minutes=1)
        house.ring()
        house.ring()  # fifty at a time
    asked = list(house.conn.execute(select(t.messages.c.customer_id).where(t.messages.c.survey.is_not(None))).scalars())
    assert sorted(asked) == sorted(one.id for one in (*others, house.customer))
    for _ in range(3):  # a sweep that begins again at the first customer
        for timer in timer_rows.due(house.conn, house.now + timedelta(days=1), 500):
            timer_rows.remove(house.tx, timer.key)
        relationship.begin(house.tx)
        house.ring()
        house.ring()
        house.now += timedelta(minutes=1)
    assert house.conn.execute(select(func.count()).select_from(t.survey_invitations)).scalar() == len(asked)


def test_a_campaign_that_begins_at_night_asks_at_its_pace_in_the_morning(house: House) -> None:
    for number in range(210):
        house.newcomer(f"n{number}")
    start = house.now
    rules = replace(AT_ONCE, quiet=(time(9), time(15)), nps=CAMPAIGN)
    house.setup = replace(house.setup, rules=rules)
    relationship.begin(house.tx)
    for _ in range(3):
        house.ring()
        house.now += timedelta(minutes=1)
    assert start.hour < 15
    house.now = house.now.astimezone(house.setup.zone).replace(hour=15, minute=0, second=0).astimezone(UTC)
    for _ in range(8):
        house.ring()
    asked = house.conn.execute(select(func.count()).where(t.messages.c.survey.is_not(None))).scalar()
    assert asked == relationship.PAGE


def test_an_open_case_is_waited_for_and_quiet_hours_put_it_off(house: House) -> None:
    case_id = house.case(status="open", resolved_at=None)
    campaign(house)
    assert house.said() == []
    house.conn.execute(update(t.cases).where(t.cases.c.id == case_id).values(status="closed"))
    house.setup = replace(house.setup, rules=replace(house.setup.rules, quiet=(time(9), time(15))))
    house.now += timedelta(days=1)
    house.ring()
    assert house.said() == []
    house.now = house.now.replace(hour=14)
    house.ring()
    assert len(house.said()) == 1
    assert house.types("10")
    (row,) = store.responses(house.conn)
    assert (row.instrument, row.score, row.case_id) == ("nps", 10, None)


@pytest.mark.parametrize("why", ["open_case", "opted_out", "unreachable", "throttled"])
def test_who_is_not_asked_is_written_down_with_the_reason(house: House, why: str) -> None:
    if why == "open_case":
        house.case(status="open", resolved_at=None)
    elif why == "opted_out":
        house.conn.execute(update(t.customers).values(opted_out=True))
    elif why == "unreachable":
        customers.set_reachable(house.tx, house.identity.id, reachable=False)
    else:
        house.ask()
    campaign(house)
    for _ in range(15):
        house.now += timedelta(days=1)
        house.ring()
    assert (("skipped", why)) in house.decisions()
    assert len(house.said()) == (1 if why == "throttled" else 0)


def test_ninety_days_lie_between_two_campaigns_questions(house: House) -> None:
    campaign(house, every=timedelta(days=40))
    for _ in range(180):
        house.now += timedelta(days=1)
        house.conn.execute(update(t.conversations).values(updated_at=house.now))
        house.ring()
    i = t.survey_invitations.c
    times = list(house.conn.execute(select(i.asked_at).where(i.asked_at.is_not(None)).order_by(i.asked_at)).scalars())
    assert len(times) == 2
    assert times[1] - times[0] >= timedelta(days=90)


def test_who_was_asked_in_one_campaign_is_asked_in_the_next_though_the_clock_was_changed_between(house: House) -> None:
    """Ninety days of the calendar are an hour less where summer has begun, and a minute where the sweep is early: that is
    waited for.
    """
    begins = datetime(2026, 1, 5, 10, 40, tzinfo=UTRECHT)
    for now in (begins, datetime(2026, 4, 5, 10, 5, tzinfo=UTRECHT)):
        house.now = now.astimezone(UTC)
        house.conn.execute(update(t.conversations).values(updated_at=house.now))
        campaign(house, first=begins.date())
    assert [state for state, _ in house.decisions()] == ["expired", "planned"]
    for _ in range(8):
        house.now += timedelta(minutes=15)
        house.ring()
    i = t.survey_invitations.c
    first, second = house.conn.execute(select(i.asked_at).order_by(i.decided_at)).scalars()
    assert timedelta(days=90) <= second - first < timedelta(days=90, minutes=15)


def test_the_sample_is_drawn_by_the_seed_and_anew_each_time(house: House) -> None:
    rules = replace(CAMPAIGN, share=0.3, seed="spring")
    first = current(rules, NOON, UTRECHT)
    later = current(rules, NOON + timedelta(days=90), UTRECHT)
    assert first is not None
    assert later is not None
    people = [new_id() for _ in range(2000)]
    drawn = [is_drawn(one, first, rules) for one in people]
    assert drawn == [is_drawn(one, first, rules) for one in people]
    assert 500 < sum(drawn) < 700
    for other in ((later, rules), (first, replace(rules, seed="autumn"))):
        assert drawn != [is_drawn(one, *other) for one in people]


@example(datetime(2028, 3, 25, 9, tzinfo=UTC), 1)
@given(st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)), st.integers(1, 200))
def test_a_campaign_has_one_name_for_as_long_as_it_runs(at: datetime, days: int) -> None:
    rules = Relationship(every=timedelta(days=days), run_for=timedelta(days=14))
    found = current(rules, at, UTRECHT)
    if found is not None:
        assert found.begins_at <= at < found.ends_at
        assert current(rules, found.begins_at, UTRECHT) == found
        assert current(rules, found.ends_at - timedelta(seconds=1), UTRECHT) == found


@pytest.mark.parametrize("wrong", [True, "90d", {"every": "90d"}, {"first": "soon"}, {"at": "noon"}])
def test_a_campaign_that_cannot_be_read_is_told(wrong: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        relationship_from(wrong)
