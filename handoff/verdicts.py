"""Was a person needed? Its agents say so by one click, of a case that the bot fetched them for. Figures count the last word.

The verdict is a line of the case's audit, so it has no table of its own: `verdict`, with `needed`.
"""

from __future__ import annotations

from bot.errors import Conflict
from bot.storage.tx import Tx
from handoff import store
from handoff.case import Case
from handoff.steps import changed, desk_of

VERDICT = "verdict"


def judge(tx: Tx, case_id: str, agent_id: str, needed: bool, *, desk: str) -> Case:
    """An agent says whether a person was needed; again: the other way round, or nothing new.

    Raises Conflict where the bot fetched nobody, NotAllowed for whoever is not an agent.
    """
    case = store.held(tx, case_id)
    store.agent(tx.conn, desk_of(tx), agent_id)
    if not can_be_judged(case):
        raise Conflict(f"nobody was fetched for case {case.number}: an agent took it by themselves, or the bot has it")
    if last(tx.conn, case.id) is not needed:
        store.log(tx, case, VERDICT, agent_id, needed=needed, desk=desk)
        changed(tx, case)
    return case


def can_be_judged(case: Case) -> bool:
    """Whether the bot ever fetched people for it."""
    return bool(case.escalation)


def last(conn: store.Reader, case_id: str) -> bool | None:
    """The last word on whether a person was needed; None: nobody said."""
    said = [one for one in store.events(conn, case_id) if one.kind == VERDICT]
    return said[-1].data.get("needed") is True if said else None
