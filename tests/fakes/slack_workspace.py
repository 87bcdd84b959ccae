"""A Slack workspace: people, channels, what was posted, and the events that follow.

It changes state and emits events; who carries them to the app is in `slack_delivery`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.fakes.slack_checks import SlackRefused
from tests.fakes.slack_shapes import Post, shown

Raw = dict[str, Any]


@dataclass
class Room:
    """A channel, a private channel or a direct message, in the order of `ts`."""

    id: str
    name: str
    kind: str = "channel"  # "channel" | "group" | "im"
    members: list[str] = field(default_factory=list)
    shared: bool = False
    archived: bool = False
    with_user: str | None = None
    messages: dict[str, Raw] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    ephemerals: list[tuple[str, Raw]] = field(default_factory=list)
    heard: set[tuple[str, int]] = field(default_factory=set)

    def posts(self) -> list[Post]:
        return [self.post(ts) for ts in self.messages]

    def post(self, ts: str) -> Post:
        return shown(self.id, self.messages[ts], self.versions.get(ts, 0))

    def thread(self, ts: str) -> list[Raw]:
        """The root, where it still exists, and the replies."""
        return [raw for raw in self.messages.values() if ts in (raw["ts"], raw.get("thread_ts"))]

    def described(self, me: str) -> Raw:
        about: Raw = {
            "id": self.id, "is_channel": self.kind == "channel", "is_group": self.kind == "group",
            "is_im": self.kind == "im", "is_mpim": False, "is_private": self.kind != "channel",
            "is_archived": self.archived, "is_member": me in self.members, "is_shared": self.shared,
            "is_ext_shared": self.shared, "is_org_shared": False, "num_members": len(self.members), "created": 1_700_000_000,
        }  # fmt: skip
        return about | ({"user": self.with_user} if self.kind == "im" else {"name": self.name})


@dataclass
class Workspace:
    now: Callable[[], datetime]
    emit: Callable[[Raw], None]
    team: str = "T0001"
    app_id: str = "A0001"
    bot_id: str = "B0001"
    bot_user: str = "U0BOT"
    echo_metadata: bool = True
    users: dict[str, Raw] = field(default_factory=dict)
    rooms: dict[str, Room] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)  # user groups: their members
    files: dict[str, tuple[Raw, bytes]] = field(default_factory=dict)
    _last_ts: int = 0
    _numbers: int = 0

    def __post_init__(self) -> None:
        self.users[self.bot_user] = self._user(self.bot_user, "Stafett") | {"is_bot": True}

    def number(self) -> int:
        self._numbers += 1
        return self._numbers

    def ts(self) -> str:
        """The next time stamp: unique and rising."""
        self._last_ts = max(int(self.now().timestamp() * 1_000_000), self._last_ts + 1)
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    # --- who and where -----------------------------------------------------------------------------------

    def _user(self, id: str, name: str) -> Raw:  # noqa: A002 - as Slack names it
        profile = {"real_name": name, "display_name": name, "image_72": "", "email": f"{id.lower()}@example.com"}
        return {
            "id": id, "team_id": self.team, "name": name.lower().replace(" ", "."), "real_name": name, "deleted": False,
            "is_bot": False, "is_admin": False, "is_restricted": False, "is_ultra_restricted": False,
            "tz": "Europe/Oslo", "tz_offset": 3600, "locale": "en-US", "profile": profile,
        }  # fmt: skip

    def add_user(self, id: str, name: str, **about: Any) -> Raw:  # noqa: A002 - as Slack names it
        user = self.users.setdefault(id, self._user(id, name))
        user.update(about)
        return user

    def room(self, channel: Any, *, to_post: bool = False) -> Room:
        """Raises SlackRefused where the app may not look, or not post."""
        name = str(channel or "")
        if name.startswith(("U", "W")) and name in self.users:
            return self.direct(name)
        room = self.rooms.get(name)
        if room is None or (room.kind != "channel" and self.bot_user not in room.members):
            raise SlackRefused("channel_not_found")
        if to_post and room.archived:
            raise SlackRefused("is_archived")
        if to_post and self.bot_user not in room.members:
            raise SlackRefused("not_in_channel")
        return room

    def direct(self, user: str) -> Room:
        id_ = f"D{user[1:]}"
        return self.rooms.setdefault(id_, Room(id_, "", "im", [user, self.bot_user], with_user=user))

    # --- posting -----------------------------------------------------------------------------------------

    def post(self, room: Room, content: Raw, thread_ts: str | None = None) -> Raw:
        """A new message. Where the thread's root is gone, it lands at the top of the channel, as in Slack (T9)."""
        raw: Raw = {"type": "message", "ts": self.ts(), "team": self.team, **content}
        root = room.messages.get(str(thread_ts))
        if root is not None:
            top = str(root.get("thread_ts", root["ts"]))
            raw["thread_ts"] = top
            raw["parent_user_id"] = room.messages.get(top, root).get("user", "")
            self._count(room.messages.get(top, root), raw)
        room.messages[raw["ts"]] = raw
        self.emit(self._event(room, raw))
        return raw

    def _count(self, root: Raw, reply: Raw) -> None:
        users = root.get("reply_users", [])
        users = users if reply.get("user") in users else [*users, reply.get("user")]
        root |= {"thread_ts": root["ts"], "reply_count": root.get("reply_count", 0) + 1, "latest_reply": reply["ts"]}
        root |= {"reply_users": users, "reply_users_count": len(users)}

    def by_app(self, content: Raw) -> Raw:
        """What marks a post as the app's own."""
        profile = {"id": self.bot_id, "app_id": self.app_id, "name": "Stafett", "team_id": self.team, "deleted": False}
        return {"user": self.bot_user, "bot_id": self.bot_id, "app_id": self.app_id, "bot_profile": profile, **content}

    def _event(self, room: Room, raw: Raw, **more: Any) -> Raw:
        event = {**raw, "channel": room.id, "channel_type": room.kind, "event_ts": raw["ts"], **more}
        if not self.echo_metadata:
            event.pop("metadata", None)
        return event

    def change(self, room: Room, ts: str, content: Raw, by: str) -> Raw:
        """An edit: parts that are None go."""
        old = room.messages[ts]
        stamp = self.ts()
        new = {key: value for key, value in {**old, **content}.items() if value is not None}
        new["edited"] = {"user": by, "ts": stamp}
        room.messages[ts] = new
        room.versions[ts] = room.versions.get(ts, 0) + 1
        self.emit(self._hidden(room, "message_changed", stamp, message=new, previous_message=old))
        return new

    def delete(self, room: Room, ts: str) -> None:
        """A root with replies leaves a tombstone in the events; the channel no longer has it either way."""
        old = room.messages.pop(ts)
        if old.get("reply_count"):
            stone = {
                **old,
                "subtype": "tombstone",
                "text": "This message was deleted.",
                "user": "USLACKBOT",
                "hidden": True,
            }
            stone.pop("blocks", None)
            self.emit(self._hidden(room, "message_changed", self.ts(), message=stone, previous_message=old))
        else:
            self.emit(self._hidden(room, "message_deleted", self.ts(), deleted_ts=ts, previous_message=old))

    def _hidden(self, room: Room, subtype: str, ts: str, **more: Any) -> Raw:
        base = {"type": "message", "subtype": subtype, "hidden": True, "ts": ts, "event_ts": ts}
        return {**base, "channel": room.id, "channel_type": room.kind, **more}

    def react(self, room: Room, ts: str, name: str, user: str, *, add: bool) -> None:
        raw = room.messages.get(ts)
        if raw is None:
            raise SlackRefused("message_not_found")
        given = {reaction["name"]: list(reaction["users"]) for reaction in raw.get("reactions", ())}
        users = given.setdefault(name, [])
        if (user in users) is add:
            raise SlackRefused("already_reacted" if add else "no_reaction")
        users.append(user) if add else users.remove(user)
        raw["reactions"] = [{"name": n, "users": u, "count": len(u)} for n, u in given.items() if u]
        item = {"type": "message", "channel": room.id, "ts": ts}
        kind = "reaction_added" if add else "reaction_removed"
        event = {"type": kind, "user": user, "reaction": name, "item": item, "event_ts": self.ts()}
        self.emit(event | {"item_user": raw.get("user", "")})

    # --- files -------------------------------------------------------------------------------------------

    def add_file(self, base: str, name: str, type_: str, content: bytes, user: str, id_: str = "") -> Raw:
        id_ = id_ or f"F{self.number():08d}"
        url = f"{base}/files-pri/{self.team}-{id_}"
        file = {
            "id": id_, "name": name, "title": name, "mimetype": type_, "filetype": name.rpartition(".")[2], "size": len(content),
            "user": user, "created": int(self.now().timestamp()), "mode": "hosted", "is_external": False, "is_public": False,
            "url_private": f"{url}/{name}", "url_private_download": f"{url}/download/{name}",
            "permalink": f"{base}/files/{user}/{id_}/{name}", "file_access": "visible",
        }  # fmt: skip
        self.files[id_] = (file, content)
        return file


def client_msg_id() -> str:
    return str(uuid.uuid4())
