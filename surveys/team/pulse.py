"""The agents' pulse: a few questions a month, 1 to 5, and room for a word. Pure.

What is kept is a tally, {question: {score: how many}}: no answer, no time, no name. Whether somebody has answered is known by a
keyed hash of their id and the month.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from bot.intervals import Interval
from surveys.statistics import t_interval

FIVE = 5
"""Under so many answers nothing is shown."""
LOW, HIGH = 1, 5
SCORES = range(LOW, HIGH + 1)
OPEN_FOR = timedelta(days=7)
QUESTIONS = ("workload", "tools", "learning", "support", "proud")
"""Each has a text `pulse_<question>`; a desk's own come with their texts."""
LONGEST_COMMENT = 1000


@dataclass(frozen=True, slots=True)
class Round:
    """One month's questions. `given` is how many answered; `questions` (id, text or "" for a built-in one)."""

    id: str
    questions: tuple[tuple[str, str], ...]
    opened_at: datetime
    closes_at: datetime
    closed_at: datetime | None
    given: int
    tally: Mapping[str, Mapping[str, int]]
    comments: tuple[str, ...]
    who: tuple[str, ...]

    def is_open(self, now: datetime) -> bool:
        return self.closed_at is None and now < self.closes_at


@dataclass(frozen=True, slots=True)
class Answered:
    """What a question came to: `counts` from 1 to 5."""

    question: str
    text: str
    n: int
    mean: float
    interval: Interval | None
    counts: tuple[int, ...]


def results(found: Round, now: datetime) -> list[Answered] | None:
    """What came of a round; None while it is open, and for ever where fewer than FIVE answered."""
    if found.is_open(now) or found.given < FIVE:
        return None
    made = []
    for question, text in found.questions:
        counts = tuple(int(found.tally.get(question, {}).get(str(score), 0)) for score in SCORES)
        given = [float(score) for score, count in zip(SCORES, counts, strict=True) for _ in range(count)]
        if len(given) >= FIVE:
            made.append(
                Answered(question, text, len(given), sum(given) / len(given), t_interval(given, LOW, HIGH), counts)
            )
    return made


def added(
    found: Round, token: str, scores: Mapping[str, int], comment: str
) -> tuple[dict[str, dict[str, int]], list[str], list[str]]:
    """(tally, comments, who) with one more answer in them; the lists in an order that tells nothing."""
    tally = {question: dict(counts) for question, counts in found.tally.items()}
    for question, score in scores.items():
        counts = tally.setdefault(question, {})
        counts[str(score)] = counts.get(str(score), 0) + 1
    said = " ".join(comment.split())[:LONGEST_COMMENT]
    return tally, sorted([*found.comments, *([said] if said else [])]), sorted([*found.who, token])


def token_of(secret: str, round_id: str, agent_id: str) -> str:
    """Known again within one round, by whoever holds the secret; never across rounds."""
    return hmac.new(f"pulse\0{secret}".encode(), f"{round_id}\0{agent_id}".encode(), hashlib.sha256).hexdigest()[:32]


def month_of(now: datetime, zone: ZoneInfo) -> str:
    return f"{now.astimezone(zone):%Y-%m}"


def next_month(now: datetime, zone: ZoneInfo) -> datetime:
    """The first working day of the next month at ten, local time, in UTC."""
    local = now.astimezone(zone)
    year, month = (local.year + 1, 1) if local.month == 12 else (local.year, local.month + 1)
    first = datetime(year, month, 1, 10, tzinfo=zone)
    while first.weekday() >= 5:
        first += timedelta(days=1)
    return first.astimezone(now.tzinfo)


def asked(own: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The questions of a round: the desk's own words, else the built-in ones."""
    if own:
        return tuple((f"own{place}", text) for place, text in enumerate(own, 1))
    return tuple((question, "") for question in QUESTIONS)
