"""Recurring issues: topics by week, their alarms, and groups among the cases that nobody tagged."""

from __future__ import annotations

from datetime import timedelta

from surveys.insights import spikes, store, topics
from surveys.insights.records import store as records
from surveys.insights.reports.shape import Report, Setting, at_text, tidy
from surveys.insights.store import Reader
from surveys.insights.watch import looked
from surveys.insights.weeks import weeks

SHOWN_WEEKS = 12
UNLABELLED_OF = timedelta(days=28)


def issues(conn: Reader, at: Setting) -> Report:
    """Topics by week, the busiest of late first; this week is not over. And the alarms."""
    spans = weeks(at.now, spikes.LOOK_BACK + 1, at.zone)
    counts = store.counts(conn, spans)
    found = {one.topic: one for one in looked(conn, spans)}
    shown = [name for name, _, _ in spans[-SHOWN_WEEKS:]]
    rows = topics.by_week(counts, shown)
    listed = sorted(rows, key=lambda topic: (-sum(rows[topic][-4:]), topic))
    return {
        "weeks": shown,
        "topics": [
            {
                "topic": topic,
                "cases": rows[topic],
                "expected": tidy(one.expected) if (one := found.get(topic)) else None,
                "p": tidy(one.p) if one else None,
                "q": tidy(one.q) if one else None,
                "alarm": bool(one and one.is_alarm),
            }
            for topic in listed
            if sum(rows[topic])
        ],
        "alarms": [
            {
                "id": one.id,
                "topic": one.topic,
                "week": one.week,
                "cases": one.cases,
                "customers": one.customers,
                "expected": tidy(one.expected),
                "q": tidy(one.q),
                "state": one.state.value,
                "at": at_text(one.at),
                "notice": one.notice_id,
                "problem": one.problem_id,
            }
            for one in records.alarms(conn)
        ],
    }


def unlabelled(conn: Reader, at: Setting) -> Report:
    """Groups among the cases of four weeks that neither people nor a flow gave a topic. Loads the languages' words."""
    cases = store.unlabelled(conn, at.now - UNLABELLED_OF, topics.MOST)
    return {"cases": len(cases), "groups": [group_of(one) for one in topics.groups(cases)]}


def group_of(one: topics.Group) -> Report:
    return {
        "name": one.name,
        "words": list(one.words),
        "locale": one.locale,
        "cases": list(one.cases),
        "customers": one.customers,
        "example": one.example,
    }
