"""Running conversations and the versions of flows that they run in: how many run where, and moving them to the one in force.

live(conn) -> {flow: {hash: how many}}
behind(conn, desk, flow) -> customers in an older version of it
move(tx, desk, flow, dry=True) -> Moved(moved, refused)       refused: customer → why there is no place for them
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.desk_folder import Desk
from bot.flows import versions
from bot.flows.expressions import Scope
from bot.flows.migrate import NoPlace, move_all
from bot.flows.schema import Flow
from bot.flows.talk import FlowState
from bot.storage import customers, flow_rows
from bot.storage.tx import Tx


@dataclass(frozen=True, slots=True)
class Moved:
    """Customers whose conversation goes (or, dry, would go) over, and those for whom there is no place, and why."""

    moved: tuple[str, ...]
    refused: Mapping[str, str]


def live(conn: Any) -> dict[str, dict[str, int]]:
    """How many running conversations each version of each flow has."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for _, state in flow_rows.running(conn):
        for flow, content in {(one.flow, one.hash) for one in FlowState.from_json(state.get("flow") or {}).frames}:
            found[flow][content] += 1
    return {flow: dict(counts) for flow, counts in found.items()}


def behind(conn: Any, desk: Desk, flow_id: str) -> list[str]:
    """The customers whose conversation runs in an older version of this flow."""
    now = desk.flows[flow_id].hash
    return [
        customer_id
        for customer_id, state in flow_rows.running(conn)
        if any(one.flow == flow_id and one.hash != now for one in FlowState.from_json(state.get("flow") or {}).frames)
    ]


def move(tx: Tx, desk: Desk, flow_id: str, *, by: str = "", dry: bool = True) -> Moved:
    """Every conversation in an older version of this flow, with a line in the audit. Dry: nothing is changed."""
    found = move_some(tx, desk, flow_id, behind(tx.conn, desk, flow_id), dry=dry)
    if not dry:
        flow_rows.told(tx, by, flow_id, desk.flows[flow_id].hash, len(found.moved), len(found.refused))
    return found


def move_some(tx: Tx, desk: Desk, flow_id: str, customer_ids: Sequence[str], *, dry: bool) -> Moved:
    """These customers' conversations. Each is locked until the transaction ends: many are moved in slices."""
    new, old = desk.flows[flow_id], dict[str, Flow]()
    moved: list[str] = []
    refused: dict[str, str] = {}
    for customer_id in customer_ids:
        if not dry:
            tx.lock_customer(customer_id)
        who = customers.customer(tx.conn, customer_id)
        if who is None:  # erased or merged meanwhile
            continue
        stored = customers.conversation(tx.conn, customer_id).bot_state
        state = FlowState.from_json(stored.get("flow") or {})
        for frame in state.frames:
            if frame.hash not in old and frame.flow == flow_id:
                _remember(tx, desk, frame.hash, flow_id, old)
        names = {**state.slots, "customer": dict(who.attributes), "case": {}}
        try:
            found = move_all(state, old, new, Scope(names, tx.now))
        except NoPlace as error:
            refused[customer_id] = str(error)
            continue
        if found is not None:
            moved.append(customer_id)
            if not dry:
                customers.set_bot_state(tx, customer_id, {**stored, "flow": found.to_json()})
    return Moved(tuple(moved), refused)


def _remember(tx: Tx, desk: Desk, content: str, flow_id: str, old: dict[str, Flow]) -> None:
    found = desk.flow(flow_id, content)
    row = flow_rows.find(tx.conn, content) if found is None else None
    found = found or (versions.from_row(row) if row is not None else None)
    if found is not None:
        old[content] = found
