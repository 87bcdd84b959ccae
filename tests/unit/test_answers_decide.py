"""Sure, unsure or none; thresholds from a desk's own questions; and what is no question at all."""

from __future__ import annotations

import pytest

from bot.answers.article import Article
from bot.answers.decide import (
    Labelled,
    NoAnswer,
    Sure,
    Thresholds,
    Unsure,
    calibrate,
    decide,
    is_blank,
    small_talk,
    yes_no,
)
from bot.answers.knowledge import Hit


def hit(name: str, confidence: float, score: float = 0.5) -> Hit:
    return Hit(Article(name, name, "en"), score, confidence)


LIMITS = Thresholds(sure=0.8, unsure=0.3)


def test_the_three_bands() -> None:
    assert decide([hit("a", 0.8)], LIMITS) == Sure(hit("a", 0.8))
    assert decide([hit("a", 0.79), hit("b", 0.1)], LIMITS) == Unsure((hit("a", 0.79), hit("b", 0.1)))
    assert decide([hit("a", 0.29)], LIMITS) == NoAnswer()
    assert decide([], LIMITS) == NoAnswer()


def test_never_more_than_three_titles_and_none_that_is_far_behind() -> None:
    many = [hit(str(n), 0.5) for n in range(5)]
    decision = decide(many, LIMITS)
    assert isinstance(decision, Unsure)
    assert len(decision.hits) == 3
    assert decide([hit("a", 0.5), hit("b", 0.1, score=0.2)], LIMITS) == Unsure((hit("a", 0.5),))


def test_crossed_thresholds_are_refused_with_both_figures() -> None:
    with pytest.raises(ValueError, match=r"unsure 0\.9, sure 0\.5"):
        Thresholds(sure=0.5, unsure=0.9)


def test_calibrate_finds_the_lowest_threshold_with_nine_of_ten_right() -> None:
    """Right from 0.5 up, a coin between 0.2 and 0.5, wrong below."""
    labelled = [Labelled((hit("a", n / 100),), "a" if n >= 50 or (n >= 20 and n % 2) else None) for n in range(100)]
    limits = calibrate(labelled)
    chosen = [entry.right for entry in labelled if entry.confidence >= limits.sure]
    assert sum(chosen) / len(chosen) >= 0.9
    assert 0.35 < limits.sure < 0.5
    assert 0.15 <= limits.unsure <= 0.25


def test_calibrate_with_equal_confidences_takes_all_or_none_of_them() -> None:
    labelled = [Labelled((hit("a", 0.5),), "a" if n < 20 else "b") for n in range(40)]
    limits = calibrate(labelled)
    assert limits.sure == 1.0


def test_calibrate_refuses_too_few() -> None:
    with pytest.raises(ValueError, match="3 labelled questions; at least 30"):
        calibrate([Labelled((), None)] * 3)


def test_calibrate_survives_a_desk_that_finds_nothing() -> None:
    assert calibrate([Labelled((), None)] * 40) == Thresholds(1.0, 1.0)


@pytest.mark.parametrize(
    ("text", "locale", "kind"),
    [
        ("Hello!", "en", "greeting"),
        ("Hi there", "en", "greeting"),
        ("Goedemorgen", "nl-BE", "greeting"),
        ("hei på deg 👋", "nb", "greeting"),
        ("שלום", "he", "greeting"),
        ("thanks so much!!", "en", "thanks"),
        ("dankjewel hoor", "nl", "thanks"),
        ("Tusen takk :)", "no", "thanks"),
        ("תודה רבה", "iw", "thanks"),
        ("doei", "nl", "bye"),
        ("ha det bra", "nb", "bye"),
        ("להתראות", "he", "bye"),
        ("bye", "he", "bye"),
        ("hi, where is my parcel?", "en", None),
        ("takk, men hvor er pakken?", "nb", None),
        ("", "en", None),
    ],
)
def test_small_talk_is_the_whole_text_or_no_small_talk(text: str, locale: str, kind: str | None) -> None:
    assert small_talk(text, locale) == kind


def test_emoji_and_punctuation_are_blank_and_digits_are_not() -> None:
    assert all(map(is_blank, ("", "  ", "👍🏽", "❤️", "?!", "…")))
    assert not any(map(is_blank, ("4711", "נ", "a")))


def test_typed_yes_and_no() -> None:
    assert [yes_no(text, "nl") for text in ("Ja hoor!", "nee", "yes", "ja maar waar is het", "")] == [
        True,
        False,
        True,
        None,
        None,
    ]
    assert (yes_no("כן", "he"), yes_no("לא ממש", "he")) == (True, False)
