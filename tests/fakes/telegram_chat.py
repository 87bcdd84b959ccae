"""One private chat as both sides see it: what was said, shown, changed and taken away."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.fakes.server import Upload

KINDS = ("photo", "document", "voice", "audio", "video", "location", "contact", "sticker", "text")


@dataclass(frozen=True, slots=True)
class StoredFile:
    id: str
    unique_id: str
    name: str
    type: str
    content: bytes
    path: str


@dataclass(frozen=True, slots=True)
class Button:
    label: str
    data: str | None = None
    url: str | None = None
    asks: str | None = None  # a reply keyboard's button: "contact" or "location"


@dataclass(frozen=True, slots=True)
class Seen:
    """A message as it looks in the chat now. `text` is the caption where a file or photo has one."""

    id: int
    kind: str
    text: str
    entities: tuple[dict[str, Any], ...]
    buttons: tuple[tuple[Button, ...], ...]
    edited: bool
    version: int
    reply_to: int | None
    album: str | None
    file: StoredFile | None
    raw: dict[str, Any]

    @property
    def labels(self) -> list[str]:
        return [button.label for row in self.buttons for button in row]

    def button(self, name: str) -> Button:
        """The button with this label or callback data. Raises AssertionError, naming those that are there."""
        for button in (button for row in self.buttons for button in row):
            if name in (button.label, button.data):
                return button
        raise AssertionError(f"no button {name!r} below {self.text!r}; there are {self.labels}")

    def marked(self, kind: str) -> list[str]:
        """The parts of the text that are set so: `bold`, `code`, `text_link`."""
        raw = self.text.encode("utf-16-le")
        spans = [(e["offset"] * 2, (e["offset"] + e["length"]) * 2) for e in self.entities if e["type"] == kind]
        return [raw[start:end].decode("utf-16-le") for start, end in spans]


@dataclass(slots=True)
class Stored:
    message: dict[str, Any]
    by_bot: bool
    markup: dict[str, Any] | None = None
    file: StoredFile | None = None
    version: int = 0

    def seen(self) -> Seen:
        raw = self.message
        reply = raw.get("reply_to_message")
        return Seen(
            id=raw["message_id"],
            kind=next((kind for kind in KINDS if kind in raw), "other"),
            text=raw.get("text", raw.get("caption", "")),
            entities=tuple(raw.get("entities", raw.get("caption_entities", ()))),
            buttons=_buttons(self.markup or {}),
            edited="edit_date" in raw,
            version=self.version,
            reply_to=reply["message_id"] if reply else None,
            album=raw.get("media_group_id"),
            file=self.file,
            raw=raw,
        )


@dataclass
class Chat:
    info: dict[str, Any]
    messages: dict[int, Stored] = field(default_factory=dict)
    blocked: bool = False
    deactivated: bool = False
    actions: list[str] = field(default_factory=list)
    last_id: int = 0

    @property
    def id(self) -> int:
        return int(self.info["id"])

    def add(self, message: dict[str, Any], *, by_bot: bool, markup: dict[str, Any] | None = None,
            file: StoredFile | None = None) -> Stored:  # fmt: skip
        """Gives the message its number in the chat."""
        self.last_id += 1
        stored = Stored({"message_id": self.last_id, **message, "chat": self.info}, by_bot, markup, file)
        self.messages[self.last_id] = stored
        return stored


@dataclass
class Files:
    """What was uploaded, by either side."""

    kept: dict[str, StoredFile] = field(default_factory=dict)

    def keep(self, folder: str, upload: Upload) -> StoredFile:
        number = len(self.kept) + 1
        ending = upload.name.rpartition(".")[2] if "." in upload.name else "bin"
        file = StoredFile(
            f"AgACAgQAAxkB{number:08d}", f"AQAD{number:08d}", upload.name, upload.type, upload.content,
            f"{folder}/file_{number}.{ending}",
        )  # fmt: skip
        self.kept[file.id] = file
        return file

    def at(self, path: str) -> StoredFile | None:
        return next((file for file in self.kept.values() if file.path == path), None)


def described(kind: str, file: StoredFile, small: StoredFile | None = None) -> Any:
    """The file as the Bot API describes it in a message of this kind; a photo is a list of sizes."""
    base = {"file_id": file.id, "file_unique_id": file.unique_id, "file_size": len(file.content)}
    if kind == "photo":
        sizes = [{**base, "width": 800, "height": 600}]
        if small is not None:
            thumb = {"file_id": small.id, "file_unique_id": small.unique_id, "file_size": len(small.content)}
            sizes.insert(0, {**thumb, "width": 90, "height": 67})
        return sizes
    if kind == "voice":
        return {**base, "duration": 3, "mime_type": file.type}
    if kind in ("audio", "video"):
        more = {"width": 640, "height": 480} if kind == "video" else {}
        return {**base, **more, "duration": 3, "mime_type": file.type, "file_name": file.name}
    return {**base, "file_name": file.name, "mime_type": file.type}


def _buttons(markup: dict[str, Any]) -> tuple[tuple[Button, ...], ...]:
    rows = markup.get("inline_keyboard") or markup.get("keyboard") or ()
    return tuple(tuple(_button(button) for button in row) for row in rows)


def _button(raw: dict[str, Any]) -> Button:
    asks = "contact" if raw.get("request_contact") else "location" if raw.get("request_location") else None
    return Button(raw["text"], raw.get("callback_data"), raw.get("url"), asks)
