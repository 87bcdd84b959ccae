"""Thresholds keep the targets on what chose them, and tell honestly what they keep on what did not."""

from __future__ import annotations

import random

import pytest

from bot.answers.article import Article
from bot.answers.calibration import Share, Targets, calibration, choose, measured, worth_asking
from bot.answers.decide import Labelled, Thresholds
from bot.answers.knowledge import Hit

ANYTHING = Targets(off_topic=1.0)


def hit(name: str, confidence: float, score: float = 0.5) -> Hit:
    return Hit(Article(name, name, "en"), score, confidence)


def test_the_lowest_threshold_with_nine_of_ten_right() -> None:
    """Right from 0.5 up, a coin between 0.2 and 0.5, wrong below."""
    labelled = [Labelled((hit("a", n / 100),), "a" if n >= 50 or (n >= 20 and n % 2) else "b") for n in range(100)]
    limits = choose(labelled, ANYTHING)
    chosen = [entry.right for entry in labelled if entry.confidence >= limits.sure]
    assert sum(chosen) / len(chosen) >= 0.9
    assert 0.35 < limits.sure < 0.5
    assert 0.15 <= limits.unsure <= 0.25


def test_questions_without_an_article_raise_it() -> None:
    right = [Labelled((hit("a", 0.5 + n / 1000),), "a") for n in range(300)]
    off_topic = [Labelled((hit("a", 0.4 + n / 50),), None) for n in range(10)]
    assert choose([*right, *off_topic], ANYTHING).sure <= 0.5
    strict = choose([*right, *off_topic], Targets(off_topic=0.1))
    assert measured(off_topic, strict).off_topic == Share(1, 10)
    assert measured(off_topic, choose([*right, *off_topic], Targets(off_topic=0.0))).off_topic == Share(0, 10)


def test_equal_confidences_are_all_answered_or_none_of_them() -> None:
    labelled = [Labelled((hit("a", 0.5),), "a" if n < 20 else "b") for n in range(40)]
    assert choose(labelled, ANYTHING).sure == 1.0


def test_too_few_are_refused_and_a_desk_that_finds_nothing_is_no_fault() -> None:
    with pytest.raises(ValueError, match="3 labelled questions; at least 30"):
        calibration([Labelled((), None)] * 3)
    assert calibration([Labelled((), None)] * 40).thresholds == Thresholds(1.0, 1.0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        Targets(precision=90)


def test_what_is_told_was_measured_on_questions_that_chose_nothing() -> None:
    """With 40 questions of pure chance any choice looks good on itself; held out, it looks like what it is."""
    wanted = Targets(precision=0.7, off_topic=1.0)
    on_itself, held_out = Share(0, 0), Share(0, 0)
    for seed in range(40):
        rng = random.Random(seed)
        noise = [Labelled((hit("a", rng.random()),), "a" if rng.random() < 0.5 else "b") for _ in range(40)]
        found = calibration(noise, wanted)
        assert calibration(noise, wanted) == found
        assert found.held_out.answered.n == 40
        on_itself += measured(noise, found.thresholds).right
        held_out += found.held_out.right
    assert on_itself.hits >= 0.7 * on_itself.n
    assert held_out.hits < 0.6 * held_out.n


def test_a_question_that_stands_in_its_article_says_nothing() -> None:
    articles = [Article("returns", "Returns", "en", questions=("Can I send it back?",))]
    asked = [
        ("can i send it BACK", "en", "returns"),
        ("may it go back", "en", "returns"),
        ("May it go back?", "en", "returns"),
        ("can i send it back", "nl", "returns"),
        ("👍", "en", None),
    ]
    kept, left_out = worth_asking(asked, articles)
    assert [question for question, _, _ in kept] == ["May it go back?", "can i send it back"]
    assert left_out == 2
