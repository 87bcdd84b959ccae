"""Improvements: what was changed, by which metric it is judged, and what can be said of it so far."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from bot.console.page import Visit
from bot.errors import Conflict, StafettError
from bot.storage.tx import Tx
from bot.texts.refused import in_words
from surveys.console.seen import day, digest_of, moment, must_be_as_seen, read, setting, zone_of
from surveys.insights import store as figures
from surveys.insights.judging import judge, past
from surveys.insights.records import improving, store
from surveys.insights.records.nouns import LEAST_DAYS, MOST_DAYS, SCOPES, Improvement, Metric
from surveys.insights.records.words import amount_of, day_of
from surveys.insights.reports.effects import improvements, judgement
from surveys.insights.store import Reader

METRICS = [one.value for one in Metric]
FRESH: dict[str, Any] = {"id": "", "title": "", "what": "", "starts_on": "", "days": 28, "metric": "ces", "scope": {}}


async def listed(visit: Visit) -> Response:
    found = await read(visit, lambda conn: improvements(conn, setting(visit)))
    rows = [{**one, "day": day(visit, one["starts_on"]), "picture": picture(one)} for one in found["items"]]
    return await visit.page("mend_improvements.html", rows=rows)


async def begun(visit: Visit) -> Response:
    return await _form(visit, {**FRESH, "cost": None, "unit_value": None, "currency": ""})


async def show(visit: Visit) -> Response:
    improvement_id, at = visit.param("id"), setting(visit)

    def query(conn: Reader) -> tuple[Improvement, dict[str, Any]]:
        found = store.improvement(conn, improvement_id)
        seen = past(conn, [found], at.now, at.zone)
        return found, judgement(judge(seen, found, store.improvements(conn), at.now, at.zone))

    record, found = await read(visit, query)
    settled = record.starts_on <= at.now.astimezone(at.zone).date()
    return await _form(visit, {**_plain(record)}, found=found, settled=settled, seen=digest_of(record))


async def save(visit: Visit) -> Response:
    """`do` is save | remove. What can't be stands in the fields again, below the reason."""
    improvement_id, by, form = visit.param("id") or None, visit.person.who, visit.form
    if form.one("do") == "remove" and improvement_id:
        await visit.rooms.storage.write(lambda tx: improving.remove(tx, improvement_id, by))
        return visit.go("/improvements", "mend_improvement_removed")
    scope = {name: form.one(name) for name in SCOPES}
    try:
        if form.one("metric") not in METRICS:
            raise Conflict(visit.t("mend_metric_needed"))
        days = form.one("days")
        values: dict[str, Any] = {
            "title": form.one("title"),
            "what": form.one("what"),
            "starts_on": day_of(form.one("starts_on")),
            "days": int(days) if days.isascii() and days.isdigit() and len(days) < 6 else 0,
            "scope": scope,
            "metric": Metric(form.one("metric")),
            "cost": amount_of(form.one("cost")),
            "unit_value": amount_of(form.one("unit_value")),
            "currency": form.one("currency"),
        }

        def put(tx: Tx) -> Improvement:
            if improvement_id:
                must_be_as_seen(visit, store.held_improvement(tx, improvement_id))
            return improving.put(tx, improvement_id, by, zone_of(visit), **values)

        kept = await visit.rooms.storage.write(put)
    except StafettError as error:
        names = ("title", "what", "starts_on", "days", "metric", "cost", "unit_value", "currency")
        written = {name: form.one(name) for name in names}
        told = in_words(str(error), visit.locale)
        shown = {**written, "id": improvement_id or "", "scope": scope}
        return await _form(visit, shown, error=told, seen=form.one("seen"))
    return visit.go(f"/improvements/{kept.id}", "mend_kept")


async def _form(
    visit: Visit,
    record: dict[str, Any],
    *,
    found: dict[str, Any] | None = None,
    settled: bool = False,
    seen: str = "",
    error: str = "",
) -> Response:
    desk = visit.rooms.rules
    topics = await read(visit, lambda conn: figures.topics(conn, setting(visit).now.replace(year=2000)))
    return await visit.page(
        "mend_improvement.html",
        status=409 if error else 200,
        record=record,
        found=found,
        picture=picture(found) if found else None,
        chosen_at=moment(visit, found["metric_fixed_at"]) if found else "",
        settled=settled,
        seen=seen,
        error=error,
        metrics=METRICS,
        topics=topics,
        flows=sorted(desk.flows),
        teams=[(one.id, one.name) for one in desk.teams],
        channels=("web", "telegram", "slack"),
        least=LEAST_DAYS,
        most=MOST_DAYS,
    )


def _plain(record: Improvement) -> dict[str, Any]:
    return {
        "id": record.id,
        "title": record.title,
        "what": record.what,
        "starts_on": record.starts_on.isoformat(),
        "days": record.days,
        "metric": record.metric.value,
        "scope": dict(record.scope),
        "cost": record.cost,
        "unit_value": record.unit_value,
        "currency": record.currency,
    }


WIDTH, EDGE = 200.0, 10.0


def picture(found: dict[str, Any]) -> dict[str, float] | None:
    """Where the interval, its middle and nothing-changed lie in a box of 200 wide; None where nothing can be drawn."""
    effect = found["beyond_elsewhere"] or found["effect"]
    if effect is None:
        return None
    zero = 1.0 if effect["is_ratio"] else 0.0
    low, high = effect["interval"]
    left, right = min(low, zero), max(high, zero)
    scale: float = (WIDTH - 2 * EDGE) / (right - left) if right > left else 0.0

    def at(value: float) -> float:
        return round(EDGE + float(value - left) * scale, 1)

    return {"low": at(low), "high": at(high), "middle": at(effect["difference"]), "zero": at(zero)}
