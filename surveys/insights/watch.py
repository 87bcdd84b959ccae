"""What this room does by itself: looks for spikes every hour, and hears what flows record and other systems tell.

Reading is done on a connection of its own, so that counting half a year of cases never holds up a turn; only what was found is
written. Every node looks; an alarm's topic and week are unique, so it is raised once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from bot.events import Recorded, TeamTold
from bot.model import Occurred
from bot.outreach.telling import Notices
from bot.storage import customers
from bot.storage.engine import Storage
from bot.storage.tx import Tx
from bot.storage.wish_titles import BY_FLOW
from bot.texts import say
from surveys.insights import spikes, store
from surveys.insights.records import labelling, wishing
from surveys.insights.records import store as records
from surveys.insights.records.alarms import raise_alarm
from surveys.insights.records.nouns import LONGEST_TEXT, Area, LabelKind
from surveys.insights.records.problems import Aged, ageing
from surveys.insights.spikes import Spike
from surveys.insights.store import Departure, Reader
from surveys.insights.topics import by_week
from surveys.insights.weeks import Spans, weeks
from surveys.rollups.store import is_far_behind

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk

EVERY: Final = timedelta(hours=1)
LEFT, BACK = "customer.left", "customer.back"
"""Events of another system: `POST /customers/{id}/events` with `{"reason": …, "value": …}` among their values."""
LONGEST_REASON = 80
REMINDED: Final = "insights_reminded"
LISTED: Final = 10  # overdue problems that the team's post names


class Watch:
    """`desk` is asked afresh each time, because a desk may be reloaded."""

    def __init__(self, storage: Storage, desk: Callable[[], Desk], notices: Notices) -> None:
        self._storage = storage
        self._desk = desk
        self._notices = notices

    async def run(self) -> datetime:
        """Look at this week; when to look again."""
        desk, now = self._desk(), self._storage.clock()
        spans = weeks(now, spikes.LOOK_BACK + 1, ZoneInfo(desk.time_zone))
        found = [one for one in await self._storage.read_apart(lambda conn: looked(conn, spans)) if one.is_alarm]
        week, since, _ = spans[-1]
        for one in found:
            await self._storage.write(partial(self._raise, spike=one, week=week, since=since))
        await self._storage.write(lambda tx: self._remind(tx, week))
        return now + EVERY

    def _remind(self, tx: Tx, week: str) -> None:
        """Once a week the team hears of problems that should have been fixed by now."""
        if not records.is_first(tx, REMINDED, week):
            return
        zone = ZoneInfo(self._desk().time_zone)
        late = [one for one in ageing(records.problems(tx.conn), {}, tx.now, zone) if one.overdue]
        if late:
            values = {"count": len(late), "problems": "\n".join(self._late(late))}
            tx.emit(TeamTold("insights_overdue", values, "/admin/problems"))

    def _late(self, late: Sequence[Aged]) -> Iterator[str]:
        """A line each, in the agents' language."""
        desk = self._desk()
        for one in late[:LISTED]:
            about = {"title": one.problem.title, "days": one.overdue, "owner": one.problem.owner or "–"}
            yield say("insights_overdue_one", desk.locales[0], desk.texts, **about)
        if len(late) > LISTED:
            yield f"… +{len(late) - LISTED}"

    def _raise(self, tx: Tx, spike: Spike, week: str, since: datetime) -> bool:
        return raise_alarm(tx, self._notices, spike, week, since, self._desk())

    # ── what is heard ──────────────────────────────────────────────────────────────────────────────────────────────
    def on_recorded(self, tx: Tx, event: Recorded) -> None:
        """A flow found a wish, a complaint, a suggestion or praise."""
        who = customers.customer(tx.conn, event.customer_id)
        said = labelling.words_of(event.values).strip()[:LONGEST_TEXT]  # their turn goes on, however much they wrote
        if who is None or not said:
            return
        area = labelling.area_of(event.values)
        if event.kind == "feature_request":
            about = area or Area.PRODUCT
            wishing.wished(tx, who.id, event.case_id, said, who.locale, by=BY_FLOW, area=about)
            self._label(tx, event, who.id, LabelKind.SUGGESTION, about, said)
        elif event.kind in set(LabelKind):
            self._label(tx, event, who.id, LabelKind(event.kind), area, said)

    def _label(self, tx: Tx, event: Recorded, customer_id: str, kind: LabelKind, area: Area | None, said: str) -> None:
        if event.case_id is not None:
            labelling.label(tx, event.case_id, customer_id, kind, area, said, None)

    def on_occurred(self, tx: Tx, customer_id: str, key: str, event: Occurred) -> None:
        """Another system says that a customer left, or came back."""
        if event.name in {LEFT, BACK}:
            kind = "left" if event.name == LEFT else "back"
            reason = " ".join(str(event.values.get("reason") or "").split())[:LONGEST_REASON] or None
            made = Departure(customer_id, kind, reason, _amount(event.values), tx.now)
            store.depart(tx, key, made)


def looked(conn: Reader, spans: Spans) -> list[Spike]:
    """Every topic's last week against the weeks before; weeks before the first case of all are no weeks. Nothing while the facts
    of an old house are still being made: weeks that are half counted would make this one look busy.
    """
    if is_far_behind(conn):
        return []
    counts = store.counts(conn, spans)
    names = [name for name, _, _ in spans]
    first = next((place for place, name in enumerate(names) if any(week == name for _, week in counts)), len(names))
    kept = names[first:]
    if not kept:
        return []
    alarmed: dict[str, set[int]] = {}
    for topic, week in records.alarmed_weeks(conn, kept[0]):
        if week in kept:
            alarmed.setdefault(topic, set()).add(kept.index(week))
    return spikes.look(by_week(counts, kept), alarmed)


def _amount(values: Mapping[str, object]) -> float | None:
    worth = values.get("value")
    return float(worth) if isinstance(worth, int | float) and not isinstance(worth, bool) else None
