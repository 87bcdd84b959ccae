"""Logs to stderr: text for a terminal, JSON for machines. Secrets never pass: their values are blanked by value.

Control characters are escaped by the renderers, so that nobody writes a line of their own into the log.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterable, MutableMapping
from typing import Any
from unicodedata import category
from urllib.parse import quote, unquote, urlsplit

import structlog
from pydantic import SecretStr

from bot.settings import Settings

BLANK = "***"
SHORTEST = 6  # characters; shorter values would blank half the log


def configure(settings: Settings, *, debug: bool = False) -> None:
    style = settings.log or ("text" if sys.stderr.isatty() else "json")
    level = logging.DEBUG if debug else logging.INFO
    secrets = [value.get_secret_value() for value in vars(settings).values() if isinstance(value, SecretStr)]
    secrets.append(password_in(settings.database_url))
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Any] = (
        [structlog.processors.format_exc_info, without(secrets), structlog.processors.JSONRenderer()]
        if style == "json"
        else [
            structlog.processors.format_exc_info,
            without(secrets),
            on_one_line,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def without(secrets: Iterable[str]) -> Any:
    """A processor that blanks these values wherever they stand."""
    found = {value for value in secrets if len(value) >= SHORTEST}
    hidden = sorted(found | {quote(value, safe="") for value in found}, key=len, reverse=True)

    def blanked(value: Any) -> Any:
        if isinstance(value, str):
            for secret in hidden:
                value = value.replace(secret, BLANK)
            return value
        if isinstance(value, dict):
            return {name: blanked(one) for name, one in value.items()}
        if isinstance(value, list | tuple):
            return [blanked(one) for one in value]
        if value is None or isinstance(value, int | float):
            return value
        shown = repr(value)  # an exception, a URL …: what a renderer would make of it
        return blanked(shown) if any(secret in shown for secret in hidden) else value

    def process(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {name: blanked(value) for name, value in event.items()}

    return process


def on_one_line(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Controls, line ends and what turns a line around are shown as escapes; only a traceback has lines of its own."""
    return {name: escaped(one) if isinstance(one, str) and name != "exception" else one for name, one in event.items()}


def escaped(text: str) -> str:
    shown = (char if category(char)[0] not in "CZ" or char == " " else ascii(char)[1:-1] for char in text)
    return text if text.isprintable() else "".join(shown)


def password_in(url: str) -> str:
    with contextlib.suppress(ValueError):
        return unquote(urlsplit(url).password or "")
    return ""
