"""What Slack hands us, whichever way it came. Pure."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

ACTS = {"response_url", "response_urls", "trigger_id", "token"}  # who has them may speak for us
KINDS = {
    "event_callback": "event",
    "block_actions": "action",
    "interactive_message": "action",
    "view_submission": "view",
    "view_closed": "view",
    "message_action": "shortcut",
    "shortcut": "shortcut",
    "block_suggestion": "options",
}


@dataclass(frozen=True, slots=True)
class SlackPayload:
    """One delivery of Slack's, parsed but not yet believed.

    `kind` is event | action | view | shortcut | command | options | other. `body` is the whole JSON: of an event the
    envelope with `event_id` and `event`; of a command its form fields. `retry_num` is 0 at the first delivery.
    """

    kind: str
    body: Mapping[str, Any]
    retry_num: int = 0
    retry_reason: str = ""

    @property
    def event(self) -> Mapping[str, Any]:
        """The inner event; empty for everything that is none."""
        event = self.body.get("event")
        return event if self.kind == "event" and isinstance(event, Mapping) else {}


@dataclass(frozen=True, slots=True)
class Reply:
    """A listener has taken the payload; `body` is what the acknowledgement says (`response_action`, an ephemeral text)."""

    body: Mapping[str, Any] | None = None


Listener = Callable[[SlackPayload], Awaitable[Reply | None]]
"""Called before the acknowledgement, so commit first, then return: a Reply has taken the payload, None passes it on.

Slack waits 3 s. Raise, and Slack is told that it failed: events come again (at once, after 1 and 5 min); what people
press or submit never does, they see a warning and try again.
"""


@dataclass(frozen=True, slots=True)
class Echo:
    """One of our own posts, as Slack tells it back to us: the proof that it arrived."""

    outbox_id: str
    channel: str
    ts: str
    thread_ts: str | None = None


EchoHook = Callable[[Echo], None]


@dataclass(frozen=True, slots=True)
class SlackUser:
    """Who somebody is, by users.info. `locale` is BCP 47 ("nb-NO"), `tz` an IANA name; both may be empty.

    `is_guest`: of our workspace, but restricted. `is_stranger`: of another workspace (Slack Connect). `is_known`: False
    where Slack could not be asked; then nothing else here means anything.
    """

    id: str
    team: str
    name: str = ""
    locale: str = ""
    tz: str = ""
    is_bot: bool = False
    is_guest: bool = False
    is_stranger: bool = False
    deleted: bool = False
    is_known: bool = True

    @property
    def is_member(self) -> bool:
        """A full, living, human member of our own workspace."""
        return self.is_known and not (self.is_bot or self.is_guest or self.is_stranger or self.deleted)


def kind_of(body: Mapping[str, Any]) -> str:
    if "command" in body and "type" not in body:
        return "command"
    kind = body.get("type")
    return KINDS.get(kind, "other") if isinstance(kind, str) else "other"


def is_for(body: Mapping[str, Any], team: str, app: str) -> bool:
    """Whether this is for our app in our workspace. In shared channels `team_id` may be the other workspace's."""
    told = body.get("api_app_id")
    if app and told is not None and told != app:
        return False
    if app and told == app and body.get("type") != "event_callback":
        return True  # what strangers press in a shared channel carries their own workspace
    teams = [body.get("team_id"), body.get("context_team_id"), mapping(body.get("team")).get("id")]
    given = body.get("authorizations")
    teams += [mapping(one).get("team_id") for one in given] if isinstance(given, list) else []
    return bool(team) and team in teams


def echo_of(body: Mapping[str, Any], bot_user: str) -> Echo | None:
    """Our own post in an event, by the outbox id in its metadata."""
    event = mapping(body.get("event"))
    if event.get("type") != "message" or event.get("user") != bot_user:
        return None
    outbox_id = outbox_id_of(event)
    channel, ts = event.get("channel"), event.get("ts")
    if outbox_id is None or not isinstance(channel, str) or not isinstance(ts, str):
        return None
    thread = event.get("thread_ts")
    return Echo(outbox_id, channel, ts, thread if isinstance(thread, str) else None)


def outbox_id_of(message: Mapping[str, Any]) -> str | None:
    """The id that `metadata_for` put there."""
    metadata = mapping(message.get("metadata"))
    found = mapping(metadata.get("event_payload")).get("outbox_id")
    return found if metadata.get("event_type") == "stafett" and isinstance(found, str) else None


def metadata_for(outbox_id: str) -> dict[str, Any]:
    """Every app and member of the workspace can read metadata: it holds an id, and nothing about people."""
    return {"event_type": "stafett", "event_payload": {"outbox_id": outbox_id}}


def is_own(body: Mapping[str, Any], bot_user: str, bot_id: str) -> bool:
    """Whether an event tells of our own doing: our post, our edit of it, our reaction."""
    event = mapping(body.get("event"))
    inner = mapping(event.get("message")) or mapping(event.get("previous_message")) or event
    if event.get("subtype") == "message_deleted" or inner.get("subtype") == "tombstone":
        return False  # somebody deleted it, and that may matter
    return (
        event.get("user") == bot_user or inner.get("user") == bot_user or bool(bot_id and inner.get("bot_id") == bot_id)
    )


def user_of(answer: Mapping[str, Any], team: str) -> SlackUser:
    """The `user` of users.info. `team` is our own workspace."""
    raw = mapping(answer.get("user"))
    profile = mapping(raw.get("profile"))
    names = (profile.get("display_name"), profile.get("real_name"), raw.get("real_name"), raw.get("name"))
    home = str(raw.get("team_id") or profile.get("team") or "")
    return SlackUser(
        id=str(raw.get("id") or ""),
        team=home,
        name=next((name for name in names if isinstance(name, str) and name.strip()), ""),
        locale=str(raw.get("locale") or ""),
        tz=str(raw.get("tz") or ""),
        is_bot=bool(raw.get("is_bot")) or raw.get("id") == "USLACKBOT",
        is_guest=bool(raw.get("is_restricted") or raw.get("is_ultra_restricted")),
        is_stranger=bool(raw.get("is_stranger")) or home != team,
        deleted=bool(raw.get("deleted")),
    )


def mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def raw_of(payload: SlackPayload) -> bytes:
    """The payload as JSON for inspection; without what acts: response URLs, triggers, tokens."""
    kept = {name: value for name, value in payload.body.items() if name not in ACTS}
    return json.dumps(kept, ensure_ascii=False, default=str).encode("utf-8", "replace")
