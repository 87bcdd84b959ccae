"""What is to be mended, and the team, as `bot/app.py` puts them into the house: who hears what, what rings, what is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from bot.console.page import Wing
from bot.events import Recorded, TeamTold
from bot.model import Occurred
from bot.outreach.telling import Notices
from bot.staffing.hours import is_open_at
from bot.staffing.people import hours_of
from bot.storage.engine import Storage
from bot.storage.tx import Subscriber, Tx
from bot.timers import Ringer
from surveys.for_api import moment
from surveys.insights.reports import REPORTS, Report, Setting
from surveys.insights.store import Reader
from surveys.insights.watch import Watch
from surveys.team import rounds
from surveys.team.reports import TEAM_REPORTS
from surveys.team.sheets import TeamSheets

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk


class Mending:
    """`desk` is asked afresh each time; `secret` keys who has answered a pulse; `tellers` bring word to the team (Slack)."""

    def __init__(self, storage: Storage, desk: Callable[[], Desk], notices: Notices, secret: str) -> None:
        self._storage = storage
        self._desk = desk
        self._watch = Watch(storage, desk, notices)
        self.tellers: list[Subscriber] = []
        self.pulse = rounds.Pulse(desk, secret)
        self.sheets = TeamSheets(desk, self.pulse, storage.clock)

    async def run(self) -> datetime:
        """A worker's work: see to it that the pulse has its timer, and look for spikes; when to look again."""
        await self._storage.write(self.pulse.begin)
        return await self._watch.run()

    def subscribers(self) -> Mapping[type, list[Subscriber]]:
        return {Recorded: [self._watch.on_recorded], TeamTold: self.tellers}

    def ringers(self) -> Mapping[str, Ringer]:
        return {rounds.KIND: self.pulse.due}

    def occurred(self, tx: Tx, customer_id: str, key: str, event: Occurred) -> None:
        """Another system's word on a customer: that they left, or came back."""
        self._watch.on_occurred(tx, customer_id, key, event)

    def reports(self) -> Mapping[str, Callable[[Reader, str | None, str | None], Report]]:
        """By name: what gives the report as it is now. A span, as people write it, counts where a report has none of its own."""
        found = {**REPORTS, **TEAM_REPORTS}
        return {name: partial(self._report, made) for name, made in found.items()}

    def _report(
        self, made: Callable[[Reader, Setting], Report], conn: Reader, since: str | None, until: str | None
    ) -> Report:
        zone = ZoneInfo(self._desk().time_zone)
        start, end = moment("from", since, zone), moment("to", until, zone, end=True)
        if start and end and start >= end:
            raise ValueError("to: is before from")
        return made(conn, self._setting(start, end))

    def wing(self) -> Wing:
        """The console's pages."""
        from surveys.console.wing import wing

        return wing(self.sheets, self.pulse)

    def _setting(self, since: datetime | None, until: datetime | None) -> Setting:
        desk = self._desk()
        is_open: Callable[[datetime], Any] | None = None
        if desk.hours is not None:
            hours = hours_of(desk, None)
            is_open = lambda at: is_open_at(hours, at)  # noqa: E731 - one line says it
        return Setting(self._storage.clock(), ZoneInfo(desk.time_zone), is_open, since, until)
