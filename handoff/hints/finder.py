"""Looks for what helps with a case, beside it: after the commit that brought it to people, in a thread, once at a time.

What it finds is written, and the case told to have changed: cards are drawn anew. Whatever fails is left out.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from bot.answers.dialogue import language_name
from bot.answers.knowledge import Knowledge
from bot.events import CaseChanged, CustomerErased
from bot.model import CaseStatus, Message, new_id
from bot.storage import customers, history, recording_rows
from bot.storage.engine import Storage
from bot.storage.tx import Tx
from handoff import store as cases
from handoff.case import Case
from handoff.hints import store, summary
from handoff.hints.similar import SolvedIndex
from handoff.hints.store import Kept
from handoff.steps import changed

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk

log = structlog.get_logger()
ARTICLES = 3
REBUILD = 600.0  # seconds that an index of solved cases is good enough …
SMALL = 50  # … where it has so many; fewer are searched anew as soon as there is another
DAY = timedelta(days=1)


class Model(Protocol):
    """`channels.model.ModelClient`."""

    on: bool

    def complete(
        self, messages: Sequence[dict[str, str]], most_tokens: int, timeout: float = ...
    ) -> Awaitable[Any]: ...


@dataclass(slots=True)
class _Shelf:
    index: SolvedIndex
    generation: object
    built_at: float


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is looked for: a case, its question, and all that was said in it."""

    case: Case
    locale: str
    question: str
    said: tuple[Message, ...]

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.question.encode("utf-8", "replace")).hexdigest()[:32]


class Finder:
    """`errand` runs a task that comes to an end soon; `knowledge()` are the articles of the desk in force."""

    def __init__(
        self,
        storage: Storage,
        desk: Callable[[], Desk],
        knowledge: Callable[[], Knowledge],
        errand: Callable[[Coroutine[Any, Any, Any]], None],
        model: Model,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._storage, self._desk, self._knowledge = storage, desk, knowledge
        self._errand, self._model, self._seconds = errand, model, seconds
        self._shelves: dict[str, _Shelf] = {}
        self._busy: set[str] = set()
        self._erasures = 0

    def heard(self, tx: Tx, event: CaseChanged) -> None:
        """A case that waits for people, or has just been taken, and for which nothing was looked for yet."""
        if event.status not in {CaseStatus.QUEUED, CaseStatus.OPEN}:
            return
        case, known = cases.case(tx.conn, event.case_id), store.kept(tx.conn, event.case_id)
        since = case.escalated_at if case is not None else None
        if case is not None and (known is None or (since is not None and known.made_at < since)):
            case_id = case.id
            tx.after_commit(lambda: self._begin(case_id))

    def erased(self, tx: Tx, _event: CustomerErased) -> None:
        """Their words stand in no index any more."""
        tx.after_commit(self._forget)

    def _forget(self) -> None:
        self._erasures += 1
        self._shelves.clear()

    def _begin(self, case_id: str) -> None:
        if case_id not in self._busy:
            self._busy.add(case_id)
            self._errand(self._look(case_id))

    async def _look(self, case_id: str) -> None:
        try:
            asked = await self._storage.read(lambda conn: self._asked(conn, case_id))
            if asked is not None:
                found = await self._found(asked)
                await self._storage.write(lambda tx: _write(tx, case_id, found))
                await self._summarise(asked, found)
        except Exception:  # whatever it is, a hint is worth nobody's turn
            log.exception("no hints for a case", case=case_id)
        finally:
            self._busy.discard(case_id)

    def _asked(self, conn: cases.Reader, case_id: str) -> _Asked | None:
        case = cases.case(conn, case_id)
        if case is None or not case.with_people:
            return None
        who = customers.customer(conn, case.customer_id)
        said = [one for one in history.of_case(conn, case.id, notes=False) if one.customer_id == case.customer_id]
        return _Asked(case, who.locale if who else case.locale, store.question_of(said), tuple(said))

    async def _found(self, asked: _Asked) -> Kept:
        """Articles and solved cases; neither where the customer has said nothing."""
        nothing = Kept(asked.hash, (), (), None, self._storage.clock())
        if not asked.question:
            return nothing
        knowledge, index = self._knowledge(), await self._index(asked.locale)

        def search() -> Kept:
            hits = knowledge.search(asked.question, asked.locale, ARTICLES) if len(knowledge) else []
            articles = tuple(dict.fromkeys(hit.article.id for hit in hits))
            return replace(nothing, articles=articles, similar=tuple(index.like(asked.question, but=asked.case.id)))

        return await asyncio.to_thread(search)

    async def _index(self, locale: str) -> SolvedIndex:
        """Of the solved cases in that language, as young as REBUILD asks for."""
        known, now = self._shelves.get(locale), self._seconds()
        if known is not None and len(known.index) >= SMALL and now - known.built_at < REBUILD:
            return known.index
        erasures = self._erasures
        generation = await self._storage.read(lambda conn: store.generation(conn, locale))
        if known is None or known.generation != generation:
            past = await self._storage.read(lambda conn: store.past(conn, locale))
            known = _Shelf(SolvedIndex(past, locale), generation, now)
        known.built_at = now
        if erasures == self._erasures:
            self._shelves[locale] = known
        return known.index

    # ── the model ──────────────────────────────────────────────────────────────────────────────────────────────────
    async def _summarise(self, asked: _Asked, found: Kept) -> None:
        """Its words stand below what plain code says; without it, or where they fail a check, nothing does."""
        limits, said = self._desk().model, summary.passages(asked.said)
        if not (self._model.on and limits.summaries and said):
            return
        token = new_id()
        if not await self._storage.write(lambda tx: self._may_ask(tx, asked.case, token)):
            return
        language = language_name(self._desk().locales[0], "en")
        answer = await self._model.complete(
            summary.request(said, language), summary.LONGEST, limits.timeout.total_seconds()
        )
        text = summary.checked(answer.text, said) if answer.outcome == "ok" else None

        def keep(tx: Tx) -> None:
            recording_rows.answered(tx, asked.case.customer_id, token, answer.outcome, {"tokens": answer.tokens})
            if text is not None:
                _write(tx, asked.case.id, replace(found, summary=text))

        await self._storage.write(keep)

    def _may_ask(self, tx: Tx, case: Case, token: str) -> bool:
        """Whether the account allows it, as `bot.dialogue.by_model` counts; what is asked is noted there."""
        limits, since = self._desk().model, tx.now - DAY
        mine = recording_rows.tokens_since(tx.conn, since, case.customer_id)
        if mine >= limits.tokens_per_customer or recording_rows.tokens_since(tx.conn, since) >= limits.tokens_per_day:
            return False
        recording_rows.asked(tx, case.id, case.customer_id, token, recording_rows.SUMMARY, {})
        return True


def _write(tx: Tx, case_id: str, found: Kept) -> None:
    case = cases.case(tx.conn, case_id)
    if case is None:  # erased meanwhile
        return
    tx.lock_customer(case.customer_id)
    case = cases.case(tx.conn, case_id)
    if case is not None:
        store.keep(tx, case, found)
        if found.articles or found.similar or found.summary:
            changed(tx, case)
