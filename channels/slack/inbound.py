"""Slack's payloads as what customers did. Pure.

A customer is `{team}:{user}` of their own workspace. Their address is the direct message `{channel}`, or the thread
`{channel}:{thread_ts}` in which the app was mentioned; a message's ref is `{channel}:{ts}`. In a channel only those
threads count, and in them only who mentioned the app there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from bot.model import Chose, Deleted, Edited, Happening, Inbound, RemoteFile, Sender, Wrote
from channels.slack.payloads import SlackPayload, mapping
from channels.text import TEXT_LIMIT, clean, from_mrkdwn, from_slack_blocks, shorten, to_plain

SOURCE = "slack"
CHOICE = "choice:"
SAYING = {None, "file_share", "thread_broadcast", "me_message"}
"""Subtypes of `message` in which somebody says something; the rest are joins, topics, pins, bots …"""

MAX_FILES = 20
_ME = "\ue000"  # stands for the app's own name in a text: no keyboard has it
_BROKEN = (AttributeError, TypeError, ValueError, KeyError, IndexError, RecursionError)


@dataclass(frozen=True, slots=True)
class Malformed:
    """It looks like a customer's, and can't be read."""

    reason: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where something happened: `thread` is the root's ts; in a channel a post that is no reply is its own root."""

    channel: str
    thread: str
    direct: bool


def place_of(payload: SlackPayload, agent_channels: Collection[str] = ()) -> Place | None:
    """Where a customer may have done this; None where none can: the agents' channels, other kinds of payload."""
    body = payload.body
    if payload.kind == "event":
        event = payload.event
        if event.get("type") not in ("message", "app_mention"):
            return None
        channel, about = event.get("channel"), post_of(event)
        direct = event.get("channel_type") == "im" or str(channel).startswith("D")
    elif payload.kind == "action" and choice_of(body) is not None:
        channel, about = (
            mapping(body.get("channel")).get("id"),
            mapping(body.get("message")) or mapping(body.get("container")),
        )
        direct = str(channel).startswith("D")
    else:
        return None
    if not is_id(channel) or channel in agent_channels or event_is_group_talk(payload):
        return None
    thread, ts = about.get("thread_ts"), about.get("ts") or payload.event.get("deleted_ts")
    root = thread if is_id(thread) else "" if direct else ts
    return Place(channel, root if is_id(root) else "", direct)


def event_is_group_talk(payload: SlackPayload) -> bool:
    """A direct message between several people: the app was not asked alone."""
    return payload.event.get("channel_type") == "mpim"


def read(
    payload: SlackPayload,
    *,
    team: str,
    bot_user: str,
    followers: Collection[str] = (),
    agent_channels: Collection[str] = (),
) -> Inbound | Malformed | None:
    """What a customer did, or None where it is nobody's or not for us.

    `team` is our own workspace; `followers` who has mentioned the app in this thread before (`{team}:{user}`).
    """
    place = place_of(payload, agent_channels)
    if place is None:
        return None
    try:
        if payload.kind == "action":
            return _press(payload.body, place, team)
        return _event(payload, place, team, bot_user, followers)
    except _BROKEN as error:
        return Malformed(f"{type(error).__name__}: {error}"[:200])


def _event(payload: SlackPayload, place: Place, team: str, bot_user: str, followers: Collection[str]) -> Inbound | None:
    event, post = payload.event, post_of(payload.event)
    if not is_by_a_person(post) or not is_by_a_person(event):
        return None
    who = f"{home_of(post, team)}:{required(post, 'user')}"
    mentioned = event.get("type") == "app_mention" or f"<@{bot_user}" in str(event.get("text") or "")
    if not place.direct and who not in followers and not (mentioned and event.get("subtype") in SAYING):
        return None
    happening = happening_of(event, place.channel, bot_user)
    if happening is None:
        return None
    key, also = keys_of(payload.body, event, post, team, place.channel)
    return Inbound(SOURCE, key, Sender(SOURCE, who, address_of(place)), happening, also=also)


def happening_of(event: Mapping[str, Any], channel: str, bot_user: str) -> Happening | None:
    post = post_of(event)
    match event.get("subtype"):
        case "message_deleted":
            return Deleted(f"{channel}:{required(event, 'deleted_ts')}")
        case "message_changed":
            ref = f"{channel}:{required(post, 'ts')}"
            if mapping(event.get("message")).get("subtype") == "tombstone":
                return Deleted(ref)
            if not mapping(post.get("edited")):
                return None  # Slack itself changed it: a link was unfurled, a reply was counted
            return Edited(ref, text_of(post, bot_user), str(mapping(post.get("edited")).get("ts") or "")[:40])
        case subtype if subtype in SAYING:
            files = tuple(files_of(event.get("files")))
            text = text_of(event, bot_user)
            if not text and not files:  # a mention alone asks for us, as /start does elsewhere
                text = "/start" if bot_user in str(event.get("text")) else ""
            return Wrote(text, remote_files=files, ref=f"{channel}:{required(event, 'ts')}") if text or files else None
        case _:
            return None


