"""The command chat: the whole product in a terminal, on a database that is thrown away.

It is the real App without its channels, so what the bot says here it says everywhere; escalation and survey included.
Connectors that are tables answer; those that are HTTP are not called, for a trial must not refund anybody: they answer as if
the other system were down.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from bot.cli_ground import complain, fail, run
from bot.model import AuthorKind, Choice, Chose, Happening, Inbound, Message, Sender, Wrote, new_id
from bot.storage import history, schema

if TYPE_CHECKING:
    from bot.app import App
    from bot.desk_folder.desk import Desk
    from bot.settings import Settings

WORDS_WITHIN_S = 20.0  # a language's word lists are loaded at its first question


def chat(desk: Desk, folder: Path | None, locale: str | None) -> None:
    told = locale or desk.locales[0]
    if told not in desk.locales:
        raise fail(f"the desk has no language {told}; it has {', '.join(desk.locales)}")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory(prefix="stafett-chat-") as place:
        run(_talk(_alone(Path(place), folder), told))


def _alone(place: Path, folder: Path | None) -> Settings:
    """Settings that name no platform, whatever the environment says."""
    from bot.settings import Settings

    database = f"sqlite+aiosqlite:///{place / 'chat.db'}"
    return Settings.model_construct(database_url=database, desk=folder)


async def _talk(settings: Settings, locale: str) -> None:
    from bot.app import App
    from bot.desk_folder.desk import Table

    app = App(settings)
    tables = {name: one for name, one in app.rules.connectors.items() if isinstance(one, Table)}
    if len(tables) < len(app.rules.connectors):
        complain("connectors that are HTTP are not called here: they answer as if they were down")
        app.desk.desk = replace(app.rules, connectors=tables)
    await app.storage.open()
    try:
        await schema.upgrade(settings.database_url, locked=True)
        await _turns(app, locale)
    finally:
        await app.storage.close()


async def _turns(app: App, locale: str) -> None:
    asks = sys.stdin.isatty()
    if asks:
        print("Write as a customer does; a number presses that button. Ctrl-D ends it; nothing is stored.")
    sender = Sender("web", "terminal", "terminal", "", locale, "anonymous")
    seen, on = 0, None
    while True:
        try:
            said = (await asyncio.to_thread(input, "> " if asks else "")).strip()
        except EOFError:
            return
        if not said:
            continue
        happening = _meant(said, on)
        receipt = await app.inbox.receive(Inbound("chat", new_id(), sender, happening))
        answers = await _answers(app, receipt.customer_id or "", seen)
        for message in answers:
            seen = max(seen, message.seq or 0)
            if message.author.kind is not AuthorKind.CUSTOMER:
                _show(message)
                on = message if message.body.choices else None


async def _answers(app: App, customer_id: str, seen: int) -> Sequence[Message]:
    """What was said since; waits for word lists that are being loaded."""
    until = asyncio.get_running_loop().time() + WORDS_WITHIN_S
    while True:
        await app.settle()
        said = await app.storage.read(lambda conn: history.messages(conn, customer_id, after=seen))
        answered = any(one.author.kind is not AuthorKind.CUSTOMER for one in said)
        if answered or not await app.storage.read(_waits_for_words) or asyncio.get_running_loop().time() > until:
            return said
        await asyncio.sleep(0.05)


def _waits_for_words(conn: object) -> bool:
    from bot.storage import inbox_rows

    return bool(inbox_rows.parked_like(conn, "words:"))  # type: ignore[arg-type]


def _meant(said: str, on: Message | None) -> Happening:
    """A number presses the button of that number; on a scale, the score of that number."""
    choices: Sequence[Choice] = on.body.choices if on is not None else ()
    if on is None or not (said.isascii() and said.isdigit() and len(said) < 4):
        return Wrote(said)
    if any(choice.value == said for choice in choices):
        return Chose(on.id, said)
    if 0 < int(said) <= len(choices) and on.body.survey is None:
        return Chose(on.id, choices[int(said) - 1].value)
    return Wrote(said)


def _show(message: Message) -> None:
    from channels.text import to_plain

    print(to_plain(message.body.text) if message.body.markdown else message.body.text)
    if message.body.survey is not None:
        print("  " + " ".join(f"[{choice.label}]" for choice in message.body.choices))
        return
    for number, choice in enumerate(message.body.choices, start=1):
        print(f"  {number}. {choice.label}")
