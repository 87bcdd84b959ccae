"""An agent's words on their way to the customer: said at once, or after the undo window.

A draft waits; at its end (`relay_due`) it is checked again that the baton and the case are where they were. Words are
never lost: what could not be said stays in the case as a note. A desk may hand in the same post twice (Slack
repeats): `ref` makes it one relay.

Words that their agent should look at again (`send_check`) can be handed in as *held*: they leave when their agent says so
(`let_go`), or edits them into others, and never by themselves; after HOLD they are a note.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from bot import outbox, timers
from bot.errors import Conflict
from bot.model import Body, FileRef, Message, new_id
from bot.storage import customers, history
from bot.storage.tx import Tx
from handoff import store, terms
from handoff.case import AgentView, Case, Relay, RelayChanged
from handoff.steps import as_author, changed, desk_of, move, must_hold, write_note

HOLD = timedelta(minutes=10)  # so long held words wait for their agent


def draft(
    tx: Tx,
    case_id: str,
    agent_id: str,
    text: str,
    files: Sequence[FileRef] = (),
    *,
    desk: str,
    ref: str | None = None,
    held: Sequence[str] = (),
) -> Relay:
    """Words of the case's holder, said after the desk's undo window (at once where that is zero); `held` for a second look.

    Raises Conflict unless that agent holds the live case, or when there is nothing to send. The same `ref` again gives
    the relay that there is.
    """
    known = store.relay(tx.conn, desk, ref) if ref else None
    if known is not None:
        return known
    case = store.held(tx, case_id)
    agent = must_hold(tx, case, agent_id)
    relay = _insert(tx, case, agent, text, files, desk, ref, held)
    if relay.due_at <= tx.now:
        return _say(tx, case, agent, relay)
    _ring(tx, relay)
    return told(tx, relay)


def _ring(tx: Tx, relay: Relay) -> None:
    where = {"customer_id": relay.customer_id, "case_id": relay.case_id}
    timers.set_timer(tx, "relay", f"relay:{relay.id}", relay.due_at, **where, data={"relay": relay.id})


def let_go(tx: Tx, desk: str, ref: str, agent_id: str) -> Relay:
    """Held words leave at once, for their agent has looked at them again; checked as at the end of any undo window.

    Raises Conflict when nothing is held under that name (any more), or it is another agent's.
    """
    relay = store.relay(tx.conn, desk, ref)
    case = store.held(tx, relay.case_id) if relay is not None else None
    relay = store.relay(tx.conn, desk, ref)
    if relay is None or case is None or relay.state != "waiting" or not relay.held or relay.agent_id != agent_id:
        raise Conflict("these words do not wait any more")
    timers.cancel(tx, f"relay:{relay.id}")
    store.log(tx, case, "sent_anyway", agent_id, relay=relay.id, warned=list(relay.held))
    return _leave(tx, case, store.change_relay(tx, relay, held=None))


def relay_due(tx: Tx, timer: timers.Timer) -> None:
    """The undo window is over: say it, if the agent still holds the baton; else keep it as a note."""
    relay = store.relay_by_id(tx.conn, timer.data["relay"])
    if relay is None or relay.state != "waiting":
        return
    _leave(tx, store.held(tx, relay.case_id), relay)


def _leave(tx: Tx, case: Case, relay: Relay) -> Relay:
    """Said, if the baton and the case are where they were; else, and where nobody looked at held words, a note."""
    if relay.held:
        return _keep(tx, case, relay, "note")
    agent = _agent_of(tx, relay)
    epoch = customers.conversation(tx.conn, case.customer_id).epoch
    if agent is not None and case.with_people and case.agent_id == agent.id and epoch == relay.epoch:
        return _say(tx, case, agent, relay)
    return _keep(tx, case, relay, "refused")


def take_back(tx: Tx, desk: str, ref: str, *, as_note: bool = False) -> bool:
    """Take words back: before they were said they never leave (`as_note`: they stay as a note); after, they are deleted
    at the customer's too. True: the customer doesn't have them (any more). False: that platform can't delete them, or they
    were to stay as a note and have been said.

    A post that is a note is deleted as a note. Raises Conflict when the desk never handed in that post.
    """
    relay = store.relay(tx.conn, desk, ref)
    if relay is None:
        note = _note_of(tx, desk, ref)
        if note.deleted_at is None and not as_note:
            history.delete(tx, note)
        return True
    case = store.held(tx, relay.case_id)
    relay = store.relay(tx.conn, desk, ref) or relay
    if relay.state == "waiting":
        timers.cancel(tx, f"relay:{relay.id}")
        if as_note:
            _keep(tx, case, relay, "note")
        else:
            told(tx, store.change_relay(tx, relay, state="taken_back"))
        store.log(tx, case, "take_back", relay.agent_id, relay=relay.id, sent=False)
        return True
    if relay.state == "said" and as_note:
        return False
    message = history.message(tx.conn, relay.message_id) if relay.message_id else None
    if message is None or message.deleted_at is not None:
        return True
    if message.seq is None:
        if not as_note:
            history.delete(tx, message)
        return True
    gone = outbox.delete(tx, message)
    store.log(tx, case, "take_back", relay.agent_id, relay=relay.id, sent=True, gone=gone)
    told(tx, store.change_relay(tx, relay, state="taken_back" if gone else relay.state))
    return gone


def edit_relay(tx: Tx, desk: str, ref: str, text: str, held: Sequence[str] = ()) -> bool:
    """The agent edited a post: the draft, the customer's copy, or the note changes. `held`: what is wrong with the new words,
    which then wait; words that waited and are better now leave after the undo window.

    True: what the customer has, or will get, is the new text. False: that platform can't, or it is no customer's
    matter. Raises Conflict when the desk never handed in that post.
    """
    relay = store.relay(tx.conn, desk, ref)
    if relay is None:
        history.edit(tx, _note_of(tx, desk, ref), text)
        return False
    case = store.held(tx, relay.case_id)
    relay = store.relay(tx.conn, desk, ref) or relay
    if relay.state == "waiting":
        edited = store.change_relay(tx, relay, text=text)
        if bool(held) != bool(relay.held):
            due_at = tx.now + (HOLD if held else terms.undo(desk_of(tx)))
            edited = store.change_relay(tx, edited, held=list(held) or None, due_at=due_at)
            _ring(tx, edited)
            told(tx, edited)
        return True
    message = history.message(tx.conn, relay.message_id) if relay.message_id else None
    if message is None or message.deleted_at is not None or relay.state == "taken_back":
        return False
    if message.seq is None:
        history.edit(tx, message, text)
        return False
    done = outbox.edit(tx, message, text)
    store.log(tx, case, "edit_reply", relay.agent_id, relay=relay.id, done=done)
    told(tx, store.change_relay(tx, relay, text=text))
    return done


def send_now(
    tx: Tx,
    case: Case,
    agent: AgentView,
    text: str,
    files: Sequence[FileRef],
    *,
    desk: str,
    ref: str | None,
    markdown: bool,
) -> Message:
    """The holder's words, at once; what they drafted before goes first. `cases.reply` has checked who they are."""
    flush(tx, case, agent.id)
    case = store.case(tx.conn, case.id) or case
    relay = _insert(tx, case, agent, text, files, desk, ref)
    said = _say(tx, case, agent, relay, markdown=markdown)
    message = history.message(tx.conn, said.message_id or "")
    if message is None:
        raise Conflict(f"case {case.number}: the answer is gone")
    return message


