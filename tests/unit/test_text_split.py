"""Long texts arrive whole, in parts that fit, cut where a reader would cut them."""

from __future__ import annotations

import time

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.text import Unit, length, split, split_entities, to_telegram

GRAPHEMES = [
    "a",
    "b",
    " ",
    "\n",
    "\n\n",
    ". ",
    "? ",
    "😀",
    "👩‍👧‍👦",
    "🇳🇱",
    "e\u0301",
    "שָׁ",
    "\r\n",
    "  ",
    "word ",
    "क्षि",
    " \u0308",
    "👍🏽",
]
texts = st.lists(st.one_of(st.sampled_from(GRAPHEMES), st.text(max_size=3)), max_size=120).map("".join)
units: st.SearchStrategy[Unit] = st.sampled_from(["utf16", "codepoints", "bytes"])


def squeezed(text: str) -> str:
    return "".join(text.split())


@settings(max_examples=300, deadline=None)
@given(texts, st.integers(4, 60), units)
def test_parts_fit_and_together_are_the_text(text: str, limit: int, unit: Unit) -> None:
    text = text.replace("`", "'")
    parts = split(text, limit, unit)
    assert all(0 < length(part, unit) <= limit for part in parts)
    assert squeezed("".join(parts)) == squeezed(text)
    at = 0
    for part in parts:  # nothing but white space lies between two parts
        found = text.index(part, at)
        assert not text[at:found].strip()
        at = found + len(part)


@settings(max_examples=300, deadline=None)
@given(texts, st.integers(30, 80))
def test_no_grapheme_is_cut_unless_it_fills_a_part_alone(text: str, limit: int) -> None:
    text = text.replace("`", "'")
    graphemes = regex.findall(r"\X", text)
    bounds, at = {0}, 0
    for grapheme in graphemes:
        at += len(grapheme)
        bounds.add(at)
    if any(length(grapheme, "utf16") > limit / 5 for grapheme in graphemes):
        return
    at = 0
    for part in split(text, limit):
        at = text.index(part, at)
        assert at in bounds
        at += len(part)
        assert at in bounds


def test_paragraphs_then_sentences_then_words_are_kept_together() -> None:
    assert split("One two three.\n\nFour five six.", 20) == ["One two three.", "Four five six."]
    assert split("One two. Three four. Five six.", 22) == ["One two. Three four.", "Five six."]
    assert split("alpha beta gamma delta", 12) == ["alpha beta", "gamma delta"]
    assert split("a" * 10, 4) == ["aaaa", "aaaa", "aa"]
    assert split("😀" * 5, 4) == ["😀😀", "😀😀", "😀"]
    assert split("", 10) == []


def test_a_word_that_ends_just_at_the_limit_is_not_cut() -> None:
    assert split("alpha beta gamma", 10) == ["alpha beta", "gamma"]


def test_an_indent_stays_with_its_line() -> None:
    assert split("first line\n    second", 14) == ["first line", "    second"]


def test_a_code_block_is_closed_and_opened_again() -> None:
    text = "Look:\n```\n" + "\n".join(f"line {n} of the code" for n in range(40)) + "\n```\nDone."
    parts = split(text, 200)
    assert len(parts) > 3
    for part in parts:
        assert length(part, "utf16") <= 200
        assert part.count("```") % 2 == 0
    assert [line for part in parts for line in part.split("\n") if line.startswith("line")] == [
        f"line {n} of the code" for n in range(40)
    ]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["**bold 😀** ", "[link](https://a.no) ", "`code` ", "plain 👩‍👧 ", "\n\n", "_it_ ", "> q\n", "x" * 30]
        ),
        max_size=60,
    ).map("".join),
    st.integers(10, 90),
)
def test_entities_are_cut_with_their_text(md: str, limit: int) -> None:
    text, entities = to_telegram(md)
    parts = split_entities(text, entities, limit)
    assert squeezed("".join(part for part, _ in parts)) == squeezed(text)
    styled: dict[str, str] = {}
    for part, own in parts:
        raw = part.encode("utf-16-le")
        assert len(raw) // 2 <= limit
        for entity in own:
            start, end = entity["offset"], entity["offset"] + entity["length"]
            assert 0 <= start < end <= len(raw) // 2
            styled[entity["type"]] = styled.get(entity["type"], "") + raw[start * 2 : end * 2].decode("utf-16-le")
    whole = text.encode("utf-16-le")
    wanted: dict[str, str] = {}
    for entity in entities:
        start, end = entity["offset"] * 2, (entity["offset"] + entity["length"]) * 2
        wanted[entity["type"]] = wanted.get(entity["type"], "") + whole[start:end].decode("utf-16-le")
    assert {kind: squeezed(words) for kind, words in styled.items()} == {
        kind: squeezed(words) for kind, words in wanted.items()
    }


@pytest.mark.parametrize(
    "text",
    [
        "a" * 1_000_000,
        "😀" * 250_000,
        "\n" * 1_000_000,
        "word " * 200_000,
        "e" + "\u0301" * 200_000,
        " " * 500_000 + "x",
    ],
)
def test_a_huge_text_does_not_take_long(text: str) -> None:
    begun = time.process_time()
    parts = split(text, 4096)
    assert all(length(part, "utf16") <= 4096 for part in parts)
    assert time.process_time() - begun < 10


def test_a_limit_that_no_character_fits_is_refused() -> None:
    with pytest.raises(ValueError, match="too short"):
        split("abcdef", 3)
