"""Recurring issues: topics by week, alarms to be looked after, and groups among the cases that nobody tagged."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from starlette.responses import Response

from bot.console.page import Visit
from bot.errors import Conflict
from surveys.console.seen import day, moment, namer, read, setting, short_day, zone_of
from surveys.insights import reports, store, topics
from surveys.insights.records import alarms, labelling
from surveys.insights.records.store import case_by_number
from surveys.insights.reports.issues import UNLABELLED_OF
from surveys.insights.weeks import monday_of

MOST = 60  # topics on the page
EXAMPLE = 200  # characters of a case's first words


async def show(visit: Visit) -> Response:
    found = await read(visit, lambda conn: reports.issues(conn, setting(visit)))
    most = max((count for one in found["topics"] for count in one["cases"]), default=0)
    rows = [
        {**one, "bars": _bars(one["cases"], most), "usual": one["expected"], "last": one["cases"][-1]}
        for one in found["topics"][:MOST]
    ]
    raised = [
        {
            **one,
            "at": moment(visit, one["at"]),
            "monday": day(visit, monday_of(one["week"])),
            "times": f"{one['cases'] / one['expected']:.1f}" if one["expected"] else "",
        }
        for one in found["alarms"]
    ]
    weeks = [short_day(visit, monday_of(one)) for one in found["weeks"]]
    open_ = [one for one in raised if one["state"] == "open"]
    past = [one for one in raised if one["state"] != "open"][:20]
    return await visit.page("mend_issues.html", rows=rows, weeks=weeks, open=open_, past=past, named=namer(visit))


def _bars(cases: list[int], most: int) -> list[tuple[int, int]]:
    """(x, height) of each week's bar, in a box of 24 high."""
    return [(place * 8, round(24 * count / most) if most else 0) for place, count in enumerate(cases)]


async def decide(visit: Visit) -> Response:
    """`do` is dismiss | problem, of the alarm `id`."""
    alarm_id, by, storage = visit.form.one("id"), visit.person.who, visit.rooms.storage
    if visit.form.one("do") == "dismiss":
        await storage.write(lambda tx: alarms.dismiss(tx, alarm_id, by))
        return visit.go("/issues", "mend_alarm_dismissed")
    title, zone = visit.form.one("title"), zone_of(visit)
    made = await storage.write(lambda tx: alarms.to_problem(tx, alarm_id, title, zone, by))
    return visit.go(f"/problems/{made.id}", "mend_problem_opened")


async def untagged(visit: Visit) -> Response:
    """Groups are made in a thread: words and distances take seconds the first time."""
    since = setting(visit).now - UNLABELLED_OF
    cases = await read(visit, lambda conn: store.unlabelled(conn, since, topics.MOST))
    known = await read(visit, lambda conn: store.topics(conn, since - timedelta(days=180)))
    groups = await asyncio.to_thread(topics.groups, cases)
    said = {one.id: one.text for one in cases}
    rows: list[dict[str, Any]] = [
        {"group": one, "examples": [said[case_id][:EXAMPLE] for case_id in one.cases[:4]]} for one in groups
    ]
    grouped = sum(len(one.cases) for one in groups)
    return await visit.page("mend_untagged.html", rows=rows, cases=len(cases), left=len(cases) - grouped, topics=known)


async def tag(visit: Visit) -> Response:
    """Give a topic to the cases that are ticked; or to one case by its number."""
    topic, by = visit.form.one("topic"), visit.person.who
    chosen = list(visit.form.many("case"))
    number = visit.form.one("number").strip().lstrip("#")
    if number:
        chosen += [await case_of(visit, number)]
    count = await visit.rooms.storage.write(lambda tx: labelling.give_topic(tx, chosen, topic, by))
    return visit.go("/issues/untagged", "mend_topic_given", topic=topic.strip(), count=str(count))


async def case_of(visit: Visit, number: str) -> str:
    """The id of the case with that number. Raises Conflict."""
    found = None
    if number.isascii() and number.isdigit() and len(number) < 10:
        found = await visit.rooms.storage.read(lambda conn: case_by_number(conn, int(number)))
    if found is None:
        raise Conflict(visit.t("mend_no_case", number=number[:20]))
    return found
