"""Unanswered questions become a short work list."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.answers.unanswered import cluster


def test_ways_to_ask_the_same_are_one_entry_the_most_asked_first() -> None:
    asked = [
        ("Do you ship to Iceland?", "en"),
        ("where is my invoice", "en"),
        ("I need an invoice", "en"),
        ("Invoices please!", "en"),
        ("where is  my invoice", "en"),
        ("waar is mijn factuur", "nl"),
        ("facturen", "nl-BE"),
        ("איפה החשבונית", "he"),
        ("חשבונית בבקשה", "he"),
    ]
    found = cluster(asked)
    assert [(entry.locale, entry.asked) for entry in found] == [("en", 4), ("he", 2), ("nl", 2), ("en", 1)]
    assert found[0].questions == ("where is my invoice", "I need an invoice", "Invoices please!")
    assert found[0].lemmas == ("invoice",)


def test_two_languages_are_never_mixed_and_emoji_make_no_entry() -> None:
    assert [entry.locale for entry in cluster([("hotel", "en"), ("hotel", "nl"), ("👍", "en")])] == ["en", "nl"]


@given(st.lists(st.tuples(st.text(alphabet="abc de", max_size=12), st.sampled_from(["en", "he"]))))
def test_no_question_is_lost_or_counted_twice(asked: list[tuple[str, str]]) -> None:
    assert sum(entry.asked for entry in cluster(asked)) == sum(1 for text, _ in asked if text.strip())
