"""Logs to stderr: text for a terminal, JSON for machines. Secrets never pass: their values are blanked by value.

Control characters are escaped by the renderers, so that nobody writes a line of their own into the log.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, MutableMapping
from typing import Any

import structlog
from pydantic import SecretStr

from bot.settings import Settings

BLANK = "***"
SHORTEST = 6  # characters; shorter values would blank half the log


def configure(settings: Settings, *, debug: bool = False) -> None:
    style = settings.log or ("text" if sys.stderr.isatty() else "json")
    level = logging.DEBUG if debug else logging.INFO
    secrets = [value.get_secret_value() for value in vars(settings).values() if isinstance(value, SecretStr)]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Any] = (
        [structlog.processors.format_exc_info, without(secrets), structlog.processors.JSONRenderer(ensure_ascii=False)]
        if style == "json"
        else [
            structlog.processors.format_exc_info,
            without(secrets),
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
    hidden = sorted({value for value in secrets if len(value) >= SHORTEST}, key=len, reverse=True)

    def blanked(value: Any) -> Any:
        if isinstance(value, str):
            for secret in hidden:
                value = value.replace(secret, BLANK)
            return value
        if isinstance(value, dict):
            return {name: blanked(one) for name, one in value.items()}
        if isinstance(value, list | tuple):
            return [blanked(one) for one in value]
        return value

    def process(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {name: blanked(value) for name, value in event.items()}

    return process
