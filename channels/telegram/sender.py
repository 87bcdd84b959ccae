"""The outbox's rows as calls to Telegram, and what is to be done about a send whose outcome nobody knows.

There is no key against doubles and no way to read a chat back. So a send of unknown outcome is repeated once and marked as
possibly twice; a code of a link never is, its customer asks for another one; edits, deletions and fetches are repeated as
they like. Who presses a button or answers a message proves that it arrived: `proof.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import structlog

from bot.errors import FileRefused, NotSent, Refused, Uncertain
from bot.inbox import Inbox
from bot.model import Inbound, Reachability
from bot.model import Sender as Person
from bot.storage import files
from bot.storage.engine import Storage
from channels.port import Delivery, Sent, Verdict
from channels.telegram import store
from channels.telegram.fetch import fetch
from channels.telegram.outbound import message_ids
from channels.web.files import safe_name

if TYPE_CHECKING:
    from channels.telegram.calls import Calls

log = structlog.get_logger()
NOT_READY = 2.0  # seconds; aiogram is still being imported, or Telegram has not yet said who we are
HARMLESS = frozenset({"fetch", "edit", "caption", "delete"})  # twice is the same as once
FILES = frozenset({"photo", "voice", "document"})
WORDS = ("caption_entities", "reply_markup", "once", "edit")  # what belongs to a caption besides itself


class TelegramSender:
    """`calls` gives the connection, or None while there is none."""

    via = "telegram"

    def __init__(self, storage: Storage, inbox: Inbox, bot_id: int, calls: Callable[[], Calls | None]) -> None:
        self._storage = storage
        self._inbox = inbox
        self._bot_id = bot_id
        self._calls = calls

    async def send(self, delivery: Delivery) -> Sent:
        """Raises NotSent, Refused, Uncertain."""
        calls = self._calls()
        if calls is None:
            raise NotSent("Telegram is not connected yet", retry_after=NOT_READY)
        try:
            return await self._perform(calls, delivery)
        except Uncertain as error:
            if delivery.kind == "fetch":
                raise NotSent(str(error)) from None
            raise
        except Refused as error:
            if error.unreachable:
                await self._left(delivery)
            raise

    async def resolve(self, delivery: Delivery) -> Sent | Verdict:
        if delivery.kind in HARMLESS:
            return Verdict.ABSENT
        ref = await self._storage.read(lambda conn: store.proven(conn, delivery, self._bot_id))
        if ref is not None:
            return Sent(ref)
        if delivery.payload.get("once"):
            return Verdict.GIVE_UP
        doubled = await self._storage.read(lambda conn: store.was_doubled(conn, delivery.id))
        return Verdict.GIVE_UP if doubled else Verdict.RESEND

    async def _perform(self, calls: Calls, delivery: Delivery) -> Sent:
        payload, kind = delivery.payload, delivery.kind
        if kind == "fetch":
            return await fetch(calls, self._storage, payload)
        chat = chat_id(payload)
        if kind == "delete":
            return await self._delete(calls, chat, delivery)
        if kind in {"edit", "caption"}:
            return await edit(calls, chat, int(payload["message_id"]), payload)
        if "edit" in payload:
            sent = message_ids(await self._sent(delivery))
            if int(payload["edit"]) < len(sent):
                return await edit(calls, chat, sent[int(payload["edit"])], payload)
        if kind == "text":
            number: int = await formatted(lambda plainer: calls.text(chat, plainer), payload)
        elif kind in FILES:
            number = await self._with_words(calls, chat, kind, payload)
        else:
            raise Refused(f"Telegram can't send {kind!r}")
        return Sent(f"{chat}:{number}")

    async def _with_words(self, calls: Calls, chat: int, kind: str, payload: Mapping[str, Any]) -> int:
        """A file and what is said with it: those words don't get lost with a file that Telegram refuses."""
        try:
            return await self._file(calls, chat, kind, payload)
        except Refused as error:
            if error.unreachable or not payload.keys() & {"caption", "reply_markup"}:
                raise
            raise FileRefused(str(error), *apart(payload)) from error

    async def _file(self, calls: Calls, chat: int, kind: str, payload: Mapping[str, Any]) -> int:
        ref, data = files.ready(await self._storage.read(lambda conn: files.one(conn, payload["file_id"])))
        name = safe_name(ref.name)
        try:
            return int(await formatted(lambda plainer: calls.file(chat, kind, name, data, plainer), payload))
        except Refused as error:
            if kind == "document" or error.unreachable or not is_about_the_file(str(error)):
                raise
        return int(await formatted(lambda plainer: calls.file(chat, "document", name, data, plainer), payload))

    async def _delete(self, calls: Calls, chat: int, delivery: Delivery) -> Sent:
        for number in delivery.payload["message_ids"] or message_ids(await self._sent(delivery)):
            try:
                await calls.delete(chat, number)
            except Refused as error:
                if "message to delete not found" not in str(error):
                    raise
        return Sent()

    async def _sent(self, delivery: Delivery) -> list[str]:
        message_id = delivery.message_id
        return await self._storage.read(lambda conn: store.sent_as(conn, message_id)) if message_id else []

    async def _left(self, delivery: Delivery) -> None:
        """The customer blocked the bot or left Telegram: marked once, until they write again."""
        address = str(delivery.payload.get("address"))
        if await self._storage.read(lambda conn: store.is_reachable(conn, address)):
            key = f"{self._bot_id}:unreachable:{delivery.id}"
            await self._inbox.receive(Inbound(self.via, key, Person(self.via, address, address), Reachability(False)))


async def edit(calls: Calls, chat: int, number: int, payload: Mapping[str, Any]) -> Sent:
    """A new version of what was sent as `number`; one that is the same already is fine.

    What should be a caption may have been sent by itself, because Telegram refused the file.
    """
    how = calls.edit_text if "text" in payload else calls.edit_caption
    try:
        await formatted(lambda plainer: how(chat, number, plainer), payload)
    except Refused as error:
        if "text" not in payload and "no caption in the message" in str(error):
            return await edit(calls, chat, number, apart(payload)[0])
        if "message is not modified" not in str(error):
            raise
    return Sent(f"{chat}:{number}")


def apart(payload: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A captioned file's payload as that of a text and that of the file without a word."""
    words = {name.removeprefix("caption_"): payload[name] for name in WORDS if payload.get(name)}
    file = {name: value for name, value in payload.items() if name not in {"caption", *WORDS}}
    return {"text": payload.get("caption") or "…", **words, "address": payload["address"]}, file


async def formatted(call: Callable[[Mapping[str, Any]], Any], payload: Mapping[str, Any]) -> Any:
    """The call; and at once again as plain text where Telegram refuses the formatting: the words matter more."""
    try:
        return await call(payload)
    except Refused as error:
        plainer = {name: value for name, value in payload.items() if name not in {"entities", "caption_entities"}}
        if plainer == dict(payload) or "entit" not in str(error).lower():
            raise
        log.warning("formatting refused, sent as plain text", via="telegram", reason=str(error))
    return await call(plainer)


def is_about_the_file(reason: str) -> bool:
    """Whether Telegram refused this as a photo or voice message, but may take it as a document."""
    lower = reason.lower()
    return any(word in lower for word in ("photo", "image", "voice", "wrong file", "wrong type"))


def chat_id(payload: Mapping[str, Any]) -> int:
    try:
        return int(payload["address"])
    except (KeyError, ValueError):
        raise Refused("this is not an address of Telegram") from None
