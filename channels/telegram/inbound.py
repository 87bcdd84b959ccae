"""What Telegram tells us, read: pure, and safe for any JSON.

Only private chats count; what a group, a channel or another bot says is None. aiogram's models are left out on purpose:
they read a batch or nothing, and know only the kinds of their release.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import orjson

from bot.model import Chose, Edited, Happening, Inbound, Reachability, RemoteFile, Sender, Wrote
from bot.texts import match_locale, say
from channels.telegram.buttons import read_data
from channels.text import clean, one_line, shorten

CHANNEL = "telegram"
LOCALES = ("en", "nl", "nb", "he")
_TAG = re.compile(r"[A-Za-z0-9_-]{1,35}")  # of a language, as long as RFC 5646 4.4.1 has them
KINDS = ("message", "edited_message", "callback_query", "my_chat_member")
"""The updates that we ask for; any other is not for us."""

LAST_ID = 2**63 - 1
MAX_LABEL = 200  # characters of a name or a title that we keep

SERVICE = frozenset({
    "new_chat_members", "left_chat_member", "new_chat_title", "new_chat_photo", "delete_chat_photo", "group_chat_created",
    "supergroup_chat_created", "channel_chat_created", "message_auto_delete_timer_changed", "migrate_to_chat_id",
    "migrate_from_chat_id", "pinned_message", "successful_payment", "refunded_payment", "users_shared", "chat_shared",
    "connected_website", "write_access_allowed", "passport_data", "proximity_alert_triggered", "boost_added",
    "chat_background_set", "web_app_data", "video_chat_scheduled", "video_chat_started", "video_chat_ended", "gift",
    "video_chat_participants_invited", "unique_gift", "paid_message_price_changed", "direct_message_price_changed",
})  # fmt: skip
"""What Telegram itself notes in a chat (Bot API, Message): nobody wrote it."""


class Malformed(ValueError):
    """This update breaks Telegram's own rules; the reason is for the log and quotes nothing of it."""


def read(update: Any, bot_id: int) -> Inbound | None:
    """The update as an `Inbound`; None if it is not for us. Raises Malformed."""
    if not isinstance(update, dict):
        raise Malformed("an update is a JSON object")
    update_id = _id(update, "update_id", least=0)
    if "message" in update:
        return _message(_object(update, "message"), update, update_id, bot_id)
    if "edited_message" in update:
        return _edited(_object(update, "edited_message"), update, update_id, bot_id)
    if "callback_query" in update:
        return _pressed(_object(update, "callback_query"), update, update_id, bot_id)
    if "my_chat_member" in update:
        return _membership(_object(update, "my_chat_member"), update, update_id, bot_id)
    return None


def load(raw: bytes) -> Any:
    """The update in these bytes. Raises ValueError or RecursionError for what is no JSON that can be read."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return json.loads(raw)  # half of a surrogate pair, NaN: no JSON, but Python reads it, and so it can be kept


def dump(update: Any) -> bytes:
    """The update as the bytes that are kept for inspection."""
    try:
        return orjson.dumps(update)
    except orjson.JSONEncodeError:
        pass  # a number beyond 64 bits, half of a surrogate pair
    try:
        return json.dumps(update, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        return b"(too deep to be written down)"


# ── the kinds of update ────────────────────────────────────────────────────────────────────────────────────────────
def _message(message: Mapping[str, Any], update: Any, update_id: int, bot_id: int) -> Inbound | None:
    sender = _sender(message)
    if sender is None or (wrote := _wrote(message, sender)) is None:
        return None
    return _inbound(update, update_id, bot_id, sender, wrote)


def _edited(message: Mapping[str, Any], update: Any, update_id: int, bot_id: int) -> Inbound | None:
    sender = _sender(message)
    if sender is None or "location" in message:  # a live location moves every few seconds
        return None
    wrote = _wrote(message, sender)
    if wrote is None or wrote.ref is None:
        return None
    return _inbound(update, update_id, bot_id, sender, Edited(wrote.ref, wrote.text, version(message, update_id)))


def version(message: Mapping[str, Any], update_id: int) -> str:
    """Sorts a message's edits: by the second, and within it by the update, whose numbers may jump in a quiet week."""
    at = message.get("edit_date")
    return f"{at if isinstance(at, int) and at > 0 else 0:012d}.{max(update_id, 0):012d}"


def _pressed(query: Mapping[str, Any], update: Any, update_id: int, bot_id: int) -> Inbound | None:
    query_id = query.get("id")
    if not is_query_id(query_id):
        raise Malformed("callback_query.id is not a short string")
    message = query.get("message")
    if message is None:
        return None  # of an inline message: we send none
    if not isinstance(message, dict):
        raise Malformed("callback_query.message is not an object")
    sender = _sender({**message, "from": query.get("from")})
    if sender is None:
        return None
    pressed = read_data(query.get("data"))
    if pressed is None:
        raise Malformed("callback_query.data is not one of ours")
    message_id, index = pressed
    number = _id(message, "message_id", least=0)  # 0: too old to be shown again, its keyboard is out of reach
    chose = Chose(message_id, index=index, ref=f"{sender.address}:{number}" if number else None)
    return _inbound(update, update_id, bot_id, sender, chose, also=(f"{bot_id}:press:{query_id}",))


