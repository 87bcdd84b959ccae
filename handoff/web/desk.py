"""The web desk as a port: whatever changes is a hint to the open pages, which then read the database."""

from __future__ import annotations

from bot.model import Message
from bot.storage.tx import Tx
from channels.web.hub import Hub
from handoff.case import Case, Relay

NAME = "web"


class WebDesk:
    """An `AgentDesk`. `hub` is the desk's own: it wakes agents' pages, never customers' widgets."""

    name = NAME

    def __init__(self, hub: Hub | None = None) -> None:
        self.hub = hub or Hub()

    def case_changed(self, tx: Tx, case: Case) -> None:
        self._hint(tx, case.customer_id, case.id, "case")

    def message_added(self, tx: Tx, case: Case, message: Message) -> None:
        self._hint(tx, case.customer_id, case.id, "note" if message.seq is None else "message", by=message.author.kind)

    def message_amended(self, tx: Tx, case: Case, message: Message) -> None:  # noqa: ARG002 - the page reads it
        self._hint(tx, case.customer_id, case.id, "amended")

    def relay_changed(self, tx: Tx, relay: Relay) -> None:
        self._hint(tx, relay.customer_id, relay.case_id, "relay")

    def _hint(self, tx: Tx, customer_id: str, case_id: str, kind: str, **more: str) -> None:
        tx.after_commit(lambda: self.hub.hint(customer_id, kind, case=case_id, **more))
