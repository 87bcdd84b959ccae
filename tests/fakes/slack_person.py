"""Somebody in Slack: writes, presses, fills in forms, reacts, and sees what the app shows to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tests.fakes.slack_shapes import Button, Post, buttons, filled, form_state, rich_text, shown, typed
from tests.fakes.slack_workspace import Raw, Room, client_msg_id

if TYPE_CHECKING:
    from tests.fakes.slack import SlackServer

File = tuple[str, str, bytes]
"""Name, MIME type, content."""


class Person:
    """One member of the workspace (or a guest, or somebody of another one)."""

    def __init__(self, slack: SlackServer, id_: str) -> None:
        self.slack, self.space, self.id = slack, slack.space, id_

    def __repr__(self) -> str:
        return f"Person({self.id})"

    @property
    def user(self) -> Raw:
        return self.space.users[self.id]

    # --- what they see -----------------------------------------------------------------------------------

    @property
    def ephemerals(self) -> list[Post]:
        """What only they were shown."""
        return [
            shown(room.id, raw, 0)
            for room in self.space.rooms.values()
            for user, raw in room.ephemerals
            if user == self.id
        ]

    @property
    def view(self) -> Raw | None:
        """The modal on top, or None."""
        stack = self.slack.views.open_now.get(self.id)
        return stack[-1] if stack else None

    @property
    def home(self) -> Raw | None:
        return self.slack.views.homes.get(self.id)

    @property
    def direct(self) -> Room:
        """Their direct messages with the app."""
        return self.space.direct(self.id)

    async def hears(self, wanted: str | Callable[[Post], Any], timeout: float = 20) -> Post:
        """The app's next post or edit in their direct messages that fits; each is heard once."""
        return await self.slack.hears(self.direct, wanted, timeout=timeout)

    async def is_shown(self, title: str = "", timeout: float = 20) -> Raw:
        """Waits for a modal (with this in its title)."""

        def look() -> Raw | None:
            view = self.view
            return view if view and title in view["title"]["text"] else None

        return await self.slack.changes.until(
            look, timeout=timeout, failure=lambda: f"{self.id} sees no form {title!r} but {self.view}"
        )

    async def is_told(self, words: str, timeout: float = 20) -> Post:
        """Waits for a post that only they see."""

        def look() -> Post | None:
            return next((post for post in self.ephemerals if words in post.says), None)

        return await self.slack.changes.until(
            look,
            timeout=timeout,
            failure=lambda: f"{self.id} was not told {words!r} but {[e.says for e in self.ephemerals]}",
        )

    # --- what they write ---------------------------------------------------------------------------------

    async def posts(
        self, channel: str, text: str, thread_ts: str | None = None, files: Sequence[File] | None = None
    ) -> Post:
        room = self.space.rooms[channel]
        self._must_be_in(room)
        text = typed(text)
        content: Raw = {"user": self.id, "text": text, "client_msg_id": client_msg_id()}
        if text:
            content["blocks"] = rich_text(text)
        if self.user["team_id"] != self.space.team:
            content |= {"user_team": self.user["team_id"], "source_team": self.user["team_id"]}
        if files:
            made = [self.space.add_file(self.slack.url, name, type_, data, self.id) for name, type_, data in files]
            content |= {"subtype": "file_share", "files": made, "upload": False}
        raw = self.space.post(room, content, thread_ts)
        if f"<@{self.space.bot_user}" in text and room.kind != "im":
            mention = {key: value for key, value in raw.items() if key not in ("subtype", "upload")}
            self.space.emit({**mention, "type": "app_mention", "channel": room.id, "event_ts": raw["ts"]})
        self.slack.changes.tell()
        return room.post(raw["ts"])

    async def dm(self, text: str, files: Sequence[File] | None = None, thread_ts: str | None = None) -> Post:
        """Writes to the app directly."""
        return await self.posts(self.direct.id, text, thread_ts, files)

    async def mentions_app(self, channel: str, text: str, thread_ts: str | None = None) -> Post:
        """Two events follow: the message, and the mention."""
        return await self.posts(channel, f"<@{self.space.bot_user}> {text}", thread_ts)

    async def edits(self, channel: str, ts: str, text: str) -> Post:
        room = self._own(channel, ts)
        self.space.change(room, ts, {"text": typed(text), "blocks": rich_text(typed(text))}, self.id)
        self.slack.changes.tell()
        return room.post(ts)

    async def deletes(self, channel: str, ts: str) -> None:
        self.space.delete(self._own(channel, ts), ts)
        self.slack.changes.tell()

    def _own(self, channel: str, ts: str) -> Room:
        room = self.space.rooms[channel]
        if ts not in room.messages or room.messages[ts].get("user") != self.id:
            raise AssertionError(f"{self.id} has no message {ts} in {channel}")
        return room

    def _must_be_in(self, room: Room) -> None:
        if self.id not in room.members:
            raise AssertionError(f"{self.id} is not in {room.id}: they could not see it")

    async def reacts(self, channel: str, ts: str, name: str) -> None:
        self.space.react(self.space.rooms[channel], ts, name, self.id, add=True)
        self.slack.changes.tell()

    async def unreacts(self, channel: str, ts: str, name: str) -> None:
        self.space.react(self.space.rooms[channel], ts, name, self.id, add=False)
        self.slack.changes.tell()

    async def opens_home(self) -> None:
        event = {"type": "app_home_opened", "user": self.id, "channel": self.direct.id, "tab": "home"}
        self.space.emit({**event, "event_ts": self.space.ts()})

    # --- what they press ---------------------------------------------------------------------------------

    async def presses(self, channel: str, message_ts: str, name: str, *, option: str | None = None) -> Raw | None:
        """A button by action_id or label; of a select the `option` too. What the app acknowledged, or None."""
        room = self.space.rooms[channel]
        self._must_be_in(room)
        raw, whisper = self._visible(room, message_ts)
        button = shown(channel, raw, 0).button(name)
        container = {"type": "message", "message_ts": message_ts, "channel_id": channel, "is_ephemeral": whisper}
        if raw.get("thread_ts"):
            container["thread_ts"] = raw["thread_ts"]
        payload = self._interaction("block_actions", room) | {
            "container": container, "message": raw, "state": {"values": {}}, "actions": [self._action(button, option)],
            "response_url": self.slack.response_url(room, self.id, message_ts),
        }  # fmt: skip
        return await self._sends(payload)

    def _visible(self, room: Room, ts: str) -> tuple[Raw, bool]:
        if ts in room.messages:
            return room.messages[ts], False
        for user, raw in room.ephemerals:
            if user == self.id and raw["ts"] == ts:
                return raw, True
        raise AssertionError(f"{self.id} sees no message {ts} in {room.id}")

    def _action(self, button: Button, picked: str | None) -> Raw:
        element = button.element
        action: Raw = {"action_id": button.action_id, "block_id": button.block_id, "action_ts": self.space.ts()}
        if element["type"] == "button":
            more: Raw = {key: element[key] for key in ("text", "value", "style") if key in element}
            return {**action, "type": "button", **more}
        if picked is None:
            raise AssertionError(f"{button.label!r} is a {element['type']}: say which option")
        return {
            **action,
            **filled(element, [picked] if "multi" in element["type"] or element["type"] == "checkboxes" else picked),
        }

    async def acts(self, view: Raw, name: str, *, option: str | None = None) -> Raw | None:
        """Presses (or picks) in a modal or in the home tab."""
        found = {n: button for button in buttons(view["blocks"]) for n in (button.label, button.action_id)}
        if name not in found:
            raise AssertionError(f"no {name!r} in the view; there are {sorted(found)}")
        payload = self._interaction("block_actions", None) | {
            "container": {"type": "view", "view_id": view["id"]}, "view": view, "actions": [self._action(found[name], option)],
        }  # fmt: skip
        return await self._sends(payload)

    async def submits(self, view: Raw, values: dict[str, Any] | None = None) -> Raw | None:
        """Fills in a modal, by labels, block_ids or action_ids, and sends it. What the app acknowledged, or None.

        Raises AssertionError where the Slack app would not send it: unknown, required or too long.
        """
        view["state"] = {"values": form_state(view["blocks"], values or {})}
        reply = await self._sends(self._interaction("view_submission", None) | {"view": view, "response_urls": []})
        if reply is not None:
            self.slack.views.answered(self.id, view, reply)
            self.slack.changes.tell()
        return reply

    async def closes(self, view: Raw) -> Raw | None:
        stack = self.slack.views.open_now.get(self.id, [])
        if view in stack:
            stack.remove(view)
        if not view["notify_on_close"]:
            return {}
        return await self._sends(self._interaction("view_closed", None) | {"view": view, "is_cleared": False})

    async def uses_shortcut(self, callback_id: str, channel: str | None = None, ts: str | None = None) -> Raw | None:
        """A message's shortcut, or with no message a global one."""
        if channel is None or ts is None:
            return await self._sends(self._interaction("shortcut", None) | {"callback_id": callback_id})
        room = self.space.rooms[channel]
        payload = self._interaction("message_action", room) | {
            "callback_id": callback_id, "message_ts": ts, "message": room.messages[ts], "action_ts": self.space.ts(),
            "response_url": self.slack.response_url(room, self.id, ts),
        }  # fmt: skip
        return await self._sends(payload)

    async def commands(self, channel: str, command: str, text: str = "") -> Raw | None:
        """A slash command; a text in the acknowledgement is shown to them alone."""
        room = self.space.rooms[channel]
        reply = await self.slack.delivery.interact({
            "token": "verification", "team_id": self.space.team, "team_domain": "testing", "channel_id": room.id,
            "channel_name": room.name or "directmessage", "user_id": self.id, "user_name": self.user["name"],
            "command": command, "text": text, "api_app_id": self.space.app_id, "is_enterprise_install": "false",
            "response_url": self.slack.response_url(room, self.id, None), "trigger_id": self.slack.views.trigger(self.id),
        })  # fmt: skip
        if reply and (reply.get("text") or reply.get("blocks")):
            self.slack.api.whisper(room, self.id, reply)
        self.slack.changes.tell()
        return reply

    def _interaction(self, kind: str, room: Room | None) -> Raw:
        payload: Raw = {
            "type": kind, "token": "verification", "api_app_id": self.space.app_id, "enterprise": None,
            "is_enterprise_install": False, "trigger_id": self.slack.views.trigger(self.id),
            "team": {"id": self.space.team, "domain": "testing"},
            "user": {"id": self.id, "username": self.user["name"], "name": self.user["name"], "team_id": self.user["team_id"]},
        }  # fmt: skip
        if room is not None:
            payload["channel"] = {"id": room.id, "name": room.name or "directmessage"}
        return payload

    async def _sends(self, payload: Raw) -> Raw | None:
        return await self.slack.delivery.interact(payload)
