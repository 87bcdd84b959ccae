"""While people hold a customer's case, its turns are theirs: the bot stays silent."""

from __future__ import annotations

from bot.answers import polite
from bot.events import CaseChanged
from bot.model import CaseStatus, Occurred
from bot.storage import history
from bot.turn import Turn
from handoff import clocks, meanwhile, store, terms
from handoff.case import Case, MessageTaken
from handoff.giving import replace_route
from handoff.persons import is_blocked
from handoff.steps import desk_of, move, tell_agents


def take(turn: Turn) -> bool:
    """Put the customer's message into the case that people hold, and tell them. False: nobody holds one.

    Whoever an agent keeps out is answered by nobody.
    """
    if is_blocked(turn.customer):
        return True
    tx = turn.tx
    case = store.live_now(tx, turn.customer.id)
    if case is None or not case.with_people:
        return False
    if turn.message is None:
        _tell_of_event(turn, case)
        return True  # of a connector's answer that came after a human took over nobody is told: nobody waits for it
    message = history.put_in_case(tx, turn.message, case.id)
    if case.status in {CaseStatus.QUEUED, CaseStatus.OPEN}:  # no step, so no line in the audit for every message
        after = clocks.heard(tx, store.change(tx, case, last_customer_at=tx.now))
    elif case.status is CaseStatus.PENDING and is_polite(turn):  # they are content: it is still their turn
        after = store.change(tx, case, routing=replace_route(case, nudged_at=tx.now))
    else:
        after = move(tx, case, "customer_wrote", log={"message": message.id}, last_customer_at=tx.now)
    after = meanwhile.heard(turn, after)
    if after.channel != message.channel:
        after = store.change(tx, after, channel=message.channel)
        store.log(tx, after, "moved", **{"from": case.channel, "to": message.channel})
    if after.status is not case.status or after.channel != case.channel:
        tx.emit(CaseChanged(after.customer_id, after.id, after.status))
    tx.emit(MessageTaken(after, message))
    return True


def _tell_of_event(turn: Turn, case: Case) -> None:
    """A flow would begin with what another system told, and would talk over people: those learn of it in its place."""
    told, desk = turn.happening, desk_of(turn.tx)
    if isinstance(told, Occurred) and desk is not None and desk.begins_a_flow(told.name):
        tell_agents(turn.tx, case, "event_begins_nothing", event=told.name)


def is_polite(turn: Turn) -> bool:
    """A "thank you", a goodbye or a thumb up, and nothing else: nobody is owed an answer to it."""
    if turn.pressed is not None or turn.message is None or turn.message.body.files:
        return False
    own = terms.texts(desk_of(turn.tx))
    return polite.kind_of(turn.text, turn.customer.locale, own) is not None
