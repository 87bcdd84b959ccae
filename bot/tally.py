"""How many customers come to each step of a flow, and how many answer there: for the funnel in the console.

Counted in memory as turns commit, written every EVERY in one go: a write for each step would cost more than the turn
itself. A process that is killed loses the last seconds of these counts, and nothing else. They hold no word of anybody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from bot.errors import DatabaseFault
from bot.events import StepsTaken
from bot.storage import step_rows
from bot.storage.engine import Storage
from bot.storage.tx import Tx

log = structlog.get_logger()
EVERY = timedelta(seconds=10)
GOES_ON = {"answer", "retry", "article", "helped", "outcome", "back"}
"""Keys of a trace's entry that tell of a step to which the conversation came earlier."""
ANSWERED = {"answer", "known", "helped", "back"}
"""Keys that tell that nobody was lost there: who goes back comes again."""

Trace = Sequence[Mapping[str, Any]]


class Tally:
    """`run` is the work of a Worker; `heard` a subscriber of StepsTaken."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._reached, self._answered = Counter[tuple[str, str, str]](), Counter[tuple[str, str, str]]()
        self._since: datetime | None = None
        self._today: tuple[tuple[str, int], str] = ("", 0), ""  # what was found for a minute of a time zone

    def heard(self, tx: Tx, event: StepsTaken) -> None:
        now, day = tx.now, self._day(tx)
        tx.after_commit(lambda: self._add(event.trace, day, now))
        if self._since is None:
            tx.wake("tally")

    async def run(self) -> datetime | None:
        if self._since is None:
            return None
        if self._storage.clock() >= self._since + EVERY:
            await self.flush()
            return None
        return self._since + EVERY

    async def flush(self) -> None:
        """Write what was counted. What cannot be written now is kept for the next time."""
        reached, answered, self._since = self._reached, self._answered, None
        self._reached, self._answered = Counter(), Counter()
        if not reached and not answered:
            return
        try:
            await self._storage.write(lambda tx: step_rows.add(tx, reached, answered))
        except BaseException:
            self._reached.update(reached)
            self._answered.update(answered)
            raise

    async def stop(self) -> None:
        """The last counts; a database that is gone takes them along."""
        try:
            await self.flush()
        except DatabaseFault as error:
            log.warning("counts_not_kept", reason=str(error))

    def _day(self, tx: Tx) -> str:
        """Today. Found anew each minute, for wherever it is midnight a minute begins."""
        place = zone_name(tx), int(tx.now.timestamp()) // 60
        if self._today[0] != place:
            self._today = place, tx.now.astimezone(zone_of(tx)).date().isoformat()
        return self._today[1]

    def _add(self, trace: Trace, day: str, now: datetime) -> None:
        for flow, step, came, answered in taken(trace):
            if came:
                self._reached[flow, step, day] += 1
            if answered:
                self._answered[flow, step, day] += 1
        self._since = self._since or now


def zone_of(tx: Tx) -> ZoneInfo:
    """Days are those of the desk, as in all other figures."""
    return ZoneInfo(zone_name(tx))


def zone_name(tx: Tx) -> str:
    return str(getattr(tx.wiring.desk(), "time_zone", "UTC"))


def taken(trace: Trace) -> Iterator[tuple[str, str, bool, bool]]:
    """(flow, step, whether the conversation came there in this turn, whether it was answered there) of a turn. Pure."""
    begins, many = 0, len(trace)
    while begins < many:
        first = trace[begins]
        flow, step, answered = first["flow"], first["step"], not ANSWERED.isdisjoint(first)
        ends = begins + 1
        while ends < many and (one := trace[ends])["step"] == step and one["flow"] == flow:
            answered = answered or not ANSWERED.isdisjoint(one)
            ends += 1
        skipped = ends - begins == 1 and first.get("value") is False  # its own condition did not hold
        yield flow, step, not skipped and GOES_ON.isdisjoint(first), answered
        begins = ends
