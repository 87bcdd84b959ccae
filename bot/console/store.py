"""The console's own queries: people, ended sessions, one-time links, drafts, versions, the audit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bot.console.draft import Change
from bot.console.people import Person, Role
from bot.errors import NotFound
from bot.storage import audit as log
from bot.storage import tables as t
from bot.storage import wish_titles
from bot.storage.tx import Tx

INVITED, REVOKED = "console", "console revoked"  # kinds of rows in sign_ins
LINK_LIFETIME = timedelta(hours=24)
SEEN_EVERY = timedelta(minutes=5)


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


# ── people ─────────────────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Listed:
    """Somebody who was invited. `seen_at` is about when they last opened a page; None: the link is still unused."""

    id: str
    name: str
    role: Role
    invited_by: str
    created_at: datetime
    seen_at: datetime | None


def people(conn: Connection) -> list[Listed]:
    rows = conn.execute(select(t.console_people).order_by(t.console_people.c.name, t.console_people.c.id))
    return [_listed(row) for row in rows]


def person(conn: Connection, person_id: str) -> Listed | None:
    row = conn.execute(select(t.console_people).where(t.console_people.c.id == person_id)).first()
    return None if row is None else _listed(row)


def _listed(row: Any) -> Listed:
    role = Role.named(row.role) or Role.VIEWER
    return Listed(row.id, row.name, role, row.invited_by, row.created_at, row.seen_at)


def invite(tx: Tx, person_id: str, token: str, name: str, role: Role, by: Person) -> None:
    values = {"id": person_id, "name": name, "role": role.word, "invited_by": by.who, "created_at": tx.now}
    tx.conn.execute(insert(t.console_people).values(**values))
    add_link(tx, person_id, token)
    note(tx, by, "invited", person=name, role=role.word)


def add_link(tx: Tx, person_id: str, token: str) -> None:
    """A one-time link for somebody listed; their older ones die."""
    s = t.sign_ins
    tx.conn.execute(delete(s).where(s.c.kind == INVITED, s.c.agent_id == person_id))
    row = {"token_hash": _hashed(token), "kind": INVITED, "agent_id": person_id, "expires_at": tx.now + LINK_LIFETIME}
    tx.conn.execute(insert(s).values(**row))


def invited(conn: Connection, token: str, now: datetime) -> Listed | None:
    """Whose link this is; None: used, too old, or nobody's."""
    s = t.sign_ins
    good = (s.c.token_hash == _hashed(token), s.c.kind == INVITED, s.c.expires_at > now, s.c.used_at.is_(None))
    person_id = conn.execute(select(s.c.agent_id).where(*good)).scalar()
    return None if person_id is None else person(conn, person_id)


def use_link(tx: Tx, token: str) -> Listed | None:
    found = invited(tx.conn, token, tx.now)
    s = t.sign_ins
    mine = (s.c.token_hash == _hashed(token), s.c.used_at.is_(None))
    if found is None or tx.conn.execute(update(s).where(*mine).values(used_at=tx.now)).rowcount != 1:
        return None
    return found


def set_role(tx: Tx, person_id: str, role: Role, by: Person) -> Listed:
    found = listed(tx.conn, person_id)
    p = t.console_people
    tx.conn.execute(update(p).where(p.c.id == person_id).values(role=role.word))
    note(tx, by, "role changed", person=found.name, role=role.word)
    return found


def remove(tx: Tx, person_id: str, by: Person) -> Listed:
    """Their sessions end with their row."""
    found = listed(tx.conn, person_id)
    tx.conn.execute(delete(t.console_people).where(t.console_people.c.id == person_id))
    tx.conn.execute(delete(t.sign_ins).where(t.sign_ins.c.kind == INVITED, t.sign_ins.c.agent_id == person_id))
    note(tx, by, "removed", person=found.name)
    return found


def seen(tx: Tx, person_id: str) -> None:
    p = t.console_people
    tx.conn.execute(update(p).where(p.c.id == person_id).values(seen_at=tx.now))


