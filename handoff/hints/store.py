"""The queries of hints: solved cases and their words, what was found for a case, on which channels a customer wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, Connection, delete, func, insert, or_, select

from bot.model import AuthorKind, CaseStatus, Message
from bot.storage import history
from bot.storage import tables as t
from bot.storage.tx import Tx
from bot.texts import canonical
from handoff import brief as briefs
from handoff import store
from handoff.case import Case
from handoff.hints import mood
from handoff.hints.hint import Hints, Solved, Suggested
from handoff.hints.similar import FOUND, LONGEST, Past

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk

MOST = 300  # solved cases of a language that are searched
_OVER = (CaseStatus.RESOLVED, CaseStatus.CLOSED)


@dataclass(frozen=True, slots=True)
class Kept:
    """A row of `case_hints`."""

    question_hash: str
    articles: tuple[str, ...]
    similar: tuple[str, ...]
    summary: str | None
    made_at: datetime


# ── what was found for a case ──────────────────────────────────────────────────────────────────────────────────────
def kept(conn: Connection, case_id: str) -> Kept | None:
    h = t.case_hints
    row = conn.execute(select(h).where(h.c.case_id == case_id)).first()
    if row is None:
        return None
    return Kept(row.question_hash, tuple(row.articles), tuple(row.similar), row.summary, row.made_at)


def keep(tx: Tx, case: Case, found: Kept) -> None:
    """In place of what was found before."""
    h = t.case_hints
    tx.conn.execute(delete(h).where(h.c.case_id == case.id))
    tx.conn.execute(insert(h).values(case_id=case.id, customer_id=case.customer_id, **asdict(found)))


def read(conn: Connection, case: Case, desk: Desk | None) -> Hints:
    """All that helps with a case, as the database has it now."""
    found = kept(conn, case.id)
    said = [one for one in history.of_case(conn, case.id, notes=False) if one.customer_id == case.customer_id]
    written = [one.body.text for one in said if one.author.kind is AuthorKind.CUSTOMER and one.deleted_at is None]
    wrote = tuple(_history(conn, case.customer_id))
    mine = Hints(mood.of(written, case.locale), wrote)
    if found is None:
        return mine
    shelf = {one.id: one for one in (desk.articles if desk else ()) if _base(one.locale) == _base(case.locale)}
    shelf = {one.id: one for one in (desk.articles if desk else ())} | shelf
    articles = tuple(Suggested(one, shelf[one].title, shelf[one].locale) for one in found.articles if one in shelf)
    solved = tuple(_solved(conn, found.similar[:FOUND], desk))
    return Hints(mine.mood, mine.history, articles, solved, found.summary)


def _history(conn: Connection, customer_id: str) -> list[tuple[str, int, datetime]]:
    m = t.messages.c
    mine = (m.customer_id == customer_id, m.author_kind == AuthorKind.CUSTOMER, m.deleted_at.is_(None))
    last = func.max(m.at).label("last")
    rows = conn.execute(select(m.channel, func.count().label("n"), last).where(*mine).group_by(m.channel))
    return sorted(((row.channel, row.n, row.last) for row in rows), key=lambda one: one[2], reverse=True)


# ── solved cases ───────────────────────────────────────────────────────────────────────────────────────────────────
def generation(conn: Connection, locale: str) -> tuple[int, datetime | None]:
    """Tells one stand of the solved cases of a language from another."""
    c = t.cases.c
    row = conn.execute(select(func.count(), func.max(c.resolved_at)).where(*_of_language(locale))).one()
    return row[0], row[1]


def past(conn: Connection, locale: str) -> list[Past]:
    """The last solved cases of a language, each with its first question and what helped."""
    c = t.cases.c
    query = select(c.id).where(*_of_language(locale)).order_by(c.resolved_at.desc(), c.id).limit(MOST)
    words = _words(conn, list(conn.execute(query).scalars()))
    return [Past(case_id, *found) for case_id, found in words.items()]


def _solved(conn: Connection, ids: Sequence[str], desk: Desk | None) -> list[Solved]:
    words = _words(conn, ids)
    found = []
    for case_id in ids:
        case = store.case(conn, case_id)
        if case is not None and case_id in words:
            agent = store.agent_name(conn, desk, case.last_agent_id)
            found.append(Solved(case_id, case.number, *words[case_id], agent, case.resolved_at or case.updated_at))
    return found


def _words(conn: Connection, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Case id → (what was asked first, the fullest answer of an agent's); cases without either are left out."""
    m, c = t.messages.c, t.cases.c
    query = select(t.messages).join(t.cases, history.OF_ITS_CASE)
    spoken = (m.author_kind.in_((AuthorKind.CUSTOMER, AuthorKind.AGENT)), m.seq.is_not(None), m.deleted_at.is_(None))
    said: dict[str, list[Message]] = {}
    for row in conn.execute(query.where(c.id.in_(list(ids)), *spoken).order_by(m.seq)):
        said.setdefault(row.case_id, []).append(history.to_message(row))
    found = {}
    for case_id in ids:
        question, answer = question_of(said.get(case_id, ())), _answer_of(said.get(case_id, ()))
        if question and answer:
            found[case_id] = (question, answer)
    return found


def question_of(messages: Sequence[Message]) -> str:
    """What a case is about, in its customer's words: how it began, and what they said last before people came."""
    return "\n".join(dict.fromkeys(briefs.summarise(messages)[:1]))[:LONGEST]


def _answer_of(messages: Sequence[Message]) -> str:
    words = [one.body.text.strip() for one in messages if one.author.kind is AuthorKind.AGENT]
    return max(words, key=len, default="")[:LONGEST]


def _of_language(locale: str) -> tuple[ColumnElement[bool], ...]:
    c, base = t.cases.c, _base(locale)
    solved = (c.status.in_(_OVER), c.outcome == "resolved", c.resolved_by == "agent")
    return (*solved, or_(c.locale == base, c.locale.like(f"{base}-%")))


def _base(locale: str) -> str:
    return canonical(locale).split("-")[0]
