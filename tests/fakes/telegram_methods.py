"""The Bot API's methods over the chats of one bot: what each does, and what it refuses in which words."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from tests.fakes.faults import Params
from tests.fakes.server import Upload
from tests.fakes.telegram_chat import Chat, Files, Stored, StoredFile, described
from tests.fakes.telegram_checks import check_markup
from tests.fakes.telegram_text import MAX_CAPTION, MAX_TEXT, Refused, formatted, units
from tests.fakes.telegram_updates import Updates

MAX_DOWNLOAD = 20 * 1024 * 1024  # Bot API, getFile
MAX_UPLOAD = 50 * 1024 * 1024
PRESS_ANSWERABLE = 15 * 60.0  # seconds; not documented, the real server refuses old queries after some minutes
NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same"
    " as a current content and reply markup of the message"
)
OLD_QUERY = "query is too old and response timeout expired or query ID is invalid"
ACTIONS = frozenset(
    [
        "typing",
        "upload_photo",
        "record_video",
        "upload_video",
        "record_voice",
        "upload_voice",
        "upload_document",
        "choose_sticker",
        "find_location",
        "record_video_note",
        "upload_video_note",
    ]
)


@dataclass
class Press:
    """A button that was pressed: who waits for the answer, and what they were told."""

    person_id: int
    at: datetime
    answered: bool = False


@dataclass
class BotApi:
    me: dict[str, Any]
    now: Callable[[], datetime]
    updates: Updates
    chats: dict[int, Chat] = field(default_factory=dict)
    files: Files = field(default_factory=Files)
    presses: dict[str, Press] = field(default_factory=dict)
    toasts: list[tuple[int, str, bool]] = field(default_factory=list)
    commands: dict[str, Any] = field(default_factory=dict)
    albums: int = 0

    # --- who and where -----------------------------------------------------------------------------------

    def get_me(self, _: Params) -> Any:
        return self.me

    def get_chat(self, params: Params) -> Any:
        return {**self._chat(params).info, "accent_color_id": 0, "max_reaction_count": 11}

    def _chat(self, params: Params, *, to_write: bool = False) -> Chat:
        if params.get("chat_id") in (None, ""):
            raise Refused("chat_id is empty")
        try:
            chat = self.chats[int(params["chat_id"])]
        except (KeyError, ValueError):
            raise Refused("chat not found") from None
        if to_write and chat.deactivated:
            raise Refused("Forbidden: user is deactivated", 403)
        if to_write and chat.blocked:
            raise Refused("Forbidden: bot was blocked by the user", 403)
        return chat

    # --- sending -----------------------------------------------------------------------------------------

    def send_message(self, params: Params) -> Any:
        chat = self._chat(params, to_write=True)
        return self._say(chat, params, self._text(params)).message

    def send_location(self, params: Params) -> Any:
        chat = self._chat(params, to_write=True)
        place = {"latitude": float(params["latitude"]), "longitude": float(params["longitude"])}
        return self._say(chat, params, {"location": place}).message

    def send_file(self, kind: str, params: Params) -> Any:
        chat = self._chat(params, to_write=True)
        file = self._file(kind, params.get(kind), params)
        content = {kind: described(kind, file), **self._caption(params)}
        return self._say(chat, params, content, file).message

    def send_media_group(self, params: Params) -> Any:
        chat, media = self._chat(params, to_write=True), params.get("media") or []
        if not 2 <= len(media) <= 10:
            raise Refused(
                "too few messages to send as an album" if len(media) < 2 else "too much messages to send as an album"
            )
        contents = []
        for item in media:
            file = self._file(item["type"], item["media"], params)
            contents.append(({item["type"]: described(item["type"], file), **self._caption(item)}, file))
        self.albums += 1
        group = {"media_group_id": f"1300000000{self.albums:04d}"}
        return [self._say(chat, params, {**group, **content}, file).message for content, file in contents]

    def _say(self, chat: Chat, params: Params, content: dict[str, Any], file: StoredFile | None = None) -> Stored:
        markup = check_markup(params.get("reply_markup"))
        message = {"from": self.me, "date": int(self.now().timestamp()), **content}
        reply = params.get("reply_parameters") or {}
        wanted = reply.get("message_id", params.get("reply_to_message_id"))
        if wanted is not None:
            original = chat.messages.get(int(wanted))
            lenient = reply.get("allow_sending_without_reply", params.get("allow_sending_without_reply"))
            if original is None and str(lenient).lower() != "true":
                raise Refused("message to be replied not found")
            if original is not None:
                message["reply_to_message"] = original.message
        if markup and "inline_keyboard" in markup:
            message["reply_markup"] = markup
        return chat.add(message, by_bot=True, markup=markup, file=file)

    def _text(self, params: Params) -> dict[str, Any]:
        text, entities = formatted(str(params.get("text", "")), params.get("parse_mode"), params.get("entities"))
        if not text:
            raise Refused("message text is empty")
        if units(text) > MAX_TEXT:
            raise Refused("message is too long")
        return {"text": text, **({"entities": entities} if entities else {})}

    def _caption(self, params: Params) -> dict[str, Any]:
        if not params.get("caption"):
            return {}
        text, entities = formatted(str(params["caption"]), params.get("parse_mode"), params.get("caption_entities"))
        if units(text) > MAX_CAPTION:
            raise Refused("message caption is too long")
        return {"caption": text, **({"caption_entities": entities} if entities else {})}

    def _file(self, kind: str, value: Any, params: Params) -> StoredFile:
        if isinstance(value, str) and value.startswith("attach://"):
            value = params.get(value.removeprefix("attach://"))
        if isinstance(value, Upload):
            if len(value.content) > MAX_UPLOAD:
                raise Refused("Request Entity Too Large", 413)
            if not value.content:
                raise Refused("file must be non-empty")
            return self.files.keep(f"{kind}s", value)
        if not value:
            raise Refused(f"there is no {kind} in the request")
        if str(value) in self.files.kept:
            return self.files.kept[str(value)]
        raise Refused(
            "wrong file identifier/HTTP URL specified" if "://" not in str(value) else "failed to get HTTP URL content"
        )

    def send_chat_action(self, params: Params) -> Any:
        chat = self._chat(params, to_write=True)
        if params.get("action") not in ACTIONS:
            raise Refused("wrong parameter action in request")
        chat.actions.append(params["action"])
        return True

    def set_message_reaction(self, params: Params) -> Any:
        chat = self._chat(params, to_write=True)
        stored = chat.messages.get(int(params.get("message_id", 0)))
        if stored is None:
            raise Refused("message to react not found")
        stored.message["_reactions"] = [reaction.get("emoji") for reaction in params.get("reaction") or ()]
        return True

    # --- changing ----------------------------------------------------------------------------------------

    def edit_text(self, params: Params) -> Any:
        stored = self._own(params)
        if "text" not in stored.message:
            raise Refused("there is no text in the message to edit")
        return self._change(stored, {"entities": None, **self._text(params)}, check_markup(params.get("reply_markup")))

    def edit_caption(self, params: Params) -> Any:
        change = {"caption": None, "caption_entities": None, **self._caption(params)}
        stored = self._own(params)
        if "text" in stored.message:
            raise Refused("there is no caption in the message to edit")
        return self._change(stored, change, check_markup(params.get("reply_markup")))

    def edit_markup(self, params: Params) -> Any:
        return self._change(self._own(params), {}, check_markup(params.get("reply_markup")))

    def _own(self, params: Params) -> Stored:
        chat = self._chat(params, to_write=True)
        stored = chat.messages.get(int(params.get("message_id", 0)))
        if stored is None:
            raise Refused("message to edit not found")
        if not stored.by_bot:
            raise Refused("message can't be edited")
        return stored

    def _change(self, stored: Stored, content: dict[str, Any], markup: dict[str, Any] | None) -> Any:
        """Replaces the parts named (None takes one away) and the inline keyboard, which goes when none is given."""
        new = {key: value for key, value in {**stored.message, **content}.items() if value is not None}
        new.pop("reply_markup", None)
        if markup and markup.get("inline_keyboard"):
            new["reply_markup"] = markup
        if new == stored.message:
            raise Refused(NOT_MODIFIED)
        stored.message = {**new, "edit_date": int(self.now().timestamp())}
        stored.markup = new.get("reply_markup")
        stored.version += 1
        return stored.message

    def delete_message(self, params: Params) -> Any:
        chat = self._chat(params)
        if chat.messages.pop(int(params.get("message_id", 0)), None) is None:
            raise Refused("message to delete not found")
        return True

    def delete_messages(self, params: Params) -> Any:
        chat = self._chat(params)
        for number in params.get("message_ids") or ():
            chat.messages.pop(int(number), None)
        return True

    # --- the rest ----------------------------------------------------------------------------------------

    def answer_callback_query(self, params: Params) -> Any:
        press = self.presses.get(str(params.get("callback_query_id")))
        if press is None or press.answered or (self.now() - press.at).total_seconds() > PRESS_ANSWERABLE:
            raise Refused(OLD_QUERY)
        text = str(params.get("text") or "")
        if len(text) > 200:
            raise Refused("MESSAGE_TOO_LONG")
        press.answered = True
        self.toasts.append((press.person_id, text, str(params.get("show_alert")).lower() == "true"))
        return True

    def get_file(self, params: Params) -> Any:
        file = self.files.kept.get(str(params.get("file_id")))
        if file is None:
            raise Refused("wrong file_id or the file is temporarily unavailable")
        if len(file.content) > MAX_DOWNLOAD:
            raise Refused("file is too big")
        about = {"file_id": file.id, "file_unique_id": file.unique_id}
        return {**about, "file_size": len(file.content), "file_path": file.path}

    def set_webhook(self, params: Params) -> Any:
        url, secret = str(params.get("url") or ""), str(params.get("secret_token") or "")
        parts = urlsplit(url)
        if url and parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost"):
            raise Refused("bad webhook: An HTTPS URL must be provided for webhook")
        if secret and not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", secret):
            raise Refused("secret token contains unallowed characters")
        self._drop(params)
        if params.get("allowed_updates") is not None:
            self.updates.allowed = tuple(params["allowed_updates"])
        self.updates.set_webhook(url, secret)
        return True

    def delete_webhook(self, params: Params) -> Any:
        self._drop(params)
        self.updates.set_webhook("", "")
        return True

    def _drop(self, params: Params) -> None:
        if str(params.get("drop_pending_updates")).lower() == "true":
            self.updates.pending.clear()

    def get_webhook_info(self, _: Params) -> Any:
        updates = self.updates
        about = {"url": updates.webhook, "has_custom_certificate": False, "pending_update_count": len(updates.pending)}
        if updates.allowed:
            about["allowed_updates"] = list(updates.allowed)
        if updates.last_error:
            about |= {"last_error_date": updates.last_error[0], "last_error_message": updates.last_error[1]}
        return about

    def set_commands(self, params: Params) -> Any:
        for command in params.get("commands") or ():
            if not re.fullmatch(r"[a-z0-9_]{1,32}", command.get("command", "")):
                raise Refused("BOT_COMMAND_INVALID")
        self.commands[str(params.get("language_code") or "")] = params.get("commands")
        return True

    def get_commands(self, params: Params) -> Any:
        return self.commands.get(str(params.get("language_code") or ""), [])

    def table(self) -> dict[str, Callable[[Params], Any]]:
        """Every method but getUpdates, by its name in lower case: the real server does not mind the case."""
        files = {f"send{kind}": kind for kind in ("photo", "document", "voice", "audio", "video")}
        return {
            "getme": self.get_me, "getchat": self.get_chat, "sendmessage": self.send_message,
            "sendlocation": self.send_location, "sendmediagroup": self.send_media_group,
            "sendchataction": self.send_chat_action, "setmessagereaction": self.set_message_reaction,
            "editmessagetext": self.edit_text, "editmessagecaption": self.edit_caption,
            "editmessagereplymarkup": self.edit_markup, "deletemessage": self.delete_message,
            "deletemessages": self.delete_messages, "answercallbackquery": self.answer_callback_query,
            "getfile": self.get_file, "setwebhook": self.set_webhook, "deletewebhook": self.delete_webhook,
            "getwebhookinfo": self.get_webhook_info, "setmycommands": self.set_commands,
            "deletemycommands": lambda p: self.set_commands({**p, "commands": []}), "getmycommands": self.get_commands,
            "logout": lambda _: True, "close": lambda _: True,
            **{name: partial(self.send_file, kind) for name, kind in files.items()},
        }  # fmt: skip
