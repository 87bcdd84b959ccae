"""From a text to what the search compares: lemmas, pairs of them, and pieces of words. Pure but for lazy tables.

Lemmas (simplemma) bring plurals, verb forms and the Hebrew prefixes together; pieces of 2 to 5 letters catch
misspellings, compounds and whatever the tables don't know. simplemma and its tables (0.1–0.5 s and some tens of
MB a language) are loaded at the first word of that language, never at import.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache

from bot.texts.spoken import listed

LONGEST_TEXT = 2_000
"""Characters of one text that count. A question is far shorter; a pasted log must not cost a second."""

LONGEST_WORD = 64
"""Characters of one word that count; what is longer is no word, and the caches below keep what they see."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_INVISIBLE = re.compile("[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u200b-\u200f\u202a-\u202e\u2066-\u2069]")
_HEBREW_PREFIXES = "הבלמשוכ"
_SURE_PREFIXES, _LONG_HEBREW = "הבלשו", 6
"""Of a long word that no table knows one of these is cut off; מ and כ begin too many stems."""
_COMPOUNDING = frozenset({"nl", "nb"})
_LINKS = ("", "s", "e", "en")

STOP_WEIGHT = 0.6
"""A stop word's share of a full word's weight: in an index of ten articles idf alone can't tell them apart."""


@cache
def light_words(locale: str) -> frozenset[str]:
    """Words that say little about what is asked, of a language that `bot/texts` lists them for."""
    return frozenset(listed("words_light", locale))


@cache
def has_lemmas(locale: str) -> bool:
    from simplemma.strategies.dictionaries.dictionary_factory import SUPPORTED_LANGUAGES

    return locale in SUPPORTED_LANGUAGES


def base_locale(locale: str) -> str:
    """The language alone, in the product's names: `nl-BE` → `nl`, `no` → `nb`, `iw` → `he`."""
    language = locale.replace("_", "-").split("-")[0].lower()
    return {"no": "nb", "nn": "nb", "iw": "he"}.get(language, language)


def normal(text: str) -> str:
    """One spelling of a text: NFKC, casefolded, without Hebrew points and direction marks."""
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", text[:LONGEST_TEXT])).casefold().replace("’", "'")


def words(text: str) -> list[str]:
    return [word[:LONGEST_WORD] for word in _WORD.findall(normal(text))]


@lru_cache(maxsize=100_000)
def lemma(word: str, locale: str) -> str:
    """The dictionary form of a normalised word; the word itself where the language has no table."""
    if not has_lemmas(locale):
        return word
    from simplemma import is_known, lemmatize

    found = lemmatize(word, locale).casefold()
    if locale == "he" and found == word and not is_known(word, "he"):
        return _without_prefixes(word)
    return found


def _without_prefixes(word: str) -> str:
    """Hebrew writes *and, that, when, the, in, to, from* onto the word, up to four of them (וכשהחבילה → חבילה)."""
    from simplemma import is_known, lemmatize

    for cut in range(1, 5):
        if len(word) - cut < 3 or word[cut - 1] not in _HEBREW_PREFIXES:
            break
        rest = word[cut:]
        stem = lemmatize(rest, "he")
        if is_known(rest, "he") or stem != rest:
            return stem
    unknown = len(word) >= _LONG_HEBREW and word[0] in _SURE_PREFIXES
    return word[1:] if unknown else word


@lru_cache(maxsize=50_000)
def compound_parts(word: str, locale: str) -> tuple[str, ...]:
    """The lemmas of a Dutch or Norwegian compound's two halves (verzendkosten → verzenden, kost), else nothing."""
    least = 4
    if locale not in _COMPOUNDING or len(word) < 2 * least:
        return ()
    from simplemma import is_known

    for cut in range(len(word) - least, least - 1, -1):
        head, tail = word[:cut], word[cut:]
        if not is_known(tail, locale):
            continue
        for link in _LINKS:
            if head.endswith(link) and len(head) - len(link) >= least:
                first = head[: len(head) - len(link)]
                if is_known(first, locale):
                    return lemma(first, locale), lemma(tail, locale)
    return ()


Features = dict[str, float]
"""Feature → weighted count. Lemmas start with `w`, pairs with `p`, pieces of words with `c`."""


def word_features(text: str, locale: str) -> Features:
    """Lemmas, neighbouring pairs, and halves of compounds (at half weight)."""
    found: Features = {}
    previous = ""
    for word in words(text):
        weight = _weight(word, locale)
        base = lemma(word, locale)
        _add(found, f"w{base}", weight)
        _add(found, f"p{previous} {base}", weight)
        for part in compound_parts(word, locale):
            _add(found, f"w{part}", weight / 2)
        previous = base
    if previous:
        _add(found, f"p{previous} ", 1.0)
    return found


def lemma_features(text: str, locale: str) -> Features:
    """Lemmas and halves of compounds only: for long texts."""
    return {feature: count for feature, count in word_features(text, locale).items() if feature[0] == "w"}


def piece_features(text: str, locale: str, shortest: int = 2, longest: int = 5) -> Features:
    """Every run of 2 to 5 characters inside a word, its edges marked by a blank."""
    found: Features = {}
    for word in words(text):
        weight = _weight(word, locale)
        for piece in _pieces(f" {word} ", shortest, longest):
            _add(found, piece, weight)
    return found


def _pieces(word: str, shortest: int, longest: int) -> Iterator[str]:
    for size in range(shortest, longest + 1):
        for start in range(len(word) - size + 1):
            yield "c" + word[start : start + size]


def _weight(word: str, locale: str) -> float:
    return STOP_WEIGHT if word in light_words(locale) else 1.0


def _add(found: Features, feature: str, weight: float) -> None:
    found[feature] = found.get(feature, 0.0) + weight
