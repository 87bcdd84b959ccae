"""What every verb is made of: one step of the lifecycle, written, audited, with its next action set.

`move` is the only place that writes a status. R21: every live case always has a next action and its time; one timer per
case, `case:<id>`, rings then, and `watch.case_due` does what its status asks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bot import outbox, timers
from bot.errors import Conflict, NotAllowed
from bot.events import CaseChanged
from bot.model import SYSTEM, Author, AuthorKind, Body, CaseStatus, Choice, FileRef, Message
from bot.storage import customers, history
from bot.storage.tx import Tx
from bot.texts import say
from handoff import clocks, lifecycle, store, terms
from handoff.case import AgentView, Case, Route

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk


class HeldByAnother(NotAllowed):
    """Somebody else holds the case: `holder` is their name."""

    def __init__(self, holder: str, number: int | None) -> None:
        super().__init__(f"{holder} holds case {number}; ask for a transfer, or add a note")
        self.holder = holder


class WroteMeanwhile(Conflict):
    """The customer has written since whoever acts looked."""

    def __init__(self, number: int | None) -> None:
        super().__init__(f"the customer has written in case {number} meanwhile; read it before you end it")


def desk_of(tx: Tx) -> Desk | None:
    """The desk folder in force."""
    desk: Desk | None = tx.wiring.desk()
    return desk


def move(tx: Tx, case: Case, event: str, by: str | None = None, /, *, log: dict[str, Any], **values: Any) -> Case:
    """Take one step: compare-and-set the status (and `values`), set the next action, write the audit line (`by` an
    agent).

    Raises Conflict where the table has no such step, or somebody was first.
    """
    following = lifecycle.after(case.status, event)
    kept, lines = clocks.step(tx, case, event, following, values)
    moved = store.compare_and_set(tx, case, status=following, **{**values, **kept})
    if moved is None:
        raise Conflict(f"case {case.number} has just changed; look at it again")
    store.log(tx, moved, event, by, **log)
    for line in lines:
        store.log(tx, moved, "sla", case.agent_id or by, **line)
    if following is not case.status or event in {"claim", "reply", "snooze", "await_customer"}:
        moved = schedule(tx, moved, next_action(tx, moved, since=tx.now))
    return clocks.arm(tx, moved)


def next_action(tx: Tx, case: Case, since: datetime | None = None) -> datetime | None:
    """When something has to happen to a case if nothing else does before. None: never, it is closed.

    With agents it is idle from the last word on, or from `since`, a step of this moment: who takes over a case in which
    nobody has said a word for days, or wakes one, is not told in the same breath that it lies idle.
    """
    desk = desk_of(tx)
    match case.status:
        case CaseStatus.BOT:
            return max(case.last_customer_at or case.opened_at, case.opened_at) + terms.silence(desk)
        case CaseStatus.QUEUED:
            return tx.now + terms.queue_every(desk)
        case CaseStatus.SNOOZED:
            return case.next_action_at
        case CaseStatus.PENDING if ends := pending_ends(desk, case):
            return min(at for _, at in ends)
        case CaseStatus.OPEN | CaseStatus.PENDING:
            words = [at for at in (since, case.claimed_at, case.last_customer_at, case.last_agent_at) if at is not None]
            return max(words, default=tx.now) + terms.idle(desk)
        case CaseStatus.RESOLVED:
            return (case.resolved_at or tx.now) + terms.reopen_window(desk)
        case CaseStatus.CLOSED:
            return None


def pending_ends(desk: Desk | None, case: Case) -> list[tuple[str, datetime]]:
    """What is still to come of a case that waits for its customer: ("nudge", when), ("give_up", when)."""
    route = Route.of(case)
    since = max(at for at in (case.claimed_at, case.last_agent_at, route.pending_since, case.opened_at) if at)
    ends = []
    nudge, give_up = terms.nudge(desk), terms.give_up(desk)
    if nudge is not None and (route.nudged_at is None or route.nudged_at < since):
        ends.append(("nudge", since + nudge))
    if give_up is not None:
        ends.append(("give_up", since + give_up))
    return ends


def schedule(tx: Tx, case: Case, at: datetime | None) -> Case:
    """Set the case's next action and the timer that rings for it."""
    key = f"case:{case.id}"
    if at is None:
        timers.cancel(tx, key)
    else:
        timers.set_timer(tx, "case", key, at, customer_id=case.customer_id, case_id=case.id)
    return store.change(tx, case, next_action_at=at)


