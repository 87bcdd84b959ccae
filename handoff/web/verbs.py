"""What agents do in the page: `POST /desk/api/cases/{id}/{verb}`, one small function each. The table is at the end.

Each checks its body (StafettError, one line) and gives a unit for one transaction; what it returns is the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from bot.errors import Conflict, NotFound, StafettError
from bot.model import FileRef
from bot.storage.tx import Tx
from channels.text import clean
from channels.web.channel import text_of
from handoff import cases, second_look, store, verdicts
from handoff.case import Case
from handoff.web import aside, asked, persons
from handoff.web import store as own
from handoff.web.asked import Body
from handoff.web.desk import NAME
from handoff.web.shown import relay_row

MAX_TOPIC = 120

Unit: TypeAlias = Callable[[Tx], dict[str, Any]]
Verb: TypeAlias = Callable[[str, str, Body], Unit]
"""(case id, agent id, body) → what to do in a transaction."""


class LookAgain(Conflict):
    """Nothing was sent: the page shows why, and sends it `anyway` where its agent says so."""

    def __init__(self, warnings: Sequence[str]) -> None:
        super().__init__("look at these words again, or send them anyway")
        self.warnings = [dict(zip(("kind", "what"), second_look.parted(one), strict=True)) for one in warnings]


def claim(case_id: str, agent_id: str, _body: Body) -> Unit:
    return lambda tx: _moved(cases.claim(tx, case_id, agent_id, desk=NAME))


def release(case_id: str, agent_id: str, _body: Body) -> Unit:
    return lambda tx: _moved(cases.release(tx, case_id, agent_id, desk=NAME))


def snooze(case_id: str, agent_id: str, body: Body) -> Unit:
    until = asked.moment(body, "until")
    return lambda tx: _moved(cases.snooze(tx, case_id, agent_id, until, desk=NAME))


def wake(case_id: str, agent_id: str, _body: Body) -> Unit:
    def unit(tx: Tx) -> dict[str, Any]:
        case = store.held(tx, case_id)
        if case.agent_id != agent_id:
            raise Conflict(f"case {case.number} is not yours to wake")
        return _moved(cases.wake(tx, case))

    return unit


def assign(case_id: str, agent_id: str, body: Body) -> Unit:
    to = asked.needed(body, "agent")
    return lambda tx: _moved(cases.assign(tx, case_id, to, desk=NAME, by=agent_id))


def transfer(case_id: str, agent_id: str, body: Body) -> Unit:
    team = asked.needed(body, "team")
    return lambda tx: _moved(cases.transfer(tx, case_id, agent_id, team, desk=NAME))


def resolve(case_id: str, agent_id: str, body: Body) -> Unit:
    """`seen`: the customer's last message that stood in the page as its form was opened."""
    outcome = asked.needed(body, "outcome")
    topic, reason = (clean(text_of(body, name) or "").strip() or None for name in ("topic", "reason"))
    if topic and len(topic) > MAX_TOPIC:
        raise StafettError(f"a topic is at most {MAX_TOPIC} characters")
    asked.not_too_long(reason or "")
    seen = text_of(body, "seen")
    return lambda tx: _moved(cases.resolve(tx, case_id, agent_id, outcome, topic, reason, seen=seen))


def reply(case_id: str, agent_id: str, body: Body) -> Unit:
    """Through the undo window. `ref` is the page's own id for it: sent twice, it is one reply.

    Words that should be looked at again are refused (LookAgain), unless the agent has: `anyway`.
    """
    anyway = body.get("anyway") is True
    words, ref, ids = asked.words(body), asked.ref(body, agent_id), asked.file_ids(body)

    def unit(tx: Tx) -> dict[str, Any]:
        case = store.case(tx.conn, case_id)
        if case is not None and not anyway and store.relay(tx.conn, NAME, ref) is None:
            found = second_look.look(tx.conn, tx.wiring.desk(), case, words)
            if found.warnings:
                raise LookAgain(found.warnings)
        made = cases.draft(tx, case_id, agent_id, words, _files(tx, ids, agent_id), desk=NAME, ref=ref)
        return {"relay": relay_row(tx.conn, tx.wiring.desk(), made)}

    return unit


def take_back(case_id: str, agent_id: str, body: Body) -> Unit:
    """`as_note`: it stays in the case as a note. `gone` false: the customer already has it, for good."""
    ref, as_note = asked.ref(body, agent_id), body.get("as_note") is True

    def unit(tx: Tx) -> dict[str, Any]:
        known = store.relay(tx.conn, NAME, ref)
        if known is None or known.case_id != case_id:
            raise NotFound("there is no such reply")
        return {"gone": cases.take_back(tx, NAME, ref, as_note=as_note)}

    return unit


def note(case_id: str, agent_id: str, body: Body) -> Unit:
    words, ref, ids = asked.words(body), asked.ref(body, agent_id), asked.file_ids(body)

    def unit(tx: Tx) -> dict[str, Any]:
        made = cases.note(tx, case_id, agent_id, words, _files(tx, ids, agent_id), desk=NAME, ref=ref)
        return {"message": made.id}

    return unit


def verdict(case_id: str, agent_id: str, body: Body) -> Unit:
    """`needed`: whether this case needed a person."""
    needed = body.get("needed")
    if not isinstance(needed, bool):
        raise StafettError("needed is true or false")
    return lambda tx: _moved(verdicts.judge(tx, case_id, agent_id, needed, desk=NAME))


VERBS: Mapping[str, Verb] = {
    "claim": claim,
    "release": release,
    "snooze": snooze,
    "wake": wake,
    "assign": assign,
    "transfer": transfer,
    "resolve": resolve,
    "reply": reply,
    "take-back": take_back,
    "note": note,
    **persons.VERBS,
    "consult": aside.consult,
    "task": aside.task,
    "errand": aside.errand,
    "verdict": verdict,
}


def _moved(case: Case) -> dict[str, Any]:
    return {"id": case.id, "status": str(case.status)}


def _files(tx: Tx, ids: Sequence[str], agent_id: str) -> list[FileRef]:
    found = own.uploads(tx.conn, ids, agent_id)
    if len(found) != len(ids):
        raise NotFound("a file is not there, or not yours; upload it again")
    return found
