"""Slash commands in what customers write."""

from __future__ import annotations

_MARKS = dict.fromkeys(map(ord, "\u200e\u200f\u2066\u2067\u2068\u2069"))
"""What keeps a command's slash at its head within a Hebrew sentence, and is copied along with it unseen."""


def command(text: str) -> tuple[str, str]:
    """A command without its slash and the bot's name, lower case, and what follows it: `/Link@shop ABC` → "link", "ABC".

    Two empty texts where none is at the head of the text.
    """
    said = text.translate(_MARKS)
    words = said[1:].split(maxsplit=1) if said.startswith("/") else []
    head, follows = (*words, "", "")[:2]
    return head.split("@")[0].lower(), follows.strip()
