"""The page of figures: rather looked at than read. One address says all of it: span, filters, score, grouping.

/admin/figures               the page
/admin/figures/part          its changing part, 204 while nothing has changed (`seen`): asked every two seconds
/admin/figures.csv · .json   every figure of the span by the page's grouping

Charts are drawn by Chart.js 4.6.1 (MIT), a file of ours in `static/`; beside each stands its table.
"""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import orjson
from starlette.responses import Response

from bot.console.drawing.picture import plain
from bot.console.page import NAMES, Page, Visit, Wing
from bot.console.pages.flows import titled
from bot.flows.graph import Node, graph
from bot.flows.schema import OUTCOMES
from bot.storage.engine import Storage
from bot.texts import known
from surveys.console.seen import day, short_day
from surveys.figures.catalogue import METRICS
from surveys.figures.shape import Figures, Question
from surveys.pages import board, store
from surveys.pages.asked import FILTERS, GROUPS, NONE, Asked, read
from surveys.responses import to_cell
from surveys.survey import INSTRUMENTS

HERE = Path(__file__).parent
Ask: TypeAlias = Callable[[Question], Awaitable[Figures]]
"""Answers a question of figures: `surveys/rollups`'s."""
NOTICED = ("say", "ask", "kb", "escalate", "close")
"""Verbs of the steps that a funnel shows; the others do their work unseen."""
CASES = "escalated"  # the metric that rests on every case: its n counts them


@dataclass(frozen=True, slots=True)
class Dashboard:
    """The handlers. `storage` is read for what are no figures."""

    storage: Storage
    ask: Ask

    async def show(self, visit: Visit) -> Response:
        return await visit.page("figures.html", **await self._whole(visit))

    async def part(self, visit: Visit) -> Response:
        """The part that changes; nothing while it has not."""
        seen = await self._mark()
        if visit.query("seen") == seen:
            return Response(status_code=204, headers={"Cache-Control": "no-store"})
        return await visit.page("figures_part.html", **await self._whole(visit))

    async def table(self, visit: Visit) -> Response:
        figures, asked = await self._exported(visit)
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\r\n")
        for row in board.exported(figures, (asked.by,)):
            writer.writerow([to_cell(one) if isinstance(one, str) else one for one in row])
        return _file(out.getvalue().encode("utf-8-sig"), "text/csv; charset=utf-8", "figures.csv")

    async def objects(self, visit: Visit) -> Response:
        figures, asked = await self._exported(visit)
        head, *rows = board.exported(figures, (asked.by,))
        body = {
            "from": asked.first,
            "to": asked.last,
            "by": asked.by,
            "where": dict(asked.where),
            "figures": [dict(zip(head, row, strict=True)) for row in rows],
            "counts": dict(figures.counts),
            "skipped": dict(figures.skipped),
            "pending": figures.pending,
        }
        return _file(orjson.dumps(body, option=orjson.OPT_INDENT_2), "application/json", "figures.json")

    # ── what a page is made of ─────────────────────────────────────────────────────────────────────────────────────
    async def _exported(self, visit: Visit) -> tuple[Figures, Asked]:
        asked, zone = _asked(visit)
        return await self.ask(asked.question(zone, asked.by)), asked

    async def _mark(self) -> str:
        now = self.storage.clock()
        return await self.storage.read(lambda conn: store.mark(conn, now))

    async def _whole(self, visit: Visit) -> dict[str, Any]:
        asked, zone = _asked(visit)
        locale, rules = visit.locale, visit.rooms.rules
        seen = await self._mark()  # before the figures: what comes in between is new to the page
        then = asked.before().question(zone, metrics=tuple(METRICS))  # by name: who was silent then is told nowhere
        now, before = await asyncio.gather(self.ask(asked.question(zone)), self.ask(then))
        score = board.main_score(now, asked.score)
        weekly, load, topics, groups = await asyncio.gather(
            self.ask(asked.question(zone, "week", metrics=(score, "ttr"))),
            self.ask(asked.question(zone, "weekday", "hour", metrics=(CASES,))),
            self.ask(asked.question(zone, "week", "topic", metrics=(CASES,))),
            self.ask(asked.question(zone, asked.by, metrics=(score, *board.COLUMNS))),
        )
        days = (asked.first.isoformat(), asked.last.isoformat())
        came, values, agents = await self.storage.read_apart(
            lambda conn: (store.came(conn, *days), store.values(conn), store.agents(conn))
        )
        names = _names(visit, agents)
        weeks = board.axis(asked.first, asked.last)
        return {
            "asked": asked,
            "seen": seen,
            "score": score,
            "rows": board.tiles(now, before, rules.targets, locale),
            "counts": now.counts,
            "pending": now.pending,
            "answering": board.answering(now, score, names, locale),
            "skipped": sorted(now.skipped.items(), key=lambda one: -one[1]),
            "spread": board.spread(now.of(score)),
            "lines": [board.band(line, locale) for metric in (score, "ttr") for line in weekly.series(metric, weeks)],
            "heat": board.load(load, CASES),
            "weekdays": board.weekdays(locale),
            "topics": board.counts(topics.series(CASES, weeks), names["topic"], weeks),
            "table": board.table(groups, asked.by, score, names.get(asked.by, {}), locale),
            "columns": (score, *board.COLUMNS),
            "funnels": board.funnels(came, _paths(visit)) if not asked.where else [],
            "filters": _filters(asked, names, values),
            "groupings": GROUPS,
            "instruments": list(INSTRUMENTS),
            "spans": board.spans(self.storage.clock().astimezone(zone).date()),
            "none": NONE,
            "day": lambda on: short_day(visit, date.fromisoformat(on)),
            "whole_day": lambda on: day(visit, on),
            "narrowed": len(asked.where),
            "told_skip": lambda reason: (
                visit.t(f"figures_skip_{reason}") if known(f"figures_skip_{reason}") else reason
            ),
        }


