"""The life of a case, as a table: `TRANSITIONS[status][event]` is the status that follows.

A cell that is missing is a step that cannot be taken: `after` raises Conflict in one clear line. Nothing else in the
house decides on a status. The diagram in the documentation is drawn from this table by `mermaid`.

    escalate        the bot fetches people                 release    the agent gives it back to the queue
    claim           an agent takes it, or is given it      transfer   to another team's queue
    reply           the agent answers the customer         resolve    it came to an end, with an outcome
    customer_wrote  the customer writes                    reopen     the customer came back within the window
    snooze          put aside until a time                 close      the window is over, or it merged into another
    wake            that time has come, or a colleague has answered what was asked for it
    await_customer  the agent has done their part without a word: it is the customer's turn
"""

from __future__ import annotations

from collections.abc import Mapping

from bot.errors import Conflict
from bot.model import CaseStatus

BOT, QUEUED, OPEN, PENDING, SNOOZED, RESOLVED, CLOSED = CaseStatus

EVENTS = (
    "escalate",
    "claim",
    "reply",
    "customer_wrote",
    "await_customer",
    "snooze",
    "wake",
    "release",
    "transfer",
    "resolve",
    "reopen",
    "close",
)

_ENDS = {"resolve": RESOLVED, "close": CLOSED}
_HELD = {"reply": PENDING, "await_customer": PENDING, "snooze": SNOOZED, "release": QUEUED, "transfer": QUEUED}

TRANSITIONS: Mapping[CaseStatus, Mapping[str, CaseStatus]] = {
    BOT: {"escalate": QUEUED, "claim": OPEN, "customer_wrote": BOT, **_ENDS},
    QUEUED: {"escalate": QUEUED, "claim": OPEN, "customer_wrote": QUEUED, "transfer": QUEUED, **_ENDS},
    OPEN: {"escalate": OPEN, "claim": OPEN, "customer_wrote": OPEN, **_HELD, **_ENDS},
    PENDING: {"escalate": OPEN, "claim": PENDING, "customer_wrote": OPEN, "wake": OPEN, **_HELD, **_ENDS},
    SNOOZED: {"escalate": OPEN, "claim": OPEN, "customer_wrote": OPEN, "wake": OPEN, **_HELD, **_ENDS},
    RESOLVED: {"reopen": BOT, "close": CLOSED},
    CLOSED: {},
}

_DID = {
    "escalate": "be escalated",
    "claim": "be claimed",
    "reply": "be answered",
    "customer_wrote": "take a customer's message",
    "await_customer": "wait for the customer",
    "snooze": "be snoozed",
    "wake": "be woken",
    "release": "be given back",
    "transfer": "be transferred",
    "resolve": "be resolved",
    "reopen": "be reopened",
    "close": "be closed",
}


def after(status: CaseStatus, event: str) -> CaseStatus:
    """The status that follows `event`. Raises Conflict where the table has no such step."""
    following = TRANSITIONS[status].get(event)
    if following is None:
        raise Conflict(f"a case that is {status} can't {_DID.get(event, event)}")
    return following


def mermaid() -> str:
    """The table as a Mermaid state diagram; events that lead to the same place share an arrow."""
    lines = ["stateDiagram-v2", "    [*] --> bot: customer_wrote"]
    for status, row in TRANSITIONS.items():
        arrows: dict[CaseStatus, list[str]] = {}
        for event, following in row.items():
            if following is not status:
                arrows.setdefault(following, []).append(event)
        lines += [f"    {status} --> {following}: {', '.join(events)}" for following, events in arrows.items()]
    return "\n".join([*lines, "    closed --> [*]"]) + "\n"
