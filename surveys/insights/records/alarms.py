"""A spike becomes an alarm: told to the team once, with a notice drafted that nobody but a person sends."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import TYPE_CHECKING

from bot.errors import Conflict
from bot.events import TeamTold
from bot.model import new_id
from bot.outreach.notice import Audience, Kind, Notice, State
from bot.outreach.telling import Notices
from bot.storage import audit
from bot.storage.tx import Tx
from bot.texts import say
from bot.texts.titles import LONGEST_TITLE
from surveys.insights import store as figures
from surveys.insights.records import store
from surveys.insights.records.nouns import Alarm, AlarmState, Problem
from surveys.insights.records.problems import open_problem
from surveys.insights.spikes import Spike
from surveys.insights.weeks import days_from, monday_of

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk

BY = "stafett"
"""Who drafts, where no person did."""


def raise_alarm(tx: Tx, notices: Notices, spike: Spike, week: str, since: datetime, desk: Desk) -> bool:
    """Keep the alarm, draft the notice, tell the team. False where it was raised before, on whichever node."""
    people = figures.people(tx.conn, spike.topic, since, tx.now)
    made = Alarm(
        id=new_id(),
        topic=spike.topic,
        week=week,
        cases=spike.cases,
        customers=people,
        expected=spike.expected,
        p=spike.p,
        q=spike.q,
        state=AlarmState.OPEN,
        at=tx.now,
        notice_id=new_id(),
    )
    if not store.add_alarm(tx, made):
        return False
    notices.draft(tx, _draft(tx, made, since, desk), BY)
    values = {
        "topic": _called(spike.topic, desk, desk.locales[0]),
        "cases": spike.cases,
        "expected": f"{spike.expected:.1f}",
        "customers": people,
    }
    tx.emit(TeamTold("insights_alarm", values, "/admin/issues"))
    return True


def _called(topic: str, desk: Desk, locale: str) -> str:
    """A topic that a flow gave by its name is called as that flow is: no customer knows the name of a file."""
    flow = desk.flows.get(topic)
    return (flow.title.get(locale) or next(iter(flow.title.values()), "")) if flow and flow.title else topic


def _draft(tx: Tx, alarm: Alarm, since: datetime, desk: Desk) -> Notice:
    """In every language of the desk, for all who came with this topic since the week began."""
    called = {locale: _called(alarm.topic, desk, locale) for locale in desk.locales}
    first = desk.locales[0]
    return Notice(
        id=str(alarm.notice_id),
        kind=Kind.INCIDENT,
        state=State.DRAFT,
        title=say("insights_draft_title", first, desk.texts, topic=called[first], week=alarm.week)[:LONGEST_TITLE],
        texts={locale: say("insights_draft_text", locale, desk.texts, topic=name) for locale, name in called.items()},
        audience=Audience(topic=alarm.topic, since=since),
        drafted_by=BY,
        drafted_at=tx.now,
        source={"alarm": alarm.id},
    )


def dismiss(tx: Tx, alarm_id: str, by: str) -> Alarm:
    """There is a reason for it, or it does not matter. Raises NotFound, and Conflict for one that is over."""
    found = _open(tx, alarm_id)
    store.end_alarm(tx, alarm_id, AlarmState.DISMISSED, by)
    audit.of_console(tx, by, "alarm dismissed", title=found.topic)
    return found


def to_problem(tx: Tx, alarm_id: str, title: str, zone: tzinfo, by: str) -> Problem:
    """A problem record with the cases of its week in this zone. Raises NotFound, and Conflict for one that is over."""
    found = _open(tx, alarm_id)
    since, until = days_from(monday_of(found.week), 7, zone)
    made = open_problem(tx, title, by, topic=found.topic)
    store.link_topic(tx, made.id, figures.cases_of(found.topic, since, until), by)
    store.end_alarm(tx, alarm_id, AlarmState.HANDLED, by, made.id)
    return made


def _open(tx: Tx, alarm_id: str) -> Alarm:
    found = store.held_alarm(tx, alarm_id)
    if found.state is not AlarmState.OPEN:
        raise Conflict("somebody has looked after this alarm already")
    return found
