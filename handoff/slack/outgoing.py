"""The rows that leave for Slack: each function puts one into the outbox, inside the transaction that made the change.

    root    the card of a case        card   the card, drawn anew      thread  a post in the thread
    redraw  a post, drawn anew        file   a customer's file         fetch   an agent's file comes to us
    mark    reactions on a post       tell   words that one person sees      notify  a line in any channel

A case's posts leave in its lane, in order. Marks, files and what one person is told have lanes of their own: an agent
must not wait for their ⏳ behind a long transcript.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from bot import outbox
from bot.model import FileRef, Message
from bot.storage.tx import Tx
from channels.text import plain_to_mrkdwn
from handoff.case import Case
from handoff.slack import store
from handoff.slack.store import VIA, Thread
from handoff.slack.transcript import join

WAITS, SENT, FAILED, NOTE, TAKEN_BACK = (
    "hourglass_flowing_sand",
    "white_check_mark",
    "warning",
    "lock",
    "leftwards_arrow_with_hook",
)
CHANNEL = "slack"  # whose limits its rows spend, kind by kind: see channels/delivery/paces.py
TELL_WITHIN = timedelta(minutes=10)  # later, nobody knows any more what it was about


def lane(case_id: str) -> str:
    return f"{VIA}:{case_id}"


def root(tx: Tx, case: Case, channel: str, card: Mapping[str, Any]) -> str:
    return _put(tx, case, "root", {"channel": channel, **card}, channel)


def card(tx: Tx, case: Case, known: Thread, drawn: Mapping[str, Any]) -> None:
    store.drop_older_cards(tx, lane(case.id))
    _put(tx, case, "card", {"channel": known.channel, **drawn}, known.channel)


def old_card(tx: Tx, case: Case, known: Thread, drawn: Mapping[str, Any]) -> None:
    """The card in a channel that the case has left, for good."""
    blocks = [block for block in drawn["blocks"] if block["type"] != "actions"]
    if known.root is not None:
        payload = {"channel": known.channel, "ts": known.root, "text": drawn["text"], "blocks": blocks}
        _put(tx, case, "card", payload, known.channel)


def post(tx: Tx, case: Case, channel: str, drawn: Mapping[str, Any], shown: Mapping[str, Message]) -> None:
    """A post in the thread; it joins the one before it, while that one still waits."""
    before = store.last_waiting(tx.conn, lane(case.id))
    joined = join(before[1], drawn) if before is not None else None
    if before is not None and joined is not None and store.grow(tx, before[0], joined):
        outbox_id = before[0]
    else:
        outbox_id = _put(tx, case, "thread", dict(drawn), channel)
    for message_id in dict.fromkeys(str(one) for one, _ in drawn["pieces"]):
        if message_id in shown:
            store.mark_shown(tx, shown[message_id], outbox_id)


def redraw(tx: Tx, case: Case, channel: str, outbox_id: str) -> None:
    _put(tx, case, "redraw", {"row": outbox_id}, channel)


def file(tx: Tx, case: Case, channel: str, what: FileRef) -> None:
    _put(tx, case, "file", {"file_id": what.id, "name": what.name}, channel, lane_=f"{lane(case.id)}:{what.id}")


def fetch(tx: Tx, case: Case, what: FileRef, ref: str) -> None:
    _put(tx, case, "fetch", {"file_id": what.id, "ref": ref, "name": what.name}, None, lane_=f"{VIA}:fetch:{what.id}")


def mark(tx: Tx, case_id: str, customer_id: str, ref: str, add: str, remove: Sequence[str] = ()) -> None:
    channel, _, ts = ref.partition(":")
    outbox.enqueue(
        tx,
        via=VIA,
        lane=f"{VIA}:mark:{ref}",
        kind="mark",
        payload={"channel": channel, "ts": ts, "add": add, "remove": list(remove)},
        bucket=f"{CHANNEL}:{channel}",
        customer_id=customer_id,
        case_id=case_id,
    )


def tell(
    tx: Tx,
    channel: str,
    user: str,
    text: str,
    thread: str | None,
    case: Case | None = None,
    *,
    blocks: Sequence[Mapping[str, Any]] = (),
    until: datetime | None = None,
) -> None:
    """Words that only this person sees (`blocks` say the same, with buttons). Slack shows them once, and keeps them nowhere.

    `until`: later they are of no use.
    """
    outbox.enqueue(
        tx,
        via=VIA,
        lane=f"{VIA}:tell:{user}",
        kind="tell",
        payload={
            "channel": channel,
            "user": user,
            "text": plain_to_mrkdwn(text),
            "thread_ts": thread,
            **({"blocks": [dict(one) for one in blocks]} if blocks else {}),
        },
        bucket=f"{CHANNEL}:{channel}",
        customer_id=case.customer_id if case else None,
        case_id=case.id if case else None,
        expires_at=until or tx.now + TELL_WITHIN,
    )


def notify(tx: Tx, channel: str, text: str, customer_id: str | None, case_id: str | None) -> None:
    """A line that a flow, or the house itself, says to colleagues. `channel` is an id or a #name, as the admin wrote it."""
    outbox.enqueue(
        tx,
        via=VIA,
        lane=f"{VIA}:notify:{channel}",
        kind="notify",
        payload={"channel": channel, "text": plain_to_mrkdwn(text)},
        bucket=f"{CHANNEL}:{channel}",
        customer_id=customer_id,
        case_id=case_id,
    )


def _put(
    tx: Tx, case: Case, kind: str, payload: Mapping[str, Any], channel: str | None, *, lane_: str | None = None
) -> str:
    return outbox.enqueue(
        tx,
        via=VIA,
        lane=lane_ or lane(case.id),
        kind=kind,
        payload=payload,
        bucket=f"{CHANNEL}:{channel}" if channel else None,
        customer_id=case.customer_id,
        case_id=case.id,
    )
