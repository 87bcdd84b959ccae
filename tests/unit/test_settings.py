"""What the environment says, or one clear line about what is wrong with it."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from bot.console.sign_in import password_of
from bot.errors import SettingsFault
from bot.settings import Settings, kept, kept_secret, load


def made(**given: Any) -> Settings:
    return load(_env_file="", **given)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"public_url": "shop.example"}, "STAFETT_PUBLIC_URL: is not a URL"),
        ({"public_url": "ftp://shop.example"}, "STAFETT_PUBLIC_URL"),
        ({"public_url": "https://shop.example:99999"}, "STAFETT_PUBLIC_URL"),
        ({"public_url": "http://["}, "STAFETT_PUBLIC_URL"),
        ({"public_url": "https://shop example"}, "STAFETT_PUBLIC_URL: is not a URL"),
        ({"public_url": "https://shop.example?shop=1"}, "STAFETT_PUBLIC_URL: is more than an address"),
        ({"public_url": "https://shop.example/#top"}, "STAFETT_PUBLIC_URL: is more than an address"),
        ({"public_url": "https://ann:secret@shop.example"}, "STAFETT_PUBLIC_URL: is more than an address"),
        ({"telegram_api_url": "nonsense"}, "STAFETT_TELEGRAM_API_URL"),
        ({"web_origins": "https://ok.example, null"}, "STAFETT_WEB_ORIGINS: null is not an origin"),
        ({"web_origins": "*"}, "STAFETT_WEB_ORIGINS"),
        ({"web_origins": "https://a.example/shop"}, "STAFETT_WEB_ORIGINS"),
        ({"web_origins": "https://a.example?shop=1"}, "STAFETT_WEB_ORIGINS"),
        ({"web_origins": "https://ann@a.example"}, "STAFETT_WEB_ORIGINS"),
        ({"web_origins": "https://a.example:port"}, "STAFETT_WEB_ORIGINS"),
        ({"log": "loud"}, "STAFETT_LOG: is text or json"),
        ({"port": "eighty"}, "STAFETT_PORT"),
        ({"api_token": " "}, "STAFETT_API_TOKEN: can't be sent in a header"),
        ({"api_token": "0123456789abcdef "}, "STAFETT_API_TOKEN: can't be sent in a header"),
        ({"api_token": "0123456789\nabcdef"}, "STAFETT_API_TOKEN: can't be sent in a header"),
        ({"api_token": "clé-0123456789abcdef"}, "STAFETT_API_TOKEN: can't be sent in a header"),
    ],
)
def test_a_malformed_setting_is_one_line_that_names_it(given: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsFault, match=told.replace("*", ".")) as fault:
        made(**given)
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"host": "0.0.0.0"}, "STAFETT_ADMIN_PASSWORD"),
        ({"slack_bot_token": "xoxb-1"}, "STAFETT_SLACK_APP_TOKEN"),
        ({"database_url": "postgresql+asyncpg://x/y"}, "STAFETT_SECRET is required"),
        ({"secret": "short"}, "too short"),
        ({"telegram_webhook_secret": "with spaces"}, "STAFETT_TELEGRAM_WEBHOOK_SECRET"),
    ],
)
def test_settings_that_cannot_stand_together_are_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsFault, match=told):
        made(**given).checked()


def test_a_token_with_blanks_between_its_words_can_be_sent() -> None:
    assert made(api_token="a token for the test").api_token is not None


def test_the_environment_is_read_and_the_command_line_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAFETT_PUBLIC_URL", "https://help.example/")
    monkeypatch.setenv("STAFETT_PORT", "9000")
    monkeypatch.setenv("STAFETT_TELEGRAM_TOKEN", "")
    settings = made(port=9001)
    assert (settings.url, settings.port, settings.telegram_on) == ("https://help.example", 9001, False)
    assert made().url == "https://help.example"


def test_a_dotenv_that_is_not_text_is_one_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsFault, match=r"\.env"):
        load(_env_file=tmp_path / ".env")


@pytest.mark.parametrize(
    ("given", "origin", "allowed"),
    [
        ({}, "http://localhost:8080", True),
        ({}, "http://127.0.0.1:8080", True),
        ({}, "http://localhost:8081", False),
        ({}, "https://localhost:8080", False),
        ({}, "null", False),
        ({"web_origins": "https://Good.com:443/"}, "https://good.com", True),
        ({"web_origins": "https://good.com"}, "https://good.com.evil.net", False),
        ({"web_origins": "https://good.com"}, "https://evilgood.com", False),
        ({"web_origins": "https://good.com"}, "http://good.com", False),
        ({"web_origins": "https://good.com"}, "http://localhost:8080", True),
        ({"public_url": "https://help.example"}, "http://localhost:8080", False),
        ({"public_url": "https://help.example/"}, "https://help.example", True),
    ],
)
def test_origins_are_exact(given: dict[str, Any], origin: str, allowed: bool) -> None:
    assert (origin in made(**given).origins) is allowed


def test_a_secret_is_made_once_kept_for_its_owner_alone_and_read_again(tmp_path: Path) -> None:
    settings = made(database_url=f"sqlite+aiosqlite:///{tmp_path / 'a.db'}")
    secret = kept_secret(settings)
    file = tmp_path / "a.db.secret"
    assert len(secret) >= 43
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert kept_secret(settings) == secret
    assert kept_secret(made(secret="a secret of sixteen")) == "a secret of sixteen"


def test_what_follows_the_file_in_a_databases_url_is_no_part_of_its_secrets_name(tmp_path: Path) -> None:
    kept_secret(made(database_url=f"sqlite+aiosqlite:///{tmp_path / 'a.db'}?timeout=5"))
    password_of(made(database_url=f"sqlite+aiosqlite:///{tmp_path / 'a.db'}?timeout=5"))
    assert {one.name for one in tmp_path.iterdir()} == {"a.db.secret", "a.db.admin-password"}


@pytest.mark.parametrize("content", ["", "\n", "abc"])
def test_a_secret_that_was_cut_short_is_never_believed(tmp_path: Path, content: str) -> None:
    file = tmp_path / "secret"
    file.write_text(content)
    with pytest.raises(SettingsFault, match="cut short"):
        kept(file, lambda: "x" * 20, "STAFETT_SECRET")


def test_what_can_be_set_instead_of_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    nowhere = made(database_url=f"sqlite+aiosqlite:///{tmp_path / 'missing' / 'a.db'}")
    with pytest.raises(SettingsFault, match="set STAFETT_SECRET, or"):
        kept_secret(nowhere)
    with pytest.raises(SettingsFault, match="set STAFETT_ADMIN_PASSWORD, or"):
        password_of(nowhere)


def test_no_secret_shows_in_a_dump() -> None:
    assert "hush-hush" not in repr(made(telegram_token="hush-hush", admin_password="hush-hush", llm_key="hush-hush"))
