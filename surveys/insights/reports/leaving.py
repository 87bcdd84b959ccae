"""Who may leave, and who left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from surveys.insights import churn, happened, store
from surveys.insights.churn import Period
from surveys.insights.happened import TOPIC, Rows
from surveys.insights.reports.shape import Report, Setting, at_text, pair, tidy
from surveys.insights.risk import SILENCE, Contacts, Risk, are_among, numbered, places_of, risk, scored
from surveys.insights.store import Reader
from surveys.insights.weeks import Spans, months
from surveys.rollups.facts import EPOCH, micros, who
from surveys.survey import INSTRUMENTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

Move: TypeAlias = tuple[int, store.Departure]
"""Somebody's number, and what was told of them."""

RISK_OF = timedelta(days=180)
CHURN_MONTHS = 12
MOST_AT_RISK = 100
DETRACTORS = {one.id: one.detractor_to for one in INSTRUMENTS.values()}
"""Instrument → the highest bad score."""


def churn_report(conn: Reader, at: Setting) -> Report:
    """Risk, called risk; the rate by month where another system tells of leaving; and whether the one foretold the other."""
    now_id = store.living(conn)
    told = store.departures(conn)
    back = months(at.now, CHURN_MONTHS + churn.ACTIVE_MONTHS, at.zone)
    since = at.now - RISK_OF - SILENCE
    people = People.read(conn, min(since, back[0][1]) if told else since, at.now, now_id)
    moves = [(who(now_id.get(one.customer_id, one.customer_id)), one) for one in told]
    return {"risk": _risk(conn, people, moves, at), "rate": _rate(conn, at, people, moves, back) if moves else None}


@dataclass(frozen=True, slots=True)
class People:
    """Cases and answers since some time; customers by the number that they have now (`now_id`: who was merged into whom)."""

    cases: Rows
    answers: Rows
    opted_out: Array
    now_id: Mapping[str, str]

    @classmethod
    def read(cls, conn: Reader, since: datetime, until: datetime, now_id: Mapping[str, str]) -> People:
        cases, answers = (_of_living(read(conn, since, until), now_id) for read in (happened.cases, happened.answers))
        return cls(cases, answers, numbers_of(store.opted_out(conn)), now_id)

    def risk(self, now: datetime) -> tuple[Rows, Risk]:
        """Cases of RISK_OF before `now`, and who was at risk then."""
        cases, answers = (rows.between(now - RISK_OF, now) for rows in (self.cases, self.answers))
        asked = answers.kept(answers.of("instrument", *DETRACTORS))
        worst = [DETRACTORS.get(name, -1) for name in asked.names["instrument"]]
        bad = asked["score"] <= _array(worst)[asked.codes["instrument"]]
        whose = numbered(cases["who"])
        detractor = scored(whose, cases.at, asked["who"], asked.at, bad)
        contacts = Contacts(whose, cases.at, cases.codes[TOPIC], cases["unsolved"], detractor, cases["said"])
        return cases, risk(contacts, self.opted_out, now)


def _of_living(rows: Rows, now_id: Mapping[str, str]) -> Rows:
    """Who was merged into somebody is that one."""
    import numpy as np

    if not now_id:
        return rows
    gone, kept = numbers_of(now_id), numbers_of(now_id.values())
    order = np.argsort(gone)
    place, there = places_of(gone[order], rows["who"])
    merged = np.where(there, kept[order][place], rows["who"])
    return replace(rows, values={**rows.values, "who": merged})


def numbers_of(customer_ids: Iterable[str]) -> Array:
    return _array([who(one) for one in customer_ids])


def _array(values: Sequence[int]) -> Array:
    import numpy as np

    return np.array(values, dtype=np.int64)


def _risk(conn: Reader, people: People, moves: Sequence[Move], at: Setting) -> Report:
    """How many show which sign, and those who show most, of these who was here last. Who has left is at risk no more."""
    import numpy as np

    cases, found = people.risk(at.now)
    there = ~are_among(found.people, _gone(moves, at.now + timedelta(microseconds=1)))
    signs = {sign: held & there for sign, held in found.signs.items()}
    count = found.count * there
    worst = np.lexsort((-found.said, -count))[:MOST_AT_RISK]
    worst = worst[count[worst] > 0]
    moments = [EPOCH + timedelta(microseconds=int(cases.at[place])) for place in found.last[worst]]
    known = {who(one.customer_id): one for one in store.opened_at(conn, moments, people.now_id)}
    return {
        "looked_at": int(there.sum()),
        "at_risk": int((count > 0).sum()),
        "signs": dict(sorted((sign.value, n) for sign, held in signs.items() if (n := int(held.sum())))),
        "customers": [
            {
                "id": one.customer_id,
                "name": one.name,
                "signs": [sign.value for sign, held in signs.items() if held[place]],
                "last_at": at_text(EPOCH + timedelta(microseconds=int(found.said[place]))),
                "topic": one.topic,
                "case": one.id,
            }
            for place in worst
            if (one := known.get(int(found.people[place]))) is not None
        ],
    }