def is_query_id(value: object) -> bool:
    """Whether this can be the id of a pressed button: what is no ASCII may be no text at all, such as half of a character."""
    return isinstance(value, str) and 0 < len(value) <= 64 and value.isascii() and value.isprintable()


def _membership(change: Mapping[str, Any], update: Any, update_id: int, bot_id: int) -> Inbound | None:
    sender = _sender(change)
    if sender is None:
        return None
    status = _object(change, "new_chat_member").get("status")
    if not isinstance(status, str) or status not in {
        "member",
        "kicked",
        "left",
        "restricted",
        "administrator",
        "creator",
    }:
        raise Malformed("my_chat_member.new_chat_member.status is unknown")
    return _inbound(update, update_id, bot_id, sender, Reachability(status not in {"kicked", "left"}))


def _inbound(
    update: Any, update_id: int, bot_id: int, sender: Sender, happening: Happening, also: tuple[str, ...] = ()
) -> Inbound:
    return Inbound(CHANNEL, f"{bot_id}:{update_id}", sender, happening, dump(update), also)


# ── who ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def _sender(message: Mapping[str, Any]) -> Sender | None:
    """Who wrote in a private chat; None for any other chat, and for bots. Names are labels, never proof."""
    chat = _object(message, "chat")
    if chat.get("type") != "private":
        if not isinstance(chat.get("type"), str):
            raise Malformed("chat.type is not a string")
        return None
    who = _object(message, "from")
    user_id, chat_id = _id(who, "id"), _id(chat, "id")
    if who.get("is_bot") is True:
        return None
    name = " ".join(part for part in (_label(who, "first_name"), _label(who, "last_name")) if part)
    username = _label(who, "username")
    attributes = {"telegram_username": username} if username else {}
    return Sender(CHANNEL, str(user_id), str(chat_id), name, locale_of(who) or _language_of(who), attributes=attributes)


def locale_of(who: Mapping[str, Any]) -> str:
    """The language of somebody's app in our words; empty where it says none, or one that we don't speak."""
    return _known_locale(_language_of(who))


def _language_of(who: Mapping[str, Any]) -> str:
    """As the platform tells it: a desk may speak more languages than we do."""
    language = who.get("language_code")
    return language if isinstance(language, str) and _TAG.fullmatch(language) else ""


@lru_cache(maxsize=500)
def _known_locale(language: str) -> str:
    """The platform's hint in our words, empty for a language that we don't speak: then the desk's own is right."""
    if not language:
        return ""
    found = match_locale(language, ("", *LOCALES))
    return found or ""


# ── what ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def _wrote(message: Mapping[str, Any], sender: Sender) -> Wrote | None:
    """The message's content; None for what Telegram itself noted in the chat."""
    message_id = _id(message, "message_id")
    ref = f"{sender.address}:{message_id}"
    for kind, reader in READERS.items():
        if kind in message:
            text, files, extra = reader(message, sender.locale or "en")
            break
    else:
        if SERVICE & message.keys():
            return None
        text, files, extra = say("kind_other", sender.locale or "en"), (), {"unsupported": True}
    caption = _text(message, "caption")
    if "forward_origin" in message:
        extra = {**extra, "forwarded": True}
    return Wrote(
        text="\n".join(part for part in (text, caption) if part),
        remote_files=files,
        ref=ref,
        album=_album(message),
        reply_to=_reply_to(message, sender.address),
        extra=extra,
    )


Content = tuple[str, tuple[RemoteFile, ...], dict[str, Any]]


def _of_text(message: Mapping[str, Any], _locale: str) -> Content:
    return _text(message, "text"), (), {}


def _of_photo(message: Mapping[str, Any], _locale: str) -> Content:
    sizes = message["photo"]
    if not isinstance(sizes, list) or not sizes or not all(isinstance(size, dict) for size in sizes):
        raise Malformed("photo is not a list of sizes")
    largest = max(sizes, key=lambda size: _number(size, "width") * _number(size, "height"))
    return "", (_file(largest, "photo.jpg", "image/jpeg"),), {}


def _of_file(kind: str, name: str, mime: str) -> Callable[[Mapping[str, Any], str], Content]:
    def reader(message: Mapping[str, Any], _locale: str) -> Content:
        about = _object(message, kind)
        extra = {"seconds": int(_number(about, "duration"))} if "duration" in about else {}
        return "", (_file(about, name, mime),), {kind: extra} if extra else {}

    return reader


