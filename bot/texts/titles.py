"""What something is called by that was named in somebody's own words. Pure."""

from __future__ import annotations

LONGEST_TITLE = 120  # characters


def title_of(text: str) -> str:
    """The words on one line, cut at a word."""
    line = " ".join(text.split())
    if len(line) <= LONGEST_TITLE:
        return line
    return line[: LONGEST_TITLE - 1].rsplit(" ", 1)[0] + "…"
