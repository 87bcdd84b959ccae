"""The web desk as a port: whatever changes is a hint to the open pages, which then read the database."""

from __future__ import annotations

from bot.events import AlertChanged
from bot.model import Message
from bot.storage import alert_rows
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

    def alert_changed(self, tx: Tx, event: AlertChanged) -> None:
        """Not of the port: alerts are nobody's case."""
        alert = alert_rows.one(tx.conn, event.alert_id)
        if alert is not None:
            self._hint(tx, alert.customer_id, alert.case_id or "", "alert")

    def _hint(self, tx: Tx, customer_id: str, case_id: str, kind: str, **more: str) -> None:
        tx.after_commit(lambda: self.hub.hint(customer_id, kind, case=case_id, **more))
