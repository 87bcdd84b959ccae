"""The calls that we make to Telegram, by aiogram's Bot; and its errors as ours, in one place.

The only module that imports aiogram, which takes seconds: `channel.py` imports it in a thread. What is raised here names no
URL: Telegram's hold the bot's token. aiogram itself never tries again, so the outbox is the only one that does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, TypeVar

import aiohttp
import orjson
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import (
    AiogramError,
    ClientDecodeError,
    TelegramAPIError,
    TelegramBadRequest,
    TelegramConflictError,
    TelegramEntityTooLarge,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramNetworkError,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramUnauthorizedError,
)
from aiogram.methods import SendMessage
from aiogram.types import BotCommand, BufferedInputFile, InlineKeyboardMarkup, Message, MessageEntity
from aiogram.utils.token import TokenValidationError
from yarl import URL

from bot.errors import NotSent, RateLimited, Refused, SendFault, SettingsFault, Uncertain
from channels.telegram.faults import BAD_TOKEN, Answer, BadToken
from channels.telegram.lines import Lines, Unanswered, Unreached

T = TypeVar("T")
QUICK = 20  # seconds for a call without a file
TEXT_FIELDS = ("text", "entities", "reply_markup")
SLOW = 100  # seconds for one with a file; the outbox leases a row for 120
REFUSED_TOKEN_REST = 60.0


class Calls:
    """One bot at one Bot API server. Each call raises NotSent, Refused or Uncertain, BadToken for a refused token."""

    def __init__(self, token: str, api_url: str) -> None:
        """Raises SettingsFault for what can't be a token."""
        self._api = TelegramAPIServer.from_base(api_url)
        self._session = AiohttpSession(api=self._api, timeout=QUICK)
        try:
            self._bot = Bot(token, session=self._session)
        except TokenValidationError:
            raise SettingsFault(BAD_TOKEN) from None
        self._lines = Lines(api_url)
        self._say_at = URL(self._api.api_url(token=token, method="sendMessage")).raw_path.encode()

    async def close(self) -> None:
        self._lines.close()
        await self._session.close()

    async def me(self) -> tuple[int, str]:
        """The bot's id and username."""
        me = await _ours(self._bot.get_me())
        return me.id, me.username or ""

    async def updates(self, offset: int, *, limit: int, timeout: int, kinds: Sequence[str]) -> Answer:
        """getUpdates, as bytes: aiogram would read a batch as a whole, or not at all. Waits `timeout` seconds."""
        body = {"offset": offset, "limit": limit, "timeout": timeout, "allowed_updates": list(kinds)}
        url = self._api.api_url(token=self._bot.token, method="getUpdates")
        try:
            http = await self._session.create_session()
            within = aiohttp.ClientTimeout(total=timeout + QUICK, sock_connect=QUICK)
            async with http.post(url, json=body, timeout=within) as response:
                return Answer(response.status, await response.read())
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise NotSent(f"Telegram does not answer ({type(error).__name__})") from None

    async def set_webhook(self, url: str, secret: str, kinds: Sequence[str]) -> None:
        await _ours(self._bot.set_webhook(url, secret_token=secret, allowed_updates=list(kinds)))

    async def delete_webhook(self) -> None:
        await _ours(self._bot.delete_webhook())

    async def webhook(self) -> tuple[str, int, int, str]:
        """(url, updates that wait, Unix time of the last error or 0, its text)."""
        info = await _ours(self._bot.get_webhook_info())
        at = int(info.last_error_date.timestamp()) if info.last_error_date else 0
        return info.url, info.pending_update_count, at, info.last_error_message or ""

    async def set_commands(self, commands: Sequence[tuple[str, str]], language: str | None) -> None:
        known = [BotCommand(command=name, description=text) for name, text in commands]
        await _ours(self._bot.set_my_commands(known, language_code=language))

    async def text(self, chat: int, payload: Mapping[str, Any]) -> int:
        """Sends a text; gives Telegram's number of the message."""
        body = {"chat_id": chat, **{name: payload[name] for name in TEXT_FIELDS if payload.get(name)}}
        return await _ours(self._say(body))

    async def _say(self, body: Mapping[str, Any]) -> int:
        """sendMessage, the call that nearly all are, as JSON over a line of our own: aiogram's way costs many times the CPU.

        Only the number is read of an answer that says that it was sent; what else Telegram says is for aiogram to read.
        """
        status, content = await self._lines.post(self._say_at, orjson.dumps(body), QUICK)
        number = sent_number(content) if status == 200 else None
        if number is not None:
            return number
        method = SendMessage(chat_id=body["chat_id"], text=body["text"])
        self._session.check_response(self._bot, method, status, content.decode(errors="replace"))
        raise Uncertain("Telegram's answer can't be read")

    async def file(self, chat: int, kind: str, name: str, data: bytes, payload: Mapping[str, Any]) -> int:
        """Sends a photo, voice message or document."""
        methods: dict[str, Any] = {"photo": self._bot.send_photo, "voice": self._bot.send_voice}
        method = methods.get(kind, self._bot.send_document)
        more: dict[str, Any] = {
            "caption": payload.get("caption"),
            "caption_entities": _entities(payload.get("caption_entities")),
            "reply_markup": _markup(payload),
        }
        return await _number(method(chat, BufferedInputFile(data, name), **more, request_timeout=SLOW))

    async def edit_text(self, chat: int, number: int, payload: Mapping[str, Any]) -> None:
        await _ours(
            self._bot.edit_message_text(
                payload["text"],
                chat_id=chat,
                message_id=number,
                entities=_entities(payload.get("entities")),
                reply_markup=_markup(payload),
            )
        )

    async def edit_caption(self, chat: int, number: int, payload: Mapping[str, Any]) -> None:
        await _ours(
            self._bot.edit_message_caption(
                chat_id=chat,
                message_id=number,
                caption=payload.get("caption"),
                caption_entities=_entities(payload.get("caption_entities")),
                reply_markup=_markup(payload),
            )
        )

    async def edit_keyboard(self, chat: int, number: int, markup: Mapping[str, Any] | None) -> None:
        keyboard = _markup({"reply_markup": markup})
        await _ours(self._bot.edit_message_reply_markup(chat_id=chat, message_id=number, reply_markup=keyboard))

    async def delete(self, chat: int, number: int) -> None:
        await _ours(self._bot.delete_message(chat, number))

    async def answer_press(self, query_id: str, text: str) -> None:
        await _ours(self._bot.answer_callback_query(query_id, text=text[:200] or None))  # Bot API: 0–200 characters

    async def download(self, ref: str, limit: int) -> bytes:
        """A file's bytes. Its link holds the token: it is used here and nowhere kept. Raises Refused above `limit`."""
        found = await _ours(self._bot.get_file(ref))
        if found.file_path is None or (found.file_size or 0) > limit:
            raise Refused("file is too big")
        return await _ours(self._read(found.file_path, limit))

    async def _read(self, path: str, limit: int) -> bytes:
        http = await self._session.create_session()
        url = self._api.file_url(self._bot.token, path)
        async with http.get(url, timeout=aiohttp.ClientTimeout(total=SLOW), allow_redirects=False) as response:
            if response.status != 200:
                raise NotSent(f"Telegram's file server answered {response.status}")
            data = bytearray()
            async for chunk in response.content.iter_chunked(65_536):
                data += chunk
                if len(data) > limit:
                    raise Refused("file is too big")
        return bytes(data)


