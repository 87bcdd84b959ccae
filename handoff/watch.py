"""What this room hears and what its timers do: two plain tables for `bot/app.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from bot.events import (
    CaseChanged,
    CaseResolved,
    CloseAsked,
    CustomersMerged,
    EscalationAsked,
    LanguageChanged,
    MessageDeleted,
    MessageEdited,
    MessageStored,
    NotifyAsked,
    ReachabilityChanged,
    Recorded,
    SendDelayed,
    SendSettled,
    TopicGiven,
    TurnFailed,
)
from bot.flows import FlowState
from bot.model import AuthorKind, CaseStatus, Message
from bot.storage import customers, history
from bot.storage.tx import Subscriber, Tx
from bot.timers import Ringer, Timer
from handoff import availability, cases, ladder, relays, routing, store, terms, watchdog
from handoff.case import Case, MessageTaken, PeopleCalled, RelayChanged
from handoff.desk import AgentDesk, CallsPeople, ShowsErrands, TellsColleagues
from handoff.errands import store as errand_rows
from handoff.errands import watch as errands
from handoff.errands.errand import ErrandChanged
from handoff.errands.verbs import KIND as ERRAND
from handoff.giving import replace_route
from handoff.steps import changed, desk_of, move, next_action, pending_ends, schedule, tell_agents, tell_customer

TELL_AGAIN = timedelta(minutes=5)  # that sends of a case are delayed


def subscribers(desks: Sequence[AgentDesk]) -> dict[type, list[Subscriber]]:
    """Event → who hears it, in this order."""
    return {
        EscalationAsked: [_ignoring_result(cases.on_escalation)],
        CloseAsked: [_ignoring_result(cases.on_close_asked)],
        CaseResolved: [errands.on_resolved],
        CustomersMerged: [cases.on_merged, errands.on_merged],
        ReachabilityChanged: [cases.on_unreachable],
        LanguageChanged: [cases.on_language],
        Recorded: [on_recorded],
        TopicGiven: [on_topic_given],
        NotifyAsked: [on_notify, *(desk.on_notify for desk in desks if isinstance(desk, TellsColleagues))],
        SendSettled: [on_settled],
        SendDelayed: [on_delayed],
        TurnFailed: [on_turn_failed],
        CaseChanged: [_to_desks(desks, tell_case)],
        MessageStored: [_to_desks(desks, tell_stored)],
        MessageTaken: [_to_desks(desks, tell_taken)],
        MessageEdited: [_to_desks(desks, tell_amended)],
        MessageDeleted: [_to_desks(desks, tell_amended)],
        RelayChanged: [_to_desks(desks, tell_relay)],
        PeopleCalled: [desk.people_called for desk in desks if isinstance(desk, CallsPeople)],
        ErrandChanged: [desk.errand_changed for desk in desks if isinstance(desk, ShowsErrands)],
    }


def ringers() -> dict[str, Ringer]:
    """Timer kind → what rings."""
    return {
        "case": case_due,
        "relay": relays.relay_due,
        "offer": routing.offer_due,
        "ladder": ladder.ladder_due,
        "sla": ladder.sla_due,
        watchdog.KIND: watchdog.sweep,
        "orphan": watchdog.orphan_due,
        availability.KIND: availability.back_due,
        ERRAND: errands.errand_due,
    }


# ── to the desks ───────────────────────────────────────────────────────────────────────────────────────────────────
def tell_case(desk: AgentDesk, tx: Tx, event: CaseChanged) -> None:
    case = store.case_now(tx, event.case_id)
    if case is not None:
        desk.case_changed(tx, case)


def tell_stored(desk: AgentDesk, tx: Tx, event: MessageStored) -> None:
    """What was said or noted in a case that is, or was, people's business. Customers' messages come by MessageTaken."""
    case = None if event.message.author.kind is AuthorKind.CUSTOMER else _peoples_case(tx, event.message)
    if case is not None:
        desk.message_added(tx, case, event.message)


def tell_taken(desk: AgentDesk, tx: Tx, event: MessageTaken) -> None:
    desk.message_added(tx, event.case, event.message)


def tell_amended(desk: AgentDesk, tx: Tx, event: MessageEdited | MessageDeleted) -> None:
    case = _peoples_case(tx, event.message)
    if case is not None:
        desk.message_amended(tx, case, event.message)


def tell_relay(desk: AgentDesk, tx: Tx, event: RelayChanged) -> None:
    desk.relay_changed(tx, event.relay)


def _peoples_case(tx: Tx, message: Message) -> Case | None:
    case = store.case_now(tx, message.case_id) if message.case_id else None
    return case if case is not None and case.concerns_people else None


def _to_desks(desks: Sequence[AgentDesk], tell: Callable[[AgentDesk, Tx, Any], None]) -> Subscriber:
    def hear(tx: Tx, event: Any) -> None:
        for desk in desks:
            tell(desk, tx, event)

    return hear


def _ignoring_result(verb: Callable[[Tx, Any], object]) -> Subscriber:
    def hear(tx: Tx, event: Any) -> None:
        verb(tx, event)

    return hear


# ── what went wrong, and what is worth keeping ─────────────────────────────────────────────────────────────────────
def on_settled(tx: Tx, event: SendSettled) -> None:
    """An agent's words were delivered, or not: the mark at the desk changes; a failure is noted in the case too."""
    if event.outcome == "sent" and event.doubled:
        on_perhaps_twice(tx, event)
    by_agent = event.said is not None and event.said.by is AuthorKind.AGENT
    relay = store.relay_of(tx.conn, event.message_id) if event.message_id and by_agent else None
    if relay is None or relay.state != "said":
        return
    relays.told(tx, relay)
    case = store.case(tx.conn, relay.case_id)
    if event.outcome == "failed" and case is not None:
        store.log(tx, case, "not_delivered", relay.agent_id, relay=relay.id, error=event.error)
        tell_agents(tx, case, "not_delivered", reason=event.error or event.via)


