"""Complaints, suggestions and praise, by product, service and process: filtered, corrected, and as CSV."""

from __future__ import annotations

import csv
import io
from collections import Counter
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from bot.console.page import Visit
from bot.errors import Conflict
from surveys.console.issues import case_of
from surveys.console.seen import moment, read, setting
from surveys.insights import store as figures
from surveys.insights.records import labelling, store
from surveys.insights.records.nouns import Area, Label, LabelKind
from surveys.insights.reports.scores import DRIVERS_OF
from surveys.insights.store import Reader
from surveys.responses import to_cell

KINDS, AREAS = [one.value for one in LabelKind], [one.value for one in Area]
COLUMNS = ("at", "case", "kind", "area", "text", "topic", "channel", "source")
SHOWN = 200


async def show(visit: Visit) -> Response:
    asked = _asked(visit)

    def query(conn: Reader) -> tuple[dict[tuple[str, str | None], int], list[Label], list[str]]:
        found = store.labels(conn, **asked, limit=SHOWN)
        return store.count_labels(conn), found, figures.topics(conn, setting(visit).now - DRIVERS_OF)

    every, found, topics = await read(visit, query)
    counted = Counter({(kind, area or ""): n for (kind, area), n in every.items()})
    rows = [{"label": one, "at": moment(visit, one.at)} for one in found]
    table: list[dict[str, Any]] = [
        {"kind": kind, "cells": [(area, counted[kind, area]) for area in (*AREAS, "")]} for kind in KINDS
    ]
    chosen = {name: visit.query(name) for name in ("kind", "area", "topic")}
    given = {name: value for name, value in chosen.items() if value}
    return await visit.page(
        "mend_labels.html",
        rows=rows,
        table=table,
        kinds=KINDS,
        areas=AREAS,
        topics=topics,
        chosen=chosen,
        address=urlencode(given),
        total=counted.total(),
    )


def _asked(visit: Visit) -> dict[str, Any]:
    """The filter that the address says; `area=none` for those without one."""
    found = {}
    if visit.query("kind") in KINDS:
        found["kind"] = visit.query("kind")
    if visit.query("area") in {*AREAS, "none"}:
        found["area"] = "" if visit.query("area") == "none" else visit.query("area")
    if visit.query("topic"):
        found["topic"] = visit.query("topic")
    return found


async def export(visit: Visit) -> Response:
    """The same filter as a file; texts that a spreadsheet would run as a formula begin with an apostrophe."""
    asked = _asked(visit)
    found = await read(visit, lambda conn: store.labels(conn, **asked, limit=None))
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for one in found:
        area = one.area.value if one.area else ""
        told = (one.at.isoformat().replace("+00:00", "Z"), one.number or "", one.kind.value, area)
        writer.writerow([to_cell(value) for value in (*told, one.text, one.topic, one.channel, one.source)])
    headers = {"Content-Disposition": 'attachment; filename="labels.csv"', "Cache-Control": "no-store"}
    return Response(out.getvalue().encode("utf-8-sig"), media_type="text/csv; charset=utf-8", headers=headers)


async def change(visit: Visit) -> Response:
    """`do` is add | set | remove."""
    form, by, storage = visit.form, visit.person.who, visit.rooms.storage
    label_id = form.one("id")
    if form.one("do") == "remove":
        await storage.write(lambda tx: labelling.unlabel(tx, label_id, by))
        return visit.go("/feedback", "mend_label_removed")
    if form.one("kind") not in KINDS:
        raise Conflict(visit.t("mend_kind_needed"))
    kind = LabelKind(form.one("kind"))
    area = Area(form.one("area")) if form.one("area") in AREAS else None
    if form.one("do") == "set":
        await storage.write(lambda tx: labelling.relabel(tx, label_id, kind, area, by))
        return visit.go("/feedback", "mend_kept")
    case_id, text = await case_of(visit, form.one("number").strip().lstrip("#")), form.one("text")
    await storage.write(lambda tx: labelling.label_case(tx, case_id, kind, area, text, by))
    return visit.go("/feedback", "mend_kept")