def sent_number(content: bytes) -> int | None:
    """Telegram's number of the message, from an answer that says it was sent; None for any other."""
    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    result = answer.get("result") if isinstance(answer, dict) and answer.get("ok") is True else None
    found = result.get("message_id") if isinstance(result, dict) else None
    return found if isinstance(found, int) else None


async def _number(call: Awaitable[Message]) -> int:
    """Telegram's number of what was sent; also where aiogram can't read the rest of the answer, which says that it was."""

    async def number() -> int:
        try:
            return (await call).message_id
        except ClientDecodeError as error:
            result = error.data.get("result") if isinstance(error.data, dict) and error.data.get("ok") is True else None
            found = result.get("message_id") if isinstance(result, dict) else None
            if isinstance(found, int):
                return found
            raise

    return await _ours(number())


async def _ours(call: Awaitable[T]) -> T:
    try:
        return await call
    except (SendFault, asyncio.CancelledError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever it was, it must not be told with the URL in it
        fault = translated(error)
        fault.__traceback__ = None
        raise fault from None


def translated(error: Exception) -> SendFault:
    """What became of the send, by whose error it is. aiogram's and aiohttp's texts hold URLs: only Telegram's own are quoted."""
    said = error.message if isinstance(error, TelegramAPIError) else ""
    match error:
        case TelegramRetryAfter():
            return RateLimited("Telegram asks to wait", retry_after=float(error.retry_after))
        case TelegramUnauthorizedError():
            return BadToken(BAD_TOKEN, retry_after=REFUSED_TOKEN_REST)
        case TelegramConflictError():
            return NotSent(f"Telegram: {said}")
        case TelegramForbiddenError():
            return Refused(f"Telegram: {said}", unreachable=True)
        case TelegramBadRequest() | TelegramNotFound() | TelegramMigrateToChat() | TelegramEntityTooLarge():
            return Refused(f"Telegram: {said}")
        case Unreached():
            return NotSent(f"Telegram does not answer ({error})")
        case Unanswered():
            return Uncertain(f"Telegram does not answer ({error})")
        case TelegramNetworkError():
            return _network(error.__cause__)
        case TelegramAPIError() if said and said.lower().startswith("too many requests"):
            return NotSent("Telegram asks to wait, without saying how long")
        case AiogramError():
            return Uncertain(f"Telegram's answer can't be read ({type(error).__name__})")
        case _:
            return _network(error)


def _network(cause: BaseException | None) -> SendFault:
    reason = f"Telegram does not answer ({type(cause).__name__})"
    if isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return NotSent(reason)  # refused, no such host, no TLS: not a byte of the request has left
    return Uncertain(reason)


def _entities(entities: Sequence[Mapping[str, Any]] | None) -> list[MessageEntity] | None:
    return [MessageEntity.model_validate(entity) for entity in entities] if entities else None


def _markup(payload: Mapping[str, Any]) -> InlineKeyboardMarkup | None:
    markup = payload.get("reply_markup")
    return InlineKeyboardMarkup.model_validate(markup) if markup else None