def on_perhaps_twice(tx: Tx, event: SendSettled) -> None:
    """What was said in a case of people's may stand there twice, whoever said it: they should know before they ask."""
    case = _case_of(tx, event.message_id)
    if case is not None:
        relay = store.relay_of(tx.conn, event.message_id or "")
        store.log(tx, case, "perhaps_twice", relay.agent_id if relay else None, outbox=event.outbox_id)
        tell_agents(tx, case, "perhaps_twice", channel=event.via.capitalize())


def on_delayed(tx: Tx, event: SendDelayed) -> None:
    """What was said waits for longer than a minute: its case says so, once for all that waits at the time."""
    case = _case_of(tx, event.message_id)
    if case is None or not case.with_people:
        return
    told = [one.at for one in store.events(tx.conn, case.id) if one.kind == "delayed"]
    store.log(tx, case, "delayed", via=event.via, outbox=event.outbox_id)
    if not told or tx.now - told[-1] > TELL_AGAIN:
        tell_agents(tx, case, "sends_delayed", channel=event.via.capitalize())


def _case_of(tx: Tx, message_id: str | None) -> Case | None:
    message = history.message(tx.conn, message_id) if message_id else None
    return _peoples_case(tx, message) if message is not None else None


def on_turn_failed(tx: Tx, event: TurnFailed) -> None:
    """A message could not be handled: whoever holds the case should look. Without such a case the log has it."""
    case = store.live_case(tx.conn, event.customer_id) if event.customer_id else None
    if case is None:
        return
    store.log(tx, case, "turn_failed", error=event.error, message=event.message_id)
    message = history.message(tx.conn, event.message_id) if event.message_id else None
    if message is not None and message.case_id is None:
        message = history.put_in_case(tx, message, case.id)
    if case.with_people:
        if message is not None:
            tx.emit(MessageTaken(case, message))
        tell_agents(tx, case, "turn_failed")
    elif message is None and _waits_for_connector(tx, case):
        customers.set_bot_state(tx, case.customer_id, {})
        cases.on_escalation(tx, EscalationAsked(case.customer_id, "connector"))


