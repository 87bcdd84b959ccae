"""Asking colleagues for a case, and what they say: each verb runs on an open transaction, as those of `handoff.cases`.

Refusals are one clear line: Conflict (the case or the errand is over, nothing was said), NotAllowed (not an agent, or not
theirs), NotFound. The same `ref` again is the same question, and the same word.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from bot import timers
from bot.errors import Conflict, NotAllowed, NotFound
from bot.model import SYSTEM, CaseStatus, FileRef, Message, new_id
from bot.storage import history
from bot.storage.tx import Tx
from bot.texts import Texts, say
from handoff import hours, store, terms
from handoff.case import AgentView, Case, PeopleCalled
from handoff.errands import store as rows
from handoff.errands.errand import ANSWERED, CONSULT, OPEN, TASK, WITHDRAWN, Errand, ErrandChanged
from handoff.relays import note_channel
from handoff.steps import as_author, changed, desk_of, is_over, may_act, move, write_note

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk

KIND = "errand"
WITHIN = timedelta(hours=4)  # of business: so long a question to a team may take where its asker says nothing
LONGEST = 3000  # characters of what is asked, and of an answer: one field of a form in Slack
META = "errand"  # in a note's meta: whose word it is


class Ended(Conflict):
    """It was answered, or taken back, before."""


class NotTheirs(NotAllowed):
    """A task of somebody else's: `owner` is their name."""

    def __init__(self, owner: str) -> None:
        super().__init__(f"it is {owner}'s task; they, who asked, or a lead say that it is done")
        self.owner = owner


# ── asking ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def consult(
    tx: Tx,
    case_id: str,
    agent_id: str | None,
    team: str,
    text: str,
    *,
    desk: str,
    due_at: datetime | None = None,
    ref: str | None = None,
) -> Errand:
    """Ask another team something; without `due_at` they have WITHIN of their own hours. The customer never sees it."""
    if terms.team(desk_of(tx), team) is None:
        named = ", ".join(one.id for one in terms.teams(desk_of(tx))) or "none"
        raise NotFound(f"there is no team {team}; desk.yaml names {named}")
    until = due_at or hours.after_business(hours.of(desk_of(tx), team), tx.now, WITHIN) or tx.now + WITHIN
    return _ask(tx, case_id, agent_id, text, desk, ref, kind=CONSULT, team=team, owner_id=None, due_at=until)


def task(
    tx: Tx,
    case_id: str,
    agent_id: str | None,
    owner: str,
    text: str,
    due_at: datetime,
    *,
    desk: str,
    ref: str | None = None,
) -> Errand:
    """Have a colleague (or oneself) do something by then; what comes of it returns to the case."""
    doer = store.agent(tx.conn, desk_of(tx), owner)
    return _ask(tx, case_id, agent_id, text, desk, ref, kind=TASK, team=doer.team, owner_id=doer.id, due_at=due_at)


def _ask(
    tx: Tx,
    case_id: str,
    agent_id: str | None,
    text: str,
    desk: str,
    ref: str | None,
    *,
    kind: str,
    team: str | None,
    owner_id: str | None,
    due_at: datetime,
) -> Errand:
    known = rows.by_ref(tx.conn, desk, ref) if ref else None
    if known is not None:
        return known
    case, words = store.held(tx, case_id), _words(text)
    if not case.live:
        raise is_over(case)
    may_act(tx, case, agent_id)
    if due_at <= tx.now:
        raise Conflict("colleagues are given until a time to come")
    made = Errand(
        id=new_id(),
        kind=kind,
        case_id=case.id,
        customer_id=case.customer_id,
        team=team,
        owner_id=owner_id,
        asked_by=agent_id,
        text=words,
        state=OPEN,
        desk=desk,
        ref=ref,
        asked_at=tx.now,
        due_at=due_at,
    )
    rows.add(tx, made)
    store.log(tx, case, kind, agent_id, errand=made.id, team=team, owner=owner_id, due_at=due_at.isoformat(), desk=desk)
    note = _note(tx, case, made, agent_id, f"{_heading(tx, made)}\n{words}")
    watch_until(tx, made, due_at)
    return _tell(tx, case, made, "asked", note)


