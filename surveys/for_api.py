"""What the API and the command line ask of this room: answers as plain dicts, and a report of a span that people wrote."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from bot.api.store import Reader
from bot.desk_folder.desk import Desk
from bot.model import Clock
from bot.staffing.people import hours_of
from bot.storage.tx import Tx
from surveys import report, responses, store
from surveys.figures.shape import DIMENSIONS, Question
from surveys.outside import store as outside
from surveys.responses import Imported
from surveys.rollups import keeping
from surveys.rollups import store as rollups
from surveys.rollups.facts import HoursOf


class SurveysForApi:
    """`desk` is the desk in force: its time zone says when a day begins."""

    def __init__(self, desk: Callable[[], Desk], clock: Clock) -> None:
        self._desk = desk
        self._clock = clock

    def responses(self, conn: Reader, *, after: str | None, limit: int) -> list[Mapping[str, Any]]:
        return [
            {
                "id": one.id,
                "case": one.case_id,
                "customer": one.customer_id,
                "instrument": one.instrument,
                "score": one.score,
                "comment": one.comment,
                "channel": one.channel,
                "locale": one.locale,
                "agent": one.agent,
                "team": one.team,
                "topic": one.topic,
                "at": one.at,
                "source": one.source,
                "mode": one.mode,
            }
            for one in store.responses(conn, after=after, limit=limit)
        ]

    def refusals(self, csv: str) -> list[tuple[int, str]]:
        return [(one.line, one.why) for one in responses.parse(csv.encode(), self._clock())[1]]

    def take_in(self, tx: Tx, csv: str) -> Mapping[str, Any]:
        rows, _ = responses.parse(csv.encode(), tx.now)
        return {"rows": len(rows), "new": store.add_imported(tx.conn, rows)}

    def as_csv(self, conn: Reader) -> str:
        return responses.render(everything(conn))

    def report(
        self, conn: Reader, since: str | None, until: str | None, by: str | None, where: Sequence[str] = ()
    ) -> Mapping[str, Any]:
        desk = self._desk()
        asked = question(since, until, by, where, desk)
        return make(conn, asked, partial(hours_of, desk), self._clock(), targets=desk.targets)


def everything(conn: Reader) -> list[Imported]:
    """All answers, and what was said elsewhere: what an export holds."""
    return [*store.responses(conn), *outside.listed(conn)]


def make(
    conn: Reader,
    asked: Question,
    hours: HoursOf,
    now: datetime,
    patience: int = 1,
    targets: Mapping[str, float] = report.NO_TARGETS,
) -> dict[str, Any]:
    """The report of a span, held against desk.yaml's `targets`. `hours` tells when a team's people are there, for what was not
    counted yet. With `patience` so many times more of that is counted for this report alone: where no house runs, nobody
    else does.
    """
    tables = keeping.material(conn, asked, hours, now, patience)
    return report.build(asked, tables, now, rollups.pending(conn, patience), targets)


def question(since: str | None, until: str | None, by: str | None, where: Sequence[str], desk: Desk) -> Question:
    """What people wrote as a question; a day as `until` counts in. Raises ValueError, `from: …`, `to: …`, `by: …`, `where: …`."""
    zone = ZoneInfo(desk.time_zone)
    start, end, names = span(since, until, by, zone)
    return Question(start, end, names, tuple(map(condition, where)), zone=zone, asking=desk.questions)


def condition(text: str) -> tuple[str, str]:
    """`channel=web` as (dimension, value). Raises ValueError, `where: …`."""
    name, sign, value = text.partition("=")
    if not sign or name.strip() not in DIMENSIONS:
        raise ValueError(f'where: "{text[:40]}" is not NAME=VALUE with a NAME of {", ".join(DIMENSIONS)}')
    return name.strip(), value.strip()


def span(
    since: str | None, until: str | None, by: str | None, zone: tzinfo
) -> tuple[datetime | None, datetime | None, tuple[str, ...]]:
    """What people wrote, as times and dimensions. Raises ValueError, `from: …`, `to: …` or `by: …`."""
    start, end = moment("from", since, zone), moment("to", until, zone, end=True)
    if start and end and start >= end:
        raise ValueError("to: is before from")
    return start, end, dimensions(by)


def moment(name: str, text: str | None, zone: tzinfo, *, end: bool = False) -> datetime | None:
    """A day (its beginning, or with `end` its end) or a time, local unless it has an offset, as UTC."""
    if text is None:
        return None
    try:
        if len(text) == len("2026-03-01"):
            day = date.fromisoformat(text) + timedelta(days=int(end))
            return datetime.combine(day, time(0), zone).astimezone(UTC)
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f'{name}: "{text[:40]}" is no day or time; write 2026-03-01 or 2026-03-01T14:05:00Z') from None


def dimensions(by: str | None) -> tuple[str, ...]:
    """The names in a list with commas, each once. Raises ValueError for one that is none."""
    names = tuple(dict.fromkeys(name.strip() for name in (by or "").split(",") if name.strip()))
    for name in names:
        if name not in DIMENSIONS:
            raise ValueError(f'by: "{name[:40]}" is none of {", ".join(DIMENSIONS)}')
    return names
