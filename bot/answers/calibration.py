"""Thresholds from labelled questions, and what they are worth on questions that did not choose them. Pure.

    found = calibration(labelled, Targets())
    found.thresholds      chosen on all questions
    found.held_out        measured five times on a fifth that the other four fifths chose the thresholds for

A question that stands in its article word for word says nothing (the search finds it surely), so `worth_asking` leaves it out.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bot.answers.article import Article
from bot.answers.decide import (
    FEWEST_LABELLED,
    SHOWN,
    Labelled,
    NoAnswer,
    Sure,
    Thresholds,
    decide,
    lowest,
    unsure_from,
)
from bot.answers.words import base_locale, words
from bot.intervals import Interval, wilson

FOLDS = 5

Question = tuple[str, str, str | None]
"""(question, locale, id of the right article; None: no article answers it)."""


@dataclass(frozen=True, slots=True)
class Targets:
    """What the thresholds are to hold: of the answers given at once at least `precision` right; of the questions that no
    article answers at most `off_topic` answered at once; among the titles shown the right one in `worth_showing` of the cases.
    """

    precision: float = 0.9
    off_topic: float = 0.15
    worth_showing: float = 0.5

    def __post_init__(self) -> None:
        if not all(0 <= share <= 1 for share in (self.precision, self.off_topic, self.worth_showing)):
            raise ValueError("targets are shares between 0 and 1")


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `n`."""

    hits: int
    n: int

    @property
    def interval(self) -> Interval | None:
        return wilson(self.hits, self.n)

    def __add__(self, other: Share) -> Share:
        return Share(self.hits + other.hits, self.n + other.n)


@dataclass(frozen=True, slots=True)
class Measured:
    """`answered` at once, of all · `right` of those · `off_topic` answered at once, of those that no article answers ·
    `shown` titles to choose from, of all · `among` them the right one.
    """

    answered: Share
    right: Share
    off_topic: Share
    shown: Share
    among: Share

    def __add__(self, other: Measured) -> Measured:
        return Measured(
            self.answered + other.answered,
            self.right + other.right,
            self.off_topic + other.off_topic,
            self.shown + other.shown,
            self.among + other.among,
        )


@dataclass(frozen=True, slots=True)
class Calibration:
    """`held` tells whether the held-out figures keep the targets; they are noisy, so read the intervals."""

    thresholds: Thresholds
    targets: Targets
    held_out: Measured
    before: Measured
    n: int

    @property
    def held(self) -> bool:
        right, off = self.held_out.right, self.held_out.off_topic
        return right.hits >= self.targets.precision * right.n and off.hits <= self.targets.off_topic * off.n


def calibration(
    judged: Sequence[Labelled], targets: Targets | None = None, before: Thresholds | None = None
) -> Calibration:
    """Thresholds chosen on all of `judged`, and what such a choice held on questions that it had not seen.

    `before` are those in force, measured on the same questions. Raises ValueError with fewer than 30 questions.
    """
    wanted = targets or Targets()
    if len(judged) < FEWEST_LABELLED:
        raise ValueError(f"{len(judged)} labelled questions; at least {FEWEST_LABELLED} are needed to set thresholds")
    folds = _folds(judged)
    parts = []
    for at, held_out in enumerate(folds):
        rest = [one for n, fold in enumerate(folds) if n != at for one in fold]
        parts.append(measured(held_out, choose(rest, wanted)))
    total = parts[0]
    for part in parts[1:]:
        total += part
    return Calibration(choose(judged, wanted), wanted, total, measured(judged, before or Thresholds()), len(judged))


def choose(judged: Sequence[Labelled], targets: Targets) -> Thresholds:
    """The lowest `sure` that keeps both targets, and the lowest `unsure` at which it is worth to show titles."""
    entries = sorted(judged, key=lambda entry: -entry.confidence)
    right = lowest([(entry.confidence, entry.right) for entry in entries], targets.precision)
    off = sorted((one.confidence for one in entries if one.article_id is None), reverse=True)
    may = int(targets.off_topic * len(off))  # so many off-topic questions may be answered
    above = off[may] if may < len(off) else 0.0
    beyond = [entry.confidence for entry in entries if entry.confidence > above]
    sure = max(right, min(beyond, default=1.0)) if off else right
    return Thresholds(
        sure=round(sure, 4), unsure=round(min(sure, unsure_from(entries, sure, targets.worth_showing)), 4)
    )


def measured(judged: Iterable[Labelled], thresholds: Thresholds) -> Measured:
    entries = [(one, decide(one.hits, thresholds)) for one in judged]
    sure = [one for one, decision in entries if isinstance(decision, Sure)]
    shown = [one for one, decision in entries if not isinstance(decision, Sure | NoAnswer)]
    off = [decision for one, decision in entries if one.article_id is None]
    return Measured(
        Share(len(sure), len(entries)),
        Share(sum(one.right for one in sure), len(sure)),
        Share(sum(isinstance(decision, Sure) for decision in off), len(off)),
        Share(len(shown), len(entries)),
        Share(sum(_is_among(one) for one in shown), len(shown)),
    )


def worth_asking(asked: Iterable[Question], articles: Iterable[Article]) -> tuple[list[Question], int]:
    """The questions less those that an article has word for word, each once; and how many those were."""
    known = {
        (base_locale(article.locale), tuple(words(text)))
        for article in articles
        for text in (article.title, *article.questions)
    }
    kept: dict[tuple[str, tuple[str, ...]], Question] = {}
    left_out = 0
    for question, locale, article_id in asked:
        said = base_locale(locale), tuple(words(question))
        if said in known or not said[1]:
            left_out += 1
        else:
            kept[said] = (question, locale, article_id)
    return list(kept.values()), left_out


def _folds(judged: Sequence[Labelled]) -> list[list[Labelled]]:
    """Five parts with answerable and off-topic questions in equal shares, the same at every run."""
    folds: list[list[Labelled]] = [[] for _ in range(FOLDS)]
    ordered = sorted(judged, key=lambda one: (one.article_id is None, zlib.crc32(repr(_mark(one)).encode())))
    for at, one in enumerate(ordered):
        folds[at % FOLDS].append(one)
    return folds


def _mark(one: Labelled) -> tuple[str | None, float, tuple[str, ...]]:
    return one.article_id, one.confidence, tuple(hit.article.id for hit in one.hits)


def _is_among(one: Labelled) -> bool:
    return any(hit.article.id == one.article_id for hit in one.hits[:SHOWN])
