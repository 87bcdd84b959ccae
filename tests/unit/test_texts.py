"""The product's sentences: complete in four languages, and never broken by what is filled in."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.resources import files
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bot import texts
from bot.texts import FSI, PDI, duration, escape_markdown, fill, is_rtl, match_locale, placeholders, say

LOCALES = ("en", "nl", "nb", "he")
BUILT_IN = texts._built_in()


def test_every_sentence_exists_in_four_languages_with_the_same_placeholders() -> None:
    assert [key for key, sentence in BUILT_IN.items() if set(sentence) != set(LOCALES)] == []
    assert [key for key, sentence in BUILT_IN.items() if not all(text.strip() for text in sentence.values())] == []
    assert [
        key for key, sentence in BUILT_IN.items() if len({placeholders(text) for text in sentence.values()}) != 1
    ] == []
    filled = {key: [filled_in(text, "x") for text in sentence.values()] for key, sentence in BUILT_IN.items()}
    assert [key for key, texts in filled.items() if any("{{" in text for text in texts)] == []


def test_hebrew_sentences_are_in_hebrew() -> None:
    def is_hebrew(text: str) -> bool:
        letters = [char for char in filled_in(text, "") if char.isalpha()]
        return not letters or any("\u05d0" <= char <= "\u05ea" for char in letters)

    assert [key for key, sentence in BUILT_IN.items() if not is_hebrew(sentence["he"])] == []


def filled_in(text: str, word: str) -> str:
    return fill(text, dict.fromkeys(placeholders(text), word))


def test_no_sentence_stands_twice_in_a_language() -> None:
    """Of two equal keys a mapping keeps the later one without a word, so the pages are looked at as they are written."""
    pages = [page for page in files("bot.texts").iterdir() if page.name.endswith(".yaml")]
    nodes = [yaml.compose(page.read_text("utf-8"), Loader=yaml.BaseLoader) for page in pages]
    wordings = [place for node in nodes for place in places(node) if len(place) > 1]
    assert [place for place, times in Counter(wordings).items() if times > 1] == []


def places(node: yaml.Node | None, *above: str) -> Iterator[tuple[str, ...]]:
    """The keys of a page, each with those above it: of a sentence, a language, a form."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield (*above, key.value)
            yield from places(value, *above, key.value)


def test_a_sentence_is_filled_in_and_an_unknown_key_is_an_error() -> None:
    assert say("queue_place", "en", position=3, wait="about 4 minutes") == (
        "You are number 3 in the queue; it takes about 4 minutes."
    )
    with pytest.raises(KeyError, match="no_such_key"):
        say("no_such_key", "en")
    with pytest.raises(KeyError, match="position"):
        say("queue_place_only", "en")


@pytest.mark.parametrize(
    ("locale", "language"), [("nl-BE", "nl"), ("no", "nb"), ("nn_NO", "nb"), ("iw", "he"), ("fr", "en"), ("", "en")]
)
def test_an_unknown_locale_falls_back_by_language_then_to_english(locale: str, language: str) -> None:
    assert say("greeting", locale) == BUILT_IN["greeting"][language]


def test_the_desks_own_words_win_in_their_language_and_only_there() -> None:
    own = {"greeting": {"nl": "Dag!"}, "shop_hours": {"nl": "Tot zes uur, {{ name }}."}}
    assert say("greeting", "nl-BE", own) == "Dag!"
    assert say("greeting", "nb", own) == BUILT_IN["greeting"]["nb"]
    assert say("greeting", "fr", own) == BUILT_IN["greeting"]["en"]
    assert say("shop_hours", "en", own, name="Ann") == "Tot zes uur, Ann."
    assert say("greeting", "fr", {"greeting": {"en": "Howdy!"}}) == "Howdy!"


def test_an_own_text_that_asks_for_what_is_not_there_yields_to_the_built_in_sentence() -> None:
    assert say("queue_next", "en", {"queue_next": {"en": "Soon, {{ nobody }}"}}) == BUILT_IN["queue_next"]["en"]


def test_a_value_is_never_read_as_a_placeholder() -> None:
    assert fill("{{ a }} {{b}}", {"a": "{{ b }}", "b": "two"}) == "{{ b }} two"
    assert fill("{{ order.status }}", {"order": {"status": "sent"}}) == "sent"
    assert fill("{{ a }}", {"a": "*x*"}, escape_markdown) == "\\*x\\*"


