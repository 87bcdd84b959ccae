"""Answer, ask back, or say "I don't know": pure, on what the search found.

What lives here: the three bands, how they are set from a desk's own labelled questions, and which texts are no
questions at all. What it must not know: how the search works, what is said to the customer.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.answers.words import base_locale, words

if TYPE_CHECKING:
    from bot.answers.knowledge import Hit

Search = Callable[[str, str], "Sequence[Hit]"]
"""(query, locale) → hits, best first: `Knowledge.search`. It may block."""

SHOWN = 3
"""At most so many titles to choose from: a phone shows three buttons and "none of these" without scrolling."""
FEWEST_LABELLED = 30
"""Below this many labelled questions their share of right ones says little: ±0.11 at 0.9 (95 % interval)."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From `sure` on the best article is the answer, from `unsure` on titles are shown. Both confidences, 0..1.

    The defaults stand until `stafett kb calibrate` has seen the desk's own questions. On the desks of `curve.py` 0.75 gave a
    precision of 0.92-0.96 (0.87 on BANKING77 with 5 questions an article); below 0.3 one first hit in four is right.
    """

    sure: float = 0.75
    unsure: float = 0.25

    def __post_init__(self) -> None:
        if not 0 <= self.unsure <= self.sure <= 1:
            raise ValueError(f"thresholds must be 0 ≤ unsure ≤ sure ≤ 1, not unsure {self.unsure}, sure {self.sure}")

    def is_sure(self, hits: Sequence[Hit]) -> bool:
        return bool(hits) and hits[0].confidence >= self.sure


@dataclass(frozen=True, slots=True)
class Sure:
    hit: Hit


@dataclass(frozen=True, slots=True)
class Unsure:
    """One to three articles to choose from, best first."""

    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class NoAnswer:
    pass


Decision = Sure | Unsure | NoAnswer


def decide(hits: Sequence[Hit], thresholds: Thresholds | None = None) -> Decision:
    """The band of a search's hits (best first)."""
    limits = thresholds or Thresholds()
    if limits.is_sure(hits):
        return Sure(hits[0])
    if not hits or hits[0].confidence < limits.unsure:
        return NoAnswer()
    near = tuple(hit for hit in hits[:SHOWN] if hit.score >= hits[0].score / 2)
    return Unsure(near or (hits[0],))


@dataclass(frozen=True, slots=True)
class Labelled:
    """What the search found for one logged question, and which article a human says is right (None: none is)."""

    hits: tuple[Hit, ...]
    article_id: str | None

    @property
    def confidence(self) -> float:
        return self.hits[0].confidence if self.hits else 0.0

    @property
    def right(self) -> bool:
        return bool(self.hits) and self.hits[0].article.id == self.article_id


def labelled(asked: Iterable[tuple[str, str, str | None]], search: Search) -> list[Labelled]:
    """What the search finds for logged (question, locale, right article's id or None): the input of `calibration`."""
    return [Labelled(tuple(search(question, locale)), article_id) for question, locale, article_id in asked]


def unsure_from(entries: Sequence[Labelled], sure: float, worth_showing: float) -> float:
    """The lowest `unsure` below `sure`; `entries` fall by confidence."""
    below = [(e.confidence, _among_shown(e)) for e in entries if e.confidence < sure]
    return min(sure, lowest(below, worth_showing) if below else sure)


def _among_shown(entry: Labelled) -> bool:
    return any(hit.article.id == entry.article_id for hit in entry.hits[:SHOWN])


def lowest(judged: Sequence[tuple[float, bool]], share: float) -> float:
    """The lowest confidence such that of all entries from it up (`judged` falls) at least `share` are right; else 1."""
    lowest, right = 1.0, 0
    for count, (confidence, is_right) in enumerate(judged, start=1):
        right += is_right
        is_last_of_its_kind = count == len(judged) or judged[count][0] < confidence
        if is_last_of_its_kind and right >= share * count:
            lowest = confidence
    return lowest


