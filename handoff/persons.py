"""Who the customer of a case is: an agent keeps somebody out, or says that two customers are one.

Whoever is kept out (blocked) can still be read: what they write is stored, and nobody answers it, neither the bot nor people
(`taker.py` ends their turns).
Two customers become one by an agent's word alone, so that is undone for 24 hours, and both stand in the audit.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.errors import Conflict, NotFound
from bot.model import Customer
from bot.storage import customers, merging
from bot.storage.tx import Tx
from handoff import cases, store
from handoff.case import Case, CaseEvent
from handoff.steps import changed, may_act

BLOCKED = "blocked_by_desk"  # among the customer's attributes: {"by": agent, "at": ISO 8601}
EVIDENCE = "agent"


# ── kept out ───────────────────────────────────────────────────────────────────────────────────────────────────────
def is_blocked(who: Customer | None) -> bool:
    return who is not None and bool(who.attributes.get(BLOCKED))


def block(tx: Tx, case_id: str, agent_id: str, *, desk: str) -> Case:
    """Keep a customer out; the live case of theirs ends as spam. Its holder, leads, or anybody while nobody holds it."""
    case = store.held(tx, case_id)
    live = _may_touch(tx, case, agent_id)
    if is_blocked(customers.customer(tx.conn, case.customer_id)):
        return case
    customers.set_attribute(tx, case.customer_id, BLOCKED, {"by": agent_id, "at": tx.now.isoformat()})
    customers.set_bot_state(tx, case.customer_id, {})  # no flow that waits speaks to them any more
    store.log(tx, case, "block", agent_id, desk=desk)
    ended = cases.resolve(tx, live.id, agent_id, "spam") if live is not None else case
    return ended if ended.id == case.id and live is not None else changed(tx, case)


def unblock(tx: Tx, case_id: str, agent_id: str, *, desk: str) -> Case:
    """Let them in again: what they write next is answered."""
    case = store.held(tx, case_id)
    _may_touch(tx, case, agent_id)
    if is_blocked(customers.customer(tx.conn, case.customer_id)):
        customers.set_attribute(tx, case.customer_id, BLOCKED, None)
        store.log(tx, case, "unblock", agent_id, desk=desk)
    return changed(tx, case)


# ── two are one ────────────────────────────────────────────────────────────────────────────────────────────────────
def merge(tx: Tx, case_id: str, agent_id: str, other: int, *, desk: str) -> Case:
    """The customer of case number `other` is this case's, too. Gives the live case that remains, else this one.

    Raises NotFound for a number that no case has, Conflict where they are one already, NotAllowed as `may_act` does, for either.
    """
    case, theirs = store.case(tx.conn, case_id), store.by_number(tx.conn, other)
    if case is None or theirs is None:
        raise NotFound(f"there is no case {other}")
    for one in (case, theirs):
        _may_touch(tx, one, agent_id)
    if case.customer_id == theirs.customer_id:
        raise Conflict(f"case {other} is the same customer's")
    merging.merge(tx, case.customer_id, theirs.customer_id, EVIDENCE)
    store.log(tx, case, "merge", agent_id, desk=desk, other=theirs.id, customer=theirs.customer_id)
    stays = store.live_case(tx.conn, case.customer_id) or case
    if stays.id != case.id:
        store.log(tx, stays, "merge", agent_id, desk=desk, other=case.id)
    return changed(tx, stays)


def part(tx: Tx, case_id: str, agent_id: str, *, desk: str) -> Case:
    """Undo the last merge of this customer that an agent made in the last 24 hours. Raises NotFound, Conflict, NotAllowed."""
    case = store.case(tx.conn, case_id)
    if case is None:
        raise NotFound(f"there is no case {case_id}")
    _may_touch(tx, case, agent_id)
    merge_id = merging.last_merge(tx, case.customer_id, EVIDENCE)
    if merge_id is None:
        raise NotFound("there is no merge to undo")
    merging.unmerge(tx, merge_id)
    store.log(tx, case, "part", agent_id, desk=desk, merge=merge_id)
    return changed(tx, store.case(tx.conn, case_id) or case)


def _may_touch(tx: Tx, case: Case, agent_id: str) -> Case | None:
    """The customer's live case. What is done to a customer is done to that one too, from whichever of their cases: raises
    NotAllowed as `may_act` does, for either.
    """
    live = store.live_case(tx.conn, case.customer_id)
    for one in (case, live):
        if one is not None:
            may_act(tx, one, agent_id)
    return live


def merged_lately(events: Sequence[CaseEvent], now: datetime) -> bool:
    """Whether the audit of a case ends with a merge that can still be undone."""
    last = next((one for one in reversed(events) if one.kind in {"merge", "part"}), None)
    return last is not None and last.kind == "merge" and last.at > now - merging.UNDO_WITHIN


def was_merged(tx: Tx, case: Case) -> bool:
    """Whether there is a merge by an agent that can still be undone."""
    return merging.last_merge(tx, case.customer_id, EVIDENCE) is not None
