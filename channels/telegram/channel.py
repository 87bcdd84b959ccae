"""Telegram as a channel: what app.py is given. It starts at once; aiogram's import and Telegram's answers come later."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import structlog

from bot.errors import SendFault, SettingsFault
from bot.inbox import Inbox
from bot.model import Chose, Inbound, Receipt, new_id
from bot.settings import Settings
from bot.storage.engine import Storage
from bot.texts import say
from channels.telegram import store
from channels.telegram.buttons import CHOSEN, keyboard
from channels.telegram.faults import BAD_TOKEN, BadToken
from channels.telegram.heard import Heard
from channels.telegram.inbound import KINDS, LOCALES
from channels.telegram.intake import Intake, Press
from channels.telegram.leader import Leader
from channels.telegram.outbound import TelegramOutlet
from channels.telegram.polling import FIRST_REST, LAST_REST, Polling
from channels.telegram.sender import TelegramSender
from channels.telegram.webhook import PATH, Webhook

if TYPE_CHECKING:
    from channels.telegram.calls import Calls

log = structlog.get_logger()
COMMANDS = ("human", "link", "help")
WATCH = 60.0  # seconds between looks at the webhook
RECENT = 180.0  # seconds; an older error of the webhook is history
GRACE = 2.0  # seconds for the courtesies that are under way when we stop


class TelegramChannel:
    """One bot's private chats. `settings.telegram_token` must be set."""

    name = "telegram"

    def __init__(self, settings: Settings, storage: Storage, inbox: Inbox) -> None:
        token = settings.telegram_token
        secret = settings.telegram_webhook_secret
        self._token = token.get_secret_value().strip() if token else ""
        self._settings = settings
        self._storage = storage
        self._calls: Calls | None = None
        self._connected = asyncio.Event()
        self._fault: str | None = None
        self._owner = new_id()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._running: asyncio.Task[None] | None = None
        self._username = ""
        self.token_refused = False
        self.bot_id = bot_id(self._token)
        self.outlet = TelegramOutlet()
        self._heard = Heard(storage)
        self.sender = TelegramSender(
            storage, inbox, self.bot_id, lambda: self._calls if self._connected.is_set() else None
        )
        self.intake = Intake(inbox, self.bot_id, self._was_pressed)
        self.webhook = Webhook(secret.get_secret_value(), self.intake, self._heard) if secret else None

    # ── Channel ────────────────────────────────────────────────────────────────────────────────────────────────────
    async def start(self) -> None:
        self._running = asyncio.create_task(self._run(), name="stafett-telegram")

    async def stop(self) -> None:
        """Promptly: what was not confirmed to Telegram comes again."""
        if self._running is not None:
            self._running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._running
            self._running = None
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=GRACE)
        for task in tuple(self._tasks):
            task.cancel()
        self._connected.clear()
        if self._calls is not None:
            await self._calls.close()
            self._calls = None

    def routes(self) -> Sequence[Any]:
        return self.webhook.routes() if self.webhook else ()

    def faults(self) -> Sequence[str]:
        return tuple(fault for fault in (self._fault, self._heard.fault()) if fault)

    async def ready(self) -> None:
        """Waits until Telegram has said who we are. Raises SettingsFault if it knows no bot by this token."""
        waiting = asyncio.create_task(self._connected.wait())
        running = {self._running} if self._running else set()
        await asyncio.wait({waiting, *running}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self.token_refused:
            raise SettingsFault(BAD_TOKEN)

    async def read_again(self, raw: bytes) -> None:
        """As `Intake.read_again`."""
        await self.intake.read_again(raw)

    def deep_link(self, code: str) -> str | None:
        """The address that opens the bot with `/start CODE`; None until Telegram has said what the bot is called."""
        return f"https://t.me/{self._username}?start={code}" if self._username else None

    async def idle(self) -> None:
        """Waits until the courtesies after pressed buttons are done."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    # ── in the background ──────────────────────────────────────────────────────────────────────────────────────────
    async def _run(self) -> None:
        """Goes on until it is cancelled, or Telegram refuses the token."""
        while True:
            try:
                await self._work(await self._connect())
            except (SettingsFault, BadToken):
                self.token_refused = True
                self._told(BAD_TOKEN)
                return
            except Exception as error:
                log.exception("telegram stumbled, and begins anew")
                self._told(f"Telegram: {type(error).__name__}; see the log")
                await asyncio.sleep(LAST_REST)

    async def _work(self, calls: Calls) -> None:
        await self._introduce(calls)
        if not self._connected.is_set():
            self._connected.set()
            self._spawn(self._set_commands(calls))
        if self.webhook is not None and self._takes_webhooks():
            await self._watch_webhook(calls)
        else:
            await self._poll(calls)

    async def _connect(self) -> Calls:
        if self._calls is not None:
            return self._calls
        module = await asyncio.to_thread(import_quietly, "channels.telegram.calls")
        calls: Calls = await asyncio.to_thread(module.Calls, self._token, self._settings.telegram_api_url)
        self._calls = calls
        return calls

    async def _introduce(self, calls: Calls) -> None:
        """Ask Telegram who we are, as often as it takes. Raises BadToken."""

        async def ask() -> None:
            known_as, username = await calls.me()
            self._username = username
            await self._storage.write(lambda tx: store.keep_bot(tx, known_as, username))

        await self._until_it_works(ask)

    def _takes_webhooks(self) -> bool:
        """Telegram posts to https only; a Bot API server of one's own also to http."""
        own_server = self._settings.telegram_api_url != Settings.model_fields["telegram_api_url"].default
        if self._settings.url.startswith("https://") or own_server:
            return True
        log.warning(
            "STAFETT_TELEGRAM_WEBHOOK_SECRET is set, but STAFETT_PUBLIC_URL is not https; Telegram is polled instead",
            url=self._settings.url,
        )
        return False

    async def _poll(self, calls: Calls) -> None:
        leader = Leader(self._storage, self._owner)
        polling = Polling(calls, self.intake, self._told, leader.leads, self._heard)
        beating = asyncio.create_task(leader.beats(), name="stafett-telegram-lease")
        try:
            await self._until_it_works(calls.delete_webhook)
            await polling.run()
        finally:
            beating.cancel()
            await asyncio.shield(leader.resign())

    async def _until_it_works(self, call: Callable[[], Awaitable[None]]) -> None:
        """As often as it takes. Raises BadToken."""
        rest = FIRST_REST
        while True:
            try:
                await call()
            except BadToken:
                raise
            except SendFault as error:
                self._told(f"Telegram at {self._settings.telegram_api_url}: {error}")
                await asyncio.sleep(rest)
                rest = min(LAST_REST, rest * 2)
            else:
                self._told(None)
                return

    async def _watch_webhook(self, calls: Calls) -> None:
        """Set the webhook, and look after it: Telegram removes one that has failed for a day."""
        secret = self._settings.telegram_webhook_secret
        url = f"{self._settings.url}{PATH}"

        async def put() -> None:
            await calls.set_webhook(url, secret.get_secret_value() if secret else "", KINDS)

        await self._until_it_works(put)
        began = time.time()
        while True:
            try:
                known, waiting, failed_at, why = await calls.webhook()
            except SendFault as error:
                self._told(f"Telegram at {self._settings.telegram_api_url}: {error}")
            else:
                if known != url:
                    await self._until_it_works(put)
                elif waiting and failed_at >= max(began, time.time() - RECENT):
                    self._told(f"Telegram can't reach {url}: {why}")
                else:
                    self._told(None)
                    if not waiting:  # else it is heard when what waits has come: till then it may be in vain
                        await self._heard()
            await asyncio.sleep(WATCH)

    async def _set_commands(self, calls: Calls) -> None:
        """The bot's menu, in each language; the first one for all others."""
        for language in (None, *LOCALES):
            texts = [(name, say(f"command_{name}", language or LOCALES[0])) for name in COMMANDS]
            with contextlib.suppress(SendFault):  # a menu is a courtesy
                await calls.set_commands(texts, language)

    # ── pressed buttons ────────────────────────────────────────────────────────────────────────────────────────────
    def _was_pressed(self, press: Press, inbound: Inbound | None, receipt: Receipt | None) -> None:
        self._spawn(self._after_press(press, inbound, receipt))

    async def _after_press(self, press: Press, inbound: Inbound | None, receipt: Receipt | None) -> None:
        """Answer the press, so that the app stops waiting; then the keyboard goes, or a survey's shows what was chosen."""
        await self._connected.wait()
        calls = self._calls
        if calls is None:
            return
        chose = inbound.happening if inbound is not None else None
        if not isinstance(chose, Chose) or inbound is None or receipt is None or chose.index is None:
            with contextlib.suppress(SendFault):  # what could be read and not be taken may yet work
                await calls.answer_press(press.id, "" if inbound else say("button_expired", press.locale))
            return
        message, locale = await self._storage.read(
            lambda conn: store.pressed_on(conn, chose.message_id, receipt.customer_id)
        )
        works = message is not None and chose.index < len(message.body.choices)
        toast = CHOSEN + message.body.choices[chose.index].label if message and works else say("button_expired", locale)
        with contextlib.suppress(SendFault):
            await calls.answer_press(press.id, toast)
        if message is None or not works or receipt.duplicate or chose.ref is None:
            return
        markup = keyboard(message, chose.index) if message.body.survey else None
        chat, _, number = chose.ref.partition(":")
        with contextlib.suppress(SendFault):
            await calls.edit_keyboard(int(chat), int(number), markup)

    # ── small things ───────────────────────────────────────────────────────────────────────────────────────────────
    def _told(self, fault: str | None) -> None:
        if fault is not None and fault != self._fault:
            log.warning("telegram", fault=fault)
        self._fault = fault

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.warning("telegram courtesy failed", error=type(task.exception()).__name__)


def bot_id(token: str) -> int:
    """A token begins with the bot's id; 0 for what is no token."""
    head = token.partition(":")[0]
    return int(head) if head.isascii() and head.isdigit() and len(head) <= 18 else 0


def import_quietly(name: str) -> Any:
    """Import in a thread; the collector would walk aiogram's thousands of new classes again and again meanwhile."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        return import_module(name)
    finally:
        if enabled:
            gc.enable()
