"""Phrases that admins list, found in what customers write: whole words, without case or diacritics.

Hebrew writes its short words (and, the, to, in, from …) onto the next one: a phrase's first word is also found behind
such a prefix. Looking in every language of the desk, the customer's first, tells also which language they typed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache

from bot.nouns import noun

_WORD = re.compile(r"\w+")
_LETTERS = str.maketrans(
    {
        "ø": "o",
        "æ": "ae",
        "œ": "oe",
        "ß": "ss",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "'": "",
        "’": "",
        "׳": "",
        "״": "",
        '"': "",
    }
)
HEBREW_PREFIXES = frozenset("והבלכמש")


def tokens(text: str) -> tuple[str, ...]:
    """The words of a text, folded: "Where's my Pâté?" → wheres, my, pate."""
    folded = text.casefold().translate(_LETTERS)
    if not folded.isascii():
        decomposed = unicodedata.normalize("NFKD", folded)
        folded = "".join(char for char in decomposed if not unicodedata.combining(char))
    return tuple(_WORD.findall(folded))


@lru_cache(maxsize=100_000)
def phrase(text: str) -> tuple[str, ...]:
    """The words of what an admin wrote: a desk's phrases are looked for in every message, so they are kept."""
    return tokens(text)


@noun(frozen=True, slots=True)
class Found:
    """A phrase in a message: its language, how many words it has, and whether the message is nothing else."""

    locale: str
    length: int
    whole: bool


def find(phrases: Mapping[str, Sequence[str]], said: Sequence[str], locale: str) -> Found | None:
    """The longest phrase that stands in the message; of equal ones that of the customer's own language."""
    best: Found | None = None
    for language in sorted(phrases, key=lambda one: one != locale):
        for text in phrases[language]:
            wanted = phrase(text)
            if (best is None or len(wanted) > best.length) and stands_in(wanted, said):
                best = Found(language, len(wanted), len(wanted) == len(said))
    return best


def stands_in(wanted: tuple[str, ...], said: Sequence[str]) -> bool:
    """Whether the phrase's words stand in the message, one after the other."""
    width = len(wanted)
    if not width or width > len(said):
        return False
    first, rest = wanted[0], wanted[1:]
    if first not in said and not is_hebrew(first):
        return False  # by far the most
    return any(
        _same(first, said[at]) and tuple(said[at + 1 : at + width]) == rest for at in range(len(said) - width + 1)
    )


def is_hebrew(word: str) -> bool:
    return "\u05d0" <= word[0] <= "\u05ea"


def _same(wanted: str, word: str) -> bool:
    if wanted == word:
        return True
    ahead = len(word) - len(wanted)
    if ahead not in {1, 2} or len(wanted) < 3 or not word.endswith(wanted):
        return False
    return is_hebrew(wanted) and set(word[:ahead]) <= HEBREW_PREFIXES
