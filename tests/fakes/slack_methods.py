"""The Web API's methods over one workspace: what each does, and its `error` where it refuses."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.faults import Params
from tests.fakes.slack_checks import MAX_TEXT, SlackRefused, check_blocks
from tests.fakes.slack_views import Views
from tests.fakes.slack_workspace import Raw, Room, Workspace

SCOPES = (
    "app_mentions:read,channels:history,channels:join,channels:read,chat:write,commands,files:read,files:write,"
    "groups:history,groups:read,im:history,im:read,im:write,reactions:read,reactions:write,team:read,usergroups:read,users:read,users:read.email"
)


def true(value: Any) -> bool:
    return str(value).lower() in ("1", "true")


@dataclass
class WebApi:
    space: Workspace
    views: Views
    base: Callable[[], str]
    honours_client_msg_id: bool = False
    uploads: dict[str, dict[str, Any]] = field(default_factory=dict)
    _sent: dict[str, Raw] = field(default_factory=dict)

    # --- who ---------------------------------------------------------------------------------------------

    def auth_test(self, _: Params) -> Raw:
        space = self.space
        about = {"url": f"{self.base()}/", "team": "Testing", "user": "stafett", "team_id": space.team}
        return about | {"user_id": space.bot_user, "bot_id": space.bot_id, "is_enterprise_install": False}

    def team_info(self, _: Params) -> Raw:
        return {"team": {"id": self.space.team, "name": "Testing", "domain": "testing", "email_domain": "", "icon": {}}}

    def bots_info(self, params: Params) -> Raw:
        if params.get("bot") not in (None, "", self.space.bot_id):
            raise SlackRefused("bot_not_found")
        space = self.space
        about = {
            "id": space.bot_id,
            "deleted": False,
            "name": "Stafett",
            "app_id": space.app_id,
            "user_id": space.bot_user,
        }
        return {"bot": about | {"icons": {}, "updated": 1_700_000_000}}

    def users_info(self, params: Params) -> Raw:
        user = self.space.users.get(str(params.get("user")))
        if user is None:
            raise SlackRefused("user_not_found")
        return {"user": user}

    def users_list(self, params: Params) -> Raw:
        return _page("members", self.space.users.values(), params, 200)

    def users_conversations(self, params: Params) -> Raw:
        user = params.get("user") or self.space.bot_user
        return _page("channels", self._described(lambda room: user in room.members, params), params, 100)

    def conversations_list(self, params: Params) -> Raw:
        return _page(
            "channels", self._described(lambda room: room.kind == "channel" or self._in(room), params), params, 100
        )

    def _described(self, fits: Callable[[Room], bool], params: Params) -> list[Raw]:
        types = str(params.get("types") or "public_channel").split(",")
        kinds = {
            {"public_channel": "channel", "private_channel": "group", "im": "im"}.get(kind.strip(), "")
            for kind in types
        }
        rooms = [room for room in self.space.rooms.values() if room.kind in kinds and fits(room)]
        hide = true(params.get("exclude_archived"))
        return [room.described(self.space.bot_user) for room in rooms if not (hide and room.archived)]

    def _in(self, room: Room) -> bool:
        return self.space.bot_user in room.members

    # --- channels ----------------------------------------------------------------------------------------

    def conversations_open(self, params: Params) -> Raw:
        users = [user.strip() for user in str(params.get("users") or "").split(",") if user.strip()]
        if params.get("channel"):
            return {"channel": self.space.room(params["channel"]).described(self.space.bot_user)}
        if len(users) != 1 or users[0] not in self.space.users:
            raise SlackRefused("users_list_not_supplied" if not users else "user_not_found")
        already = f"D{users[0][1:]}" in self.space.rooms
        room = self.space.direct(users[0])
        found = room.described(self.space.bot_user) if true(params.get("return_im")) else {"id": room.id}
        return {"channel": found, "already_open": already, "no_op": already}

    def conversations_info(self, params: Params) -> Raw:
        return {"channel": self.space.room(params.get("channel")).described(self.space.bot_user)}

    def conversations_members(self, params: Params) -> Raw:
        return _page("members", self.space.room(params.get("channel")).members, params, 100)

    def conversations_join(self, params: Params) -> Raw:
        room = self.space.room(params.get("channel"))
        if room.kind != "channel":
            raise SlackRefused("method_not_supported_for_channel_type")
        if not self._in(room):
            room.members.append(self.space.bot_user)
        return {"channel": room.described(self.space.bot_user)}

    def _readable(self, params: Params) -> Room:
        room = self.space.room(params.get("channel"))
        if not self._in(room):
            raise SlackRefused("not_in_channel")
        return room

    def conversations_history(self, params: Params) -> Raw:
        tops = [raw for raw in self._readable(params).messages.values() if raw.get("thread_ts", raw["ts"]) == raw["ts"]]
        found = [_outside(raw, params) for raw in reversed(tops) if _within(raw, params)]
        return _page("messages", found, params, 100)

    def conversations_replies(self, params: Params) -> Raw:
        room, ts = self._readable(params), str(params.get("ts") or "")
        thread = room.thread(ts)
        if not thread:
            raise SlackRefused("thread_not_found")
        found = [raw for raw in thread if raw["ts"] == ts or _within(raw, params)]
        return _page("messages", [_outside(raw, params) for raw in found], params, 1000)

    # --- chat --------------------------------------------------------------------------------------------

    def post_message(self, params: Params) -> Raw:
        room = self.space.room(params.get("channel"), to_post=True)
        key = str(params.get("client_msg_id") or "")
        if key and self.honours_client_msg_id and key in self._sent:
            return {"channel": room.id, "ts": self._sent[key]["ts"], "message": self._sent[key]}
        content, more = self._content(params)
        raw = self.space.post(room, self.space.by_app(content), params.get("thread_ts"))
        if key:
            self._sent[key] = raw
        return {"channel": room.id, "ts": raw["ts"], "message": raw, **more}

    def _content(self, params: Params) -> tuple[Raw, Raw]:
        """The message's parts, and the warning that Slack adds where it cut the text."""
        text, blocks = str(params.get("text") or ""), params.get("blocks")
        if params.get("markdown_text"):
            if blocks or text:
                raise SlackRefused("markdown_text_conflict")
            blocks = [{"type": "markdown", "text": params["markdown_text"]}]
        if not (text or blocks or params.get("attachments")):
            raise SlackRefused("no_text")
        content: Raw = {"text": text[:MAX_TEXT]}
        if blocks:
            content["blocks"] = check_blocks(blocks)
        metadata = params.get("metadata")
        if metadata:
            if not isinstance(metadata, dict) or not metadata.get("event_type") or "event_payload" not in metadata:
                raise SlackRefused("invalid_metadata_format")
            content["metadata"] = {"event_type": metadata["event_type"], "event_payload": metadata["event_payload"]}
        long = len(text) > MAX_TEXT
        return content, {
            "warning": "message_truncated",
            "response_metadata": {"warnings": ["message_truncated"]},
        } if long else {}

    def post_ephemeral(self, params: Params) -> Raw:
        room, user = self.space.room(params.get("channel"), to_post=True), str(params.get("user") or "")
        if user not in room.members:
            raise SlackRefused("user_not_in_channel")
        return {"message_ts": self.whisper(room, user, params)}

    def whisper(self, room: Room, user: str, params: Params) -> str:
        raw = {"type": "message", "ts": self.space.ts(), **self.space.by_app(self._content(params)[0])}
        if params.get("thread_ts"):
            raw["thread_ts"] = params["thread_ts"]
        room.ephemerals.append((user, raw))
        return str(raw["ts"])

    def _own(self, params: Params, error: str) -> tuple[Room, str]:
        room, ts = self.space.room(params.get("channel")), str(params.get("ts") or "")
        if ts not in room.messages:
            raise SlackRefused("message_not_found")
        if room.messages[ts].get("bot_id") != self.space.bot_id:
            raise SlackRefused(error)
        return room, ts

    def update(self, params: Params) -> Raw:
        room, ts = self._own(params, "cant_update_message")
        content, _ = self._content(params)
        if "blocks" not in content:
            content["blocks"] = None  # a text alone, or an empty list, takes the blocks away
        raw = self.space.change(room, ts, content, self.space.bot_user)
        return {"channel": room.id, "ts": ts, "text": raw["text"], "message": raw}

    def delete(self, params: Params) -> Raw:
        room, ts = self._own(params, "cant_delete_message")
        self.space.delete(room, ts)
        return {"channel": room.id, "ts": ts}

    def permalink(self, params: Params) -> Raw:
        room, ts = self.space.room(params.get("channel")), str(params.get("message_ts") or "")
        if ts not in room.messages:
            raise SlackRefused("message_not_found")
        top = room.messages[ts].get("thread_ts", ts)
        more = f"?thread_ts={top}&cid={room.id}" if top != ts else ""
        return {"channel": room.id, "permalink": f"{self.base()}/archives/{room.id}/p{ts.replace('.', '')}{more}"}

    def react(self, params: Params, *, add: bool) -> Raw:
        name = str(params.get("name") or "").strip(":")
        if not name:
            raise SlackRefused("invalid_name")
        room = self.space.room(params.get("channel"))
        self.space.react(room, str(params.get("timestamp") or ""), name, self.space.bot_user, add=add)
        return {}

    def reactions_get(self, params: Params) -> Raw:
        room, ts = self.space.room(params.get("channel")), str(params.get("timestamp") or "")
        if ts not in room.messages:
            raise SlackRefused("message_not_found")
        return {"type": "message", "channel": room.id, "message": room.messages[ts]}

    # --- files -------------------------------------------------------------------------------------------

    def upload_url(self, params: Params) -> Raw:
        if not params.get("filename") or int(params.get("length") or 0) <= 0:
            raise SlackRefused("invalid_arguments")
        id_ = f"F{self.space.number():08d}"
        self.uploads[id_] = {"name": params["filename"], "length": int(params["length"]), "content": None}
        return {"upload_url": f"{self.base()}/upload/{id_}", "file_id": id_}

    def complete_upload(self, params: Params) -> Raw:
        done = []
        for item in params.get("files") or ():
            upload = self.uploads.pop(item.get("id", ""), None)
            if upload is None or upload["content"] is None:
                raise SlackRefused("file_not_found")
            name, type_, content = upload["name"], upload["type"], upload["content"]
            file = self.space.add_file(self.base(), name, type_, content, self.space.bot_user, item["id"])
            done.append(file | {"title": item.get("title") or upload["name"]})
        if params.get("channel_id"):
            room = self.space.room(params["channel_id"], to_post=True)
            content = {"text": str(params.get("initial_comment") or ""), "files": done, "upload": True}
            blocks = {"blocks": check_blocks(params["blocks"])} if params.get("blocks") else {}
            message = self.space.by_app({"subtype": "file_share", **content, **blocks})
            self.space.post(room, message, params.get("thread_ts"))
        return {"files": done}

    def files_info(self, params: Params) -> Raw:
        if str(params.get("file")) not in self.space.files:
            raise SlackRefused("file_not_found")
        return {
            "file": self.space.files[str(params["file"])][0],
            "comments": [],
            "response_metadata": {"next_cursor": ""},
        }

    def group_users(self, params: Params) -> Raw:
        if params.get("usergroup") not in self.space.groups:
            raise SlackRefused("no_such_subteam")
        return {"users": list(self.space.groups[params["usergroup"]])}

    def table(self) -> dict[str, Callable[[Params], Raw]]:
        views = self.views
        return {
            "api.test": lambda _: {}, "auth.test": self.auth_test, "team.info": self.team_info, "bots.info": self.bots_info,
            "users.info": self.users_info, "users.list": self.users_list, "users.conversations": self.users_conversations,
            "users.getPresence": lambda _: {"presence": "active"},
            "conversations.list": self.conversations_list, "conversations.open": self.conversations_open,
            "conversations.info": self.conversations_info, "conversations.members": self.conversations_members,
            "conversations.join": self.conversations_join, "conversations.history": self.conversations_history,
            "conversations.replies": self.conversations_replies,
            "chat.postMessage": self.post_message, "chat.postEphemeral": self.post_ephemeral, "chat.update": self.update,
            "chat.delete": self.delete, "chat.getPermalink": self.permalink,
            "reactions.add": lambda params: self.react(params, add=True),
            "reactions.remove": lambda params: self.react(params, add=False),
            "reactions.get": self.reactions_get,
            "files.getUploadURLExternal": self.upload_url, "files.completeUploadExternal": self.complete_upload,
            "files.info": self.files_info, "views.open": views.open, "views.push": views.push, "views.update": views.update,
            "views.publish": views.publish, "usergroups.users.list": self.group_users,
        }  # fmt: skip


def _within(raw: Raw, params: Params) -> bool:
    oldest, latest = str(params.get("oldest") or "0"), str(params.get("latest") or "")
    number, low, high = _micros(raw["ts"]), _micros(oldest), _micros(latest) if latest else None
    if true(params.get("inclusive")) and number in (low, high):
        return True
    return number > low and (high is None or number < high)


def _micros(ts: str) -> int:
    seconds, _, rest = ts.partition(".")
    return int(seconds) * 1_000_000 + int((rest + "000000")[:6])


def _outside(raw: Raw, params: Params) -> Raw:
    """Metadata is given only to those who ask for it."""
    if true(params.get("include_all_metadata")):
        return raw
    return {key: value for key, value in raw.items() if key != "metadata"}


def _page(name: str, items: Iterable[Any], params: Params, most: int) -> Raw:
    everything = list(items)
    start = int(base64.b64decode(params["cursor"])) if params.get("cursor") else 0
    end = start + (int(params.get("limit") or 0) or most)
    more = end < len(everything)
    cursor = base64.b64encode(str(end).encode()).decode() if more else ""
    return {name: everything[start:end], "has_more": more, "response_metadata": {"next_cursor": cursor}}
