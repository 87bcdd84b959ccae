"""A second look before words leave: what an agent should see before a customer does. Pure.

    warnings(text, locales) -> ("shouting", "insult:idiot", "open:[order?]")      what holds an answer back until it is confirmed
    language_tip(text, customer, spoken) -> "en" | None                          what is only told

Decisions
- Shouting is three words and more that are nearly all capitals, or a run of four in a calmer text. Whatever has a digit, and
  abbreviations of up to four letters beside ordinary words, count for nothing: "ABC-123", "USB" and "IBAN" are how orders are
  spoken of.
- Insults are whole words of a list (`send_words.yaml`), in the languages that customer and agents use; a word that is harmless
  in another of the four languages is not listed. A few that must never be missed are better than many that cry wolf.
- What is quoted (lines that begin with ">") is somebody else's.
- The language is told apart by `bot.answers.language`, and only once that is loaded for customers anyhow: a tip is not worth
  the seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files

from bot.answers import language
from bot.texts import canonical
from handoff.macros import left_open

LONGEST = 4000  # characters that are looked at
SHARE = 0.7  # of the words that are capitals
FEWEST, RUN = 3, 4  # words in all, or one after the other
LETTERS = 10  # in capitals at least

_TOKEN = re.compile(r"\S+")
_LETTERS = re.compile(r"[^\W\d_]+")
_CODE = re.compile(r"\d|@|://|_|\.\w")
_MARKS = re.compile(r"[!?]*!{2}[!?]+|!{3,}")
_QUOTE = re.compile(r"^\s*>.*$", re.MULTILINE)
_HEBREW_PREFIX = "[והשלבכמ]{0,2}"


def warnings(text: str, locales: Iterable[str]) -> tuple[str, ...]:
    """Why somebody should look again, each as `kind` or `kind:what`; empty: nothing. `locales`: whose words are known."""
    own = _QUOTE.sub(" ", text[:LONGEST])
    found = ["shouting"] if is_shouted(own) else []
    found += [f"insult:{word}" for word in insults(own, locales)]
    return (*found, *(f"open:{place}" for place in left_open(own)))


def is_shouted(text: str) -> bool:
    """Mostly capitals, or three exclamation marks and more in a row."""
    if _MARKS.search(text):
        return True
    loud = [_is_loud(token) for token in _TOKEN.findall(text)]
    said = [one for one in loud if one is not None]
    capitals = sum(len(word) for word in _LETTERS.findall(text) if len(word) > 1 and word.isupper())
    if capitals < LETTERS:
        return False
    return (len(said) >= FEWEST and sum(said) >= SHARE * len(said)) or _longest_run(said) >= RUN


def _is_loud(token: str) -> bool | None:
    """None for what can be neither: codes, addresses, single letters, scripts without capitals."""
    words = [word for word in _LETTERS.findall(token) if len(word) > 1 and word.lower() != word.upper()]
    if not words or _CODE.search(token):
        return None
    return all(word.isupper() for word in words)


def _longest_run(said: Sequence[bool]) -> int:
    longest = now = 0
    for loud in said:
        now = now + 1 if loud else 0
        longest = max(longest, now)
    return longest


def insults(text: str, locales: Iterable[str]) -> list[str]:
    """The listed words that stand in it, as they are listed."""
    folded = " ".join(text.casefold().replace("’", "'").split())
    languages = dict.fromkeys(canonical(one).split("-")[0] for one in locales)
    return list(dict.fromkeys(word for one in languages for word, seen in _patterns(one) if seen.search(folded)))


@cache
def _patterns(locale: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    before = _HEBREW_PREFIX if locale == "he" else ""
    return tuple((word, re.compile(rf"(?<!\w){before}{re.escape(word)}(?!\w)")) for word in words().get(locale, ()))


@cache
def words() -> Mapping[str, tuple[str, ...]]:
    """The list, by language, each word as text is folded before it is looked for."""
    import yaml

    read = yaml.safe_load(files("handoff").joinpath("send_words.yaml").read_text(encoding="utf-8"))
    return {str(locale): tuple(str(one).casefold() for one in listed) for locale, listed in read.items()}


def language_tip(text: str, customer: str, spoken: Sequence[str]) -> str | None:
    """The language that a reply seems to be in, where that is surely not the customer's; None: nothing to tell.

    Told apart among what is `spoken` at the desk and the customer's own. Never loads the model.
    """
    if not language.is_ready():
        return None
    found = language.detect(_QUOTE.sub(" ", text[:LONGEST]), tuple(dict.fromkeys((customer, *spoken))))
    if found is None or found.confidence < language.SURE:
        return None
    return found.locale if _base(found.locale) != _base(customer) else None


def _base(locale: str) -> str:
    return canonical(locale).split("-")[0]
