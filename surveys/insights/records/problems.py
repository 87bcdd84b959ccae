"""Problem records: from the finding of a cause to the proof that it is gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, tzinfo

from bot.errors import Conflict
from bot.model import new_id
from bot.outreach.notice import Audience
from bot.outreach.telling import Notices
from bot.storage import audit
from bot.storage.tx import Tx
from surveys.insights import happened
from surveys.insights import store as figures
from surveys.insights.happened import TOPIC, Rows
from surveys.insights.records import store
from surveys.insights.records.nouns import STANDING, Problem, ProblemState
from surveys.insights.records.store import Reader
from surveys.insights.records.telling import tell
from surveys.insights.records.words import message_of, text_of, title_of
from surveys.insights.weeks import midnight

STALE = timedelta(days=30)
"""Nobody has touched it for so long: it stands in the ageing report, due or not."""
WATCHED = timedelta(days=28)
"""So long before and after a fix the topic's cases are counted."""


def open_problem(tx: Tx, title: str, by: str, *, topic: str | None = None) -> Problem:
    """Raises Conflict without a title."""
    made = Problem(new_id(), title_of(title), by, tx.now, tx.now, topic=topic or None)
    store.put_problem(tx, made)
    audit.of_console(tx, by, "problem opened", title=made.title)
    return made


def change_problem(
    tx: Tx,
    problem_id: str,
    by: str,
    *,
    title: str,
    topic: str,
    cause: str,
    owner: str,
    fix: str,
    due_on: date | None,
    message: Mapping[str, str],
    fixing: bool,
) -> Problem:
    """Raises NotFound; Conflict for one that is over, and for texts that are too long."""
    found = _standing(tx, problem_id)
    changed = replace(
        found,
        title=title_of(title),
        topic=title_of(topic) if topic.strip() else None,
        cause=text_of(cause),
        owner=text_of(owner),
        fix=text_of(fix),
        due_on=due_on,
        message=message_of(message),
        state=ProblemState.FIXING if fixing else ProblemState.OPEN,
        updated_at=tx.now,
    )
    store.put_problem(tx, changed)
    audit.of_console(tx, by, "problem changed", title=changed.title)
    return changed


def link_cases(tx: Tx, problem_id: str, case_ids: Sequence[str], by: str) -> int:
    """How many were added. Raises NotFound."""
    found = store.held_problem(tx, problem_id)
    added = store.link(tx, problem_id, case_ids, by)
    if added:
        store.put_problem(tx, replace(found, updated_at=tx.now))
        audit.of_console(tx, by, "cases linked", title=found.title, count=added)
    return added


def link_topic(tx: Tx, problem_id: str, topic: str, since: datetime, until: datetime, by: str) -> int:
    """All cases of a topic that opened in a span. How many were added. Raises NotFound."""
    found = store.held_problem(tx, problem_id)
    added = store.link_topic(tx, problem_id, figures.cases_of(topic, since, until), by)
    if added:
        store.put_problem(tx, replace(found, updated_at=tx.now))
        audit.of_console(tx, by, "cases linked", title=found.title, count=added)
    return added


def unlink_case(tx: Tx, problem_id: str, case_id: str, by: str) -> None:
    found = store.held_problem(tx, problem_id)
    if store.unlink(tx, problem_id, case_id):
        audit.of_console(tx, by, "case unlinked", title=found.title)


def close(tx: Tx, notices: Notices, problem_id: str, by: str) -> Problem:
    """It is fixed: the customers of its cases are told, once each. Raises NotFound, and Conflict for one that is over."""
    found = _standing(tx, problem_id)
    notice_id = tell(
        tx,
        notices,
        title=found.title,
        message=found.message,
        audience=Audience(problem=problem_id),
        by=by,
    )
    fixed = replace(found, state=ProblemState.FIXED, fixed_at=tx.now, notice_id=notice_id, updated_at=tx.now)
    store.put_problem(tx, fixed)
    audit.of_console(tx, by, "problem fixed", title=found.title)
    return fixed


