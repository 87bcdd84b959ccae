"""Logs: one line an event, and never a secret."""

from __future__ import annotations

import json
import logging

import pytest
import structlog

from bot.logs import configure, without
from bot.settings import Settings

TOKEN = "12345:AAHsecret-of-telegram"


@pytest.fixture
def settings(logs_of_its_own: None) -> Settings:
    return Settings(
        _env_file=None, telegram_token=TOKEN, database_url="postgresql+asyncpg://me:p%40ssword@db/x", log="json"
    )


@pytest.mark.parametrize("style", ["json", "text"])
def test_no_secret_passes_in_whatever_it_is_wrapped(
    settings: Settings, style: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(settings.model_copy(update={"log": style}))
    log = structlog.get_logger()
    log.warning(
        "sent", url=f"https://api.telegram.org/bot{TOKEN}/getMe", nested={"a": [TOKEN]}, error=ValueError(TOKEN)
    )
    log.warning("quoted", url=f"/bot{TOKEN.replace(':', '%3A')}/x", db="p@ssword")
    logging.getLogger("aiogram").warning("failed %s", TOKEN)
    try:
        raise ValueError(TOKEN)  # noqa: TRY301 - it is raised to be logged
    except ValueError:
        log.exception("broke")
        logging.getLogger("x").exception("broke too")
    told = capsys.readouterr().err
    assert "AAHsecret" not in told
    assert "p@ssword" not in told
    assert told.count("***") >= 7


@pytest.mark.parametrize("style", ["json", "text"])
def test_nobody_writes_a_line_of_their_own(settings: Settings, style: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure(settings.model_copy(update={"log": style}))
    structlog.get_logger().warning("dropped", name="kari\n2026-01-01 [error] all is lost\x1b[31m\u202e\u2028x\x85y")
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1
    assert "\x1b[31m" not in told
    assert "\u202e" not in told


def test_json_is_one_object_a_line(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    configure(settings)
    structlog.get_logger().info("hello", who="Ola Nordmann", n=3)
    found = json.loads(capsys.readouterr().err)
    assert (found["event"], found["who"], found["n"], found["level"]) == ("hello", "Ola Nordmann", 3, "info")


def test_short_values_do_not_blank_half_the_log() -> None:
    assert without(["ab", ""])(None, "", {"event": "abba"}) == {"event": "abba"}
