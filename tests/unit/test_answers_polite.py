"""What is owed no answer, in the four languages; and what only looks like it."""

from __future__ import annotations

import pytest

from bot.answers.polite import kind_of


@pytest.mark.parametrize(
    ("text", "locale", "kind"),
    [
        ("Thanks!", "en", "thanks"),
        ("thank you so much", "en", "thanks"),
        ("bedankt hoor", "nl", "thanks"),
        ("dank je wel!", "nl", "thanks"),
        ("tusen takk", "nb", "thanks"),
        ("takk!", "nb", "thanks"),
        ("תודה רבה", "he", "thanks"),
        ("תודה", "he", "thanks"),
        ("bye", "en", "bye"),
        ("doei", "nl", "bye"),
        ("👍", "en", "emoji"),
        ("🙏❤️", "he", "emoji"),
        ("thanks, but where is it?", "en", None),
        ("bedankt, maar hij is kapot", "nl", None),
        ("hello", "en", None),
        ("???", "en", None),
        ("🤔?", "en", None),
        ("…", "en", None),
        ("", "en", None),
        ("12345", "en", None),
    ],
)
def test_politeness_is_told_from_questions(text: str, locale: str, kind: str | None) -> None:
    assert kind_of(text, locale) == kind
