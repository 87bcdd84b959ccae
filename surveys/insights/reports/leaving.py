"""Who may leave, and who left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from surveys.insights import churn, store
from surveys.insights.churn import Period, signs
from surveys.insights.reports.shape import Report, Setting, at_text, pair, tidy
from surveys.insights.store import Reader
from surveys.insights.weeks import months
from surveys.survey import INSTRUMENTS

RISK_OF = timedelta(days=180)
CHURN_MONTHS = 12
MOST_AT_RISK = 100
DETRACTORS = {one.id: one.detractor_to for one in INSTRUMENTS.values()}
"""Instrument → the highest bad score."""


def churn_report(conn: Reader, at: Setting) -> Report:
    """Risk, called risk; the rate by month where another system tells of leaving; and whether the one foretold the other."""
    everybody = store.people_between(conn, at.now - RISK_OF, at.now, DETRACTORS)
    risky = [(who, found) for who in everybody if (found := signs(who.known, at.now))]
    risky.sort(key=lambda item: (-len(item[1]), item[0].known.customer_id))
    report: Report = {
        "risk": {
            "looked_at": len(everybody),
            "at_risk": len(risky),
            "signs": dict(sorted(Counter(sign.value for _, found in risky for sign in found).items())),
            "customers": [
                {
                    "id": who.known.customer_id,
                    "name": who.name,
                    "signs": [sign.value for sign in found],
                    "last_at": at_text(who.known.last_at),
                    "topic": who.last_topic,
                    "case": who.last_case,
                }
                for who, found in risky[:MOST_AT_RISK]
            ],
        },
        "rate": None,
    }
    told = store.departures(conn)
    if told:
        report["rate"] = _rate(conn, at, told)
    return report


def _rate(conn: Reader, at: Setting, told: Sequence[store.Departure]) -> Report:
    periods, check = churn_periods(conn, at, told)
    found = churn.trend(periods)
    reasons = Counter(one.reason or "" for one in told if one.kind == "left")
    return {
        "periods": [
            {
                "month": one.name,
                "active": one.active,
                "lost": one.lost,
                "rate": tidy(one.rate),
                "interval": pair(one.interval),
                "value_rate": tidy(one.value_rate),
            }
            for one in periods
        ],
        "trend": None
        if found is None
        else {"slope": tidy(found.slope), "interval": pair(found.interval), "word": found.word},
        "reasons": [{"reason": reason or None, "n": n} for reason, n in reasons.most_common()],
        "risk_checked": None
        if check is None
        else {
            "at_risk": check.at_risk,
            "at_risk_lost": check.at_risk_lost,
            "others": check.others,
            "others_lost": check.others_lost,
            "difference": pair(check.interval),
            "holds": check.holds,
        },
    }


def churn_periods(
    conn: Reader, at: Setting, told: Sequence[store.Departure]
) -> tuple[list[Period], churn.Check | None]:
    """The months since the first word of somebody leaving, and the guess of three months ago held against who left since."""
    now_id = store.living(conn)
    moves = [(now_id.get(one.customer_id, one.customer_id), one) for one in told]
    back = months(at.now, CHURN_MONTHS + 12, at.zone)
    seen: dict[str, set[str]] = {}
    for who, month in store.seen_in(conn, back):
        seen.setdefault(month, set()).add(who)
    worth = store.values(conn, sorted({who for people in seen.values() for who in people}))
    worth |= {who: one.value for who, one in moves if one.value is not None}
    periods = []
    for place, (name, since, until) in enumerate(back):
        if place < 12 or until <= moves[0][1].at:
            continue
        gone = {who for who, kind in _standing(moves, since).items() if kind == "left"}
        active = set().union(*(seen.get(month, set()) for month, _, _ in back[place - 12 : place])) - gone
        lost = {who for who, one in moves if one.kind == "left" and since <= one.at < until} & active
        value, value_lost = (sum(worth.get(who, 0.0) for who in people) for people in (active, lost))
        periods.append(Period(name, len(active), len(lost), value, value_lost))
    return periods, _checked(conn, at, moves)


def _checked(conn: Reader, at: Setting, moves: Sequence[tuple[str, store.Departure]]) -> churn.Check | None:
    """Those who were at risk three months ago against the others; None before there are three months."""
    then = at.now - churn.SILENCE
    if not moves or moves[0][1].at > then:
        return None
    before = store.people_between(conn, then - RISK_OF, then, DETRACTORS)
    gone = {who for who, kind in _standing(moves, then).items() if kind == "left"}
    flagged = {
        who.known.customer_id: bool(signs(who.known, then)) for who in before if who.known.customer_id not in gone
    }
    left = {who for who, one in moves if one.kind == "left" and one.at >= then}
    return churn.check(flagged, left) if flagged else None


def _standing(moves: Sequence[tuple[str, store.Departure]], at: datetime) -> dict[str, str]:
    """What was last heard of each customer before a moment: left | back."""
    return {who: one.kind for who, one in moves if one.at < at}
