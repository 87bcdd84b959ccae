"""What Telegram refuses in a keyboard, with its words."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from tests.fakes.telegram_text import Refused

MAX_CALLBACK_DATA = 64  # bytes, Bot API InlineKeyboardButton
MAX_BUTTONS = 100


def check_markup(markup: Any) -> dict[str, Any] | None:
    """The keyboard as it is shown, or None. Raises Refused."""
    if markup in (None, "", {}):
        return None
    if not isinstance(markup, dict):
        raise Refused("object expected as reply markup")
    if "inline_keyboard" in markup:
        rows = [row for row in markup["inline_keyboard"] if row]
        for row in rows:
            for button in row:
                _check_inline(button)
    elif "keyboard" in markup:
        rows = [
            [button if isinstance(button, dict) else {"text": button} for button in row] for row in markup["keyboard"]
        ]
        for row in rows:
            for button in row:
                if not str(button.get("text", "")).strip():
                    raise Refused('can\'t parse keyboard button: Field "text" must be a non-empty String')
        markup = {**markup, "keyboard": rows}
    else:
        return dict(markup)
    if sum(len(row) for row in rows) > MAX_BUTTONS:
        raise Refused("reply markup is too long")
    return {**markup, "inline_keyboard": rows} if "inline_keyboard" in markup else markup


def _check_inline(button: dict[str, Any]) -> None:
    if not str(button.get("text", "")).strip():
        raise Refused('can\'t parse inline keyboard button: Field "text" must be a non-empty String')
    kinds = button.keys() & {"callback_data", "url", "web_app", "login_url", "switch_inline_query", "copy_text", "pay"}
    if len(kinds) != 1:
        raise Refused("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
    if "callback_data" in button and not 1 <= len(str(button["callback_data"]).encode()) <= MAX_CALLBACK_DATA:
        raise Refused("BUTTON_DATA_INVALID")
    if "url" in button:
        parts = urlsplit(str(button["url"]))
        host = parts.hostname or ""
        if parts.scheme not in ("http", "https", "tg") or (parts.scheme != "tg" and "." not in host):
            raise Refused(f"inline keyboard button URL '{button['url']}' is invalid: Wrong HTTP URL")
