"""The verbs: everything that changes a case. Each runs on an open transaction, inside a turn or a `storage.write`.

What lives here: opening, escalating, claiming, answering, ending, merging. What it must not know: which desk or
channel shows it. Every verb holds the customer's turns, takes its step by the lifecycle's table with compare-and-set,
leaves a line in `case_events`, and tells the house (`CaseChanged`). Refusals are one clear line: Conflict (somebody
was first, or the case has no such step), NotAllowed (not an agent, or not theirs), NotFound.

The baton moves whenever the holder changes, so that what the bot had queued before never talks over a human. Two
exceptions: at an escalation what the bot has just said still leaves (it is still the one who speaks), and a case that
the bot closes stays with the bot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from bot import outbox
from bot.errors import Conflict, NotFound
from bot.events import (
    CaseChanged,
    CaseReopened,
    CaseResolved,
    CloseAsked,
    CustomersMerged,
    EscalationAsked,
    LanguageChanged,
    ReachabilityChanged,
)
from bot.model import BOT, SYSTEM, Body, CaseStatus, FileRef, Message
from bot.storage import customers, history, marks
from bot.storage.tx import Tx
from bot.texts import say
from handoff import meanwhile, routing, store, terms
from handoff.availability import set_available
from handoff.case import OUTCOMES, AgentView, Case, Route
from handoff.giving import give, replace_route
from handoff.queue import store as queue
from handoff.relays import draft, edit_relay, flush, note_channel, relay_due, send_now, take_back
from handoff.steps import (
    WroteMeanwhile,
    as_author,
    changed,
    desk_of,
    is_over,
    last_said,
    locale_of,
    may_act,
    move,
    must_hold,
    next_action,
    schedule,
    take_baton,
    taken_by,
    tell_agents,
    tell_customer,
    write_note,
)
from handoff.waiting_room import stir

__all__ = [
    "assign",
    "await_customer",
    "claim",
    "draft",
    "edit_relay",
    "end_in_silence",
    "ensure_open",
    "give_up",
    "note",
    "on_close_asked",
    "on_escalation",
    "on_language",
    "on_merged",
    "on_unreachable",
    "relay_due",
    "release",
    "reopen",
    "reply",
    "resolve",
    "set_available",
    "snooze",
    "take_back",
    "transfer",
    "wake",
]


# ── opening ────────────────────────────────────────────────────────────────────────────────────────────────────────
def ensure_open(tx: Tx, customer_id: str, channel: str, message_id: str | None = None) -> Case:
    """The customer's live case: the one there is, the last one reopened if it ended within the window, or a new one.

    With `message_id`, that message of the customer's goes into it. Reopening and opening leave the case with the bot.
    """
    tx.lock_customer(customer_id)
    case = store.live_now(tx, customer_id) or _reopen_last(tx, customer_id) or _open(tx, customer_id, channel)
    message = history.message(tx.conn, message_id) if message_id else None
    if message is not None and message.case_id != case.id:
        history.put_in_case(tx, message, case.id)
    return store.change(tx, case, last_customer_at=tx.now)


def _open(tx: Tx, customer_id: str, channel: str) -> Case:
    who = customers.customer(tx.conn, customer_id)
    case = store.insert_case(tx, customer_id, channel, who.locale if who else terms.agents_locale(desk_of(tx)))
    store.log(tx, case, "open", channel=channel)
    return changed(tx, schedule(tx, case, next_action(tx, case)))


def reopen(tx: Tx, case_id: str) -> Case | None:
    """A case goes on, with the bot, though others of its customer's ended since; they have no live one. None: it is too late."""
    return _reopen(tx, store.held(tx, case_id))


def _reopen_last(tx: Tx, customer_id: str) -> Case | None:
    last = store.last_case(tx.conn, customer_id)
    return None if last is None else _reopen(tx, last)


def _reopen(tx: Tx, ended: Case) -> Case | None:
    if ended.status is not CaseStatus.RESOLVED or ended.resolved_at is None:
        return None
    if tx.now >= ended.resolved_at + terms.reopen_window(desk_of(tx)):
        return None
    case = move(
        tx,
        ended,
        "reopen",
        log={"outcome": ended.outcome},
        agent_id=None,
        last_agent_id=ended.agent_id or ended.last_agent_id,
        reopened=ended.reopened + 1,
        last_customer_at=tx.now,
        escalated_at=None,
        claimed_at=None,
        resolved_at=None,
        resolved_by=None,
        outcome=None,
        reason=None,
        confirmed=None,
        wait=None,
        locale=locale_of(tx, ended),
    )
    tx.emit(CaseReopened(case.id, case.customer_id))
    return changed(tx, case)


