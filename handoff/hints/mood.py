"""How the customer sounds: the signs of anger that fetch people (`bot.answers.signals`), over their last words. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from bot.answers import polite
from bot.answers.signals import anger
from bot.flows.words import tokens

LAST = 6  # messages
ANGRY = 2  # one strong sign, or two weak ones


def of(said: Sequence[str], locale: str) -> str:
    """Angry | upset | content | "" for the customer's messages, the oldest first. The last word counts: thanks end a quarrel."""
    last = [text for text in said if text.strip()][-LAST:]
    if not last:
        return ""
    if polite.kind_of(last[-1], locale) is not None:
        return "content"
    points = sum(anger(text, tokens(text)) for text in last)
    return "angry" if points >= ANGRY else "upset" if points else ""
