"""The port to an agents' workplace. Slack and the web desk implement it (`slack/`, `web/`).

All calls come inside the transaction that made the change, so a desk that lives elsewhere writes its outbox rows here
and never does I/O; a desk in this house nudges its live views after the commit (`tx.after_commit`). What agents do
comes back through the verbs of `cases.py`.

Order: when people fetch, take or pass on a case, its change is told before the messages that were said because of it,
so a card comes before its thread's posts; at the end the goodbye comes first. Desks are also told of cases that only the
bot holds: `Case.concerns_people` says whether people ever had to do with one. A message or note that came from a desk
has `meta["desk"]` and `meta["ref"]`, its own name of the post: don't post it there again.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from bot.events import NotifyAsked
from bot.model import Message
from bot.storage.tx import Tx
from handoff.case import Case, PeopleCalled, Relay
from handoff.errands.errand import ErrandChanged


class AgentDesk(Protocol):
    """One workplace. A desk that fails fails the whole change: catch what may go wrong elsewhere."""

    name: str  # slack | web: the `desk` of its relays

    def case_changed(self, tx: Tx, case: Case) -> None:
        """The case moved, or what people see of it changed. May come more than once for one change."""

    def message_added(self, tx: Tx, case: Case, message: Message) -> None:
        """Something was said, or noted (`message.seq` None), in a case that people hold or held.

        The messages before the escalation are not told one by one: read them at the first `case_changed`.
        """

    def message_amended(self, tx: Tx, case: Case, message: Message) -> None:
        """A message of such a case was edited, or deleted (`deleted_at`)."""

    def relay_changed(self, tx: Tx, relay: Relay) -> None:
        """An agent's words, of whichever desk, were said, delivered, taken back, refused … Compare `relay.desk`."""


@runtime_checkable
class CallsPeople(Protocol):
    """A desk that can call somebody to a case: a user group, or one agent. The note in the case comes by `message_added`."""

    def people_called(self, tx: Tx, event: PeopleCalled) -> None: ...


@runtime_checkable
class ShowsErrands(Protocol):
    """A desk that shows beside a case what colleagues were asked for it. The note comes by `message_added` as well."""

    def errand_changed(self, tx: Tx, event: ErrandChanged) -> None: ...


@runtime_checkable
class TellsColleagues(Protocol):
    """A desk that can tell a channel of colleagues something, beside its cases (`notify:` in a flow)."""

    def on_notify(self, tx: Tx, event: NotifyAsked) -> None: ...
