"""The knowledge of the desk in force, and whether it can be asked without anybody waiting.

The first search in a language loads its word list (seconds). A turn runs inside a transaction and must not wait for
that: it asks `ready`, and is parked while `warm` runs in a thread. So is a question that an embedder has not seen yet (that is
somebody else's code), and one that its own language does not know, until the words of the others are loaded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from bot.answers import embedding
from bot.answers.article import Article
from bot.answers.decide import Search
from bot.answers.knowledge import Knowledge


class Searcher:
    """`articles()` are those of the desk in force; a change of them builds a new index."""

    def __init__(self, articles: Callable[[], Sequence[Article]]) -> None:
        self._articles = articles
        self._built_from: Sequence[Article] | None = None
        self._knowledge = Knowledge.build(())
        self._ready: set[str] = set()
        self._warming: set[tuple[str, str]] = set()
        self._tasks: set[asyncio.Future[None]] = set()

    @property
    def knowledge(self) -> Knowledge:
        current = self._articles()
        if current is not self._built_from:
            self._knowledge = Knowledge.build(current, embedder=embedding.installed_or_none, ahead=True)
            self._built_from = current
            self._ready, self._warming = set(), set()
        return self._knowledge

    @property
    def search(self) -> Search:
        return self.knowledge.search

    def ready(self, locale: str, question: str = "") -> bool:
        """Whether this language's words are loaded; and what a search for `question` needs: words of other languages, which are
        asked where its own does not know, and what an embedder makes of it.
        """
        knowledge = self.knowledge
        if len(knowledge) == 0:
            return True
        return locale in self._ready and (not question or knowledge.is_prepared(question, locale))

    def warm(
        self,
        locale: str,
        then: Callable[[], Any],
        also: Callable[[], None] | None = None,
        question: str = "",
    ) -> None:
        """Load this language's words (and what `also` loads) in a thread, and what the question needs; then call `then` on the
        event loop. Once at a time per language and question.
        """
        if (locale, question) in self._warming:
            return
        knowledge = self.knowledge
        self._warming.add((locale, question))

        def load() -> None:
            knowledge.warm([locale])
            if question:
                knowledge.prepare(question, locale)
            if also is not None:
                also()

        task = self._in_thread(load)

        def done(_: asyncio.Future[None]) -> None:
            self._warming.discard((locale, question))
            if self._built_from is not None and knowledge is self._knowledge:
                self._ready.add(locale)
            then()

        task.add_done_callback(done)

    def _in_thread(self, work: Callable[[], None]) -> asyncio.Future[None]:
        task = asyncio.get_running_loop().run_in_executor(None, work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def idle(self) -> None:
        """Until nothing is being loaded."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))