@given(st.text(), st.text())
def test_filling_in_puts_the_value_there_and_nothing_else(before: str, value: str) -> None:
    template = before.replace("{", "(") + "{{ v }}"
    assert fill(template, {"v": value}) == before.replace("{", "(") + value


@pytest.mark.parametrize(
    ("wanted", "offered", "found"),
    [
        ("no", ["en", "nb"], "nb"),
        ("nn", ["en", "nb"], "nb"),
        ("nb", ["en", "no"], "no"),
        ("iw-IL", ["en", "he"], "he"),
        ("nl-BE", ["en", "nl"], "nl"),
        ("nl", ["en", "nl-BE"], "nl-BE"),
        ("EN_us", ["nl", "en"], "en"),
        ("fr", ["nl", "en"], "nl"),
        ("zh-Hant-TW", ["en", "zh", "zh-Hant"], "zh-Hant"),
        ("en", [], "en"),
        ("", ["he", "en"], "he"),
    ],
)
def test_the_best_offered_language_is_found(wanted: str, offered: list[str], found: str) -> None:
    assert match_locale(wanted, offered) == found


def test_which_languages_run_from_right_to_left() -> None:
    assert [locale for locale in ("he", "iw", "ar-EG", "en", "nb", "az-Arab", "he-Latn", "") if is_rtl(locale)] == [
        "he",
        "iw",
        "ar-EG",
        "az-Arab",
    ]


@pytest.mark.parametrize(
    ("seconds", "locale", "words"),
    [
        (0, "en", "about 1 minute"),
        (61, "en", "about 2 minutes"),
        (240, "nl", "ongeveer 4 minuten"),
        (240, "no", "omtrent 4 minutter"),
        (240, "he", "כ-4 דקות"),
        (60, "he", "כדקה"),
        (7200, "he", "כשעתיים"),
        (4800, "en", "about 80 minutes"),
        (7200, "en", "about 2 hours"),
        (200_000, "en", "about 2 days"),
        (240, "de", "± 4 Minuten"),
        (240, "tlh", "± 4 minutes"),
    ],
)
def test_waits_are_told_in_words(seconds: int, locale: str, words: str) -> None:
    assert duration(seconds, locale) == words


def test_a_moment_is_told_in_the_readers_zone() -> None:
    at = datetime(2025, 11, 3, 13, 5, tzinfo=UTC)
    assert texts.moment(at, "nl", ZoneInfo("Europe/Amsterdam")) == "ma 3 nov 14:05"


def test_mixed_directions_are_isolated_but_what_is_copied_or_clicked_stays_bare() -> None:
    assert f"{FSI}Ann{PDI}" not in say("agent_joined", "he", agent="Ann")
    assert f"{FSI}Ann B. (1){PDI}" in say("agent_joined", "he", agent="Ann B. (1)")
    assert FSI not in say("agent_joined", "nl", agent="Ann B. (1)")
    assert FSI not in say("link_how", "he", code="7QX2", link="https://t.me/b?start=7QX2", minutes=10)


def test_a_command_within_a_hebrew_sentence_keeps_its_slash_at_its_head() -> None:
    """Bare, `/unlink` is shown there as `unlink/`. At the head of a line it gives that line its direction, and may be bare."""
    bare = re.compile(r"[\u0590-\u05ff][^\n/]*[^\n/\w<\u200e\u2066]/[a-z]{3,}")
    assert [key for key, sentence in BUILT_IN.items() if bare.search(sentence["he"])] == []


def test_a_name_at_the_head_does_not_turn_a_sentence_around() -> None:
    """`dir=auto` and the platforms take a text's direction from its first letter."""
    assert say("agent_joined", "he", agent="Robin") == "\u200fRobin כאן, וכל השיחה כבר נקראה."
    assert say("agent_joined", "en", agent="דנה") == "\u200eדנה is here and has read everything."
    assert say("agent_joined", "he", agent="דנה")[0] != "\u200f"
    assert say("agent_joined", "en", agent="Robin") == "Robin is here and has read everything."