# ── what colleagues say ────────────────────────────────────────────────────────────────────────────────────────────
def talk(
    tx: Tx,
    errand_id: str,
    agent_id: str,
    text: str,
    files: Sequence[FileRef] = (),
    *,
    desk: str,
    ref: str | None = None,
    said: bool = False,
) -> Errand:
    """A word in the side thread. Of a question, the first word of anybody but its asker is the answer; a task's owner says by
    `answer` that it is done. `said`: the words stand in Slack already, by that `ref`.
    """
    errand = _held(tx, errand_id)
    if _known(tx, desk, ref):
        return errand
    if not errand.is_task and errand.is_open and agent_id != errand.asked_by:
        return answer(tx, errand_id, agent_id, text, files, desk=desk, ref=ref, said=said)
    case, who = _case(tx, errand), store.agent(tx.conn, desk_of(tx), agent_id)
    note = _note(tx, case, errand, who.id, _words(text, files), files, desk, ref, said=said)
    store.log(tx, case, f"{errand.kind}_said", who.id, errand=errand.id, message=note.id, desk=desk)
    return _tell(tx, case, errand, "said", note)


def answer(
    tx: Tx,
    errand_id: str,
    agent_id: str,
    text: str,
    files: Sequence[FileRef] = (),
    *,
    desk: str,
    ref: str | None = None,
    said: bool = False,
) -> Errand:
    """What came of it: a note in the case, whose agent is called and whose turn it is again.

    Anybody's of a question; a task's by its owner, who asked, or a lead. Raises Conflict when it has ended before.
    """
    errand = _held(tx, errand_id)
    if _known(tx, desk, ref):
        return errand
    who = store.agent(tx.conn, desk_of(tx), agent_id)
    _may_end(tx, errand, who)
    case, words = _case(tx, errand), _words(text, files)
    done = rows.change(tx, errand, state=ANSWERED, answered_by=who.id, ended_at=tx.now)
    timers.cancel(tx, _timer(errand))
    note = _note(tx, case, done, who.id, f"{_heading(tx, done)}\n{words}", files, desk, ref, said=said)
    done = rows.change(tx, done, answer_id=note.id)
    took = (tx.now - errand.asked_at).total_seconds()
    store.log(tx, case, f"{errand.kind}_answered", who.id, errand=errand.id, message=note.id, took_s=took, desk=desk)
    _tell(tx, case, done, "answered", note)
    _wake(tx, case, done, note)
    return done


def _may_end(tx: Tx, errand: Errand, who: AgentView) -> None:
    if not errand.is_open:
        raise Ended(f"this was {errand.state} before")
    if errand.is_task and who.id not in {errand.owner_id, errand.asked_by} and not who.leads:
        raise NotTheirs(store.agent_name(tx.conn, desk_of(tx), errand.owner_id))


def withdraw(tx: Tx, errand_id: str, agent_id: str | None, *, desk: str) -> Errand:
    """It is not needed any more. By who asked, who may act on the case, or (None) the house. Again: nothing more."""
    errand = _held(tx, errand_id)
    if not errand.is_open:
        return errand
    case = _case(tx, errand)
    if agent_id is not None and agent_id != errand.asked_by:
        may_act(tx, case, agent_id)
    gone = rows.change(tx, errand, state=WITHDRAWN, ended_at=tx.now)
    timers.cancel(tx, _timer(errand))
    note = _note(tx, case, gone, agent_id, _heading(tx, gone))
    store.log(tx, case, f"{errand.kind}_withdrawn", agent_id, errand=errand.id, desk=desk)
    return _tell(tx, case, gone, "withdrawn", note)


def _wake(tx: Tx, case: Case, errand: Errand, note: Message) -> None:
    """The case's agent (or, while nobody holds it, who asked) is called; the case is theirs to go on with."""
    case = store.case(tx.conn, case.id) or case
    if not case.with_people:
        return
    if case.status in {CaseStatus.SNOOZED, CaseStatus.PENDING}:
        case = changed(tx, move(tx, case, "wake", errand.answered_by, log={"errand": errand.id}))
    person = case.agent_id or errand.asked_by
    if person is not None and person != errand.answered_by:
        tx.emit(PeopleCalled(case, "answer", note.body.text, person=person))