# ── from the bot to people ─────────────────────────────────────────────────────────────────────────────────────────
def on_escalation(tx: Tx, asked: EscalationAsked) -> Case:
    """The bot fetches people: the case is queued, and the customer hears so, with their place. Again: nothing more, but for
    who went on with the bot meanwhile: they hear that they wait on.
    """
    where = customers.reply_identity(tx.conn, asked.customer_id)
    case = ensure_open(tx, asked.customer_id, where.channel if where else "web")
    if case.with_people:
        return meanwhile.waits_again(tx, case)
    before = customers.conversation(tx.conn, asked.customer_id).epoch
    store.carry_over(tx, asked.customer_id, before, customers.move_baton(tx, asked.customer_id))
    team, rule = routing.destination(tx, case, asked.team, asked.priority, asked.reason_code)
    skills = rule.skills if rule else ()
    case = changed(
        tx,
        move(
            tx,
            case,
            "escalate",
            log={"reason_code": asked.reason_code, "reason": asked.reason},
            team=team,
            locale=locale_of(tx, case),
            escalated_at=tx.now,
            priority=(rule.priority if rule else None) or asked.priority,
            escalation=_material(asked),
            wait=None,
            routing=Route(since=tx.now, skills=skills, knew=routing.knew(tx, case, asked.prefer_agent)).to_json(),
            **({"survey": dict(asked.survey)} if asked.survey else {}),
        ),
    )
    text = asked.text or say("human_coming", locale_of(tx, case), terms.texts(desk_of(tx)))
    body, meta = Body(text, markdown=bool(asked.text)), {"source": "escalation"}
    outbox.say(tx, case.customer_id, body, author=BOT, case_id=case.id, meta=meta)
    return routing.enter(tx, case)


def _material(asked: EscalationAsked) -> dict[str, Any]:
    return {
        "reason_code": asked.reason_code,
        "reason": asked.reason,
        "show": [list(pair) for pair in asked.show],
        "tried": list(asked.tried),
        "sla_s": asked.sla_s,
        "prefer_agent": asked.prefer_agent,
        **({"goes_on": True} if asked.goes_on else {}),
    }


def claim(tx: Tx, case_id: str, agent_id: str, *, desk: str) -> Case:
    """An agent takes a case that nobody holds; theirs already: they keep it, and the house knows that they are there.

    Raises Conflict "already taken by …", or when the case is over; NotAllowed for whoever is not an agent.
    """
    case = store.held(tx, case_id)
    agent = store.agent(tx.conn, desk_of(tx), agent_id)
    if case.with_people and case.agent_id == agent_id:
        return routing.accept(tx, case)
    if case.with_people and case.agent_id is not None:
        raise taken_by(tx, case)
    return give(tx, case, agent, desk=desk, by=agent_id)


def assign(tx: Tx, case_id: str, agent_id: str, *, desk: str, by: str | None = None) -> Case:
    """Give a live case to an agent, whoever holds it now. `by` is the agent who does so, None a program."""
    case = store.held(tx, case_id)
    agent = store.agent(tx.conn, desk_of(tx), agent_id)
    if by is not None:
        may_act(tx, case, by)
    if case.with_people and case.agent_id == agent_id:
        return case
    if case.with_people and by is not None and by == case.agent_id:  # as when they pass it on to a team
        flush(tx, case, by)
        case = store.held(tx, case_id)
    return give(tx, case, agent, desk=desk, by=by)


def release(tx: Tx, case_id: str, agent_id: str | None, *, desk: str) -> Case:
    """Give a case back to its team's queue; the customer hears that a colleague is coming."""
    return _back_to_queue(tx, case_id, agent_id, "release", {"desk": desk})


def transfer(tx: Tx, case_id: str, agent_id: str | None, team: str, *, desk: str) -> Case:
    """Pass a case on to another team's queue; again: nothing more. Raises NotFound for a team that desk.yaml doesn't name."""
    if terms.team(desk_of(tx), team) is None:
        raise NotFound(f"there is no team {team}; desk.yaml names {_names(tx)}")
    case = store.held(tx, case_id)
    if case.status is CaseStatus.QUEUED and case.team == team:
        may_act(tx, case, agent_id)
        return case
    return _back_to_queue(tx, case_id, agent_id, "transfer", {"desk": desk, "team": team}, team=team)


