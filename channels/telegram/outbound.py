"""A message as the sends that it takes on Telegram: pure, no I/O.

Text goes with entities and never with a parse_mode, so no text can break the markup or smuggle any in. Lengths are counted in
UTF-16 code units, as Telegram counts.

    kind     payload
    text     text, entities?, reply_markup?
    photo, voice, document
             file_id (ours), name, caption?, caption_entities?, reply_markup?
    edit     message_id, text, entities?, reply_markup?
    caption  message_id, caption, caption_entities?, reply_markup?
    delete   message_ids (empty: look for them when it is sent)

`edit: n` on one of the first two: a new version of what was still on its way; edit the n-th that was sent, if it was.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from bot.model import AuthorKind, FileRef, Message
from bot.outbox import Part
from bot.texts import isolate
from channels.telegram.buttons import keyboard
from channels.text import TELEGRAM_LIMIT, length, one_line, split_entities, to_telegram

MAX_CAPTION = 1024  # UTF-16 code units, Bot API sendPhoto
MAX_PHOTO = 10 * 1024 * 1024  # bytes, Bot API sendPhoto
PHOTOS = frozenset({"image/jpeg", "image/png", "image/webp"})
VOICES = frozenset({"audio/ogg"})
MAX_ENTITIES = 100  # of one message; the real server drops the rest

_RTL = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
Entity = dict[str, Any]
Piece = tuple[str, list[Entity]]


class TelegramOutlet:
    """How messages leave by Telegram. An address is a private chat's id; refs are `<chat>:<message_id>`."""

    via = "telegram"

    def lane(self, address: str) -> str:
        return f"telegram:{address}"

    def bucket(self, address: str) -> str | None:
        return f"telegram:{address}"

    def parts(self, message: Message, address: str) -> Sequence[Part]:
        """The text first, then each file; one file with a short text and no buttons carries it as its caption.

        What its speaker wants to arrive at most once (`meta`: once) says so on each part.
        """
        parts = self._parts(message, address)
        return (
            [Part(part.kind, {**part.payload, "once": True}) for part in parts] if message.meta.get("once") else parts
        )

    def _parts(self, message: Message, address: str) -> Sequence[Part]:  # noqa: ARG002 - the sender adds the address
        text, entities = written(message)
        files = message.body.files
        if captioned(message, text):
            caption = {"caption": text, "caption_entities": entities} if text else {}
            return _with_keyboard([_file(files[0], {name: value for name, value in caption.items() if value})], message)
        texts = [Part("text", _text(*piece)) for piece in pieces(text, entities)]
        if not texts and not files:
            texts = [Part("text", {"text": "…"})] if message.body.choices else []
        return _with_keyboard([*texts, *(_file(file) for file in files)], message, at=len(texts) - 1)

    def edits(self, message: Message, refs: Sequence[str], address: str) -> Sequence[Part]:
        """The new text in the places of the old one; what it has more is sent, what it has less is deleted.

        Telegram allows it for 48 hours; later the send is refused, and the agent is told.
        """
        text, entities = written(message)
        if not refs:  # not sent yet, or on its way: the sender looks again when it is this row's turn
            parts = self.parts(message, address)
            return [Part(part.kind, {**part.payload, "edit": place}) for place, part in enumerate(parts)]
        sent = message_ids(refs)
        files = len(message.body.files)
        if files and len(sent) == files:
            return self._edited_caption(message, sent, text, entities)
        old, new = sent[: len(sent) - files], pieces(text, entities)
        edited = [
            Part("edit", {"message_id": number, **_text(*piece)}) for number, piece in zip(old, new, strict=False)
        ]
        if not edited:
            return ()
        added = [Part("text", _text(*piece)) for piece in new[len(old) :]]
        removed = [Part("delete", {"message_ids": old[len(new) :]})] if len(old) > len(new) else []
        return [*_with_keyboard([*edited, *added], message), *removed]

    def deletes(self, message: Message, refs: Sequence[str], address: str) -> Sequence[Part]:  # noqa: ARG002
        return [Part("delete", {"message_ids": message_ids(refs)})]

    def _edited_caption(self, message: Message, sent: list[int], text: str, entities: list[Entity]) -> Sequence[Part]:
        if length(text, "utf16") > MAX_CAPTION:
            return ()
        parts = [Part("caption", {"message_id": sent[0], "caption": text, "caption_entities": entities})]
        return _with_keyboard(parts, message)


def written(message: Message) -> Piece:
    """The text with its entities; an agent's begins with a line that says who speaks."""
    body = message.body
    text, entities = to_telegram(body.text) if body.markdown else (body.text.strip(), [])
    if message.author.kind is not AuthorKind.AGENT or not message.author.name.strip():
        return text, entities
    name = one_line(message.author.name, 60)
    mixed = _RTL.search(name + text) is not None  # Latin names among Hebrew, and the other way round
    lead = (isolate(name) if mixed else name) + ("\n" if text else "")
    bold = {"type": "bold", "offset": int(mixed), "length": length(name, "utf16")}
    shift = length(lead, "utf16")
    return lead + text, [bold, *({**entity, "offset": entity["offset"] + shift} for entity in entities)]


def pieces(text: str, entities: Sequence[Entity]) -> list[Piece]:
    """Parts of at most 4096 units, cut where a reader would; the keyboard goes below the last."""
    return [(part, inside[:MAX_ENTITIES]) for part, inside in split_entities(text, entities, TELEGRAM_LIMIT)]


def captioned(message: Message, text: str) -> bool:
    """Whether the text goes as the caption of the one file."""
    return len(message.body.files) == 1 and length(text, "utf16") <= MAX_CAPTION


def message_ids(refs: Sequence[str]) -> list[int]:
    """Telegram's own numbers of these, ascending: the order in which they were sent."""
    numbers = (ref.rpartition(":")[2] for ref in refs)
    return sorted(int(number) for number in numbers if number.isascii() and number.isdigit())


def _text(text: str, entities: list[Entity]) -> dict[str, Any]:
    return {"text": text, **({"entities": entities} if entities else {})}


def _file(file: FileRef, more: dict[str, Any] | None = None) -> Part:
    kind = "document"
    if file.type in PHOTOS and file.size <= MAX_PHOTO:
        kind = "photo"
    elif file.type in VOICES:
        kind = "voice"
    return Part(kind, {"file_id": file.id, "name": file.name, **(more or {})})


def _with_keyboard(parts: list[Part], message: Message, at: int = -1) -> list[Part]:
    """The choices below the part at this place: the last text."""
    markup = keyboard(message)
    if markup is None or not parts:
        return parts
    part = parts[at]
    parts[at] = Part(part.kind, {**part.payload, "reply_markup": markup})
    return parts
