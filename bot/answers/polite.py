"""Words that are owed no answer: a "thank you", a goodbye, a thumb up. They neither open a case, nor reopen one, nor press an
agent.
"""

from __future__ import annotations

import unicodedata

from bot.answers.decide import is_blank, small_talk
from bot.texts import Texts


def kind_of(text: str, locale: str, own: Texts | None = None) -> str | None:
    """`thanks`, `bye` or `emoji` where the text is nothing else, in its language or English; else None.

    "Thanks, but where is it?" is a question, and so are "???" and "🤔?".
    """
    if is_blank(text):
        return "emoji" if "?" not in text and any(unicodedata.category(char) == "So" for char in text) else None
    kind = small_talk(text, locale, own)
    return kind if kind in {"thanks", "bye"} else None
