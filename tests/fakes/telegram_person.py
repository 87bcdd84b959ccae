"""Somebody who uses the bot in the Telegram app: does what people do, and sees what they see."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from tests.fakes.server import Changes, Upload
from tests.fakes.telegram_chat import Chat, Seen, Stored, StoredFile, described
from tests.fakes.telegram_methods import BotApi, Press
from tests.fakes.telegram_text import MAX_TEXT, units

Wanted = str | Callable[[Seen], Any]


class Person:
    """One person in their private chat with the bot. Each verb is one thing done in the app."""

    def __init__(self, api: BotApi, changes: Changes, user: dict[str, Any]) -> None:
        self.api, self.changes, self.user = api, changes, user
        self.id: int = user["id"]
        self._heard: set[tuple[int, int]] = set()
        self._presses = 0

    @property
    def chat(self) -> Chat:
        return self.api.chats[self.id]

    # --- what they see -----------------------------------------------------------------------------------

    @property
    def sees(self) -> list[Seen]:
        """The bot's messages as the chat shows them now: edits applied, deleted ones gone."""
        return [stored.seen() for stored in self.chat.messages.values() if stored.by_bot]

    @property
    def texts(self) -> list[str]:
        return [seen.text for seen in self.sees]

    @property
    def toasts(self) -> list[str]:
        """What pressing a button answered, in order; an empty text for a silent answer."""
        return [text for person, text, _ in self.api.toasts if person == self.id]

    async def hears(self, wanted: Wanted, timeout: float = 20) -> Seen:
        """The next message or edit of the bot's that has this text (or fits); each is heard once.

        Raises AssertionError with what the chat shows when none comes.
        """

        def look() -> Seen | None:
            return next((seen for seen in self.sees if self._new(seen) and _fits(seen, wanted)), None)

        def failure() -> str:
            return f"{self.user['first_name']} did not hear {wanted!r} within {timeout} s; the chat shows {self.texts}"

        seen = await self.changes.until(look, timeout=timeout, failure=failure)
        self._heard.add((seen.id, seen.version))
        return seen

    def _new(self, seen: Seen) -> bool:
        return (seen.id, seen.version) not in self._heard

    # --- what they write ---------------------------------------------------------------------------------

    async def says(self, text: str, *, reply_to: Seen | None = None) -> Seen:
        """A text; one above 4096 goes as several messages, as the app does it, and the last is returned."""
        head, rest = _cut(text)
        entities = [
            {"type": "bot_command", "offset": units(head[: hit.start()]), "length": len(hit[0])}
            for hit in re.finditer(r"(?<!\S)/[A-Za-z0-9_]{1,32}", head)
        ]
        seen = self._send({"text": head, **({"entities": entities} if entities else {})}, reply_to=reply_to)
        return await self.says(rest) if rest else seen

    async def start(self, payload: str = "") -> Seen:
        """Opens the bot by its link; the payload is what stands after `?start=`."""
        if not re.fullmatch(r"[A-Za-z0-9_-]{0,64}", payload):
            raise AssertionError(f"Telegram's links carry no such payload: {payload!r}")
        await self.unblocks()
        return await self.says(f"/start {payload}".strip())

    async def sends_photo(self, content: bytes, caption: str = "") -> Seen:
        return self._send_file("photo", Upload("photo.jpg", content, "image/jpeg"), caption)

    async def sends_document(
        self,
        content: bytes,
        name: str = "letter.pdf",
        type: str = "application/pdf",  # noqa: A002 - the MIME type
        caption: str = "",
    ) -> Seen:
        return self._send_file("document", Upload(name, content, type), caption)

    async def sends_voice(self, content: bytes) -> Seen:
        return self._send_file("voice", Upload("voice.oga", content, "audio/ogg"), "")

    async def sends_location(self, latitude: float, longitude: float) -> Seen:
        return self._send({"location": {"latitude": latitude, "longitude": longitude}})

    async def sends_contact(self, phone: str, name: str | None = None) -> Seen:
        own = {"user_id": self.id} if name is None else {}
        return self._send({"contact": {"phone_number": phone, "first_name": name or self.user["first_name"], **own}})

    async def sends_album(self, photos: Sequence[bytes], caption: str = "") -> list[Seen]:
        """Photos sent together: a message each, with a common group; the caption stands on the first."""
        self.api.albums += 1
        group = {"media_group_id": f"1400000000{self.api.albums:04d}"}
        uploads = [Upload(f"photo{number}.jpg", content, "image/jpeg") for number, content in enumerate(photos)]
        return [self._send_file("photo", up, "" if n else caption, **group) for n, up in enumerate(uploads)]

    async def sends(self, **content: Any) -> Seen:
        """Any other kind of message, in the Bot API's words: `sends(sticker={…})`."""
        return self._send(content)

    async def edits(self, message: Seen, text: str) -> Seen:
        stored = self.chat.messages[message.id]
        stored.message = {**stored.message, "text": text, "edit_date": int(self.api.now().timestamp())}
        stored.version += 1
        self.api.updates.add("edited_message", stored.message, f"chat {self.id}")
        return stored.seen()

    # --- what they do ------------------------------------------------------------------------------------

    async def presses(self, message: Seen, name: str) -> str:
        """A button, by its label or its callback data; gives the press's id.

        A reply keyboard's button writes its label instead, or shares what it asks for.
        """
        button = self._now(message).seen().button(name)
        if button.url is not None:
            raise AssertionError(f"{name!r} opens {button.url}: nothing reaches the bot")
        if button.data is not None:
            return await self.forges(message, button.data)
        if button.asks == "contact":
            await self.sends_contact("+4791234567")
        elif button.asks == "location":
            await self.sends_location(59.91, 10.75)
        else:
            await self.says(button.label)
        return ""

    async def forges(self, message: Seen, data: str) -> str:
        """A press with any data: bad clients can send what no button holds."""
        self._presses += 1
        press = f"{self.id}{self._presses:06d}"
        self.api.presses[press] = Press(self.id, self.api.now())
        stored = self.chat.messages.get(message.id)
        shown = stored.message if stored else message.raw
        query = {"id": press, "from": self.user, "message": shown, "chat_instance": str(self.id), "data": data}
        self.api.updates.add("callback_query", query, f"presses of {self.id}")
        return press

    async def blocks(self) -> None:
        if not self.chat.blocked:
            self.chat.blocked = True
            self._membership("member", "kicked")

    async def unblocks(self) -> None:
        if self.chat.blocked:
            self.chat.blocked = False
            self._membership("kicked", "member")

    async def leaves_telegram(self) -> None:
        """Deletes the account."""
        self.chat.deactivated = True

    # --- how it travels ----------------------------------------------------------------------------------

    def _membership(self, old: str, new: str) -> None:
        def member(status: str) -> dict[str, Any]:
            return {"user": self.api.me, "status": status, **({"until_date": 0} if status == "kicked" else {})}

        change = {"chat": self.chat.info, "from": self.user, "date": int(self.api.now().timestamp())}
        change |= {"old_chat_member": member(old), "new_chat_member": member(new)}
        self.api.updates.add("my_chat_member", change, f"chat {self.id}")
        self.changes.tell()

    def _send_file(self, kind: str, upload: Upload, caption: str, **more: Any) -> Seen:
        file = self.api.files.keep(f"{kind}s", upload)
        small = (
            self.api.files.keep("thumbnails", Upload("small.jpg", b"small", upload.type)) if kind == "photo" else None
        )
        content = {**more, kind: described(kind, file, small), **({"caption": caption} if caption else {})}
        return self._send(content, file=file)

    def _send(self, content: dict[str, Any], *, reply_to: Seen | None = None, file: StoredFile | None = None) -> Seen:
        if self.chat.blocked:
            raise AssertionError(f"{self.user['first_name']} blocked the bot: unblock before writing")
        message = {"from": self.user, "date": int(self.api.now().timestamp()), **content}
        if reply_to is not None:
            message["reply_to_message"] = self._now(reply_to).message
        stored = self.chat.add(message, by_bot=False, file=file)
        self.api.updates.add("message", stored.message, f"chat {self.id}")
        return stored.seen()

    def _now(self, message: Seen) -> Stored:
        if message.id not in self.chat.messages:
            raise AssertionError(f"the message {message.text!r} is no longer in the chat")
        return self.chat.messages[message.id]


def _fits(seen: Seen, wanted: Wanted) -> bool:
    return wanted in seen.text if isinstance(wanted, str) else bool(wanted(seen))


def _cut(text: str) -> tuple[str, str]:
    """The text's first 4096 UTF-16 units, no pair cut in two, and the rest."""
    if units(text) <= MAX_TEXT:
        return text, ""
    head = text.encode("utf-16-le")[: MAX_TEXT * 2].decode("utf-16-le", "ignore")
    return head, text[len(head) :]