def _back_to_queue(tx: Tx, case_id: str, agent_id: str | None, event: str, log: dict[str, Any], **values: Any) -> Case:
    before = store.held(tx, case_id)
    may_act(tx, before, agent_id)
    flush(tx, before, before.agent_id)
    before = store.held(tx, case_id)
    holder = before.agent_id
    case = move(
        tx,
        before,
        event,
        agent_id,
        log={**log, "from": before.team},
        agent_id=None,
        last_agent_id=holder or before.last_agent_id,
        wait=None,
        routing=routing.queued(
            tx, before, tried=tuple(dict.fromkeys((*Route.of(before).tried, *filter(None, [holder]))))
        ),
        **values,
    )
    take_baton(tx, case)
    changed(tx, case)
    if holder is not None:
        tell_customer(tx, case, "agent_left", agent=store.agent_name(tx.conn, desk_of(tx), holder))
    case = routing.enter(tx, case)
    stir(tx, before.team)
    return case


def snooze(tx: Tx, case_id: str, agent_id: str, until: datetime, *, desk: str) -> Case:
    """Put a case aside until then, or until the customer writes. Only its holder can. Raises Conflict."""
    case = store.held(tx, case_id)
    must_hold(tx, case, agent_id)
    if until <= tx.now:
        raise Conflict("a case is snoozed until a time to come")
    flush(tx, case, agent_id, held=False)  # said later, these words would wake it
    case = store.held(tx, case_id)
    log = {"desk": desk, "until": until.isoformat()}
    return changed(tx, move(tx, case, "snooze", agent_id, log=log, next_action_at=until))


def await_customer(tx: Tx, case_id: str, agent_id: str, *, desk: str) -> Case:
    """It is the customer's turn, though nothing was written to them just now (they were called, say). Only its holder can."""
    case = store.held(tx, case_id)
    must_hold(tx, case, agent_id)
    if case.status is CaseStatus.PENDING:
        return case
    route = replace_route(case, pending_since=tx.now, offered_at=None)
    return changed(tx, move(tx, case, "await_customer", agent_id, log={"desk": desk}, routing=route))


def wake(tx: Tx, case: Case) -> Case:
    """A snoozed case's time has come: it is its agent's turn again."""
    if case.status is not CaseStatus.SNOOZED:
        raise Conflict(f"case {case.number} is not snoozed")
    woken = changed(tx, move(tx, case, "wake", log={}))
    tell_agents(tx, woken, "snooze_over")
    return woken


# ── words ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def reply(
    tx: Tx,
    case_id: str,
    agent_id: str | None,
    text: str,
    files: Sequence[FileRef] = (),
    *,
    desk: str,
    markdown: bool = True,
    assign_if_needed: bool = False,
    ref: str | None = None,
) -> Message:
    """An agent's answer to the customer, at once.

    Only the holder's, unless `assign_if_needed`: then a case that nobody holds is given to `agent_id`; without one,
    to the first available agent of its team in the order of desk.yaml. Raises Conflict, NotAllowed, NotFound.
    """
    case = store.held(tx, case_id)
    if not case.live:
        raise is_over(case)
    if not text.strip() and not files:
        raise Conflict("there is nothing to send")
    who = agent_id or case.agent_id
    if assign_if_needed and case.agent_id is None:
        agent = store.agent(tx.conn, desk_of(tx), who) if who else _first_on_duty(tx, case)
        case = give(tx, case, agent, desk=desk, by=agent_id)
    elif who is None:
        raise Conflict(f"claim case {case.number} first")
    else:
        agent = must_hold(tx, case, who)
    return send_now(tx, case, agent, text, files, desk=desk, ref=ref, markdown=markdown)


def _first_on_duty(tx: Tx, case: Case) -> AgentView:
    desk = desk_of(tx)
    team = case.team or terms.default_team(desk)
    agents = store.on_duty(tx.conn, desk, team, tx.now)
    if not agents:
        raise Conflict(f"no agent of team {terms.team_name(desk, team)} is available; name one")
    return agents[0]


