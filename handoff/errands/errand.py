"""The nouns: an errand, and that something happened to one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bot.model import Message

CONSULT, TASK = "consult", "task"
OPEN, ANSWERED, WITHDRAWN = "open", "answered", "withdrawn"


@dataclass(frozen=True, slots=True)
class Errand:
    """A row of `errands`. A consult is asked of a `team`, a task of its `owner_id`; `asked_by` is an agent, or None: a program.

    `due_at` is until when; `reminders` how often somebody was reminded since. `desk` and `ref`: where it was asked, by that
    desk's own name. `answer_id` is the note that answered it. `channel` and `root`: its thread in Slack, None until Slack has it.
    """

    id: str
    kind: str
    case_id: str
    customer_id: str
    team: str | None
    owner_id: str | None
    asked_by: str | None
    text: str
    state: str
    desk: str
    ref: str | None
    asked_at: datetime
    due_at: datetime
    reminders: int = 0
    answer_id: str | None = None
    answered_by: str | None = None
    ended_at: datetime | None = None
    channel: str | None = None
    root: str | None = None

    @property
    def is_open(self) -> bool:
        return self.state == OPEN

    @property
    def is_task(self) -> bool:
        return self.kind == TASK


@dataclass(frozen=True, slots=True)
class ErrandChanged:
    """Told inside the transaction. `what` is asked | said | answered | withdrawn | overdue; `note` what stands in the case."""

    errand: Errand
    what: str
    note: Message
