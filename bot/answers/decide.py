"""Answer, ask back, or say "I don't know": pure, on what the search found.

What lives here: the three bands, how they are set from a desk's own labelled questions, and which texts are no
questions at all. What it must not know: how the search works, what is said to the customer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from bot.answers.words import words
from bot.texts import FALLBACK, Texts
from bot.texts.spoken import listed

if TYPE_CHECKING:
    from bot.answers.knowledge import Hit

Search = Callable[[str, str], "Sequence[Hit]"]
"""(query, locale) → hits, best first: `Knowledge.search`. It may block."""

SHOWN = 3
"""At most so many titles to choose from: a phone shows three buttons and "none of these" without scrolling."""
LONGEST_TALK = 200
"""Characters of what is mere talk; what is longer says more."""
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


SMALL_TALK = ("greeting", "thanks", "bye")


def small_talk(text: str, locale: str, own: Texts | None = None) -> str | None:
    """`greeting`, `thanks` or `bye` where the text is nothing else, in its language or English; else None.

    "Hi, where is my parcel?" is a question: None. `own` are the desk's texts, which may bring word lists.
    """
    said = " ".join(words(text))
    if not said or len(said) > LONGEST_TALK:
        return None
    for language in (locale, FALLBACK):
        tails = _folded(listed("words_tail", language, own))
        talk = {kind: _folded(listed(f"words_{kind}", language, own)) for kind in SMALL_TALK}
        head = max((one for one in talk["greeting"] if said.startswith(f"{one} ")), key=len, default="")
        for part in (said, said.removeprefix(head).lstrip()):  # "Hello, good morning" is two of them
            tail = next((one for one in tails if part.endswith(f" {one}")), "")
            short = part.removesuffix(tail).rstrip()
            for kind, phrases in talk.items():
                if part in phrases or short in phrases:
                    return kind
    return None


def is_blank(text: str) -> bool:
    """Nothing to search for: no letter and no digit (empty, emoji, punctuation)."""
    return not any(map(str.isalnum, text))


def yes_no(text: str, locale: str, own: Texts | None = None) -> bool | None:
    """Whether the whole text is a typed yes or no, in its language or English; None when it is something else."""
    said = " ".join(words(text[:LONGEST_TALK]))
    for language in (locale, FALLBACK) if said else ():
        if said in _folded(listed("words_yes", language, own)):
            return True
        if said in _folded(listed("words_no", language, own)):
            return False
    return None


@lru_cache(maxsize=200)
def _folded(phrases: tuple[str, ...]) -> frozenset[str]:
    """As `words` reads them."""
    return frozenset(" ".join(words(one)) for one in phrases)
