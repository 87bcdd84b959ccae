"""The nouns, and how they are said on a card."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

Say = Callable[..., str]
"""(key of a text, **values): the sentence in the agents' language."""
SHORT = 200  # characters of a quoted question or answer


@dataclass(frozen=True, slots=True)
class Suggested:
    """An article that may answer the case."""

    id: str
    title: str
    locale: str


@dataclass(frozen=True, slots=True)
class Solved:
    """A case that an agent solved: what was asked first, and what helped."""

    case_id: str
    number: int | None
    question: str
    answer: str
    agent: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Hints:
    """`mood` is angry | upset | content | "" (nothing to tell); `history` how often the customer wrote on each of their channels,
    and when last, as (channel, messages, at). `summary` is a language model's, None without one.
    """

    mood: str = ""
    history: tuple[tuple[str, int, datetime], ...] = ()
    articles: tuple[Suggested, ...] = ()
    similar: tuple[Solved, ...] = ()
    summary: str | None = None


def lines(hints: Hints, say: Say) -> Iterator[tuple[str, list[str]]]:
    """(heading, lines) for a card, all plain text: whoever draws them escapes them. Channels stand on it already."""
    if hints.mood:
        yield say("hint_mood"), [say(f"mood_{hints.mood}")]
    if hints.summary:
        yield say("hint_model"), [hints.summary]
    if hints.articles:
        yield say("hint_articles"), [f"• {one.title}" for one in hints.articles]
    if hints.similar:
        yield (
            say("hint_similar"),
            [f"• #{one.number} · “{_short(one.question)}” → {_short(one.answer)}" for one in hints.similar],
        )


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHORT else line[: SHORT - 1].rstrip() + "…"
