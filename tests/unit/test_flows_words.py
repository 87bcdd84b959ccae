"""Phrases in messages, answers in sentences, values in texts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.flows.answers import answer
from bot.flows.heard import Heard
from bot.flows.schema import AskStep, Option, Slot
from bot.flows.templates import TemplateFault, places, raw, render
from bot.flows.words import find, stands_in, tokens

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("phrase", "message", "stands"),
    [
        ("where is my order", "Hi! WHERE is my order???", True),
        ("wheres my order", "where's my order", True),
        ("hvor er pakka", "Hvor er påkka", True),  # without diacritics
        ("order", "reorder it", False),  # whole words only
        ("my order", "my big order", False),
        ("start på nytt", "kan vi starte? start pa nytt!", True),
        ("נציג", "תעבירו אותי לנציג בבקשה", True),  # with "to the" written onto it
        ("נציג", "והנציג ענה", True),
        ("נציג", "נציגות", False),
        ("מענה", "שמענה", True),
        ("agent", "tagent", False),  # only Hebrew has such prefixes
        ("", "anything", False),
    ],
)
def test_a_phrase_is_found_as_whole_words(phrase: str, message: str, stands: bool) -> None:
    assert stands_in(tokens(phrase), tokens(message)) is stands


def test_the_longest_phrase_wins_and_of_equal_ones_the_customers_language() -> None:
    phrases = {"en": ("order", "my big order"), "nl": ("order",)}
    longest = find(phrases, tokens("where is my big order"), "nl")
    assert longest is not None
    assert (longest.locale, longest.length, longest.whole) == ("en", 3, False)
    own = find(phrases, tokens("order"), "nl")
    assert own is not None
    assert (own.locale, own.whole) == ("nl", True)


@pytest.mark.parametrize(
    ("kind", "said", "locale", "expected"),
    [
        ("text", "  hello  ", "en", "hello"),
        ("number", "12,5", "nl", 12.5),
        ("number", "1.234,56 euro", "nl", 1234.56),
        ("number", "1,234.50", "en", 1234.5),
        ("number", "about 3", "en", 3),
        ("number", "−4", "en", -4),
        ("number", "٣", "en", 3),
        ("number", "3 or 4", "en", None),
        ("number", "three", "en", 3),
        ("number", "AB12", "en", None),
        ("bool", "ja", "nb", True),
        ("bool", "nope", "en", False),
        ("bool", "לא", "he", False),
        ("bool", "maybe", "en", None),
        ("email", "my mail is Ann@Example.com.", "en", "Ann@example.com"),
        ("email", "ann@example", "en", None),
        ("email", "a@example.com or b@example.com", "en", None),
        ("phone", "06 12345678", "nl", "+31612345678"),
        ("phone", "call +47 22 22 22 22 please", "en", "+4722222222"),
        ("phone", "03-1234567", "he", "+97231234567"),
        ("phone", "12", "nl", None),
        ("date", "2026-12-24", "en", "2026-12-24"),
        ("date", "24.12.2026", "nb", "2026-12-24"),
        ("date", "24-12", "nl", "2026-12-24"),
        ("date", "12/24/2026", "en", "2026-12-24"),
        ("date", "24 december", "nl", "2026-12-24"),
        ("date", "December 24th, 2027", "en", "2027-12-24"),
        ("date", "24 בדצמבר", "he", "2026-12-24"),
        ("date", "morgen", "nl", "2026-11-23"),
        ("date", "31.2.2026", "nb", None),
        ("date", "soon", "en", None),
    ],
)
def test_an_answer_is_taken_out_of_what_people_write(kind: str, said: str, locale: str, expected: object) -> None:
    assert answer(Slot("x", kind), AskStep("x", {}), said, (), locale, NOW) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("AB123456", "AB123456"),
        ("it's ab123456, thanks!", "AB123456"),
        ("#AB123456", "AB123456"),
        ("AB123456 or CD123456", None),
        ("AB12", None),
    ],
)
def test_a_pattern_finds_the_one_word_that_fits(said: str, expected: str | None) -> None:
    slot = Slot("x", "text", pattern="^[A-Z]{2}[0-9]{6}$")
    assert answer(slot, AskStep("x", {}), said, (), "en", NOW) == expected


@pytest.mark.parametrize("text", ["a" * 10_000 + "!", "aaaa " * 2000, "(" * 5000])
def test_a_catastrophic_pattern_takes_linear_time(text: str) -> None:
    slot = Slot("x", "text", pattern="^(a+)+$")
    started = datetime.now(UTC)
    answer(slot, AskStep("x", {}), text, (), "en", NOW)
    assert (datetime.now(UTC) - started).total_seconds() < 1.0


OPTIONS = (
    Option("broken", {"en": "It is broken", "nl": "Het is kapot"}, ("damaged",)),
    Option("late", {"en": "Too late", "nl": "Te laat"}),
)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("2", "late"),
        ("3", None),
        ("broken", "broken"),
        ("het is KAPOT!", "broken"),
        ("it was damaged", "broken"),
        ("damaged and too late", None),  # never a guess between two
        ("well it took a long time and came too late for us", None),  # a story is no choice
    ],
)
def test_a_choice_is_typed_in_many_ways(said: str, expected: str | None) -> None:
    assert answer(Slot("x", "choice"), AskStep("x", {}, OPTIONS), said, (), "en", NOW) == expected


NAMES: dict[str, Any] = {
    "n": 1234.5,
    "day": "2026-03-02",
    "name": "*Ann* {{ n }}",
    "order": {"no": "AB-1", "none": None},
}


def test_values_are_escaped_and_never_templates() -> None:
    assert render("Hi {{ name }}", NAMES, "en") == r"Hi \*Ann\* \{\{ n \}\}"
    assert render("{{ order.no }}{{ order.none }}{{ order.no.x }}{{ gone }}", NAMES, "en") == r"AB\-1"


def test_filters_speak_the_customers_language() -> None:
    assert render("{{ n | number }} {{ day | date }}", NAMES, "nl") == r"1\.234,5 2 maart 2026"
    assert render("{{ n | number }}", {"n": 10**30}, "nl") == str(10**30), "so many digits are a name, no amount"
    assert render("{{ name | upper }}", {"name": "ab"}, "en") == "AB"


def test_only_a_web_address_becomes_a_link_and_only_where_the_admin_says_so() -> None:
    url = {
        "url": "https://post.example/t?id=1",
        "bad": "javascript:alert(1)",
        "trick": "https://a.example/)[x](https://b",
    }
    assert render("{{ url | link }}", url, "en").endswith("](https://post.example/t?id=1)")
    assert "](" not in render("{{ url }} {{ bad | link }} {{ trick | link }}", url, "en")


def test_values_of_another_direction_are_kept_apart_in_hebrew() -> None:
    assert render("הזמנה {{ order.no }}", NAMES, "he") == "הזמנה \u2068AB\\-1\u2069"


def test_for_programs_a_value_alone_keeps_its_type() -> None:
    assert raw(" {{ n }} ", NAMES, "en") == 1234.5
    assert raw("{{ n }} x", NAMES, "en") == "1234.5 x"


@pytest.mark.parametrize(
    "template",
    [
        "{{ name.__class__ }}",
        "{{ _x }}",
        "{{ a b }}",
        "{{ 1 }}",
        "{{ name",
        "name }}",
        "{{ n | shout }}",
        "{{ name() }}",
        "{{ }}",
    ],
)
def test_what_is_no_place_is_refused(template: str) -> None:
    with pytest.raises(TemplateFault):
        places(template)


@pytest.mark.parametrize("template", ["{% if x %}", "{x.__class__}", "%s %n", "${HOME}"])
def test_other_template_languages_are_plain_words(template: str) -> None:
    assert render(template, NAMES, "en") == template


KINDS = st.sampled_from(["text", "number", "bool", "email", "phone", "date"])


@settings(max_examples=400, deadline=None)
@given(
    KINDS,
    st.text(max_size=80) | st.from_regex(r"[-+0-9.,/: @a-z]{0,40}", fullmatch=True),
    st.sampled_from(["en", "nl", "nb", "he"]),
)
def test_no_answer_of_anybody_raises(kind: str, said: str, locale: str) -> None:
    value = answer(Slot("x", kind), AskStep("x", {}), said, (), locale, NOW)
    assert value is None or isinstance(value, str | int | float)


WORDS = st.lists(
    st.sampled_from(["where", "order", "my", "is", "הזמנה", "איפה", "ההזמנה", "וכשהזמנה", "שלי"]), max_size=5
)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from("abc"), st.dictionaries(st.sampled_from(["en", "he"]), st.lists(WORDS, max_size=4))
    ),
    WORDS,
    st.sampled_from(["en", "he", ""]),
)
def test_all_phrases_at_once_find_what_each_list_finds(
    owners: dict[str, dict[str, list[list[str]]]], said: list[str], locale: str
) -> None:
    lists = {
        owner: {one: [" ".join(words) for words in listed] for one, listed in by_locale.items()}
        for owner, by_locale in owners.items()
    }
    each = {owner: find(phrases, said, locale) for owner, phrases in lists.items()}
    assert Heard(lists.items()).find(said, locale) == {owner: one for owner, one in each.items() if one is not None}