def ring_at(tx: Tx, case: Case, at: datetime) -> None:
    """Have a case looked at, without writing to it: its customer's turns are not held here."""
    timers.set_timer(tx, "case", f"case:{case.id}", at, customer_id=case.customer_id, case_id=case.id)


def changed(tx: Tx, case: Case) -> Case:
    """Tell the house that it changed, and give it on."""
    tx.emit(CaseChanged(case.customer_id, case.id, case.status))
    return case


def take_baton(tx: Tx, case: Case) -> None:
    """A new holder: what was said under the old one and has not left, will not."""
    customers.move_baton(tx, case.customer_id)


def locale_of(tx: Tx, case: Case) -> str:
    """The language that the customer reads now."""
    who = customers.customer(tx.conn, case.customer_id)
    return who.locale if who else case.locale


def tell_customer(tx: Tx, case: Case, key: str, choices: Sequence[Choice] = (), **values: object) -> Message:
    """Say a sentence of ours to the customer, in their language, with buttons below it if there are any."""
    text = say(key, locale_of(tx, case), terms.texts(desk_of(tx)), **values)
    body = Body(text, choices=tuple(choices))
    return outbox.say(tx, case.customer_id, body, author=SYSTEM, case_id=case.id, meta={"key": key})


def tell_agents(tx: Tx, case: Case, key: str, **values: object) -> Message:
    """A note from the house, in the agents' language."""
    desk = desk_of(tx)
    text = say(key, terms.agents_locale(desk), terms.texts(desk), **values)
    return write_note(tx, case, SYSTEM, text, (), {"key": key})


def write_note(
    tx: Tx, case: Case, author: Author, text: str, files: Sequence[FileRef], meta: dict[str, Any]
) -> Message:
    body = Body(text, files=tuple(files))
    return history.append(
        tx, case.customer_id, body, author=author, channel=case.channel, case_id=case.id, meta=meta, note=True
    )


def as_author(agent: AgentView) -> Author:
    return Author(AuthorKind.AGENT, agent.name, agent.id)


def last_said(tx: Tx, case: Case) -> str | None:
    """The id of what the customer wrote last; None where that is long ago."""
    said = (
        one.id for one in reversed(history.latest(tx.conn, case.customer_id)) if one.author.kind is AuthorKind.CUSTOMER
    )
    return next(said, None)


def is_over(case: Case) -> Conflict:
    return Conflict(f"case {case.number} is already over ({case.status})")


def taken_by(tx: Tx, case: Case) -> Conflict:
    return Conflict(f"already taken by {store.agent_name(tx.conn, desk_of(tx), case.agent_id)}")


def may_act(tx: Tx, case: Case, agent_id: str | None) -> AgentView | None:
    """Who acts on a case: its holder, anybody while nobody holds it, leads, and programs (None).

    Raises NotAllowed for somebody else, and for whoever is not an agent.
    """
    if agent_id is None:
        return None
    agent = store.agent(tx.conn, desk_of(tx), agent_id)
    if case.with_people and case.agent_id not in {None, agent_id} and not agent.leads:
        raise HeldByAnother(store.agent_name(tx.conn, desk_of(tx), case.agent_id), case.number)
    return agent


def must_hold(tx: Tx, case: Case, agent_id: str) -> AgentView:
    """Raises Conflict unless that agent holds this live case."""
    agent = store.agent(tx.conn, desk_of(tx), agent_id)
    if not case.live:
        raise is_over(case)
    if case.agent_id is None:
        raise Conflict(f"claim case {case.number} first")
    if case.agent_id != agent_id:
        raise taken_by(tx, case)
    return agent
