"""The clocks of a case kept: `sla.py` over the desk in force, written with each step, and one timer for the next alarm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from bot import timers
from bot.model import CaseStatus
from bot.storage.tx import Tx
from handoff import hours, sla, store, terms
from handoff.case import Case
from handoff.sla import Clock, Due, Ended

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk


def step(
    tx: Tx, case: Case, event: str, status: CaseStatus, values: Mapping[str, Any]
) -> tuple[dict[str, Any], Sequence[dict[str, Any]]]:
    """What a step of the lifecycle writes into `sla`, and a line of the audit for each target that ends by it.

    `values` are what else the step writes. A desk without service levels writes nothing.
    """
    desk: Desk | None = tx.wiring.desk()
    known = {name: values[name] for name in ("team", "priority", "escalation") if name in values}
    then = replace(case, **known)
    targets, before = terms.targets(desk, then), Clock.from_json(case.sla)
    if before is None and not targets.any:
        return {}, ()
    clock, ended = sla.after(before, event, status, tx.now, hours.of(desk, then.team))
    lines = [line for one in ended if (line := _line(one, getattr(targets, one.target))) is not None]
    return ({"sla": clock and clock.to_json()} if clock != before else {}), lines


def _line(ended: Ended, span: timedelta | None) -> dict[str, Any] | None:
    if span is None:
        return None
    took, target = ended.took.total_seconds(), span.total_seconds()
    return {"target": ended.target, "took_s": took, "target_s": target, "met": took <= target}


def heard(tx: Tx, case: Case) -> Case:
    """The customer wrote in a case that stays as it is: from their first unanswered word on they are owed one."""
    before = Clock.from_json(case.sla)
    if before is None or before.waiting is not None:
        return case
    clock, _ = sla.after(before, "customer_wrote", case.status, tx.now, hours.of(tx.wiring.desk(), case.team))
    return arm(tx, store.change(tx, case, sla=clock and clock.to_json()))


def next_due(desk: Desk | None, case: Case) -> Due | None:
    """The target of a live case that is due next, for its card; None: nothing runs."""
    if not case.with_people:
        return None
    found = sla.dues(Clock.from_json(case.sla), terms.targets(desk, case), hours.of(desk, case.team))
    return min(found, key=lambda one: one.at, default=None)


def arm(tx: Tx, case: Case) -> Case:
    """Set the timer of the next alarm, or take it away: cases that are over have none."""
    clock = Clock.from_json(case.sla)
    if clock is None:
        return case
    desk: Desk | None = tx.wiring.desk()
    left = sla.alarms(clock, terms.targets(desk, case), hours.of(desk, case.team)) if case.with_people else []
    key = f"sla:{case.id}"
    if left:
        timers.set_timer(tx, "sla", key, left[0][0], customer_id=case.customer_id, case_id=case.id)
    else:
        timers.cancel(tx, key)
    return case