def listed(conn: Connection, person_id: str) -> Listed:
    """As `person`. Raises NotFound."""
    found = person(conn, person_id)
    if found is None:
        raise NotFound("there is nobody by that id any more; look at the list again")
    return found


# ── sessions ───────────────────────────────────────────────────────────────────────────────────────────────────────
def is_revoked(conn: Connection, session_id: str) -> bool:
    s = t.sign_ins.c
    return (
        conn.execute(select(s.kind).where(s.token_hash == _hashed(session_id), s.kind == REVOKED)).first() is not None
    )


def revoke(tx: Tx, session_id: str, until: datetime) -> None:
    """The session is dead, though its cookie is still good; `until` it would have ended by itself."""
    row = {"token_hash": _hashed(session_id), "kind": REVOKED, "expires_at": until}
    tx.conn.execute(_insert(tx.conn)(t.sign_ins).values(**row).on_conflict_do_nothing())
    s = t.sign_ins
    tx.conn.execute(delete(s).where(s.c.kind.in_((REVOKED, INVITED)), s.c.expires_at < tx.now))


def _insert(conn: Connection) -> Any:
    return postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert


# ── the audit ──────────────────────────────────────────────────────────────────────────────────────────────────────
OF_WISHES = ("wish", "into")
"""Under these a line has the id of a wish."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the audit. `what` of the console's own begins with "console: "."""

    n: int
    at: datetime
    who: str
    what: str
    data: Mapping[str, Any]


def note(tx: Tx, by: Person, what: str, /, **data: Any) -> None:
    """One line in the audit: who did what in the console."""
    log.of_console(tx, by.who, what, **data)


def audit(conn: Connection, before: int | None, limit: int) -> list[Line]:
    """The newest first; `before` the number of the last one seen. Wishes are named as they are called now."""
    a = t.audit
    query = select(a).order_by(a.c.n.desc()).limit(limit)
    rows = conn.execute(query if before is None else query.where(a.c.n < before)).all()
    called = wish_titles.titles(conn, {row.data[key] for row in rows for key in OF_WISHES if key in row.data})
    return [Line(row.n, row.at, row.who, row.what, _named(row.data, called)) for row in rows]


def _named(data: Mapping[str, Any], called: Mapping[str, str]) -> Mapping[str, Any]:
    return {key: called.get(value, wish_titles.NAMELESS) if key in OF_WISHES else value for key, value in data.items()}


# ── drafts ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def changes(conn: Connection) -> dict[str, Change]:
    rows = conn.execute(select(t.desk_drafts).order_by(t.desk_drafts.c.path))
    return {row.path: Change(row.path, row.base_hash, row.text, row.who, row.at) for row in rows}


def count_changes(conn: Connection) -> int:
    return int(conn.execute(select(func.count()).select_from(t.desk_drafts)).scalar() or 0)


def set_change(tx: Tx, path: str, base_hash: str | None, text: str | None, by: Person) -> None:
    drop_change(tx, path)
    values = {"path": path, "base_hash": base_hash, "text": text, "who": by.who, "at": tx.now}
    tx.conn.execute(insert(t.desk_drafts).values(**values))


def drop_change(tx: Tx, path: str) -> bool:
    d = t.desk_drafts
    return bool(tx.conn.execute(delete(d).where(d.c.path == path)).rowcount)


def lock_desk(tx: Tx) -> None:
    """One edit or publication at a time, over all nodes (SQLite has one writer, and needs nothing)."""
    if tx.conn.dialect.name == "postgresql":
        tx.conn.execute(select(func.pg_advisory_xact_lock(DESK_LOCK)))


DESK_LOCK = 0x57AF_E770  # any number that nobody else locks


# ── versions ───────────────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Version:
    """A published state of the folder. `files` path → hash; `changes` path → (hash before, hash after), None: no file."""

    n: int
    at: datetime
    who: str
    note: str
    hash: str
    files: Mapping[str, str]
    changes: Mapping[str, tuple[str | None, str | None]]


