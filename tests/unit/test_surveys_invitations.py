"""One question after a case: one decision, one answer, and nothing else that customers say is swallowed.

A real SQLite database, real history and outbox; the turn and the clock are handed in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from bot.model import BOT, Author, AuthorKind, Body, FileRef, new_id
from bot.outbox import TOO_LATE, say, settle
from bot.staffing.hours import Hours
from bot.storage import customers, history
from bot.storage import tables as t
from bot.storage.marks import ANSWERS, ASKS
from bot.timers import Timer
from surveys import relationship, store
from surveys.campaign import Relationship
from surveys.figures.shape import Question
from surveys.for_api import make
from surveys.outside import store as outside
from surveys.responses import parse, render
from surveys.rollups.raw import store as raw
from surveys.timing import AT_ONCE, Rules
from tests.unit.surveys_house import House, opened


@pytest.fixture
def house() -> Iterator[House]:
    with opened() as made:
        yield made


# ── the decision ───────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_resolved_case_is_asked_with_the_whole_scale(house: House) -> None:
    case_id = house.ask()
    question = house.question(case_id)
    assert question.case_id == case_id
    assert [choice.value for choice in question.body.choices] == list("1234567")
    assert question.body.survey is not None
    assert question.body.survey.instrument == "ces7"
    assert house.decisions() == [("asked", None)]


def test_every_resolved_case_has_exactly_one_decision(house: House) -> None:
    house.ask()
    house.ask(outcome="spam")
    case_id = house.case()
    for _ in range(3):  # told again, after a crash or a replay
        house.resolve(case_id)
    house.ring()
    house.ring()
    assert sorted(house.decisions(), key=str) == [("asked", None), ("asked", None), ("skipped", "outcome")]
    assert len(house.said()) == 2


def test_a_flow_chooses_the_instrument(house: House) -> None:
    case_id = house.ask(survey={"instrument": "csat5"})
    assert len(house.question(case_id).body.choices) == 5


def test_an_answer_counts_for_the_step_at_which_the_bots_part_ended(house: House) -> None:
    case_id = house.case()
    for step in ("refund/order", "refund/amount", ""):
        meta = {"source": f"step:{step}"} if step else {}
        history.append(
            house.tx, house.customer.id, Body("…"), author=BOT, channel="telegram", case_id=case_id, meta=meta
        )
    house.resolve(case_id)
    house.ring()
    house.presses(house.question(case_id), "6")
    for family, table in ((ANSWERS, t.survey_responses), (ASKS, t.survey_invitations)):
        ids = list(house.conn.execute(select(table.c.id)).scalars())
        ((_, fact),) = raw.make(house.conn, family, ids, lambda _team: Hours(UTC)).values()
        assert fact["step"] == "refund/amount"


def test_a_customer_is_asked_in_their_language(house: House) -> None:
    customers.set_locale(house.tx, house.customer.id, "nb")
    assert house.question(house.ask()).body.text.startswith("Alt i alt")


def test_a_reopening_cancels_a_planned_question_and_the_next_resolution_plans_it_again(house: House) -> None:
    house.setup = replace(house.setup, rules=replace(AT_ONCE, delay=timedelta(hours=1)))
    case_id = house.case()
    house.resolve(case_id)
    house.reopen(case_id)
    house.now += timedelta(hours=2)
    house.ring()
    assert (house.decisions(), house.said()) == ([("cancelled", None)], [])
    house.resolve(case_id)
    house.now += timedelta(hours=1)
    house.ring()
    assert house.decisions() == [("asked", None)]


def test_a_customer_who_has_a_new_case_by_then_is_left_alone(house: House) -> None:
    house.setup = replace(house.setup, rules=replace(AT_ONCE, delay=timedelta(minutes=2)))
    house.resolve(house.case())
    house.case(status="bot", resolved_at=None, outcome=None)
    house.now += timedelta(minutes=2)
    house.ring()
    assert (house.decisions(), house.said()) == ([("skipped", "open_case")], [])


def test_quiet_hours_put_the_question_off(house: House) -> None:
    house.setup = replace(house.setup, rules=replace(AT_ONCE, quiet=(time(21), time(8))))
    house.now = datetime(2026, 3, 10, 22, tzinfo=UTC)
    house.ask()
    assert house.said() == []
    house.now = datetime(2026, 3, 11, 7, tzinfo=UTC)
    house.ring()
    assert len(house.said()) == 1


def test_throttle_counts_over_identities_that_were_merged(house: House) -> None:
    house.setup = replace(house.setup, rules=replace(Rules(), delay=timedelta(0)))
    house.ask()
    other, identity = house.newcomer("w1", "web")
    where = t.customers.c.id == house.customer.id
    house.conn.execute(update(t.customers).where(where).values(merged_into=other.id))
    house.customer, house.identity = other, identity
    house.now += timedelta(days=29)
    house.ask()
    assert house.decisions()[1] == ("skipped", "throttled")


def test_who_blocked_us_is_not_asked(house: House) -> None:
    customers.set_reachable(house.tx, house.identity.id, reachable=False)
    house.ask()
    assert house.decisions() == [("skipped", "unreachable")]


# ── the score ──────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_press_is_one_answer_with_the_cases_snapshot(house: House) -> None:
    case_id = house.ask()
    assert house.presses(house.question(case_id), "6")
    (row,) = store.responses(house.conn)
    assert (row.score, row.case_id, row.agent, row.team, row.topic, row.channel, row.locale) == (
        *(6, case_id, "ann", "support", "delivery", "telegram", "en"),
    )
    assert [event.score for event in house.told] == [6]
    assert "made the difference" in house.said()[-1]


def test_f49_a_double_press_is_one_answer_and_one_thanks(house: House) -> None:
    question = house.question(house.ask())
    assert house.presses(question, "6")
    assert house.presses(question, "6")
    assert house.scores() == [(6, None)]
    assert len(house.said()) == 2


def test_another_score_within_a_day_edits_and_later_does_not(house: House) -> None:
    question = house.question(house.ask())
    house.presses(question, "6")
    house.now += timedelta(hours=23)
    assert house.presses(question, "2")
    assert house.scores() == [(2, None)]
    assert house.said()[-1] == "We changed your answer to 2."
    house.now += timedelta(hours=2)
    assert house.presses(question, "7")
    assert house.scores() == [(2, None)]
    assert "no longer" in house.said()[-1]


def test_f49_a_late_press_is_told_politely(house: House) -> None:
    question = house.question(house.ask())
    house.now += timedelta(days=8)
    house.ring()
    assert house.decisions() == [("expired", None)]
    assert house.presses(question, "5")
    assert house.scores() == []
    assert "expired" in house.said()[-1]


def test_a_press_after_the_reopening_still_counts_once(house: House) -> None:
    case_id = house.ask()
    house.reopen(case_id)
    assert house.presses(house.question(case_id), "3")
    house.resolve(case_id)
    house.ring()
    assert house.scores() == [(3, None)]
    assert house.decisions() == [("answered", None)]


def test_a_typed_number_counts_like_a_press(house: House) -> None:
    house.ask()
    assert house.types("7")
    assert house.scores() == [(7, None)]


@pytest.mark.parametrize("text", ["7 items missing", "8", "where is my order?", "thanks", "/order"])
def test_anything_else_typed_is_a_new_message(house: House, text: str) -> None:
    house.ask()
    assert not house.types(text)
    assert house.scores() == []


def test_a_number_typed_a_day_later_is_a_new_message(house: House) -> None:
    house.ask()
    house.now += timedelta(hours=25)
    assert not house.types("7")


def test_a_number_that_answers_a_flow_is_not_a_score(house: House) -> None:
    house.reopen(house.ask())
    assert not house.types("3")


def test_a_number_of_a_customer_who_was_never_asked_is_a_message(house: House) -> None:
    assert not house.types("7")


def test_skip_declines_and_is_answered_once(house: House) -> None:
    question = house.question(house.ask())
    assert house.types("/skip")
    assert house.decisions() == [("declined", None)]
    assert "won't ask again" in house.said()[-1]
    assert not house.types("7")
    assert house.presses(question, "4")  # they changed their mind
    assert house.scores() == [(4, None)]


def test_yes_answers_a_yes_or_no_question(house: House) -> None:
    house.ask(survey={"instrument": "csat2"})
    assert house.types("Yes")
    assert house.scores() == [(1, None)]


def test_another_buttons_press_is_not_ours(house: House) -> None:
    house.ask()
    menu = say(house.tx, house.customer.id, replace(house.why().body, survey=None), author=Author(AuthorKind.BOT))
    assert not house.presses(menu, "5")


# ── the why ────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_the_text_after_why_is_the_comment(house: House) -> None:
    house.ask()
    house.types("2")
    assert "What went wrong" in house.said()[-1]
    assert house.types("I had to repeat everything.")
    assert house.scores() == [(2, "I had to repeat everything.")]
    assert house.said()[-1] == "Thank you, that helps us. May a colleague contact you about this?"
    assert not house.types("And my parcel is still missing")


def test_a_reason_button_is_kept_beside_the_score(house: House) -> None:
    house.ask()
    house.types("5")
    why = house.why()
    assert house.presses(why, "why:repeat")
    assert house.presses(why, "why:repeat")
    (row,) = store.responses(house.conn)
    assert row.extra == {"reason": "repeat"}
    assert house.said().count("Thank you, that helps us.") == 1


@pytest.mark.parametrize("text", ["Where is my refund?", "איפה ההחזר?", "/order", "talk to a human", "refund"])
def test_a_request_after_why_is_never_swallowed(house: House, text: str) -> None:
    house.requests = {"talk to a human", "refund"}
    house.ask()
    house.types("2")
    assert not house.types(text)
    assert house.scores() == [(2, None)]


def test_a_text_ten_minutes_later_is_a_new_message(house: House) -> None:
    house.ask()
    house.types("2")
    house.now += timedelta(minutes=11)
    assert not house.types("the blue one does not fit")


def test_a_text_after_something_else_was_said_is_a_new_message(house: House) -> None:
    house.ask()
    house.types("2")
    say(house.tx, house.customer.id, Body("Your parcel has left."), author=Author(AuthorKind.SYSTEM))
    assert not house.types("great")


def test_a_picture_is_a_new_message(house: House) -> None:
    house.ask()
    house.types("2")
    assert not house.types("look", (FileRef(new_id(), "broken.jpg", "image/jpeg", 10),))


def report_of(house: House) -> dict[str, Any]:
    return make(house.conn, Question(), lambda _team: Hours(UTC), house.now)


# ── what becomes of the question ───────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("outcome", "state", "delivered"), [("sent", "asked", 1), ("failed", "failed", 0), ("expired", "cancelled", 0)]
)
def test_only_what_arrived_counts_as_delivered(house: House, outcome: str, state: str, delivered: int) -> None:
    question = house.question(house.ask())
    row = house.conn.execute(select(t.outbox.c.id).where(t.outbox.c.message_id == question.id)).one()
    settle(house.tx, row.id, outcome)
    assert house.decisions() == [(state, None)]
    assert report_of(house)["counts"]["delivered"] == delivered


@pytest.mark.parametrize(("outcome", "asked"), [("sent", 1), ("failed", 2), ("expired", 2)])
def test_who_never_saw_the_question_is_asked_when_the_case_ends_again(house: House, outcome: str, asked: int) -> None:
    case_id = house.ask()
    question = house.question(case_id)
    row = house.conn.execute(select(t.outbox.c.id).where(t.outbox.c.message_id == question.id)).one()
    settle(house.tx, row.id, outcome)
    house.reopen(case_id)
    house.resolve(case_id)
    house.ring()
    of_case = select(t.messages.c.id).where(t.messages.c.case_id == case_id, t.messages.c.survey.is_not(None))
    assert len(house.conn.execute(of_case).all()) == asked
    assert house.decisions() == [("asked", None)]


def night_comes(house: House, case_id: str) -> str:
    """A question is asked a minute before nine, and has not left at nine; the id of its row in the outbox."""
    question = house.question(case_id)
    row = house.conn.execute(select(t.outbox).where(t.outbox.c.message_id == question.id)).one()
    assert row.expires_at == datetime(2026, 3, 10, 20, tzinfo=UTC)  # nine in Amsterdam
    house.now = row.expires_at
    settle(house.tx, row.id, "expired", error=TOO_LATE)
    house.ring()
    return str(row.id)


MORNING = datetime(2026, 3, 11, 7, tzinfo=UTC)


@pytest.fixture
def evening(house: House) -> House:
    house.setup = replace(house.setup, rules=replace(AT_ONCE, quiet=(time(21), time(8))))
    house.now = datetime(2026, 3, 10, 19, 59, tzinfo=UTC)
    return house


def test_a_question_that_has_not_left_by_the_night_is_the_same_message_in_the_morning(evening: House) -> None:
    case_id = evening.ask()
    outbox_id = night_comes(evening, case_id)
    assert evening.decisions() == [("planned", None)]
    evening.now = MORNING
    evening.ring()
    (row,) = evening.conn.execute(select(t.outbox)).all()
    assert (row.id, row.state, row.expires_at) == (outbox_id, "ready", MORNING + timedelta(hours=13))
    assert (evening.decisions(), len(evening.said())) == ([("asked", None)], 1)
    evening.presses(evening.question(case_id), "6")
    assert evening.scores() == [(6, None)]


def test_a_question_that_missed_the_night_is_not_asked_of_whom_a_new_case_keeps_busy(evening: House) -> None:
    night_comes(evening, evening.ask())
    evening.case(status="bot", resolved_at=None, outcome=None)
    evening.now = MORNING
    evening.ring()
    assert evening.decisions() == [("skipped", "open_case")]
    assert [row.state for row in evening.conn.execute(select(t.outbox.c.state))] == ["expired"]


def test_after_a_reopening_in_the_night_the_question_is_a_new_message(evening: House) -> None:
    case_id = evening.ask()
    night_comes(evening, case_id)
    evening.reopen(case_id)
    evening.now = MORNING
    evening.resolve(case_id)
    evening.ring()
    assert evening.decisions() == [("asked", None)]
    assert sorted(row.state for row in evening.conn.execute(select(t.outbox.c.state))) == ["expired", "ready"]


def test_who_sees_a_held_question_elsewhere_may_answer_it_at_night(evening: House) -> None:
    evening.setup = replace(evening.setup, rules=replace(evening.setup.rules, goal=True))
    case_id = evening.ask()
    night_comes(evening, case_id)
    evening.presses(evening.question(case_id), "goal:yes")
    assert "easy" in evening.said()[-1]
    evening.presses(evening.question(case_id), "7")
    evening.now = MORNING
    evening.ring()
    assert (evening.decisions(), evening.scores()) == ([("answered", None)], [(7, None)])


def test_a_campaigns_question_that_missed_the_night_is_asked_while_the_campaign_runs(evening: House) -> None:
    rules = replace(evening.setup.rules, nps=Relationship(first=date(2026, 3, 10)))
    evening.setup = replace(evening.setup, rules=rules)
    relationship.begin(evening.tx)
    evening.ring()
    evening.ring()
    key = f"nps-2026-03-10/{evening.customer.id}"
    assert evening.decisions() == [("asked", None)]
    night_comes(evening, key)
    assert evening.decisions() == [("planned", None)]
    evening.now = MORNING
    evening.ring()
    assert (evening.decisions(), len(evening.said())) == ([("asked", None)], 1)


def test_an_answer_proves_the_delivery(house: House) -> None:
    house.ask()
    house.types("6")
    report = report_of(house)
    assert (report["counts"]["delivered"], report["counts"]["answered"]) == (1, 1)
    assert (report["scores"][0]["instrument"], report["scores"][0]["n"], report["scores"][0]["score"]) == (
        "ces7",
        1,
        None,
    )
    assert report["times"][0]["median_s"] == 3600


def test_importing_the_same_file_twice_adds_nothing(house: House) -> None:
    rows, _ = parse(b"instrument,score,time,plan\nces7,5,2026-03-01,gold\nces7,5,2026-03-01,gold\n", house.now)
    assert store.add_imported(house.conn, rows) == 2
    assert store.add_imported(house.conn, rows) == 0
    assert [row.extra for row in store.responses(house.conn)] == [{"plan": "gold"}] * 2


def test_what_was_exported_here_is_not_counted_again_when_it_comes_back(house: House) -> None:
    house.ask()
    house.types("6")
    foreign, _ = parse(
        b"respondent,source,comment,time,instrument,score\nmay,forum,Slow!,2026-03-01,,\neva,,,2026-03-01,csat5,4\n",
        house.now,
    )
    assert store.add_imported(house.conn, foreign) == 2
    ours = [*store.responses(house.conn), *outside.listed(house.conn)]
    rows, refused = parse(render(ours).replace("eva,csat5,4,", "eva,csat5,4,now with a comment").encode(), house.now)
    assert (len(rows), refused) == (3, [])
    assert store.add_imported(house.conn, rows) == 0
    later, _ = parse(b"respondent,instrument,score,time\neva,csat5,4,2026-03-02\nole,csat5,4,2026-03-01\n", house.now)
    assert store.add_imported(house.conn, later) == 2


def test_a_timer_that_rings_twice_asks_once(house: House) -> None:
    case_id = house.ask()
    house.invitations.ask_due(house.tx, Timer("t", "survey", "survey:x", house.now, house.customer.id, case_id, {}))
    assert (house.decisions(), len(house.said())) == ([("asked", None)], 1)


def test_a_timer_of_an_erased_case_is_nothing(house: House) -> None:
    house.invitations.ask_due(house.tx, Timer("t", "survey", "survey:x", house.now, house.customer.id, "x", {}))
    assert house.decisions() == []