def _press(body: Mapping[str, Any], place: Place, team: str) -> Inbound | None:
    found = choice_of(body)
    if found is None:
        return None
    message_id, index, action = found
    user = mapping(body.get("user"))
    home = next((one for one in (user.get("team_id"), mapping(body.get("team")).get("id")) if is_id(one)), team)
    who = f"{home}:{required(user, 'id')}"
    posted = mapping(body.get("message")).get("ts") or mapping(body.get("container")).get("message_ts")
    key = f"{who}:{required(action, 'action_ts')}:{required(action, 'action_id')}:{posted if is_id(posted) else ''}"
    value = action.get("value")
    chose = Chose(message_id, value=clean(value) if isinstance(value, str) else None, index=index)
    thread = mapping(body.get("message")).get("thread_ts")
    address = f"{place.channel}:{thread}" if is_id(thread) else place.channel
    return Inbound(SOURCE, key, Sender(SOURCE, who, address), chose)


def choice_of(body: Mapping[str, Any]) -> tuple[str, int, Mapping[str, Any]] | None:
    """(message id, index, action) of a pressed button of ours: action_id `choice:<message id>:<index>`."""
    actions = body.get("actions")
    action = mapping(actions[0]) if isinstance(actions, list) and actions else {}
    action_id = action.get("action_id")
    if not isinstance(action_id, str) or not action_id.startswith(CHOICE):
        return None
    message_id, _, index = action_id.removeprefix(CHOICE).rpartition(":")
    return (
        (message_id, int(index), action)
        if message_id and index.isascii() and index.isdigit() and len(index) < 5
        else None
    )


def post_of(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """The post that an event tells of: of an edit the new one, of a deletion the one that was."""
    match event.get("subtype"):
        case "message_deleted":
            return mapping(event.get("previous_message"))
        case "message_changed":
            message = mapping(event.get("message"))
            return mapping(event.get("previous_message")) if message.get("subtype") == "tombstone" else message
        case _:
            return event


def is_by_a_person(post: Mapping[str, Any]) -> bool:
    by_an_app = post.get("bot_id") or post.get("app_id") or post.get("subtype") == "bot_message"
    return not by_an_app and post.get("user") != "USLACKBOT"


def home_of(post: Mapping[str, Any], team: str) -> str:
    """The author's own workspace; in a shared channel it is not ours."""
    found = post.get("user_team") or post.get("source_team") or post.get("team")
    return found if is_id(found) else team


def address_of(place: Place) -> str:
    return f"{place.channel}:{place.thread}" if place.thread else place.channel


def keys_of(
    body: Mapping[str, Any], event: Mapping[str, Any], post: Mapping[str, Any], team: str, channel: str
) -> tuple[str, tuple[str, ...]]:
    """The event's id, and the post's own: Slack tells one post as `message` and as `app_mention`, under two ids."""
    version = ""
    if event.get("subtype") == "message_changed":
        gone = mapping(event.get("message")).get("subtype") == "tombstone"
        version = ":deleted" if gone else f":{required(mapping(post.get('edited')), 'ts')}"
    elif event.get("subtype") == "message_deleted":
        version = ":deleted"
    ts = required(event, "deleted_ts") if event.get("subtype") == "message_deleted" else required(post, "ts")
    return required(body, "event_id"), (f"{team}:{channel}:{ts}{version}",)


def text_of(post: Mapping[str, Any], bot_user: str) -> str:
    """What was written, as plain text, without our own name in it."""
    names = {bot_user: _ME}
    blocks = post.get("blocks")
    markdown = None
    if isinstance(blocks, list):
        try:
            markdown = from_slack_blocks([block for block in blocks if isinstance(block, Mapping)], names)
        except _BROKEN:
            markdown = None  # a kind of block that we don't know: the text beside it says the same
    if markdown is None:
        text = post.get("text")
        markdown = from_mrkdwn(text, names) if isinstance(text, str) else ""
    plain = to_plain(markdown).replace(f"@{_ME}", " ").replace(_ME, "")
    lines = (
        line.strip() if line.strip(" ") != line.rstrip(" ") else line.rstrip() for line in clean(plain).split("\n")
    )
    return shorten("\n".join(lines).strip(), TEXT_LIMIT)


def files_of(files: Any) -> Sequence[RemoteFile]:
    """Files that lie with Slack. Those that were deleted, or that only point elsewhere, are left out."""
    found = []
    for raw in files if isinstance(files, list) else ():
        file = mapping(raw)
        if file.get("mode") in {"tombstone", "hidden_by_limit", "external"} or file.get("is_external"):
            continue
        url = file.get("url_private_download") or file.get("url_private")
        ref = url if isinstance(url, str) else f"id:{required(file, 'id')}"  # of another workspace: to be asked for
        size, kind, name = file.get("size"), file.get("mimetype"), file.get("name")
        found.append(
            RemoteFile(
                ref,
                clean(name)[:255] if isinstance(name, str) and name else "file",
                kind if isinstance(kind, str) and kind else "application/octet-stream",
                size if isinstance(size, int) and not isinstance(size, bool) and size >= 0 else None,
            )
        )
    return found[:MAX_FILES]


def is_id(value: Any) -> TypeGuard[str]:
    """Whether this can be one of Slack's ids or time stamps: short, and nothing that a database would refuse."""
    return isinstance(value, str) and 0 < len(value) <= 300 and value.isprintable()


def required(part: Mapping[str, Any], name: str) -> str:
    """An id that must be there. Raises ValueError."""
    value = part.get(name)
    if not is_id(value):
        raise ValueError(f"no {name}")
    return value
