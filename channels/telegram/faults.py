"""Words that the adapter's modules share without importing aiogram."""

from __future__ import annotations

from dataclasses import dataclass

from bot.errors import NotSent

BAD_TOKEN = "STAFETT_TELEGRAM_TOKEN is not valid; ask @BotFather for the bot's token"  # noqa: S105 - a sentence


class BadToken(NotSent):
    """Telegram knows no bot by this token (any more): what waits is held, not lost."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the Bot API server said: an HTTP status and a body that nobody has read yet."""

    status: int
    body: bytes