_SMALL_TALK: dict[str, dict[str, str]] = {
    "greeting": {
        "en": "hello|hi|hey|hiya|good day|good morning|good afternoon|good evening|morning",
        "nl": "hallo|hoi|hey|hee|hai|hallo daar|dag|goedendag|goedemorgen|goeiemorgen|goedemiddag|goedenavond|hoi hoi",
        "nb": "hei|hallo|heisann|hei hei|hei på deg|god dag|god morgen|god kveld|god ettermiddag|morn|halla",
        "he": "שלום|היי|הי|הלו|אהלן|שלום לך|שלום רב|בוקר טוב|צהריים טובים|ערב טוב|מה נשמע|מה שלומך",
    },
    "thanks": {
        "en": "thanks|thank you|thx|ty|thanks a lot|many thanks|thank you very much|thank you so much|cheers|"
        "great thanks|ok thanks|okay thanks|ok thank you|perfect thanks|super thanks",
        "nl": "bedankt|dank je|dank je wel|dankjewel|dank u|dank u wel|dankuwel|thanks|hartelijk dank|heel erg bedankt|"
        "super bedankt|oké bedankt|ok bedankt|top bedankt|fijn bedankt|dankje",
        "nb": "takk|tusen takk|mange takk|takk skal du ha|takk for hjelpen|takker|ok takk|supert takk|flott takk|"
        "hjertelig takk|takk takk",
        "he": "תודה|תודה רבה|המון תודה|תודה לך|תודה על העזרה|מעולה תודה|אוקיי תודה|סבבה תודה|תודה תודה|יופי תודה",
    },
    "bye": {
        "en": "bye|goodbye|bye bye|see you|see you later|have a nice day|have a good day|good night|take care",
        "nl": "doei|dag dag|tot ziens|tot later|fijne dag|fijne dag nog|fijne avond|goedenacht|doeg|bedankt doei",
        "nb": "ha det|ha det bra|hadet|hade|adjø|vi snakkes|snakkes|ha en fin dag|god natt|farvel|takk ha det",
        "he": "ביי|להתראות|ביי ביי|יום טוב|יום נעים|לילה טוב|המשך יום טוב|נתראה|תודה ביי|שיהיה יום טוב",
    },
}
_PHRASES: dict[str, dict[str, str]] = {
    locale: {phrase: kind for kind, by_locale in _SMALL_TALK.items() for phrase in by_locale[locale].split("|")}
    for locale in ("en", "nl", "nb", "he")
}
_TAIL = re.compile(r" (?:there|all|everyone|team|so much|very much|hoor|allemaal|dere|alle sammen|לכם|מאוד|רבה)$")


def small_talk(text: str, locale: str) -> str | None:
    """`greeting`, `thanks` or `bye` where the text is nothing else, in its language or English; else None.

    "Hi, where is my parcel?" is a question: None.
    """
    said = " ".join(words(text))
    for language in (base_locale(locale), "en"):
        phrases = _PHRASES.get(language, {})
        if kind := phrases.get(said) or phrases.get(_TAIL.sub("", said)):
            return kind
    return None


def is_blank(text: str) -> bool:
    """Nothing to search for: no letter and no digit (empty, emoji, punctuation)."""
    return not any(unicodedata.category(char)[0] in "LN" for char in text)


_YES_NO: dict[str, tuple[str, str]] = {
    "en": (
        "yes|y|yep|yeah|yes thanks|yes thank you|yes it did|it did|it helped|that helped",
        "no|n|nope|not really|no not really|no it didn't|no thanks",
    ),
    "nl": ("ja|jazeker|jawel|ja dank je|ja bedankt|ja hoor|zeker", "nee|neen|nee niet echt|niet echt|nee helaas"),
    "nb": ("ja|jepp|ja takk|det hjalp|jada", "nei|egentlig ikke|nei egentlig ikke|ikke egentlig|nei dessverre"),
    "he": ("כן|כן תודה|זה עזר|כן זה עזר|בטח", "לא|לא ממש|לא עזר|זה לא עזר|לא תודה"),
}


def yes_no(text: str, locale: str) -> bool | None:
    """Whether the whole text is a typed yes or no, in its language or English; None when it is something else."""
    said = " ".join(words(text))
    for language in (base_locale(locale), "en"):
        yes, no = _YES_NO.get(language, ("", ""))
        if said and said in yes.split("|"):
            return True
        if said and said in no.split("|"):
            return False
    return None
