"""`/stafett queue | available | away`, answered in the acknowledgement: only who typed it sees it.

Commands don't work in threads, so whatever has to do with one case is a button.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.model import CaseStatus
from bot.storage import customers
from bot.storage.tx import Tx
from channels.text import one_line, plain_to_mrkdwn
from handoff import store as rows
from handoff.availability import set_available
from handoff.case import Case
from handoff.slack import store
from handoff.slack.agents import Who
from handoff.slack.wording import Wording

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk

MOST = 20  # cases that are listed


def run(tx: Tx, word: str, who: Who, desk: Desk) -> str:
    """What the agent reads, in mrkdwn."""
    wording = Wording(desk)
    match word.strip().lower():
        case "available":
            set_available(tx, who.agent_id, True, name=who.name)
            return plain_to_mrkdwn(wording("slack_available"))
        case "away":
            set_available(tx, who.agent_id, False, name=who.name)
            return plain_to_mrkdwn(wording("slack_away"))
        case "queue" | "":
            return _queue(tx.conn, wording)
        case _:
            return plain_to_mrkdwn(wording("slack_command"))


def _queue(conn: store.Reader, wording: Wording) -> str:
    waiting = rows.listing(conn, status=CaseStatus.QUEUED, limit=500)
    lines = [_line(conn, case, wording) for case in sorted(waiting, key=lambda one: one.escalated_at or one.opened_at)]
    return "\n".join([plain_to_mrkdwn(wording("slack_queue", count=len(waiting))), *lines[:MOST]])


def _line(conn: store.Reader, case: Case, wording: Wording) -> str:
    who = customers.customer(conn, case.customer_id)
    name = plain_to_mrkdwn(one_line(who.name if who else "", 60)) or plain_to_mrkdwn(wording("author_customer"))
    since = wording.date(case.escalated_at or case.opened_at)
    return f"• #{case.number} {name.replace('*', '').replace('`', '')} · {since}"
