"""Sure, unsure or none; thresholds from a desk's own questions; and what is no question at all."""

from __future__ import annotations

import pytest

from bot.answers.article import Article
from bot.answers.decide import (
    NoAnswer,
    Sure,
    Thresholds,
    Unsure,
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
        ("Hello, good morning!", "en", "greeting"),
        ("Hallo, goedemorgen", "nl", "greeting"),
        ("Hei, hvordan går det?", "nb", "greeting"),
        ("שלום, בוקר טוב", "he", "greeting"),
        ("Hi, many thanks", "en", "thanks"),
        ("hi, where is my parcel?", "en", None),
        ("good morning parcel", "en", None),
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
