"""The Slack desk's own queries: which thread is which case's, what stands in it, which posts are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, exists, func, insert, select, update

from bot.model import WITH_PEOPLE, FileRef, Message, RemoteFile, new_id
from bot.storage import history, outbox_rows
from bot.storage import tables as t
from bot.storage.tx import Tx
from handoff import store as cases
from handoff.case import Case
from handoff.relays import note_channel

DESK = "slack"
VIA = "slack-desk"
SHOWN = "shown:slack"  # in message_refs: this message stands in the thread, by that row of the outbox
DELETED = "slack-desk"  # in the inbox: this post was deleted before we ever saw it
ONCE = "slack-desk-once"  # in the inbox: this was taken from what a sweep read, and counts once
MOST = 500  # messages that are shown at once

Reader = Connection


@dataclass(frozen=True, slots=True)
class Thread:
    """Where a case is in Slack. `root` is the card's ts: None until Slack has given it, or when it was deleted."""

    case_id: str
    channel: str
    root: str | None
    card_hash: str


# ── threads ────────────────────────────────────────────────────────────────────────────────────────────────────────
def thread(conn: Connection, case_id: str) -> Thread | None:
    d = t.desk_threads.c
    row = conn.execute(select(t.desk_threads).where(d.desk == DESK, d.case_id == case_id)).first()
    return None if row is None else Thread(row.case_id, row.channel, row.root, row.card_hash or "")


def case_under(conn: Connection, channel: str, root: str) -> str | None:
    """The case whose card this post is, or was before it was deleted or moved."""
    d = t.desk_threads.c
    query = select(d.case_id).where(d.desk == DESK, d.channel == channel, d.root == root)
    found: str | None = conn.execute(query).scalar()
    if found is None:
        s = t.settings.c
        found = conn.execute(select(s.value).where(s.key == _old_root(channel, root))).scalar()
    return found


