"""What customers asked and no article answered, as a work list for those who write articles. Pure, but for `work_list`.

Questions whose lemmas are mostly the same make one entry: twenty ways to ask for the invoice are one article. The order in
which they were asked decides which question leads a group, so the same questions make the same list at every run; a
clustering library would give groups of the same kind for a hundred times the memory (and seeds to choose).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol, TypeVar

from bot.answers.words import base_locale, compound_parts, lemma, light_words, words

ALIKE = 0.5
"""Two questions belong together where they share at least half of their lemmas (Jaccard)."""


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """One question that was not answered. `tried` is the article that was told and did not help, "" where none was."""

    question: str
    locale: str
    at: datetime
    tried: str = ""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """One gap in the knowledge: the questions (each once, most asked first), how often they were asked in all, and the
    lemmas that most of them share, for a heading. `last` is when it was asked last, `tried` articles that did not help.
    """

    locale: str
    questions: tuple[str, ...]
    asked: int
    lemmas: tuple[str, ...]
    last: datetime | None = None
    tried: tuple[str, ...] = ()


class Read(Protocol):
    """`Storage.read`: a query on the database, which it cannot change."""

    def __call__(self, query: Callable[[Any], T], /) -> Awaitable[T]: ...


async def work_list(read: Read, since: datetime | None = None) -> list[Unanswered]:
    """The gaps in the knowledge, the most asked first, by language where equal; from what is stored of conversations.

    Loads the languages' words in a thread (seconds, once a process).
    """
    import asyncio

    from bot.answers import store

    found = await read(lambda conn: store.unanswered(conn, since))
    return await asyncio.to_thread(gaps, found)


def gaps(asked: Iterable[Asked]) -> list[Unanswered]:
    """As `cluster`, with when each was asked last and what was tried."""
    found = list(asked)
    last: dict[tuple[str, str], datetime] = {}
    tried: dict[tuple[str, str], set[str]] = {}
    for one in found:
        key = base_locale(one.locale), " ".join(one.question.split())
        last[key] = max(one.at, last.get(key, one.at))
        tried.setdefault(key, set()).update({one.tried} - {""})
    entries = cluster((one.question, one.locale) for one in found)
    return [
        replace(
            entry,
            last=max(last[entry.locale, question] for question in entry.questions),
            tried=tuple(sorted(set().union(*(tried[entry.locale, question] for question in entry.questions)))),
        )
        for entry in entries
    ]


@dataclass(slots=True)
class _Group:
    locale: str
    lemmas: frozenset[str]
    questions: Counter[str] = field(default_factory=Counter)
    counted: Counter[str] = field(default_factory=Counter)

    def add(self, text: str, said: frozenset[str]) -> None:
        self.questions[" ".join(text.split())] += 1
        self.counted.update(said)


def content_lemmas(text: str, locale: str) -> frozenset[str]:
    """The lemmas of a question less its stop words; all its words where it has only such."""
    language = base_locale(locale)
    said = words(text)
    telling = [word for word in said if word not in light_words(language)] or said
    parts = (compound_parts(word, language) or (lemma(word, language),) for word in telling)
    return frozenset(part for some in parts for part in some)


def cluster(asked: Iterable[tuple[str, str]]) -> list[Unanswered]:
    """Entries from (question, locale) pairs, the most asked first.

    Each question joins the group whose first question is most like it. Time: questions times the groups that
    share a lemma with them.
    """
    groups: list[_Group] = []
    by_lemma: dict[tuple[str, str], list[int]] = {}
    for text, locale in asked:
        language = base_locale(locale)
        said = content_lemmas(text, language)
        if not said:
            continue
        near = sorted({n for one in said for n in by_lemma.get((language, one), ())})
        alike, chosen = max(((_jaccard(said, groups[n].lemmas), -n) for n in near), default=(0.0, 0))
        if alike < ALIKE:
            chosen = -len(groups)
            groups.append(_Group(language, said))
            for one in said:
                by_lemma.setdefault((language, one), []).append(-chosen)
        groups[-chosen].add(text, said)
    return sorted(map(_entry, groups), key=lambda entry: (-entry.asked, entry.locale, entry.questions))


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other)


def _entry(group: _Group) -> Unanswered:
    asked = group.questions.total()
    shared = sorted(word for word, count in group.counted.items() if count * 2 > asked)
    questions = sorted(group.questions, key=lambda text: (-group.questions[text], text))
    return Unanswered(group.locale, tuple(questions), asked, tuple(shared))
