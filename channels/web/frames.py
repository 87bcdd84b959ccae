"""The widget's frames, pure: what we send, and what we make of what it sends. Their form is public (CONTRACT)."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from typing import Any

from bot import strict_json
from bot.model import AuthorKind, Message, TimelineEntry
from channels import text

MAX_FRAME = 64 * 1024  # bytes
MAX_TEXT = 16_000  # characters
MAX_FILES = 10
KINDS = {"hello", "message", "choice", "typing", "read"}


class BadFrame(Exception):
    def __init__(self, code: str, message: str, id_: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.id = code, message, id_

    def frame(self) -> dict[str, Any]:
        return error(self.code, self.message, self.id)


def error(code: str, message: str, id_: str | None = None) -> dict[str, Any]:
    frame = {"type": "error", "code": code, "message": message}
    return {**frame, "id": id_} if id_ else frame


def read(raw: str | bytes) -> dict[str, Any]:
    """One frame of the client, checked. Raises BadFrame with the code that the client gets."""
    size = len(raw.encode("utf-8", "surrogatepass")) if isinstance(raw, str) else len(raw)
    if size > MAX_FRAME:
        raise BadFrame("too_long", f"a frame is at most {MAX_FRAME // 1024} KiB")
    try:
        frame = strict_json.loads(raw)
    except ValueError as fault:
        raise BadFrame("bad_frame", "a frame is one JSON object") from fault
    if not isinstance(frame, dict):
        raise BadFrame("bad_frame", "a frame is one JSON object")
    kind = frame.get("type")
    if not isinstance(kind, str) or kind not in KINDS:
        raise BadFrame("bad_frame", "unknown type; it is hello, message, choice, typing or read", _id(frame))
    return CHECKS[kind](frame)


def read_hello(raw: str | bytes) -> dict[str, Any]:
    """The first frame. Raises BadFrame for any other."""
    frame = read(raw)
    if frame["type"] != "hello":
        raise BadFrame("bad_frame", "the first frame is hello", frame.get("id"))
    return frame


def _id(frame: dict[str, Any]) -> str | None:
    value = frame.get("id")
    return value if isinstance(value, str) and len(value) <= 64 and value.isprintable() else None


def _is_id(value: object) -> bool:
    """Whether this may be an id of ours: nothing that a database refuses to look for."""
    return isinstance(value, str) and 0 < len(value) <= 64 and value.isascii() and value.isprintable()


def _uuid(frame: dict[str, Any]) -> str:
    value = frame.get("id")
    try:
        return str(uuid.UUID(value))
    except (ValueError, TypeError, AttributeError) as fault:
        raise BadFrame("bad_frame", "id is a UUID made by the client", _id(frame)) from fault


def _whole(frame: dict[str, Any], name: str, default: int | None = None) -> int:
    value = frame.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
        raise BadFrame("bad_frame", f"{name} is a whole number from 0", _id(frame))
    return value


def _hello(frame: dict[str, Any]) -> dict[str, Any]:
    token = frame.get("token")
    if not isinstance(token, str):
        raise BadFrame("unauthorised", "hello needs a token")
    return {"type": "hello", "token": token, "after": _whole(frame, "after", 0)}


def _message(frame: dict[str, Any]) -> dict[str, Any]:
    client_id = _uuid(frame)
    words, files = frame.get("text", ""), frame.get("files") or []
    if not isinstance(words, str):
        raise BadFrame("bad_frame", "text is a string", client_id)
    if len(words) > MAX_TEXT:
        raise BadFrame("too_long", f"a message is at most {MAX_TEXT} characters", client_id)
    if not isinstance(files, list) or len(files) > MAX_FILES or not all(_is_id(one) for one in files):
        raise BadFrame("bad_frame", f"files is a list of at most {MAX_FILES} ids", client_id)
    words = text.clean(words)
    if not words.strip() and not files:
        raise BadFrame("bad_frame", "a message has a text or a file", client_id)
    return {"type": "message", "id": client_id, "as_sent": frame.get("id"), "text": words, "files": files}


def _choice(frame: dict[str, Any]) -> dict[str, Any]:
    client_id = _uuid(frame)
    message, value = frame.get("message"), frame.get("value")
    if not _is_id(message) or not isinstance(value, str) or len(value) > 2_000 or text.clean(value) != value:
        raise BadFrame("bad_frame", "a choice names its message and its value", client_id)
    return {"type": "choice", "id": client_id, "as_sent": frame.get("id"), "message": message, "value": value}


def _read_mark(frame: dict[str, Any]) -> dict[str, Any]:
    return {"type": "read", "seq": _whole(frame, "seq")}


CHECKS = {
    "hello": _hello,
    "message": _message,
    "choice": _choice,
    "typing": lambda _: {"type": "typing"},
    "read": _read_mark,
}


def of_entry(entry: TimelineEntry) -> dict[str, Any]:
    """What took a `seq`, as the frame that shows it."""
    if entry.kind == "delete":
        return {"type": "delete", "seq": entry.seq, "id": entry.message.id}
    if entry.kind == "edit":
        body = entry.message.body
        return {
            "type": "edit",
            "seq": entry.seq,
            "id": entry.message.id,
            "text": body.text,
            "html": html(entry.message),
        }
    return {**of_message(entry.message), "seq": entry.seq}


def of_message(message: Message) -> dict[str, Any]:
    body = message.body
    frame: dict[str, Any] = {
        "type": "message",
        "seq": message.seq,
        "id": message.id,
        "author": {"kind": message.author.kind, "name": message.author.name},
        "channel": message.channel,
        "text": shown_text(message),
        "html": html(message),
        "choices": [asdict(choice) for choice in body.choices] or None,
        "files": [{**asdict(file), "url": f"/api/web/files/{file.id}"} for file in body.files],
        "at": message.at.isoformat().replace("+00:00", "Z"),
        "survey": asdict(body.survey) if body.survey else None,
    }
    pressed = message.meta.get("pressed")
    if pressed:
        frame["pressed"] = pressed  # which button this message was: other tabs mark it as taken
    return frame


def shown_text(message: Message) -> str:
    """The words for programs without HTML: what the bot's flows mark up is taken off; what people wrote is as written."""
    body = message.body
    return text.to_plain(body.text) if body.markdown and message.author.kind is AuthorKind.BOT else body.text


def html(message: Message) -> str:
    """Only ever from our own renderer; what customers write is plain text."""
    if message.body.markdown and message.author.kind is not AuthorKind.CUSTOMER:
        return text.to_html(message.body.text)
    return text.plain_to_html(message.body.text)
