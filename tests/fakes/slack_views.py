"""Modals and home tabs: what the app opened for whom, and the trigger that allowed it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.fakes.faults import Params
from tests.fakes.slack_checks import SlackRefused, check_view
from tests.fakes.slack_workspace import Raw, Workspace


@dataclass
class Trigger:
    user: str
    at: datetime
    used: bool = False


@dataclass
class Views:
    space: Workspace
    now: Callable[[], datetime]
    trigger_life: float = 3.0  # seconds
    triggers: dict[str, Trigger] = field(default_factory=dict)
    open_now: dict[str, list[Raw]] = field(default_factory=dict)  # by user, the top one last
    homes: dict[str, Raw] = field(default_factory=dict)

    def trigger(self, user: str) -> str:
        id_ = f"{self.space.number()}.{self.space.team}.trigger"
        self.triggers[id_] = Trigger(user, self.now())
        return id_

    def _user(self, params: Params) -> str:
        trigger = self.triggers.get(str(params.get("trigger_id") or ""))
        if trigger is None:
            raise SlackRefused("invalid_trigger_id")
        if trigger.used:
            raise SlackRefused("exchanged_trigger_id")
        if (self.now() - trigger.at).total_seconds() > self.trigger_life:
            raise SlackRefused("expired_trigger_id")
        trigger.used = True
        return trigger.user

    def _made(self, sent: Any, *, root: Raw | None = None, below: Raw | None = None) -> Raw:
        view = check_view(sent)
        id_, space = f"V{self.space.number():08d}", self.space
        about: Raw = {
            "id": id_, "team_id": space.team, "app_id": space.app_id, "bot_id": space.bot_id, "hash": self._hash(),
            "app_installed_team_id": space.team, "state": {"values": {}}, "root_view_id": root["id"] if root else id_,
            "previous_view_id": below["id"] if below else None, "callback_id": "", "private_metadata": "", "external_id": "",
            "submit": None, "close": None, "clear_on_close": False, "notify_on_close": False,
        }  # fmt: skip
        return about | {key: value for key, value in view.items() if value is not None}

    def _hash(self) -> str:
        return f"{int(self.now().timestamp())}.{self.space.number():08d}"

    def open(self, params: Params) -> Raw:
        view = self._made(params.get("view"))
        self.open_now[self._user(params)] = [view]
        return {"view": view}

    def push(self, params: Params) -> Raw:
        user = self._user(params)
        return {"view": self.on_top(user, params.get("view"))}

    def on_top(self, user: str, sent: Any) -> Raw:
        stack = self.open_now.get(user) or []
        if not stack:
            raise SlackRefused("not_found")
        if len(stack) >= 3:
            raise SlackRefused("push_limit_reached")
        stack.append(self._made(sent, root=stack[0], below=stack[-1]))
        return stack[-1]

    def update(self, params: Params) -> Raw:
        for stack in self.open_now.values():
            for view in stack:
                if params.get("view_id") == view["id"] or (params.get("external_id") or 0) == view["external_id"]:
                    if params.get("hash") not in (None, "", view["hash"]):
                        raise SlackRefused("hash_conflict")
                    self.change(view, params.get("view"))
                    return {"view": view}
        raise SlackRefused("not_found")

    def change(self, view: Raw, sent: Any) -> None:
        view |= {key: value for key, value in check_view(sent).items() if value is not None}
        view["hash"] = self._hash()

    def publish(self, params: Params) -> Raw:
        user = str(params.get("user_id") or "")
        if user not in self.space.users:
            raise SlackRefused("user_not_found")
        self.homes[user] = self._made(params.get("view"))
        return {"view": self.homes[user]}

    def answered(self, user: str, view: Raw, reply: Raw) -> None:
        """What a submission's answer does to the person's modals."""
        stack, action = self.open_now.get(user, []), reply.get("response_action")
        if action == "errors":
            known = {block["block_id"] for block in view["blocks"]}
            strange = set(reply.get("errors", {})) - known
            if strange:
                raise AssertionError(f"errors for blocks that the form does not have: {sorted(strange)}")
            view["errors"] = reply["errors"]
        elif action == "update":
            self.change(view, reply["view"])
        elif action == "push":
            self.on_top(user, reply["view"])
        elif action == "clear":
            stack.clear()
        elif view in stack:
            stack.remove(view)
