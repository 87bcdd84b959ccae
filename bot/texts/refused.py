"""A refusal in the language of whoever reads the page.

Rooms raise their refusals in English, in one clear line: what programs, logs and the command line get. The page `refusals.yaml`
has each of those sentences in every language, its English to the letter; here it is found again, and what stood in its places is
put into the other language's. A sentence that the page does not have is told as it is. A test holds that those which people can
meet at a page are all there.
"""

from __future__ import annotations

import re
from functools import cache

from bot.texts import FALLBACK, Texts, built_in, keys, say

PAGE = "why_"
"""Begins the keys of these sentences."""
_PLACE = re.compile(r"\{\{\s*(\w+)\s*\}\}")


def in_words(sentence: str, locale: str, own: Texts | None = None) -> str:
    """The refusal in the language of `locale`, where there are words for it."""
    if locale == FALLBACK:
        return sentence
    found = key_of(sentence)
    return sentence if found is None else say(found[0], locale, own, **found[1])


def key_of(sentence: str) -> tuple[str, dict[str, str]] | None:
    """(key, what stands in its places) of a refusal; None: it is none of ours."""
    for key, pattern in _patterns():
        match = pattern.fullmatch(sentence)
        if match is not None:
            return key, match.groupdict()
    return None


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """The most definite first: where two sentences fit, the one with more words of its own is meant."""
    english = [(key, built_in(key)[FALLBACK]) for key in keys() if key.startswith(PAGE)]
    english.sort(key=lambda one: -len(_PLACE.sub("", one[1])))
    return tuple((key, re.compile(_pattern(text), re.DOTALL)) for key, text in english)


def _pattern(text: str) -> str:
    *before, last = _PLACE.split(text)
    parts = zip(before[::2], before[1::2], strict=True)
    return "".join(f"{re.escape(words)}(?P<{name}>.+?)" for words, name in parts) + re.escape(last)
