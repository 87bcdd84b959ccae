"""Problem records: which are open and how long, and each with its cases, its cause, its fix, and who was told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from starlette.responses import Response

from bot.console.page import Visit
from bot.console.people import shown_who
from bot.errors import Conflict
from bot.storage.tx import Tx
from surveys.console.issues import case_of
from surveys.console.seen import (
    day,
    digest_of,
    languages,
    message_in,
    moment,
    must_be_as_seen,
    notices_of,
    only_publishers,
    read,
    setting,
    told,
    zone_of,
)
from surveys.insights import store as figures
from surveys.insights.records import problems, store
from surveys.insights.records.nouns import STANDING, Problem, ProblemState
from surveys.insights.records.words import day_of
from surveys.insights.store import Reader
from surveys.insights.weeks import weeks

RECENT = timedelta(days=180)
OF_LATE = 4  # weeks of a topic's cases that are linked by one press
MOST_SHOWN = 100


async def listed(visit: Visit) -> Response:
    at = setting(visit)

    def query(conn: Reader) -> tuple[list[Problem], dict[str, int]]:
        return store.problems(conn), store.count_linked(conn)

    found, cases = await read(visit, query)
    aged = [
        {"one": one, "due": day(visit, one.problem.due_on)} for one in problems.ageing(found, cases, at.now, at.zone)
    ]
    over = [
        {"one": one, "cases": cases.get(one.id, 0), "at": moment(visit, one.fixed_at or one.updated_at)}
        for one in found
        if one.state not in STANDING
    ]
    return await visit.page("mend_problems.html", aged=aged, over=over)


async def begin(visit: Visit) -> Response:
    title, topic, by = visit.form.one("title"), visit.form.one("topic"), visit.person.who
    made = await visit.rooms.storage.write(lambda tx: problems.open_problem(tx, title, by, topic=topic.strip() or None))
    return visit.go(f"/problems/{made.id}", "mend_problem_opened")


async def show(visit: Visit) -> Response:
    problem_id, now = visit.param("id"), setting(visit).now

    def query(conn: Reader) -> dict[str, Any]:
        found = store.problem(conn, problem_id)
        return {
            "problem": found,
            "cases": store.linked(conn, problem_id, MOST_SHOWN),
            "all": store.linked_in_all(conn, problem_id),
            "came": told(conn, found.notice_id),
            "back": problems.recurrence(conn, found, now),
            "topics": figures.topics(conn, now - RECENT),
        }

    found = await read(visit, query)
    problem = found["problem"]
    rows = [{"case": one, "at": moment(visit, one.opened_at)} for one in found["cases"]]
    return await visit.page(
        "mend_problem.html",
        **{**found, "cases": rows},
        count=found["all"][0],
        waiting=found["all"][1],
        languages=languages(visit, problem.message),
        seen=digest_of(problem),
        standing=problem.state in STANDING,
        fixed=moment(visit, problem.fixed_at),
        verified=day(visit, problem.verified_on),
        today=now.astimezone(zone_of(visit)).date().isoformat(),
        made=moment(visit, problem.created_at),
        by=shown_who(problem.created_by),
    )


async def change(visit: Visit) -> Response:
    """`do` is save | link | topic | unlink | close | verify | reopen | drop."""
    problem_id, by, form = visit.param("id"), visit.person.who, visit.form
    storage, here = visit.rooms.storage, f"/problems/{visit.param('id')}"
    match form.one("do"):
        case "save":
            await storage.write(lambda tx: _save(visit, tx, problem_id))
            return visit.go(here, "mend_kept")
        case "link":
            case_id = await case_of(visit, form.one("number").strip().lstrip("#"))
            await storage.write(lambda tx: problems.link_cases(tx, problem_id, [case_id], by))
            return visit.go(here, "mend_linked", count="1")
        case "topic":
            count = await _link_topic(visit, problem_id)
            return visit.go(here, "mend_linked", count=str(count))
        case "unlink":
            await storage.write(lambda tx: problems.unlink_case(tx, problem_id, form.one("case"), by))
            return visit.go(here, "mend_unlinked")
        case "close":
            only_publishers(visit)
            notices = notices_of(visit)

            def close(tx: Tx) -> None:
                must_be_as_seen(visit, store.held_problem(tx, problem_id))
                problems.close(tx, notices, problem_id, by)

            await storage.write(close)
            return visit.go(here, "mend_problem_fixed")
        case "verify":
            on = day_of(form.one("on"))
            if on is None:
                raise Conflict(visit.t("mend_day_needed"))
            await storage.write(lambda tx: problems.verify(tx, problem_id, on, by))
            return visit.go(here, "mend_problem_verified")
        case "reopen":
            await storage.write(lambda tx: problems.reopen(tx, problem_id, by))
            return visit.go(here, "mend_problem_reopened")
        case "drop":
            await storage.write(lambda tx: problems.drop(tx, problem_id, by))
            return visit.go("/problems", "mend_problem_dropped")
    raise Conflict(visit.t("console_stale"))


def _save(visit: Visit, tx: Tx, problem_id: str) -> None:
    form = visit.form
    must_be_as_seen(visit, store.held_problem(tx, problem_id))
    problems.change_problem(
        tx,
        problem_id,
        visit.person.who,
        title=form.one("title"),
        topic=form.one("topic"),
        cause=form.one("cause"),
        owner=" ".join(form.one("owner").split())[:80],
        fix=form.one("fix"),
        due_on=day_of(form.one("due_on")),
        message=message_in(visit),
        fixing=form.one("state") == ProblemState.FIXING.value,
    )


async def _link_topic(visit: Visit, problem_id: str) -> int:
    """The cases of its topic of the last weeks."""
    by, spans = visit.person.who, weeks(setting(visit).now, OF_LATE, zone_of(visit))
    found = await visit.rooms.storage.read(lambda conn: store.problem(conn, problem_id))
    topic = found.topic
    if topic is None:
        raise Conflict(visit.t("mend_topic_needed"))
    since, until = spans[0][1], spans[-1][2]
    linked: int = await visit.rooms.storage.write(
        lambda tx: problems.link_topic(tx, problem_id, topic, since, until, by)
    )
    return linked
