"""What a verb's body says, checked: StafettError in one line for what is missing or wrong."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

from bot.errors import StafettError
from channels.text import clean
from channels.web.channel import text_of

MAX_TEXT = 16_000  # characters, as in the widget
MAX_FILES = 10

Body: TypeAlias = Mapping[str, Any]


def needed(body: Body, name: str) -> str:
    value = text_of(body, name)
    if value is None:
        raise StafettError(f"{name} is missing")
    return value


def words(body: Body) -> str:
    said = clean(text_of(body, "text") or "")
    not_too_long(said)
    return said


def not_too_long(words: str) -> None:
    if len(words) > MAX_TEXT:
        raise StafettError(f"a text is at most {MAX_TEXT} characters")


def ref(body: Body, agent_id: str) -> str:
    """The page's id, made the agent's own: nobody can name another's."""
    try:
        return f"{agent_id}:{uuid.UUID(needed(body, 'ref'))}"
    except ValueError as error:
        raise StafettError("ref is a UUID made by the page") from error


def file_ids(body: Body) -> list[str]:
    ids = body.get("files") or []
    if not isinstance(ids, list) or len(ids) > MAX_FILES or not all(isinstance(one, str) for one in ids):
        raise StafettError(f"files is a list of at most {MAX_FILES} ids")
    return ids


def moment(body: Body, name: str) -> datetime:
    try:
        at = datetime.fromisoformat(needed(body, name))
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise StafettError(f"{name} is a time such as 2026-01-31T09:00:00Z") from error
