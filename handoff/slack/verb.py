"""What a row of the table in `verbs.py` is: a verb behind a button, a thread beside the cases' own, a kind of post.

A verb `name` has the action_id and the callback_id `desk:{name}`; its button's value, and the first word of its form's
private_metadata, is the case's id. Its functions run inside one transaction and do no I/O; what they refuse they raise
(Conflict, NotAllowed, NotFound, or a `Refusal` in the agents' own language), and who acted is told in one clear line.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from bot.errors import Conflict
from bot.events import SendSettled
from bot.storage import customers
from bot.storage.engine import Storage
from bot.storage.tx import Tx
from channels.port import Delivery, Sent, Verdict
from channels.slack.connection import SlackConnection
from handoff.case import AgentView, Case
from handoff.slack.agents import Who
from handoff.slack.posts import Post, Words
from handoff.slack.store import Reader
from handoff.slack.wording import Wording

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk

ACTION = "desk:"
View: TypeAlias = dict[str, Any]
"""A modal as views.open takes it; `forms.view` makes one."""


class Refusal(Conflict):
    """Refused in words that the agent can read as they are."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Who acts on which case, in an open transaction. `channel` and `root` are where its card is.

    `message` is the post that a message's menu was opened on, or a reaction put on (empty for buttons). `extra` is what stands
    behind the case's id in the value of the button that was pressed.
    """

    tx: Tx
    case: Case
    agent: AgentView
    who: Who
    channel: str
    root: str | None
    desk: Desk | None
    wording: Wording
    message: Mapping[str, Any]
    extra: str = ""

    @property
    def customer_name(self) -> str:
        who = customers.customer(self.tx.conn, self.case.customer_id)
        return who.name if who else ""


@dataclass(frozen=True, slots=True)
class Verb:
    """One thing that agents can do. Without a `form` it acts at once, by `act`; with one, `submit` does.

    `label` and `about` are keys of texts. `offered`: whether this agent is shown it on that case; who presses a stale
    button comes to the verb all the same, which refuses. `submit` takes what was filled in (`forms.filled`) and answers None,
    when it is done, or an acknowledgement: `forms.errors(…)`, `{"response_action": "update" | "push", "view": …}`.
    A refusal that it raises stands beside `field`, without one in the form's place. `pick` takes (scene, the form, the
    action): something in the form was pressed or chosen (its action_id is `desk:{name}:{anything}`); the form that follows,
    or None. `react` is what a reaction on the card does, where that is not `act`: a reaction can open no form. `fits`: what
    else must hold for it to be offered.
    """

    name: str
    label: str
    offered: Callable[[Case, AgentView], bool]
    about: str = ""
    act: Callable[[Scene], None] | None = None
    form: Callable[[Scene], View] | None = None
    submit: Callable[[Scene, Mapping[str, Any]], Mapping[str, Any] | None] | None = None
    pick: Callable[[Scene, Mapping[str, Any], Mapping[str, Any]], View | None] | None = None
    field: str = ""
    react: Callable[[Scene], None] | None = None
    fits: Callable[[Scene], bool] | None = None

    @property
    def action(self) -> str:
        return f"{ACTION}{self.name}"


@dataclass(frozen=True, slots=True)
class SideThread:
    """Threads in the agents' channels that are no case's own: nothing in them ever leaves the house.

    `under`: what is known under that (channel, root), or None. `posted` takes an agent's post there, once for each.
    A post that it keeps as a note with `ref=post.ref` (see `cases.note`) follows its edits and its deletion by itself.
    `deleted` hears that the thread's root is gone.
    """

    under: Callable[[Reader, str, str], str | None]
    posted: Callable[[Tx, str, Post, Who, Words], None]
    deleted: Callable[[Tx, str], None]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of row that `DeskSender` sends for somebody else: `outbox.enqueue(tx, via=store.VIA, kind=name, …)`.

    `in_doubt`: what becomes of one that may have arrived. With `found` (row, channel, ts) it is looked for first, at the top of
    `payload["channel"]`, by the metadata that it was posted with. `settled` hears its end, in a transaction.
    """

    name: str
    send: Callable[[SlackConnection, Storage, Delivery], Awaitable[Sent]]
    in_doubt: Verdict = Verdict.GIVE_UP
    found: Callable[[Delivery, str, str], Sent] | None = None
    settled: Callable[[Tx, SendSettled], None] | None = None
