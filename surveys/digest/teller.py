"""Once a week, by whichever node is first: the figures are asked, the picture drawn, and the house is told.

Everything slow happens outside a transaction; the last step writes that the week is told together with the telling itself, so
that a crash tells it again, and two nodes tell it once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from bot.events import DigestMade
from bot.model import FileRef, new_id
from bot.storage import files, kept
from bot.storage.engine import Storage
from bot.storage.tx import Tx
from surveys.digest import picture, words
from surveys.digest.week import Plan, due, next_due, plan_from
from surveys.figures.shape import Figures, Question, weeks
from surveys.insights.records import store as records
from surveys.insights.records.nouns import WishState
from surveys.pages.board import main_score
from surveys.pages.store import Reader

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk

KEY: Final = "digest"
"""Under it is kept which week was told last: its Monday."""
DRAWN_WEEKS = 12
LOOK = timedelta(minutes=10)  # a desk may be reloaded with another plan

MOST_WISHES = 3


@dataclass(frozen=True, slots=True)
class Teller:
    """`run` is the work of a Worker."""

    storage: Storage
    desk: Callable[[], Desk]
    ask: Callable[[Question], Awaitable[Figures]]

    async def run(self) -> datetime:
        now = self.storage.clock()
        plan = plan_from(self.desk().digest)
        if plan is None:
            return now + LOOK
        zone = ZoneInfo(self.desk().time_zone)
        week, moment = due(plan, now, zone)
        if moment <= now and await self.storage.read(lambda conn: kept.get(conn, KEY)) != week.isoformat():
            await self._tell(plan, week, zone)
        return min(next_due(plan, now, zone), now + LOOK)

    async def _tell(self, plan: Plan, week: date, zone: ZoneInfo) -> None:
        desk = self.desk()
        now, before = await asyncio.gather(
            self.ask(_question(week, 1, zone, "topic")), self.ask(_question(week - timedelta(days=7), 1, zone, "topic"))
        )
        if now.pending:
            return  # figures are still being made: a post that half of the week lacks is never mended
        if not now.counts.get("cases") and not now.counts.get("responses"):
            await self.storage.write(lambda tx: kept.move(tx, KEY, week.isoformat()))  # a week without anybody
            return
        score = main_score(now, "")
        first = week - timedelta(days=7 * (DRAWN_WEEKS - 1))
        drawn = await self.ask(_question(first, DRAWN_WEEKS, zone, "week", metrics=(score,)))
        lines = drawn.series(score, weeks(first, week))
        channels = (await self.ask(_question(week, 1, zone, "channel", metrics=(score,)))).groups(score)
        png = await asyncio.to_thread(picture.draw, lines[0]) if lines else None
        text = "\n".join(words.lines(week, now, before, desk.targets, desk.locales[0], channels))
        await self.storage.write(lambda tx: _told(tx, plan, week, text, desk.locales[0], png))


def _told(tx: Tx, plan: Plan, week: date, text: str, locale: str, png: bytes | None) -> None:
    if not kept.move(tx, KEY, week.isoformat()):
        return  # another node was first
    file = None
    if png is not None:
        file = FileRef(new_id(), f"week-{week.isoformat()}.png", "image/png", len(png))
        files.keep_own(tx, file, png)
    file_id = file.id if file else None
    tx.emit(DigestMade(week.isoformat(), text, locale, file_id, plan.channel, _wishes(tx.conn)))


def _wishes(conn: Reader) -> tuple[tuple[str, int], ...]:
    """The most wanted features that there are not yet: (id, votes)."""
    found = records.wishes(conn, (WishState.OPEN, WishState.PLANNED))
    return tuple((one.id, one.votes) for one in found[:MOST_WISHES] if one.votes)


def _question(week: date, count: int, zone: ZoneInfo, *by: str, metrics: tuple[str, ...] = ()) -> Question:
    """So many weeks from that Monday on."""
    first, last = (
        datetime.combine(day, time(), zone).astimezone(UTC) for day in (week, week + timedelta(days=7 * count))
    )
    return Question(first, last, by, metrics=metrics, zone=zone)