def _asked(visit: Visit) -> tuple[Asked, ZoneInfo]:
    zone = ZoneInfo(visit.rooms.rules.time_zone)
    today = visit.rooms.storage.clock().astimezone(zone).date()
    return read(dict(visit.request.query_params), today), zone


def _names(visit: Visit, agents: Mapping[str, str]) -> Mapping[str, Mapping[str, str]]:
    """What people call the values of a dimension. `agents` are known by these names, though they left; the desk's come first."""
    rules = visit.rooms.rules
    people = {one.id: one.name for one in rules.agents}
    people = {**people, **{one: name for one, name in agents.items() if one not in people}}
    return {
        "team": {one.id: one.name for one in rules.teams},
        "agent": people,
        "involved": people,
        "outcome": {one: visit.t(f"outcome_{one}") for one in OUTCOMES},
        "locale": {one: NAMES.get(one, one) for one in rules.locales},
        "flow": {one.id: titled(one.title, visit.locale) or one.id for one in rules.flows.values()},
        "channel": {one: visit.t(f"channel_{one}") for one in ("web", "telegram", "slack") if known(f"channel_{one}")},
        "topic": {one.id: titled(one.title, visit.locale) or one.id for one in rules.flows.values()},
    }


def _paths(visit: Visit) -> Mapping[str, board.Path]:
    """Each flow by what a customer notices of it: what it says and asks, where it hands over and ends."""
    return {
        flow.id: board.Path(
            flow.file,
            titled(flow.title, visit.locale) or flow.id,
            [(node.id, _says(visit, node)) for node in graph(flow, visit.locale).nodes if node.verb in NOTICED],
        )
        for flow in visit.rooms.rules.flows.values()
    }


def _says(visit: Visit, node: Node) -> str:
    return ": ".join(filter(None, (visit.t(f"console_verb_{node.verb}"), plain(node.text) or node.name)))


def _filters(
    asked: Asked, names: Mapping[str, Mapping[str, str]], values: Mapping[str, Sequence[str]]
) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """(dimension, what is chosen, what can be)."""
    found = []
    for name in FILTERS:
        had, listed = values.get(name, ()), names[name]
        order = (*listed, *had) if name in {"team", "agent"} else (*had, *listed)
        offered = {one: listed.get(one, one) for one in order}
        chosen = asked.where.get(name, "")
        if chosen and chosen != NONE:
            offered.setdefault(chosen, chosen)
        found.append((name, chosen, list(offered.items())))
    return found


def _file(body: bytes, media: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(body, media_type=media, headers={**headers, "X-Content-Type-Options": "nosniff"})


def wing(storage: Storage, ask: Ask) -> Wing:
    """The pages of figures, for the console."""
    made = Dashboard(storage, ask)
    pages = (
        Page("/figures", made.show, menu="console_figures", group="console_group_mend"),
        Page("/figures/part", made.part),
        Page("/figures.csv", made.table),
        Page("/figures.json", made.objects),
    )
    return Wing("figures", pages, HERE / "templates", HERE / "static")
