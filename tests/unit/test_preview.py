"""What a writer sees is what customers get: each channel's own rendering, safe to show in a page."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.model import Choice
from channels.preview import PREVIEWS

TEXT = "Order **AB1** *now* 😀 [here](https://x.example)\n\n- one"
CHOICES = (Choice("a", "Yes, please do that at once"), Choice("b", "No"))
ALLOWED = re.compile(r"</?(p|br|strong|em|s|code|pre|a|ul|ol|li|blockquote|q|hr)( [^<>]*)?/?>")


@pytest.mark.parametrize("channel", PREVIEWS)
def test_text_marks_and_buttons_are_shown(channel: str) -> None:
    posts = PREVIEWS[channel](TEXT, CHOICES)
    shown = "".join(html for html, _ in posts)
    assert "<strong>AB1</strong>" in shown
    assert "<em>now</em> 😀" in shown
    assert 'href="https://x.example"' in shown
    assert [label for _, rows in posts for row in rows for label in row] == [one.label for one in CHOICES]


def test_each_channel_lays_its_buttons_and_splits_its_texts_in_its_own_way() -> None:
    assert [len(rows) for _, rows in PREVIEWS["telegram"](TEXT, CHOICES)] == [2], (
        "long labels stand one below the other"
    )
    assert [len(rows) for _, rows in PREVIEWS["slack"](TEXT, CHOICES)] == [1]
    assert len(PREVIEWS["telegram"]("word " * 1500)) == 2
    assert len(PREVIEWS["web"]("word " * 1500)) == 1


@pytest.mark.parametrize("channel", PREVIEWS)
@given(text=st.text("ab <>&\"'*_`[]()!\n\\#-javascript:שלום😀", max_size=60))
@settings(max_examples=40, deadline=None)
def test_no_text_becomes_markup_of_its_own(channel: str, text: str) -> None:
    shown = "".join(html for html, _ in PREVIEWS[channel](text, ()))
    assert "<" not in ALLOWED.sub("", shown)
    assert "javascript:" not in "".join(re.findall(r'href="([^"]*)"', shown))
