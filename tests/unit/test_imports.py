"""One direction, and each SDK behind its fence (rules: tests/support/imports.py)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from tests.support.imports import MAY_IMPORT, faults

ROOT = Path(__file__).resolve().parents[2]
HEAVY = (
    "aiogram",
    "slack_bolt",
    "slack_sdk",
    "scipy",
    "numpy",
    "simplemma",
    "sqlalchemy",
    "fastapi",
    "phonenumbers",
    "holidays",
)


def product_files() -> list[Path]:
    return [path for package in MAY_IMPORT for path in sorted((ROOT / package).rglob("*.py"))]


def test_the_product_keeps_the_rules() -> None:
    found = [
        fault
        for path in product_files()
        for fault in faults(PurePosixPath(path.relative_to(ROOT).as_posix()), path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_the_rules_are_read_over_the_whole_product() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in product_files()} == set(MAY_IMPORT)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("bot/turn.py", "import channels.port"),
        ("bot/turn.py", "from handoff import cases"),
        ("bot/api/cases.py", "from surveys.store import responses"),
        ("channels/delivery.py", "from handoff.cases import claim"),
        ("handoff/cases.py", "from surveys import invitations"),
        ("surveys/report.py", "import handoff.store as s"),
        ("bot/turn.py", "def late():\n    from channels.port import Channel"),
        ("bot/turn.py", "if TYPE_CHECKING:\n    from channels.port import Channel"),
        ("bot/turn.py", "import importlib\nimportlib.import_module('channels.port')"),
        ("bot/turn.py", "__import__('handoff')"),
        ("channels/web/inbound.py", "from aiogram.types import Update"),
        ("channels/telegram/inbound.py", "import slack_sdk"),
        ("handoff/desk.py", "from slack_bolt.async_app import AsyncApp"),
        ("handoff/cases.py", "from sqlalchemy import select"),
        ("surveys/store.py", "import asyncpg"),
        ("bot/inbox.py", "from starlette.requests import Request"),
        ("channels/telegram/inbound.py", "import fastapi"),
        ("bot/app.py", "import uvicorn"),
        ("bot/app.py", "import aiogram"),
        ("bot/turn.py", "import typer"),
        ("surveys/report.py", "from rich.table import Table"),
        ("bot/__init__.py", "import sys"),
        ("bot/app.py", "from tests.support import postgres"),
    ],
)
def test_a_broken_rule_is_found(path: str, source: str) -> None:
    assert len(faults(PurePosixPath(path), source)) == 1


def test_a_relative_import_is_resolved_before_it_is_judged() -> None:
    assert faults(PurePosixPath("handoff/slack/cards.py"), "from ..cases import claim") == []
    assert faults(PurePosixPath("handoff/slack/cards.py"), "from ...surveys import report") != []
    assert faults(PurePosixPath("handoff/slack/cards.py"), "from ... import surveys") != []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("bot/app.py", "from handoff.cases import claim\nfrom surveys import report\nfrom channels.web import channel"),
        ("bot/cli.py", "import typer\nfrom rich.table import Table\nfrom surveys.report import report"),
        ("bot/cli_desk.py", "import typer"),
        ("channels/telegram/channel.py", "import aiogram\nfrom bot.inbox import record"),
        ("channels/slack/webhook.py", "import slack_bolt\nfrom starlette.routing import Route"),
        ("channels/web/server.py", "from starlette.websockets import WebSocket"),
        ("handoff/store.py", "from sqlalchemy import select"),
        ("handoff/slack/desk.py", "from slack_sdk.models import blocks\nfrom channels.port import Channel"),
        ("bot/server.py", "import uvicorn"),
        ("bot/storage/engine.py", "import aiosqlite, asyncpg, sqlalchemy, alembic"),
    ],
)
def test_what_is_allowed_passes(path: str, source: str) -> None:
    assert faults(PurePosixPath(path), source) == []


def test_the_command_line_starts_without_anything_heavy() -> None:
    """`stafett --help` answers in half a second: aiogram alone would cost five."""
    program = f"import sys, bot.cli; print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
