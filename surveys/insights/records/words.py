"""What people typed into a record, made fit to be kept. Raises Conflict in one line. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date

from bot.errors import Conflict
from bot.texts.titles import LONGEST_TITLE
from surveys.insights.records.nouns import LONGEST_MESSAGE, LONGEST_TEXT
from surveys.responses import FIRST_YEAR, LAST_YEAR

THOUSANDS = re.compile(r"[1-9][0-9]{0,2}\.[0-9]{3}")


def title_of(text: str) -> str:
    """One line that says something."""
    line = " ".join(text.split())
    if not line:
        raise Conflict("it needs a title")
    if len(line) > LONGEST_TITLE:
        raise Conflict(f"a title has at most {LONGEST_TITLE} characters")
    return line


def text_of(text: str) -> str:
    kept = text.replace("\0", "").strip()
    if len(kept) > LONGEST_TEXT:
        raise Conflict(f"at most {LONGEST_TEXT:,} characters")
    return kept


def message_of(texts: Mapping[str, str]) -> dict[str, str]:
    """What customers are told, by locale; empty ones go."""
    kept = {locale: text.replace("\0", "").strip() for locale, text in texts.items()}
    if any(len(text) > LONGEST_MESSAGE for text in kept.values()):
        raise Conflict(f"a message has at most {LONGEST_MESSAGE:,} characters: one on every channel")
    return {locale: text for locale, text in kept.items() if text}


def day_of(text: str) -> date | None:
    """The day that "2026-03-09" is; nothing for nothing. A year that a slip of the finger makes is none: 0202, 9999."""
    if not text.strip():
        return None
    try:
        found = date.fromisoformat(text.strip())
    except ValueError:
        found = date.min
    if not FIRST_YEAR <= found.year <= LAST_YEAR:
        raise Conflict(f'"{text[:20]}" is no day; write 2026-03-09')
    return found


def amount_of(text: str) -> float | None:
    """A number from 0 up, with a point or a comma; or nothing. 12,500 is none: it means twelve and a half to some."""
    plain = text.strip().replace(" ", "").replace(",", ".")
    if not plain:
        return None
    try:
        value = math.nan if THOUSANDS.fullmatch(plain) else float(plain)
    except ValueError:
        value = math.nan
    if not 0 <= value < 1e12:
        raise Conflict(f'"{text[:20]}" is no amount')
    return value