def roots(conn: Connection, case_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Case id → (channel, ts) of its card, for those that have one."""
    d = t.desk_threads.c
    mine = (d.desk == DESK, d.case_id.in_(list(case_ids)), d.root.is_not(None))
    return {row.case_id: (row.channel, row.root) for row in conn.execute(select(t.desk_threads).where(*mine))}


def live_threads(conn: Connection, limit: int) -> list[Thread]:
    """Threads of cases that people hold, newest first."""
    d, c = t.desk_threads.c, t.cases.c
    query = select(t.desk_threads).join(t.cases, c.id == d.case_id)
    query = query.where(d.desk == DESK, d.root.is_not(None), c.status.in_(tuple(WITH_PEOPLE)))
    rows = conn.execute(query.order_by(d.created_at.desc()).limit(limit))
    return [Thread(row.case_id, row.channel, row.root, row.card_hash or "") for row in rows]


def channels(conn: Connection) -> set[str]:
    d = t.desk_threads.c
    return set(conn.execute(select(d.channel).where(d.desk == DESK).distinct()).scalars())


def open_thread(tx: Tx, case_id: str, channel: str, card_hash: str) -> Thread:
    row = {"desk": DESK, "case_id": case_id, "channel": channel, "card_hash": card_hash, "created_at": tx.now}
    tx.conn.execute(insert(t.desk_threads).values(**row, root=None, shown_seq=0))
    return Thread(case_id, channel, None, card_hash)


def set_root(tx: Tx, case_id: str, root: str) -> None:
    _change(tx, case_id, root=root)


def set_hash(tx: Tx, case_id: str, card_hash: str) -> None:
    _change(tx, case_id, card_hash=card_hash)


def forget_root(tx: Tx, known: Thread, channel: str | None = None) -> None:
    """The card is gone, or goes to another `channel`; what is written under it still finds its case."""
    if known.root is not None:
        key = _old_root(known.channel, known.root)
        if tx.conn.execute(select(t.settings.c.key).where(t.settings.c.key == key)).first() is None:
            tx.conn.execute(insert(t.settings).values(key=key, value=known.case_id))
    _change(tx, known.case_id, root=None, channel=channel or known.channel)


def _change(tx: Tx, case_id: str, **values: Any) -> None:
    d = t.desk_threads
    tx.conn.execute(update(d).where(d.c.desk == DESK, d.c.case_id == case_id).values(**values))


def _old_root(channel: str, root: str) -> str:
    return f"slack-desk-root:{channel}:{root}"


# ── what stands in the thread ──────────────────────────────────────────────────────────────────────────────────────
def unshown(conn: Connection, case: Case) -> list[Message]:
    """What customers can see of a case and its thread has not, in order; the last MOST of it."""
    m, r = t.messages, t.message_refs
    shown = exists().where(r.c.message_id == m.c.id, r.c.customer_id == m.c.customer_id, r.c.channel == SHOWN)
    mine = (m.c.case_id == case.id, m.c.customer_id == case.customer_id, m.c.seq.is_not(None))
    query = select(m).where(*mine, m.c.deleted_at.is_(None), ~shown).order_by(m.c.seq.desc()).limit(MOST)
    return [history.to_message(row) for row in conn.execute(query)][::-1]


def count_said(conn: Connection, case: Case) -> int:
    """How many messages of a case customers can see."""
    m = t.messages.c
    mine = (m.case_id == case.id, m.customer_id == case.customer_id, m.seq.is_not(None), m.deleted_at.is_(None))
    return len(conn.execute(select(m.id).where(*mine)).all())


def mark_shown(tx: Tx, message: Message, outbox_id: str) -> None:
    """It stands in that post; a long one in several."""
    history.remember_ref(tx, SHOWN, f"{message.id}:{outbox_id}", message, outbox_id)


def forget_shown(tx: Tx, case: Case) -> None:
    """The thread begins anew elsewhere: everything is to be shown again."""
    m, r = t.messages, t.message_refs
    ids = select(m.c.id).where(m.c.case_id == case.id, m.c.customer_id == case.customer_id)
    mine = (r.c.channel == SHOWN, r.c.customer_id == case.customer_id, r.c.message_id.in_(ids))
    tx.conn.execute(r.delete().where(*mine))


def posts_with(conn: Connection, message: Message) -> list[str]:
    """The outbox ids of the posts in which a message stands."""
    r = t.message_refs.c
    mine = (r.channel == SHOWN, r.message_id == message.id, r.customer_id == message.customer_id)
    query = select(r.outbox_id).where(*mine).order_by(r.outbox_id)
    return list(conn.execute(query).scalars())


# ── the outbox ─────────────────────────────────────────────────────────────────────────────────────────────────────
def row(conn: Connection, outbox_id: str) -> Any:
    """(payload, ext_id, state) of a row, or None."""
    o = t.outbox.c
    return conn.execute(select(o.payload, o.ext_id, o.state).where(o.id == outbox_id)).first()


def set_payload(tx: Tx, outbox_id: str, payload: Mapping[str, Any]) -> None:
    outbox_rows.change(tx, outbox_id, payload=dict(payload))


def last_waiting(conn: Connection, lane: str) -> tuple[str, Mapping[str, Any]] | None:
    """(id, payload) of the lane's last row if it is a post that has not begun to leave: more may be added to it."""
    o = t.outbox
    query = select(o.c.id, o.c.kind, o.c.state, o.c.payload).where(o.c.lane == lane, outbox_rows.live(o.c.state))
    last = conn.execute(query.order_by(o.c.n.desc()).limit(1)).first()
    return (last.id, last.payload) if last is not None and (last.kind, last.state) == ("thread", "ready") else None


def grow(tx: Tx, outbox_id: str, payload: Mapping[str, Any]) -> bool:
    """Put another payload in a row that still waits. False: it has begun to leave meanwhile."""
    o = t.outbox
    changed = update(o).where(o.c.id == outbox_id, o.c.state == "ready").values(payload=dict(payload))
    return bool(tx.conn.execute(changed).rowcount)


def drop_older_cards(tx: Tx, lane: str) -> None:
    """Drawings that have not left are out of date; not the last one of a card in a channel that the case has left."""
    o = t.outbox
    waiting = (o.c.lane == lane, outbox_rows.live(o.c.state), o.c.kind == "card", o.c.state.in_(("ready", "retry")))
    is_here = o.c.payload["ts"].as_string().is_(None)
    tx.conn.execute(update(o).where(*waiting, is_here).values(state="expired", error="a newer card follows"))


# ── what agents wrote ──────────────────────────────────────────────────────────────────────────────────────────────
def seen(conn: Connection, ref: str) -> bool:
    """Whether this post was taken before, or deleted before it came."""
    if cases.relay(conn, DESK, ref) is not None or history.by_ref(conn, note_channel(DESK), ref) is not None:
        return True
    i = t.inbox.c
    return conn.execute(select(i.key).where(i.source == DELETED, i.key == ref)).first() is not None


def bury(tx: Tx, ref: str) -> None:
    """A post was deleted that we never saw: should it still come, it is nothing."""
    i = t.inbox
    if tx.conn.execute(select(i.c.key).where(i.c.source == DELETED, i.c.key == ref)).first() is None:
        tx.conn.execute(insert(i).values(source=DELETED, key=ref, state="done", received_at=tx.now))


def has_come(conn: Connection, key: str) -> bool:
    i = t.inbox.c
    return conn.execute(select(i.key).where(i.source == ONCE, i.key == key)).first() is not None


def first_time(tx: Tx, key: str) -> bool:
    """Whether this key was never asked for before. It is remembered as long as the inbox remembers."""
    i = t.inbox
    if has_come(tx.conn, key):
        return False
    tx.conn.execute(insert(i).values(source=ONCE, key=key, state="done", received_at=tx.now))
    return True


def posts_of(conn: Connection, case_id: str, channel: str, since: datetime) -> list[str]:
    """Refs of what agents wrote in a case's thread since then, and that we have not heard to be deleted."""
    r, m, n = t.relays.c, t.messages.c, t.message_refs.c
    mine = (r.case_id == case_id, r.desk == DESK, r.created_at >= since, r.state.in_(("waiting", "said")))
    said = select(r.ref).where(*mine)
    noted = select(m.id).join(t.cases, history.OF_ITS_CASE).where(t.cases.c.id == case_id)
    noted = noted.where(m.seq.is_(None), m.deleted_at.is_(None), m.at >= since)
    # By message, not by channel: of that there are all notes that were ever written.
    named = select(n.ref, n.channel).where(n.message_id.in_(list(conn.execute(noted).scalars())))
    notes = [row.ref for row in conn.execute(named) if row.channel == note_channel(DESK)]
    refs = [*conn.execute(said).scalars(), *notes]
    return [ref for ref in dict.fromkeys(refs) if ref and ref.startswith(f"{channel}:")]


def noted_before(conn: Connection, case_id: str, agent_id: str) -> bool:
    """Whether this agent has written a note in the case before: they know how it goes."""
    m = t.messages.c
    query = select(m.id).join(t.cases, history.OF_ITS_CASE).where(t.cases.c.id == case_id)
    query = query.where(m.author_id == agent_id, m.seq.is_(None)).limit(1)
    return conn.execute(query).first() is not None


def held_since(conn: Connection, case: Case) -> datetime | None:
    """When its holder took the case; None while nobody has."""
    e = t.case_events.c
    query = select(func.max(e.at)).where(e.case_id == case.id, e.kind == "claim")
    found: datetime | None = conn.execute(query).scalar() if case.agent_id is not None else None
    return found


def expect_file(tx: Tx, remote: RemoteFile) -> FileRef:
    """A place for an agent's file. It is no customer's: they get it once it stands in what was said to them."""
    file = FileRef(new_id(), remote.name, remote.type, remote.size or 0)
    place = {"id": file.id, "name": file.name, "type": file.type, "size": file.size}
    tx.conn.execute(insert(t.files).values(**place, remote={"via": VIA, "ref": remote.ref}, created_at=tx.now))
    return file