def note(
    tx: Tx,
    case_id: str,
    agent_id: str | None,
    text: str,
    files: Sequence[FileRef] = (),
    *,
    desk: str,
    ref: str | None = None,
) -> Message:
    """A colleague's note; the customer never sees it. Anybody's, at any time; the same `ref` again is the same note."""
    known = history.by_ref(tx.conn, note_channel(desk), ref) if ref else None
    if known is not None:
        return known
    case = store.held(tx, case_id)
    author = as_author(store.agent(tx.conn, desk_of(tx), agent_id)) if agent_id else SYSTEM
    if not text.strip() and not files:
        raise Conflict("there is nothing to note")
    written = write_note(tx, case, author, text, files, {"desk": desk, "ref": ref})
    if ref:
        history.remember_ref(tx, note_channel(desk), ref, written)
    store.log(tx, case, "note", agent_id, desk=desk, message=written.id)
    return written


# ── the end ────────────────────────────────────────────────────────────────────────────────────────────────────────
def resolve(
    tx: Tx,
    case_id: str,
    agent_id: str | None,
    outcome: str,
    topic: str | None = None,
    reason: str | None = None,
    *,
    by: str = "agent",
    seen: str | None = None,
) -> Case:
    """End a case. `outcome` is one of OUTCOMES; `no_solution` needs a `reason`, which the customer is told.

    The customer hears that it is over (not for spam, nor where they have left); the bot takes up again with a clean
    slate. `seen` is the id of the customer's last message that whoever ends it has read: nobody is thanked for a question
    that came while the form was filled in. Raises Conflict when it is already over, or the outcome or the reason is
    missing, and WroteMeanwhile.
    """
    case = store.held(tx, case_id)
    if not case.live:
        raise is_over(case)
    if outcome not in OUTCOMES:
        raise Conflict(f"outcome {outcome!r} is not known; use one of {', '.join(OUTCOMES)}")
    if outcome == "no_solution" and not (reason or "").strip():
        raise Conflict("without a solution the customer is owed a reason; give one")
    agent = may_act(tx, case, agent_id)
    if seen and outcome != "spam" and last_said(tx, case) not in {None, seen}:
        raise WroteMeanwhile(case.number)
    flush(tx, case, agent_id if agent else case.agent_id)
    case = store.held(tx, case_id)
    ended = _end(tx, case, agent_id, outcome, by=by, topic=topic or case.topic, reason=reason)
    customers.set_bot_state(tx, case.customer_id, {})
    _say_goodbye(tx, ended)
    return _tell_end(tx, ended, case)


def on_close_asked(tx: Tx, asked: CloseAsked) -> Case | None:
    """The bot ends the case that it holds. People hold it, or there is none: nothing happens.

    Who waits in the queue, went on with the bot meanwhile and says that it helped, need not wait any more.
    """
    tx.lock_customer(asked.customer_id)
    case = store.live_now(tx, asked.customer_id)
    if case is None or (case.with_people and not (asked.confirmed and meanwhile.is_with_bot(case))):
        return None
    outcome = asked.outcome if asked.outcome in OUTCOMES else "resolved"
    rest = {"confirmed": asked.confirmed, "survey": dict(asked.survey) if asked.survey else None}
    topic = asked.topic or case.topic
    ended = _end(tx, case, None, outcome, by=asked.by, topic=topic, reason=asked.reason, **rest)
    if outcome == "no_solution" and asked.reason:
        _say_goodbye(tx, ended)
    return _tell_end(tx, ended, case)


def end_in_silence(tx: Tx, case: Case) -> Case:
    """The customer has left the bot alone for long enough: over, without a word."""
    ended = _end(tx, case, None, "abandoned", by="silence", topic=case.topic)
    customers.set_bot_state(tx, case.customer_id, {})
    return _tell_end(tx, ended, case)


def give_up(tx: Tx, case: Case) -> Case:
    """The customer has not answered for long enough: over, and they are told that they may come back."""
    ended = _end(tx, case, None, "abandoned", by="silence", topic=case.topic, reason=None)
    tell_customer(tx, ended, "case_given_up")
    return _tell_end(tx, ended, case)