def flush(tx: Tx, case: Case, agent_id: str | None, *, held: bool = True) -> None:
    """End all undo windows of a case: the agent's own words are said now, others' stay as notes.

    What waits for a second look stays as a note, too; without `held` it waits on.
    """
    for relay in store.waiting_relays(tx.conn, case.id):
        if relay.held and not held:
            continue
        timers.cancel(tx, f"relay:{relay.id}")
        now = store.case(tx.conn, case.id) or case
        agent = _agent_of(tx, relay)
        if relay.held:
            _keep(tx, now, relay, "note")
        elif agent is not None and agent.id == agent_id == now.agent_id and now.with_people:
            _say(tx, now, agent, relay)
        else:
            _keep(tx, now, relay, "refused")


def told(tx: Tx, relay: Relay) -> Relay:
    """Tell the desks of a relay's new state, and give it on."""
    tx.emit(RelayChanged(relay))
    return relay


def note_channel(desk: str) -> str:
    """Under which name `message_refs` keeps a desk's own names of notes."""
    return f"desk:{desk}"


def _insert(
    tx: Tx,
    case: Case,
    agent: AgentView,
    text: str,
    files: Sequence[FileRef],
    desk: str,
    ref: str | None,
    held: Sequence[str] = (),
) -> Relay:
    if not text.strip() and not files:
        raise Conflict("there is nothing to send")
    relay = Relay(
        id=new_id(),
        case_id=case.id,
        customer_id=case.customer_id,
        agent_id=agent.id,
        desk=desk,
        ref=ref,
        text=text,
        files=tuple(files),
        state="waiting",
        epoch=customers.conversation(tx.conn, case.customer_id).epoch,
        due_at=tx.now + (HOLD if held else terms.undo(desk_of(tx))),
        message_id=None,
        created_at=tx.now,
        held=tuple(held) or None,
    )
    return store.insert_relay(tx, relay)


def _say(tx: Tx, case: Case, agent: AgentView, relay: Relay, *, markdown: bool = True) -> Relay:
    """Say it, with all that an answer changes in its case."""
    values = {"last_agent_at": tx.now, "first_reply_at": case.first_reply_at or tx.now}
    case = move(tx, case, "reply", agent.id, log={"desk": relay.desk, "relay": relay.id}, **values)
    message = outbox.say(
        tx,
        case.customer_id,
        Body(relay.text, markdown=markdown, files=relay.files),
        author=as_author(agent),
        case_id=case.id,
        meta={"desk": relay.desk, "ref": relay.ref, "relay": relay.id},
    )
    said = told(tx, store.change_relay(tx, relay, state="said", message_id=message.id))
    changed(tx, case)
    return said


def _keep(tx: Tx, case: Case, relay: Relay, state: str) -> Relay:
    """What was not said stays as a note of its author's."""
    who = as_author(_agent_of(tx, relay) or AgentView(relay.agent_id, relay.agent_id))
    meta = {"desk": relay.desk, "ref": relay.ref, "relay": relay.id}
    note = write_note(tx, case, who, relay.text, relay.files, meta)
    store.log(tx, case, "not_said", relay.agent_id, relay=relay.id, state=state)
    return told(tx, store.change_relay(tx, relay, state=state, message_id=note.id))


def _agent_of(tx: Tx, relay: Relay) -> AgentView | None:
    """Its author; None: they are no agent of this desk any more."""
    return next((one for one in store.agents(tx.conn, desk_of(tx)) if one.id == relay.agent_id), None)


def _note_of(tx: Tx, desk: str, ref: str) -> Message:
    note = history.by_ref(tx.conn, note_channel(desk), ref)
    if note is None:
        raise Conflict("that post is neither an answer nor a note of a case")
    return note