def _rate(conn: Reader, at: Setting, people: People, moves: Sequence[Move], back: Spans) -> Report:
    periods, check = churn_periods(conn, people, moves, back), _checked(at, people, moves)
    found = churn.trend(periods)
    reasons = Counter(_reasons(moves))
    return {
        "periods": [
            {
                "month": one.name,
                "active": one.active,
                "lost": one.lost,
                "rate": tidy(one.rate),
                "interval": pair(one.interval),
                "value_rate": tidy(one.value_rate),
                "value_known": one.value_known,
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


def churn_periods(conn: Reader, people: People, moves: Sequence[Move], back: Spans) -> list[Period]:
    """The months since the first word of somebody leaving, each with who was active in the twelve before it."""
    import numpy as np

    cases = people.cases.between(back[0][1], back[-1][2])
    whose = numbered(cases["who"])
    everybody = whose.people
    seen = np.zeros(len(everybody), dtype=np.int64)  # a bit for each month
    for place, (_, since, until) in enumerate(back):
        first, last = cases.at.searchsorted([micros(since), micros(until)])
        seen[whose.of[first:last]] |= 1 << place
    worth = _worth(conn, people.now_id, moves, everybody)
    periods = []
    for place, (name, since, until) in enumerate(back):
        if place < churn.ACTIVE_MONTHS or until <= moves[0][1].at:
            continue
        window = ((1 << churn.ACTIVE_MONTHS) - 1) << (place - churn.ACTIVE_MONTHS)
        active = ((seen & window) > 0) & ~are_among(everybody, _gone(moves, since))
        lost = active & np.isin(
            everybody, [one for one, move in moves if move.kind == "left" and since <= move.at < until]
        )
        value, value_lost = (float(np.nansum(worth[those])) for those in (active, lost))
        known, known_of_lost = (int((~np.isnan(worth[those])).sum()) for those in (active, lost))
        counted = (int(active.sum()), int(lost.sum()))
        periods.append(Period(name, *counted, value, value_lost, known, known - known_of_lost))
    return periods


def _worth(conn: Reader, now_id: Mapping[str, str], moves: Sequence[Move], everybody: Array) -> Array:
    """What each of these is worth, not a number where nobody has said."""
    import numpy as np

    said = {who(now_id.get(one, one)): value for one, value in store.values(conn).items()}
    said |= {one: move.value for one, move in moves if move.value is not None}
    found = np.full(len(everybody), np.nan)
    place, there = places_of(everybody, _array(list(said)))
    mine = np.flatnonzero(there)
    found[place[mine]] = np.array(list(said.values()))[mine]
    return found


def _checked(at: Setting, people: People, moves: Sequence[Move]) -> churn.Check | None:
    """Those who were at risk three months ago against the others; None before there are three months."""
    then = at.now - SILENCE
    if not moves or moves[0][1].at > then:
        return None
    _, before = people.risk(then)
    there = ~are_among(before.people, _gone(moves, then))
    left = are_among(before.people, _left(moves, then, at.now + timedelta(days=1)))
    return churn.check((before.count > 0)[there], left[there]) if there.any() else None


def _reasons(moves: Sequence[Move]) -> list[str]:
    """Why, once each time that somebody left; told again of who is gone already, the last reason counts."""
    standing: dict[int, str] = {}
    over = []
    for one, move in moves:
        if move.kind == "left":
            standing[one] = move.reason or standing.get(one, "")
        elif one in standing:
            over.append(standing.pop(one))
    return [*over, *standing.values()]


def _gone(moves: Sequence[Move], at: datetime) -> Array:
    """Of whom the last that was heard before a moment is that they left."""
    standing = {one: move.kind for one, move in moves if move.at < at}
    return _array([one for one, kind in standing.items() if kind == "left"])


def _left(moves: Sequence[Move], since: datetime, until: datetime) -> Array:
    return _array([one for one, move in moves if move.kind == "left" and since <= move.at < until])