def verify(tx: Tx, problem_id: str, on: date, by: str) -> Problem:
    """Somebody looked, and it is gone. Raises NotFound, and Conflict for one that is not fixed, or a day before its fix."""
    found = store.held_problem(tx, problem_id)
    if found.state is not ProblemState.FIXED or found.fixed_at is None:
        raise Conflict("only what is fixed can be verified")
    if on < found.fixed_at.date() - timedelta(days=1):  # a day's grace: the fix is told in UTC
        raise Conflict("a fix can't be verified before it is there")
    verified = replace(found, state=ProblemState.VERIFIED, verified_on=on, updated_at=tx.now)
    store.put_problem(tx, verified)
    audit.of_console(tx, by, "problem verified", title=found.title)
    return verified


def reopen(tx: Tx, problem_id: str, by: str) -> Problem:
    """It came back. Who was told stays told."""
    found = store.held_problem(tx, problem_id)
    if found.state in STANDING:
        raise Conflict("this problem is open")
    opened = replace(found, state=ProblemState.OPEN, fixed_at=None, verified_on=None, updated_at=tx.now)
    store.put_problem(tx, opened)
    audit.of_console(tx, by, "problem reopened", title=found.title)
    return opened


def drop(tx: Tx, problem_id: str, by: str) -> Problem:
    """It is none, or will not be mended."""
    found = _standing(tx, problem_id)
    dropped = replace(found, state=ProblemState.DROPPED, updated_at=tx.now)
    store.put_problem(tx, dropped)
    audit.of_console(tx, by, "problem dropped", title=found.title)
    return dropped


def _standing(tx: Tx, problem_id: str) -> Problem:
    found = store.held_problem(tx, problem_id)
    if found.state not in STANDING:
        raise Conflict("this problem is over; reopen it first")
    return found


# ── after the fix, and while there is none ─────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Recurrence:
    """Cases on the problem's topic in the days before its fix, and in as many since."""

    before: int
    after: int
    days: int
    all_after: int


def recurrence(conn: Reader, problem: Problem, now: datetime, cases: Rows | None = None) -> Recurrence | None:
    """None while it is not fixed, and without a topic to count by. `cases`: those since WATCHED before the fix, where they are
    read already.
    """
    if problem.fixed_at is None or problem.topic is None:
        return None
    cases = cases or happened.cases(conn, problem.fixed_at - WATCHED, now)
    span = min(WATCHED, now - problem.fixed_at)
    before, after, all_after = (
        int(some.of(TOPIC, problem.topic).sum())
        for some in (
            cases.between(problem.fixed_at - span, problem.fixed_at),
            cases.between(problem.fixed_at, problem.fixed_at + span),
            cases.between(problem.fixed_at, now),
        )
    )
    return Recurrence(before, after, span.days, all_after)


@dataclass(frozen=True, slots=True)
class Aged:
    """A problem that is not mended yet: its age in whole days, how far it is overdue, whether nobody touched it of late."""

    problem: Problem
    age: int
    overdue: int
    stale: bool
    cases: int


def ageing(problems: Sequence[Problem], cases: Mapping[str, int], now: datetime, zone: tzinfo) -> list[Aged]:
    """All that are not mended, the longest overdue first, then the oldest. Pure."""
    found = [
        Aged(
            problem=one,
            age=(now - one.created_at).days,
            overdue=_overdue(one, now, zone),
            stale=now - one.updated_at >= STALE,
            cases=cases.get(one.id, 0),
        )
        for one in problems
        if one.state in STANDING
    ]
    return sorted(found, key=lambda one: (-one.overdue, -one.age, one.problem.id))


def _overdue(problem: Problem, now: datetime, zone: tzinfo) -> int:
    """Whole days since the end of the day it was due on; 0 until then."""
    if problem.due_on is None:
        return 0
    end = midnight(problem.due_on + timedelta(days=1), zone)
    return 0 if now < end else (now - end).days + 1
