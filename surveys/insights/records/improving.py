"""Improvement records: the metric is chosen before the change, and stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, tzinfo

from bot.errors import Conflict
from bot.model import new_id
from bot.storage import audit
from bot.storage.tx import Tx
from surveys.insights.records import store
from surveys.insights.records.nouns import LEAST_DAYS, MOST_DAYS, SCOPES, Improvement, Metric
from surveys.insights.records.words import text_of, title_of


def put(
    tx: Tx,
    improvement_id: str | None,
    by: str,
    zone: tzinfo,
    *,
    title: str,
    what: str,
    starts_on: date | None,
    days: int,
    scope: Mapping[str, str],
    metric: Metric,
    cost: float | None,
    unit_value: float | None,
    currency: str,
) -> Improvement:
    """A new record, or a changed one. From the day of the change on, day, scope, span and metric stay as they are.

    Raises Conflict for what can't be, NotFound for a record that is gone.
    """
    if starts_on is None:
        raise Conflict("say on which day it begins")
    if not LEAST_DAYS <= days <= MOST_DAYS:
        raise Conflict(f"compare {LEAST_DAYS} to {MOST_DAYS} days")
    within = {name: value.strip() for name, value in scope.items() if name in SCOPES and value.strip()}
    before = store.improvement(tx.conn, improvement_id) if improvement_id else None
    judged = (starts_on, days, within, metric)
    if before is not None and judged != (before.starts_on, before.days, dict(before.scope), before.metric):
        if before.starts_on <= tx.now.astimezone(zone).date():
            raise Conflict("what it is judged by was settled before the change, and stays; make a new record instead")
        before = replace(before, metric_fixed_at=tx.now)
    made = Improvement(
        id=before.id if before else new_id(),
        title=title_of(title),
        what=text_of(what),
        starts_on=starts_on,
        days=days,
        scope=within,
        metric=metric,
        metric_fixed_at=before.metric_fixed_at if before else tx.now,
        cost=cost,
        unit_value=unit_value,
        currency=" ".join(currency.split())[:8],
        created_by=before.created_by if before else by,
        created_at=before.created_at if before else tx.now,
        updated_at=tx.now,
    )
    store.put_improvement(tx, made)
    audit.of_console(tx, by, "improvement changed" if before else "improvement recorded", title=made.title)
    return made


def remove(tx: Tx, improvement_id: str, by: str) -> None:
    found = store.improvement(tx.conn, improvement_id)
    store.remove_improvement(tx, improvement_id)
    audit.of_console(tx, by, "improvement removed", title=found.title)
