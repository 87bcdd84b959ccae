"""Solved cases like this one: what was asked first, searched as articles are (`bot.answers.knowledge`). No database.

A solved case speaks for itself by its first question, as an article's question does; what its agent answered lifts it, as
an article's text does. Nothing is calibrated for cases: what is found is offered to a person, so being among three is enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.answers.article import Article
from bot.answers.knowledge import Knowledge

FOUND = 3
LEAST = 0.12  # of the score: below, they share little but how people ask
LONGEST = 1500  # characters of a question or an answer that are searched


@dataclass(frozen=True, slots=True)
class Past:
    """A solved case as it is searched."""

    case_id: str
    question: str
    answer: str


class SolvedIndex:
    """Cases in one language. Building it and asking it block: seconds at first, for the language's words."""

    def __init__(self, past: Sequence[Past], locale: str) -> None:
        self._locale = locale
        self._knowledge = Knowledge.build(
            [
                Article(one.case_id, one.question[:LONGEST], locale, one.answer[:LONGEST])
                for one in past
                if one.question.strip() and one.answer.strip()
            ]
        )

    def __len__(self) -> int:
        return len(self._knowledge)

    def like(self, question: str, *, but: str = "") -> list[str]:
        """Ids of the cases that are most like it, best first; without the case `but` itself."""
        found = self._knowledge.search(question, self._locale, FOUND + 1) if len(self._knowledge) else []
        return [hit.article.id for hit in found if hit.score >= LEAST and hit.article.id != but][:FOUND]