# ── what the verbs are made of ─────────────────────────────────────────────────────────────────────────────────────
def watch_until(tx: Tx, errand: Errand, at: datetime) -> None:
    """Have it looked at then."""
    customer, case = errand.customer_id, errand.case_id
    timers.set_timer(tx, KIND, _timer(errand), at, customer_id=customer, case_id=case, data={"errand": errand.id})


def remind(tx: Tx, case: Case, errand: Errand) -> None:
    """It is late: noted in the case, told where it was asked."""
    later = rows.change(tx, errand, reminders=errand.reminders + 1)
    store.log(tx, case, f"{errand.kind}_overdue", errand.owner_id, errand=errand.id, times=later.reminders)
    words = say(f"{errand.kind}_overdue", *_in_agents_words(tx), who=asked_name(tx, errand), text=errand.text)
    note = _note(tx, case, later, None, words)
    _tell(tx, case, later, "overdue", note)
    person = errand.owner_id if errand.is_task else errand.asked_by or case.agent_id
    if person is not None:
        tx.emit(PeopleCalled(case, "overdue", words, person=person))


def asked_name(tx: Tx, errand: Errand) -> str:
    """Who was asked, by the name that people use."""
    return name_of(tx.conn, desk_of(tx), errand)


def name_of(conn: store.Reader, desk: Desk | None, errand: Errand) -> str:
    return store.agent_name(conn, desk, errand.owner_id) if errand.is_task else terms.team_name(desk, errand.team)


def _heading(tx: Tx, errand: Errand) -> str:
    """The words before a note's own: what it is about. The customer's language has no part in it."""
    key = {OPEN: "asked", ANSWERED: "answered", WITHDRAWN: "withdrawn"}[errand.state]
    words = say(f"{errand.kind}_{key}", *_in_agents_words(tx), who=asked_name(tx, errand))
    return words if key == "asked" else f"{words} ({_quoted(errand.text)})"


def _quoted(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else line[:79] + "…"


def _in_agents_words(tx: Tx) -> tuple[str, Texts | None]:
    desk = desk_of(tx)
    return terms.agents_locale(desk), terms.texts(desk)


def _note(
    tx: Tx,
    case: Case,
    errand: Errand,
    agent_id: str | None,
    text: str,
    files: Sequence[FileRef] = (),
    desk: str = "",
    ref: str | None = None,
    *,
    said: bool = False,
) -> Message:
    """Everything that is said for an errand goes through here, and is a note. `said`: Slack has the words already."""
    author = as_author(store.agent(tx.conn, desk_of(tx), agent_id)) if agent_id else SYSTEM
    meta = {META: errand.id, **({"desk": desk} if desk else {}), **({"ref": ref} if said else {})}
    note = write_note(tx, case, author, text, files, meta)
    if ref:
        history.remember_ref(tx, note_channel(desk), ref, note)
    return note


def _known(tx: Tx, desk: str, ref: str | None) -> bool:
    return ref is not None and history.by_ref(tx.conn, note_channel(desk), ref) is not None


def _tell(tx: Tx, case: Case, errand: Errand, what: str, note: Message) -> Errand:
    tx.emit(ErrandChanged(errand, what, note))
    changed(tx, case)
    return errand


def _held(tx: Tx, errand_id: str) -> Errand:
    """The errand as it is now, its customer's turns held until the commit. Raises NotFound."""
    found = rows.one(tx.conn, errand_id)
    if found is None:
        raise NotFound("nothing was asked by that name")
    tx.lock_customer(found.customer_id)
    return rows.one(tx.conn, errand_id) or found


def _case(tx: Tx, errand: Errand) -> Case:
    found = store.case(tx.conn, errand.case_id)
    if found is None:
        raise NotFound("its case is gone")
    return found


def _words(text: str, files: Sequence[FileRef] = ()) -> str:
    words = text.strip()
    if not words and not files:
        raise Conflict("there is nothing to ask or to say")
    if len(words) > LONGEST:
        raise Conflict(f"at most {LONGEST} characters; write the rest in the case")
    return words


def _timer(errand: Errand) -> str:
    return f"{KIND}:{errand.id}"
