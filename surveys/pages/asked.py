"""What a page of figures was asked for, read from its address: a span, filters, a score, a grouping. And the way back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from surveys.figures.shape import Question
from surveys.responses import FIRST_YEAR
from surveys.survey import INSTRUMENTS

FILTERS = ("channel", "team", "agent", "flow", "topic", "locale")
GROUPS = (*FILTERS, "involved", "step", "reason", "week")
USUAL_WEEKS = 12
LONGEST = 366 * 5  # days
NONE = "-"  # in an address: who has no team, no topic …


@dataclass(frozen=True, slots=True)
class Asked:
    """`first` and `last` are days by the desk's clock, both within. `score` is an instrument; "": that with most answers."""

    first: date
    last: date
    where: Mapping[str, str]
    by: str = "channel"
    score: str = ""

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    def question(self, zone: ZoneInfo, *by: str, metrics: tuple[str, ...] = ()) -> Question:
        where = tuple((name, "" if value == NONE else value) for name, value in self.where.items())
        return Question(
            _starts(self.first, zone), _starts(self.last + timedelta(days=1), zone), by, where, metrics, zone
        )

    def before(self) -> Asked:
        """The span of the same length just before."""
        span = timedelta(days=self.days)
        return replace(self, first=self.first - span, last=self.last - span)

    def address(self, **other: str) -> str:
        """The page's query, with these parts otherwise; "" leaves a part away."""
        said = {"from": self.first.isoformat(), "to": self.last.isoformat(), **self.where}
        said |= {"by": self.by} if self.by != "channel" else {}
        said |= {"score": self.score} if self.score else {}
        return urlencode({key: value for key, value in {**said, **other}.items() if value})


def read(query: Mapping[str, str], today: date) -> Asked:
    """What an address asks; what it says wrongly counts as not said, for an address is often cut or mistyped."""
    last = min(_day(query.get("to")) or today, today)
    first = _day(query.get("from")) or last - timedelta(days=7 * USUAL_WEEKS - 1)
    first = min(max(first, last - timedelta(days=LONGEST)), last)
    where = {name: query[name][:200] for name in FILTERS if query.get(name)}
    by, score = query.get("by", ""), query.get("score", "")
    return Asked(first, last, where, by if by in GROUPS else "channel", score if score in INSTRUMENTS else "")


def _day(text: str | None) -> date | None:
    try:
        found = date.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.year >= FIRST_YEAR else None  # 0002-01-01 stands in a field while a year is being typed


def _starts(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
