"""What people did that stands in no case: one line each, never changed. What happens to a case is in `case_events`.

`who` is an agent's id, a person of the console (`console:…`), `api`, `operator`. The console's audit page shows it, and has words
in each language for what it knows (`console_did_…`). In `data` stand ids and titles, never what customers said: a wish, which is
called by a customer's words, stands there by its id.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert

from bot.storage import tables as t
from bot.storage.tx import Tx


def note(tx: Tx, who: str, what: str, /, **data: Any) -> None:
    """Write that `who` did `what`."""
    tx.conn.execute(insert(t.audit).values(at=tx.now, who=who, what=what, data=data))


def of_console(tx: Tx, who: str, what: str, /, **data: Any) -> None:
    """The same of what is done in the console."""
    note(tx, who, f"console: {what}", **data)


def of_agent(tx: Tx, agent_id: str, what: str, /, **data: Any) -> None:
    """The same of what agents do at their desk."""
    note(tx, agent_id, f"agent: {what}", **data)
