"""Which wishes are one wish. Pure.

The same words, in whatever form and order, are the same wish without anybody's say-so; to the letter they are in whichever
language their customers are. What is merely alike is proposed, and a person says whether it is: "export to Excel" and "export
to PDF" share most of their words.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bot.answers.unanswered import content_lemmas
from bot.answers.words import base_locale, words

ALIKE = 0.4
"""Proposed from this share of common words on (Jaccard)."""
SAME = 1.0


@dataclass(frozen=True, slots=True)
class Worded:
    """A wish and the words in which customers have it, each with their language: colleagues join translations."""

    id: str
    texts: tuple[tuple[str, str], ...]


def likeness(first: str, second: str, locale: str) -> float:
    """How many of the words of two wishes are common to both: 0…1."""
    one, other = content_lemmas(first, locale), content_lemmas(second, locale)
    return len(one & other) / len(one | other) if one | other else 0.0


def nearest(text: str, locale: str, known: Iterable[Worded]) -> tuple[str, float] | None:
    """The wish that is most like this one, and how much; None where none is like it at all. Ties: the first id."""
    best: tuple[float, str] | None = None
    for one in sorted(known, key=lambda one: one.id):
        alike = max((_alike(text, locale, *said) for said in one.texts), default=0.0)
        if alike > 0 and (best is None or alike > best[0]):
            best = alike, one.id
    return None if best is None else (best[1], best[0])


def _alike(text: str, locale: str, said: str, of: str) -> float:
    if _folded(text) == _folded(said):
        return SAME
    return likeness(text, said, locale) if base_locale(of) == base_locale(locale) else 0.0


def _folded(text: str) -> str:
    """Without capitals and punctuation, unless there is nothing else: an emoji."""
    return " ".join(words(text)) or text.strip()


def proposals(known: Iterable[Worded]) -> list[tuple[str, str, float]]:
    """Pairs that may be one wish: (later, earlier, how alike), the most alike first. Each later one once."""
    ordered = sorted(known, key=lambda one: one.id)
    found = []
    for place, one in enumerate(ordered):
        near = [nearest(*said, ordered[:place]) for said in one.texts[:3]]
        best = max((hit for hit in near if hit is not None), key=lambda hit: (hit[1], hit[0]), default=None)
        if best is not None and best[1] >= ALIKE:
            found.append((one.id, best[0], best[1]))
    return sorted(found, key=lambda pair: (-pair[2], pair[0]))
