"""Words that are listened for: yes and no, thanks, anger, a call for a human; in each language, from `words.yaml`.

A list is a text like any other, with `|` between its entries: a desk replaces one language of it, or adds a language of its
own, where it writes its texts (`texts/sv.yaml`: `words_yes: {sv: "ja | jo"}`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache

from bot.texts import FALLBACK, Texts, built_in, in_language

Lists = tuple[tuple[str, tuple[str, ...]], ...]
"""(language, its entries), a key of caches."""


def listed(key: str, locale: str, own: Texts | None = None) -> tuple[str, ...]:
    """The entries of a list in one language; none where nobody wrote any."""
    mine = in_language(own[key], locale) if own and key in own else None
    return split(mine if mine is not None else in_language(built_in(key), locale) or "")


def with_english(key: str, locale: str, own: Texts | None = None) -> tuple[str, ...]:
    """In this language and in English, which many mix in."""
    return (*listed(key, locale, own), *listed(key, FALLBACK, own))


def in_all(key: str, own: Texts | None = None) -> Lists:
    """The list in every language that the product or the desk has words in."""
    mine = own.get(key) if own else None
    return _lists({**built_in(key), **mine}) if mine else _of_product(key)


@cache
def _of_product(key: str) -> Lists:
    return _lists(built_in(key))


def _lists(texts: Mapping[str, str]) -> Lists:
    return tuple((locale, split(text)) for locale, text in texts.items())


@lru_cache(maxsize=2000)
def split(text: str) -> tuple[str, ...]:
    return tuple(one for part in text.split("|") if (one := " ".join(part.split())))