def _of_sticker(message: Mapping[str, Any], locale: str) -> Content:
    emoji = _label(_object(message, "sticker"), "emoji")
    return emoji or say("kind_other", locale), (), {"sticker": emoji}


def _of_location(message: Mapping[str, Any], locale: str) -> Content:
    return _place(_object(message, "location"), locale)


def _of_venue(message: Mapping[str, Any], locale: str) -> Content:
    venue = _object(message, "venue")
    text, _, extra = _place(_object(venue, "location"), locale)
    title, address = _label(venue, "title"), _label(venue, "address")
    return "\n".join(part for part in (text, title, address) if part), (), {**extra, "venue": title}


def _place(location: Mapping[str, Any], locale: str) -> Content:
    at = {name: _finite(location, name) for name in ("latitude", "longitude")}
    shown = {name: f"{value:.5f}".rstrip("0").rstrip(".") for name, value in at.items()}
    return say("kind_location", locale, **shown), (), {"location": at}


def _of_contact(message: Mapping[str, Any], locale: str) -> Content:
    contact = _object(message, "contact")
    name = " ".join(part for part in (_label(contact, "first_name"), _label(contact, "last_name")) if part)
    phone = _label(contact, "phone_number")
    # Only a contact that Telegram says is the writer's own tells their number; any other is somebody's card.
    own = contact.get("user_id") is not None and contact.get("user_id") == _object(message, "from").get("id")
    text = say("kind_contact", locale, name=name or "?", phone=phone)
    return text, (), {"contact": {"name": name, "phone": phone, "own": own}}


def _of_dice(message: Mapping[str, Any], locale: str) -> Content:
    return _label(_object(message, "dice"), "emoji") or say("kind_other", locale), (), {}


READERS: dict[str, Callable[[Mapping[str, Any], str], Content]] = {
    "text": _of_text,
    "photo": _of_photo,
    "animation": _of_file("animation", "animation.mp4", "video/mp4"),  # before document: it comes with both
    "document": _of_file("document", "file", "application/octet-stream"),
    "voice": _of_file("voice", "voice.ogg", "audio/ogg"),
    "audio": _of_file("audio", "audio.mp3", "audio/mpeg"),
    "video": _of_file("video", "video.mp4", "video/mp4"),
    "video_note": _of_file("video_note", "video.mp4", "video/mp4"),
    "sticker": _of_sticker,
    "venue": _of_venue,  # before location: it comes with both
    "location": _of_location,
    "contact": _of_contact,
    "dice": _of_dice,
}


# ── fields ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def _object(of: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = of.get(name)
    if not isinstance(value, dict):
        raise Malformed(f"{name} is not an object")
    return value


def _id(of: Mapping[str, Any], name: str, least: int = 1) -> int:
    value = of.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= LAST_ID:
        raise Malformed(f"{name} is not an id")
    return value


def _number(of: Mapping[str, Any], name: str) -> float:
    value = of.get(name, 0)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and 0 <= value <= LAST_ID else 0


def _finite(of: Mapping[str, Any], name: str) -> float:
    value = of.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not -360 <= value <= 360 or math.isnan(value):
        raise Malformed(f"{name} is not a coordinate")
    return float(value)


def _text(of: Mapping[str, Any], name: str) -> str:
    value = of.get(name, "")
    if not isinstance(value, str):
        raise Malformed(f"{name} is not a string")
    return shorten(clean(value))


def _label(of: Mapping[str, Any], name: str) -> str:
    value = of.get(name)
    return one_line(value, MAX_LABEL) if isinstance(value, str) else ""


def _file(about: Mapping[str, Any], name: str, mime: str) -> RemoteFile:
    ref = about.get("file_id")
    if not isinstance(ref, str) or not ref.isascii() or not ref.isprintable() or not 0 < len(ref) <= 500:
        raise Malformed("file_id is not a short string")
    told = _label(about, "mime_type").lower()
    is_type = told.count("/") == 1 and told.isascii() and len(told) <= 100
    size = about.get("file_size")
    return RemoteFile(
        ref,
        _label(about, "file_name") or name,
        told if is_type else mime,
        size if isinstance(size, int) and not isinstance(size, bool) and 0 <= size <= 2**31 - 1 else None,
    )


def _album(message: Mapping[str, Any]) -> str | None:
    album = message.get("media_group_id")
    return album if isinstance(album, str) and 0 < len(album) <= 64 and album.isalnum() and album.isascii() else None


def _reply_to(message: Mapping[str, Any], address: str) -> str | None:
    original = message.get("reply_to_message")
    if not isinstance(original, dict):
        return None
    number = original.get("message_id")
    is_id = isinstance(number, int) and not isinstance(number, bool) and 0 < number <= LAST_ID
    return f"{address}:{number}" if is_id else None