def _waits_for_connector(tx: Tx, case: Case) -> bool:
    """Whether a flow waits for an answer: it would for ever, and so would what the customer says meanwhile."""
    state = customers.conversation(tx.conn, case.customer_id).bot_state
    return state.get("case") == case.id and bool(FlowState.from_json(state.get("flow") or {}).call_token)


def on_recorded(tx: Tx, event: Recorded) -> None:
    """A flow found something worth keeping: it goes into the audit of the case."""
    case = store.case(tx.conn, event.case_id) if event.case_id else store.last_case(tx.conn, event.customer_id)
    if case is not None:
        store.log(tx, case, event.kind, **_plain(event.values))


def on_topic_given(tx: Tx, event: TopicGiven) -> None:
    """A case is about something else than was thought, or nobody had said; also after it is over."""
    case = store.case(tx.conn, event.case_id)
    if case is None or case.topic == event.topic:
        return
    case = store.held(tx, case.id)
    store.log(tx, case, "topic", topic=event.topic, by=event.by)
    changed(tx, store.change(tx, case, topic=event.topic))


def on_notify(tx: Tx, event: NotifyAsked) -> None:
    """What a flow tells colleagues stands as a note in the case, wherever else it goes."""
    if event.case_id is not None:
        cases.note(tx, event.case_id, None, event.text, desk="flow")


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        f"{name}_" if name in {"tx", "case_", "kind", "agent_id"} else name: value for name, value in values.items()
    }


# ── what is due ────────────────────────────────────────────────────────────────────────────────────────────────────
def case_due(tx: Tx, timer: Timer) -> None:
    """A case's next action. Whatever its status, a live case leaves with a new one."""
    case = store.case(tx.conn, timer.case_id or "")
    if case is None:
        return
    case = store.held(tx, case.id)
    at = next_action(tx, case)
    if case.status is CaseStatus.QUEUED:
        routing.seek(tx, case)
    elif at is not None and at > tx.now:
        schedule(tx, case, at)
    elif case.status is CaseStatus.BOT:
        cases.end_in_silence(tx, case)
    elif case.status is CaseStatus.SNOOZED:
        cases.wake(tx, case)
    elif case.status is CaseStatus.RESOLVED:
        changed(tx, move(tx, case, "close", log={"by": "window"}, closed_at=tx.now))
    elif case.status is CaseStatus.PENDING and (
        ripe := [what for what, due in pending_ends(desk_of(tx), case) if due <= tx.now]
    ):
        _end_of_patience(tx, case, ripe)
    elif case.live:
        _remind(tx, case)


def _end_of_patience(tx: Tx, case: Case, ripe: Sequence[str]) -> None:
    """The customer has not answered: they are asked once whether that was all, and later the case ends.

    While colleagues were asked something for them, it is not the customer who is waited for.
    """
    if errand_rows.open_of(tx.conn, case.id):
        schedule(tx, case, tx.now + terms.idle(desk_of(tx)))
        return
    if "give_up" in ripe:
        cases.give_up(tx, case)
        return
    asked = store.change(tx, case, routing=replace_route(case, nudged_at=tx.now))
    store.log(tx, asked, "nudge")
    tell_customer(tx, asked, "pending_nudge")
    schedule(tx, asked, next_action(tx, asked, since=tx.now))


def _remind(tx: Tx, case: Case) -> None:
    """Nobody has said a word for long: the case is shown again, once each while."""
    store.log(tx, case, "idle", case.agent_id)
    tell_agents(tx, case, "case_idle")
    changed(tx, schedule(tx, case, tx.now + terms.idle(desk_of(tx))))