def versions(conn: Connection, limit: int = 100) -> list[Version]:
    """The newest first."""
    rows = conn.execute(select(t.desk_versions).order_by(t.desk_versions.c.n.desc()).limit(limit))
    return [_version(row) for row in rows]


def version(conn: Connection, n: int) -> Version | None:
    row = conn.execute(select(t.desk_versions).where(t.desk_versions.c.n == n)).first()
    return None if row is None else _version(row)


def newest_version(conn: Connection) -> int:
    return int(conn.execute(select(func.max(t.desk_versions.c.n))).scalar() or 0)


def _version(row: Any) -> Version:
    changed = {path: (before, after) for path, (before, after) in row.changes.items()}
    return Version(row.n, row.at, row.who, row.note, row.hash, row.files, changed)


def texts(conn: Connection, hashes: Sequence[str]) -> dict[str, str]:
    """Hash → text of the files that versions are made of."""
    found: dict[str, str] = {}
    wanted = list(dict.fromkeys(hashes))
    for at in range(0, len(wanted), 500):
        f = t.desk_files.c
        found |= {
            row.hash: row.text for row in conn.execute(select(t.desk_files).where(f.hash.in_(wanted[at : at + 500])))
        }
    return found


def keep_texts(tx: Tx, found: Mapping[str, str]) -> None:
    """Hash → text, those that are not kept yet."""
    rows = [{"hash": one, "text": text} for one, text in found.items()]
    for at in range(0, len(rows), 500):
        tx.conn.execute(_insert(tx.conn)(t.desk_files).on_conflict_do_nothing(), rows[at : at + 500])


def add_version(
    tx: Tx,
    who: str,
    note_: str,
    desk_hash: str,
    files: Mapping[str, str],
    changed: Mapping[str, tuple[str | None, str | None]],
) -> int:
    values = {
        "at": tx.now,
        "who": who,
        "note": note_,
        "hash": desk_hash,
        "files": dict(files),
        "changes": {path: list(pair) for path, pair in changed.items()},
    }
    return int(tx.conn.execute(insert(t.desk_versions).values(**values).returning(t.desk_versions.c.n)).scalar_one())


MOST_STATES = 20_000
"""Conversations that are counted by their step: reading them takes some tenths of a second."""


# ── who is where ───────────────────────────────────────────────────────────────────────────────────────────────────
def states_in_flows(conn: Connection) -> list[Mapping[str, Any]]:
    """The bot's state of each conversation whose living case is in a flow; of the newest MOST_STATES, where there are more."""
    c, k = t.conversations.c, t.cases.c
    alive = k.status.in_(("bot", "queued", "open", "pending", "snoozed"))
    query = select(c.bot_state, k.id).join_from(t.conversations, t.cases, k.customer_id == c.customer_id).where(alive)
    query = query.order_by(k.opened_at.desc()).limit(MOST_STATES)
    return [row.bot_state for row in conn.execute(query) if row.bot_state and row.bot_state.get("case") == row.id]


# ── what waits for people ──────────────────────────────────────────────────────────────────────────────────────────
def waiting(conn: Connection, today: str) -> dict[str, int]:
    """How much waits for somebody to look at it, by the key of its words; `today` as "2026-03-09", by the desk's clock."""
    overdue = (t.problems.c.state.in_(("open", "fixing")), t.problems.c.due_on < today)
    asked = {
        "console_waits_queue": (t.cases, (t.cases.c.status == "queued",)),
        "console_waits_unhappy": (t.survey_alerts, (t.survey_alerts.c.state == "open",)),
        "console_waits_alarms": (t.topic_alarms, (t.topic_alarms.c.state == "open",)),
        "console_waits_notices": (t.notices, (t.notices.c.state == "draft",)),
        "console_waits_problems": (t.problems, overdue),
    }
    return {key: _count(conn, table, *where) for key, (table, where) in asked.items()}


def _count(conn: Connection, table: Any, *where: Any) -> int:
    return int(conn.execute(select(func.count()).select_from(table).where(*where)).scalar_one())