def _end(tx: Tx, case: Case, agent_id: str | None, outcome: str, *, by: str, **values: Any) -> Case:
    ended = move(
        tx,
        case,
        "resolve",
        agent_id,
        log={"outcome": outcome, "by": by, "topic": values.get("topic"), "reason": values.get("reason")},
        outcome=outcome,
        resolved_by=by,
        resolved_at=tx.now,
        first_resolved_at=case.first_resolved_at or tx.now,
        agent_id=case.agent_id or agent_id,
        last_agent_id=agent_id or case.agent_id or case.last_agent_id,
        agents=[*case.agents, *([agent_id] if agent_id and agent_id not in case.agents else [])],
        wait=None,
        **values,
    )
    queue.settle(tx, ended, served=False)
    if case.with_people:
        take_baton(tx, ended)
    return ended


def _say_goodbye(tx: Tx, ended: Case) -> None:
    if ended.outcome == "no_solution":
        tell_customer(tx, ended, "case_resolved_no_solution", reason=ended.reason)
    elif ended.outcome in {"resolved", "duplicate"}:
        tell_customer(tx, ended, "case_resolved")


def _tell_end(tx: Tx, ended: Case, before: Case) -> Case:
    tx.emit(CaseResolved(ended.id, ended.customer_id, ended.outcome or "", ended.resolved_by or ""))
    changed(tx, ended)
    if before.with_people:
        stir(tx, before.team)
    return ended


# ── what happens to a customer ─────────────────────────────────────────────────────────────────────────────────────
def on_unreachable(tx: Tx, event: ReachabilityChanged) -> None:
    """The customer blocked us, or let us in again: whoever holds their case is told."""
    case = store.live_case(tx.conn, event.identity.customer_id)
    if case is None or not case.with_people:
        return
    key = "unblocked_by_customer" if event.reachable else "blocked_by_customer"
    desk = desk_of(tx)
    channel = say(f"channel_{event.identity.channel}", terms.agents_locale(desk), terms.texts(desk))
    store.log(tx, case, "reachable" if event.reachable else "unreachable", channel=event.identity.channel)
    tell_agents(tx, case, key, channel=channel)
    changed(tx, case)


def on_language(tx: Tx, event: LanguageChanged) -> None:
    """The customer's case goes on in another language: it looks for agents who have it, and counts with it."""
    tx.lock_customer(event.customer_id)
    case = store.live_now(tx, event.customer_id)
    if case is not None and case.locale != event.locale:
        marks.mark(tx.conn, marks.CASES, case.id)
        changed(tx, store.change(tx, case, locale=event.locale))


def on_merged(tx: Tx, event: CustomersMerged) -> None:
    """Two customers become one: of two live cases the better survives, before `bot/storage/merging.py` moves the rows.

    That is the one that an agent holds, else that waits for one, else the older; the other is closed as its duplicate,
    and nobody is asked about it. When they part again, the cases go back as they then are.
    """
    if event.undone:
        return
    both = [store.live_case(tx.conn, one) for one in (event.winner_id, event.loser_id)]
    live = sorted((case for case in both if case is not None), key=_standing)
    for duplicate in live[1:]:
        _close_as_duplicate(tx, duplicate, live[0])
    if live and live[0].customer_id == event.loser_id:
        _follow(tx, live[0], event.winner_id)


def _follow(tx: Tx, case: Case, winner_id: str) -> None:
    """The survivor goes to the winner, whose baton its agent's words now hang on, and whose language it goes on in."""
    epoch = customers.conversation(tx.conn, winner_id).epoch
    for relay in store.waiting_relays(tx.conn, case.id):
        store.change_relay(tx, relay, epoch=epoch)
    winner = customers.customer(tx.conn, winner_id)
    if winner is not None and winner.locale != case.locale:
        marks.mark(tx.conn, marks.CASES, case.id)
        case = store.change(tx, case, locale=winner.locale)
    store.log(tx, case, "merged", **{"from": case.customer_id, "to": winner_id})
    tx.emit(CaseChanged(winner_id, case.id, case.status))


def _standing(case: Case) -> tuple[bool, bool, datetime]:
    return (case.agent_id is None, not case.with_people, case.opened_at)


def _close_as_duplicate(tx: Tx, case: Case, of: Case) -> None:
    flush(tx, case, None)
    log: Mapping[str, Any] = {"outcome": "duplicate", "of": of.id}
    queue.settle(tx, case, served=False)
    changed(tx, move(tx, case, "close", log=dict(log), outcome="duplicate", closed_at=tx.now, wait=None))


def _names(tx: Tx) -> str:
    return ", ".join(one.id for one in terms.teams(desk_of(tx))) or "none"
