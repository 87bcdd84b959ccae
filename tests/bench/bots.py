"""The processes under test: `python -m tests.bench.bots stafett`, `bare` or `noting`, set by the environment as `stafett serve` is.

They answer questions on stdin with a line of JSON: `used` with what they have used so far. Each runs as it runs in life: ours
on uvloop, as `stafett serve` does; the bare one on asyncio's own loop, as aiogram's webhook example does. Both check the
webhook's secret, and log nothing. `noting` is the bare one with a commit before it answers.

The platforms' paces are lifted: they are declared limits (one message a second and chat, 30 a second in all), and would be all
that is measured. Order within a chat and all other rules stay.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from tests.bench.telegram import PATH, SECRET, TOKEN


def rss() -> int:
    """Bytes of memory that this process holds now."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:  # no Linux: the most that it ever held
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


async def answer_questions(ready: Callable[[], Any], commits: Callable[[], int]) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        if line == b"ready\n":
            await ready()
        found = {"cpu": time.process_time(), "commits": commits(), "rss": rss()}
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()


def notebook() -> Callable[[str], None]:
    """What brings one row to the disk, as `stafett serve` does on SQLite: by a log that is synchronised with each commit."""
    book = sqlite3.connect(str(make_url(os.environ["STAFETT_DATABASE_URL"]).database), isolation_level=None)
    for made in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "CREATE TABLE heard (words TEXT)"):
        book.execute(made).close()
    return lambda words: book.execute("INSERT INTO heard VALUES (?)", (words,)).close()  # a transaction of its own


async def bare(note: Callable[[str], None] | None = None) -> None:
    """aiogram's own webhook example, as a bot without any storage: it says back what it hears, once that is noted, if it is to be.

    But for one thing: it answers the webhook when it has handled the update, as ours does. By aiogram's default that is a task of
    its own, which takes it a little longer.
    """
    from aiogram import Bot, Dispatcher
    from aiogram.client.session.aiohttp import AiohttpSession
    from aiogram.client.telegram import TelegramAPIServer
    from aiogram.types import Message
    from aiogram.webhook.aiohttp_server import SimpleRequestHandler, setup_application
    from aiohttp import web

    async def echo(message: Message) -> None:
        if note is not None:
            note(message.text or "")
        await message.answer(message.text or "")

    server = TelegramAPIServer.from_base(os.environ["STAFETT_TELEGRAM_API_URL"])
    bot = Bot(TOKEN, session=AiohttpSession(api=server))
    dispatcher = Dispatcher()
    dispatcher.message.register(echo)
    app = web.Application()
    SimpleRequestHandler(dispatcher, bot, handle_in_background=False, secret_token=SECRET).register(app, path=PATH)
    setup_application(app, dispatcher, bot=bot)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(os.environ["STAFETT_PORT"])).start()

    async def ready() -> None:
        await bot.get_me()

    await answer_questions(ready, lambda: 0)


async def stafett() -> None:
    from bot import logs, server
    from bot.settings import load
    from channels.delivery import paces
    from channels.web import channel

    logs.configure(settings := load().checked())
    paces.RATES = {}
    channel.SESSIONS_PER_MINUTE = 1_000_000  # of one address: here all widgets have the same
    made: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    configure = server.configure

    def configured(app: Any) -> Any:
        made.set_result(app)
        return configure(app)

    server.configure = configured

    async def ready() -> None:
        await (await made).tokens_accepted()

    asking = asyncio.create_task(answer_questions(ready, lambda: made.result().storage.commits))
    try:
        await server.serve(settings, tell=lambda _line: None)
    finally:
        asking.cancel()


def main() -> None:
    import signal

    if sys.argv[1] != "stafett":
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        asyncio.run(bare(notebook() if sys.argv[1] == "noting" else None))
        return
    from bot.server import fastest_loop

    with asyncio.Runner(loop_factory=fastest_loop) as runner:
        runner.run(stafett())


if __name__ == "__main__":
    main()
