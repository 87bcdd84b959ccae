"""Questions to a team and tasks, in Slack: each has a card and a thread of its own in the channel of who is asked.

What lives here: the card (pure), the rows that leave, and what is written below it. The verbs are `handoff.errands`', their
forms `asking`. Nothing in such a thread ever leaves the house: it is no case's thread, and what agents write there is a note.
A row names the errand: the card is drawn as it then is, posted the first time and updated from then on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bot import outbox
from bot.errors import Conflict, NotAllowed, NotFound, NotSent
from bot.events import SendSettled
from bot.storage import customers
from bot.storage.engine import Storage
from bot.storage.tx import Tx
from channels.port import Delivery, Sent
from channels.slack.connection import SlackConnection
from channels.slack.payloads import metadata_for
from channels.text import TEXT_LIMIT, one_line, plain_to_mrkdwn, shorten, to_plain, visible
from handoff import store as cases
from handoff.case import Case
from handoff.errands import store as rows
from handoff.errands import verbs
from handoff.errands.errand import ANSWERED, OPEN, Errand, ErrandChanged
from handoff.slack import outgoing, store
from handoff.slack.agents import Who, user_of
from handoff.slack.blocks import HEADER, Block, button, ours, plain, section, small
from handoff.slack.posts import Post, Words
from handoff.slack.verb import ACTION, Kind, SideThread
from handoff.slack.wording import Wording

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk

NAME, LINE = "errand", "errand_line"
ANSWER = f"{ACTION}errand_answer"
QUIET = {"parse": "none", "link_names": False, "unfurl_links": False, "unfurl_media": False}
REFUSALS = (Conflict, NotAllowed, NotFound)
SIGNS = {OPEN: "🤝", ANSWERED: "✅"}

ChannelOf = Callable[[str | None], str | None]


# ── the card ───────────────────────────────────────────────────────────────────────────────────────────────────────
def card(errand: Errand, case: Case, customer: str, asker: str, owner: str | None, wording: Wording) -> dict[str, Any]:
    """`{"text", "blocks"}`. `owner` is the Slack account of who has a task: they are mentioned."""
    say = wording
    title = say(f"{errand.kind}_title", number=case.number or "")
    sign = SIGNS.get(errand.state, "⚪")
    about = [plain(f"{say('errand_by')} {one_line(asker, 80) or '–'}", 150)]
    if customer:
        about.append(plain(f"{say('card_who')}: {one_line(customer, 80)}", 150))
    if errand.is_open:
        about.append(ours(f"*{plain_to_mrkdwn(say('errand_until'))}* {wording.date(errand.due_at)}"))
    else:
        about.append(plain(say(f"errand_{errand.state}"), 150))
    blocks: list[Block] = [
        {"type": "header", "text": plain(f"{sign} {title}", HEADER)},
        section(errand.text),
        small(*([ours(f"<@{owner}>")] if owner and errand.is_open else []), *about),
    ]
    if errand.is_open:
        label = say("button_done" if errand.is_task else "button_answer")
        blocks.append({"type": "actions", "elements": [button(ANSWER, label, f"{case.id} {errand.id}", "primary")]})
        blocks.append(small(plain(say("errand_how_task" if errand.is_task else "errand_how"))))
    called = f"<@{owner}> " if owner and errand.is_open else ""
    return {"text": called + plain_to_mrkdwn(f"{title}: {one_line(errand.text, 200)}"), "blocks": blocks}


# ── out ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def on_errand(tx: Tx, event: ErrandChanged, channel_of: ChannelOf, wording: Wording) -> None:
    """The card, drawn anew; and below it what was said elsewhere."""
    errand, note = event.errand, event.note
    channel = errand.channel or channel_of(errand.team)
    if channel is None:
        return
    if event.what in {"asked", "answered", "withdrawn"}:
        _put(tx, NAME, errand, channel)
    if event.what == "overdue":
        user = user_of(errand.owner_id or "", wording.desk) if errand.is_task else None
        _put(tx, LINE, errand, channel, line=note.body.text, calls=user, broadcast=True)
    elif event.what in {"said", "answered"} and note.meta.get("ref") is None:
        _put(tx, LINE, errand, channel, line=f"{note.author.name}: {note.body.text}")


def _put(tx: Tx, kind: str, errand: Errand, channel: str, **more: Any) -> None:
    outbox.enqueue(
        tx,
        via=store.VIA,
        lane=f"{store.VIA}:{NAME}:{errand.id}",
        kind=kind,
        payload={"errand": errand.id, "channel": channel, **more},
        bucket=f"{outgoing.CHANNEL}:{channel}",
        customer_id=errand.customer_id,
    )


async def send(slack: SlackConnection, storage: Storage, delivery: Delivery) -> Sent:
    """Post the card, or update it."""
    desk, payload = storage.wiring.desk(), delivery.payload
    found = await storage.read(lambda conn: _read(conn, desk, str(payload["errand"])))
    if found is None:
        return Sent()  # erased meanwhile
    errand, drawn = found
    channel = errand.channel or str(payload["channel"])
    if errand.root is not None:
        await slack.call("chat.update", channel=channel, ts=errand.root, **drawn)
        return Sent(f"{channel}:{errand.root}")
    answer = await slack.call("chat.postMessage", channel=channel, **drawn, **QUIET, metadata=metadata_for(delivery.id))
    return sent(delivery, str(answer.get("channel") or channel), str(answer.get("ts")))


async def send_line(slack: SlackConnection, storage: Storage, delivery: Delivery) -> Sent:
    """Post a line below the card. Raises NotSent while there is none."""
    payload = delivery.payload
    errand = await storage.read(lambda conn: rows.one(conn, str(payload["errand"])))
    if errand is None:
        return Sent()
    if errand.root is None or errand.channel is None:
        raise NotSent("its card is not in Slack yet", 2)
    called = f"<@{payload['calls']}> " if payload.get("calls") else ""
    below = {"thread_ts": errand.root, **({"reply_broadcast": True} if payload.get("broadcast") else {})}
    text = called + plain_to_mrkdwn(visible(str(payload["line"])))
    answer = await slack.call("chat.postMessage", channel=errand.channel, text=text, **below, **QUIET)
    return Sent(f"{errand.channel}:{answer.get('ts')}")


def sent(delivery: Delivery, channel: str, ts: str) -> Sent:
    """The proof of a card: where it is."""
    return Sent(f"{channel}:{ts}", {NAME: str(delivery.payload["errand"]), "channel": channel, "ts": ts})


def settled(tx: Tx, event: SendSettled) -> None:
    """Slack has shown it: from now on that post is its card, and its thread."""
    errand = rows.one(tx.conn, str(event.data.get(NAME) or "")) if event.outcome == "sent" else None
    if errand is not None and errand.root is None:
        rows.change(tx, errand, channel=str(event.data["channel"]), root=str(event.data["ts"]))


def _read(conn: store.Reader, desk: Desk | None, errand_id: str) -> tuple[Errand, dict[str, Any]] | None:
    errand = rows.one(conn, errand_id)
    case = cases.case(conn, errand.case_id) if errand is not None else None
    if errand is None or case is None:
        return None
    who = customers.customer(conn, case.customer_id)
    asker = cases.agent_name(conn, desk, errand.asked_by)
    owner = user_of(errand.owner_id, desk) if errand.owner_id else None
    return errand, card(errand, case, who.name if who else "", asker, owner, Wording(desk))


# ── in ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
def under(conn: store.Reader, channel: str, root: str) -> str | None:
    found = rows.under(conn, channel, root)
    return found.id if found else None


def posted(tx: Tx, errand_id: str, post: Post, who: Who, said: Words) -> None:
    """An agent's post below the card: a note of the case; of a question, the first one of a colleague's is its answer."""
    errand = rows.one(tx.conn, errand_id)
    case = cases.case(tx.conn, errand.case_id) if errand is not None else None
    if errand is None or case is None or (not to_plain(said.text).strip() and not post.files):
        return
    was_open = errand.is_open
    try:
        with tx.savepoint():
            files = [(store.expect_file(tx, remote), remote.ref) for remote in post.files]
            for file, ref in files:
                outgoing.fetch(tx, case, file, ref)
            text, kept = shorten(to_plain(said.text), min(TEXT_LIMIT, verbs.LONGEST)), [file for file, _ in files]
            done = verbs.talk(tx, errand_id, who.agent_id, text, kept, desk=store.DESK, ref=post.ref, said=True)
    except REFUSALS:
        outgoing.tell(tx, post.channel, who.user, Wording(tx.wiring.desk())("errand_ended"), post.thread, case)
        return
    answered = was_open and not done.is_open
    outgoing.mark(tx, case.id, case.customer_id, post.ref, outgoing.SENT if answered else outgoing.NOTE)


def deleted(tx: Tx, errand_id: str) -> None:
    """Its card was deleted: while it is open it is asked again, below a new one."""
    errand = rows.one(tx.conn, errand_id)
    if errand is not None and errand.is_open and errand.channel is not None:
        _put(tx, NAME, rows.change(tx, errand, root=None), errand.channel)


SIDE = SideThread(under, posted, deleted)
KINDS = {NAME: Kind(NAME, send, settled=settled, found=sent), LINE: Kind(LINE, send_line)}
