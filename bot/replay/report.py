"""How often conversations differ, by topic, with 95 % intervals; as a table and as JSON. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bot.intervals import Interval, newcombe_paired, wilson
from bot.replay.compare import DIVERGED, FEWER, MORE, REWORDED, SAME, Finding

ALL = "all"
SHOWN = 20  # conversations that differ, below the table


@dataclass(frozen=True, slots=True)
class Line:
    """One topic, or all. `escalated` conversations went to people then; `more` do so now where they did not, `fewer` the
    reverse; `change` is the interval of the share's change. Counted is the first turn that differs, never what follows.
    """

    topic: str
    n: int
    same: int
    reworded: int
    diverged: int
    escalated: int
    more: int
    fewer: int
    dead_ends: int
    fewer_dead_ends: int

    @property
    def differing(self) -> Interval | None:
        return wilson(self.diverged, self.n)

    @property
    def change(self) -> Interval | None:
        kept = self.escalated - self.fewer
        return newcombe_paired(kept, self.fewer, self.more, self.n - self.escalated - self.more)


@dataclass(frozen=True, slots=True)
class Report:
    """`of` conversations were in the span; `findings` are of those that were played, in their order."""

    desk: str
    findings: tuple[Finding, ...]
    of: int
    seed: int

    @property
    def whole(self) -> Line:
        return line(ALL, self.findings)

    @property
    def lines(self) -> tuple[Line, ...]:
        """By topic, the most frequent first."""
        counted = Counter(one.topic for one in self.findings)
        topics = sorted(counted, key=lambda topic: (-counted[topic], topic))
        return tuple(line(topic, [one for one in self.findings if one.topic == topic]) for topic in topics)

    @property
    def kinds(self) -> dict[str, int]:
        """In how many conversations the first difference is of which kind."""
        return dict(Counter(one.kind for one in self.findings if one.kind).most_common())

    @property
    def differing(self) -> tuple[Finding, ...]:
        return tuple(one for one in self.findings if one.verdict == DIVERGED)

    @property
    def reworded(self) -> tuple[Finding, ...]:
        return tuple(one for one in self.findings if one.verdict == REWORDED)


def line(topic: str, findings: Iterable[Finding]) -> Line:
    found = list(findings)
    verdicts = Counter(one.verdict for one in found)
    return Line(
        topic,
        len(found),
        verdicts[SAME],
        verdicts[REWORDED],
        verdicts[DIVERGED],
        sum(one.escalated for one in found),
        sum(one.kind == MORE for one in found),
        sum(one.kind == FEWER for one in found),
        sum(one.dead_end > 0 for one in found),
        sum(one.dead_end < 0 for one in found),
    )


def as_json(report: Report) -> dict[str, Any]:
    """Shares 0…1 rounded to 4 places; `conversations` are those that are not the same, in the order of their opening."""
    return {
        "desk": report.desk,
        "conversations_in_span": report.of,
        "seed": report.seed,
        "all": _line_json(report.whole),
        "topics": [_line_json(one) for one in report.lines],
        "kinds": report.kinds,
        "conversations": [
            {
                "case": one.case_id,
                "number": one.number,
                "topic": one.topic,
                "locale": one.locale,
                "channel": one.channel,
                "turns": one.turns,
                "verdict": one.verdict,
                "turn": one.turn,
                "kind": one.kind or None,
                "detail": one.detail or None,
                "heard": one.heard,
                "then": one.then,
                "now": one.now,
            }
            for one in report.findings
            if one.verdict != SAME
        ],
    }


def _line_json(one: Line) -> dict[str, Any]:
    return {
        "topic": one.topic,
        "n": one.n,
        "same": one.same,
        "reworded": one.reworded,
        "diverged": one.diverged,
        "diverged_share": round(one.diverged / one.n, 4) if one.n else None,
        "diverged_interval": _pair(one.differing),
        "escalated": one.escalated,
        "escalations": {"more": one.more, "fewer": one.fewer, "change_interval": _pair(one.change)},
        "dead_ends": {"more": one.dead_ends, "fewer": one.fewer_dead_ends},
    }


def _pair(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [round(interval.low, 4), round(interval.high, 4)]


HEAD = (
    "topic",
    "n",
    "same",
    "reworded",
    "differ",
    "share (95 %)",
    "to people",
    "more",
    "fewer",
    "change (95 %)",
    "dead ends",
)


def cells(one: Line) -> tuple[str, ...]:
    """A line of the table."""
    share = "–" if one.differing is None else f"{one.diverged / one.n:.0%} ({_span(one.differing)})"
    change = "–" if one.change is None else f"{(one.more - one.fewer) / one.n:+.0%} ({_span(one.change, '+')})"
    dead = f"+{one.dead_ends} −{one.fewer_dead_ends}"
    counts = map(str, (one.n, one.same, one.reworded, one.diverged))
    return (one.topic, *counts, share, str(one.escalated), str(one.more), str(one.fewer), change, dead)


def _span(interval: Interval, sign: str = "") -> str:
    return f"{interval.low:{sign}.0%} … {interval.high:{sign}.0%}"


def told(findings: Sequence[Finding], shorten: Any) -> list[str]:
    """Conversations as lines of text; `shorten` puts somebody's words on one line of a terminal."""
    lines = []
    for one in findings:
        about = ": ".join(part for part in (one.kind or one.verdict, one.detail) if part)
        lines += [
            f"case {one.number or one.case_id}, turn {one.turn} of {one.topic}: {about}",
            f"  customer  {shorten(one.heard)}",
            f"  then      {shorten(one.then) or '(nothing)'}",
            f"  now       {shorten(one.now) or '(nothing)'}",
        ]
    return lines
