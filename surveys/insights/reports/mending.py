"""Problems, wishes and labels as people keep them."""

from __future__ import annotations

from bot.outreach import store as notices
from surveys.insights import happened
from surveys.insights.records import store as records
from surveys.insights.records.problems import WATCHED, Recurrence, ageing, recurrence
from surveys.insights.records.wishing import proposals
from surveys.insights.reports.shape import Report, Setting, at_text, day_text, tidy
from surveys.insights.store import Reader

MOST_LABELS = 500


def problems(conn: Reader, at: Setting) -> Report:
    """All of them, with what ages, what came back, and who was told."""
    found, cases = records.problems(conn), records.count_linked(conn)
    told = notices.progress(conn, [one.notice_id for one in found if one.notice_id])
    aged = ageing(found, cases, at.now, at.zone)
    fixed = [one.fixed_at for one in found if one.fixed_at is not None and one.topic is not None]
    rows = happened.cases(conn, min(fixed) - WATCHED, at.now) if fixed else None
    return {
        "items": [
            {
                "id": one.id,
                "title": one.title,
                "topic": one.topic,
                "state": one.state.value,
                "cause": one.cause,
                "owner": one.owner,
                "fix": one.fix,
                "cases": cases.get(one.id, 0),
                "due_on": day_text(one.due_on),
                "fixed_at": at_text(one.fixed_at),
                "verified_on": day_text(one.verified_on),
                "told": told_of(told.get(one.notice_id or "")),
                "recurrence": _recurrence(recurrence(conn, one, at.now, rows)),
                "created_at": at_text(one.created_at),
            }
            for one in found
        ],
        "ageing": [
            {
                "id": one.problem.id,
                "title": one.problem.title,
                "owner": one.problem.owner,
                "age_days": one.age,
                "overdue_days": one.overdue,
                "stale": one.stale,
                "cases": one.cases,
            }
            for one in aged
        ],
    }


def told_of(progress: notices.Progress | None) -> Report | None:
    if progress is None:
        return None
    return {"told": progress.told, "waiting": progress.waiting, "left_alone": dict(progress.skipped)}


def _recurrence(found: Recurrence | None) -> Report | None:
    if found is None:
        return None
    return {"before": found.before, "after": found.after, "days": found.days, "all_after": found.all_after}


def wishes(conn: Reader, _: Setting) -> Report:
    """What customers wish for, the most wanted first, and which of them may be one."""
    found = records.wishes(conn)
    told = notices.progress(conn, [one.notice_id for one in found if one.notice_id])
    return {
        "items": [
            {
                "id": one.id,
                "title": one.title,
                "area": one.area.value if one.area else None,
                "state": one.state.value,
                "votes": one.votes,
                "shipped_at": at_text(one.shipped_at),
                "told": told_of(told.get(one.notice_id or "")),
                "created_at": at_text(one.created_at),
            }
            for one in found
        ],
        "proposals": [
            {"wish": one.id, "may_be": other.id, "likeness": tidy(alike)} for one, other, alike in proposals(conn)
        ],
    }


def labels(conn: Reader, at: Setting) -> Report:
    """Complaints, suggestions and praise by product, service and process; and the latest of them."""
    counted = records.count_labels(conn, since=at.since, until=at.until)
    found = records.labels(conn, since=at.since, until=at.until, limit=MOST_LABELS)
    return {
        "counts": [
            {"kind": kind, "area": area, "n": n}
            for (kind, area), n in sorted(counted.items(), key=lambda item: (item[0][0], item[0][1] or "~"))
        ],
        "items": [
            {
                "id": one.id,
                "case": one.case_id,
                "kind": one.kind.value,
                "area": one.area.value if one.area else None,
                "text": one.text,
                "topic": one.topic,
                "channel": one.channel,
                "source": one.source,
                "at": at_text(one.at),
            }
            for one in found
        ],
    }
