"""What agents write in a case's thread, and whether it leaves the house. Pure.

`read` says what an event tells; `fate` decides. Everything is a note unless `fate` says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bot.model import RemoteFile
from channels.slack.inbound import SAYING, files_of, home_of, is_by_a_person, post_of, required
from channels.slack.payloads import mapping
from channels.text import clean, from_mrkdwn, from_slack_blocks
from handoff.case import Case

_NOTE = re.compile(r"^\W*(?:(?:note|notitie|notat|הערה)\s*:|🔒|:lock:)\s*", re.IGNORECASE)
_TS = re.compile(r"\d{1,12}\.\d{1,6}")
_MENTION = re.compile(r"<[@!](?!date\b)([^<>|\s^]+)(?:\^([^<>|\s]+))?")


@dataclass(frozen=True, slots=True)
class Post:
    """A post in a thread, new or edited (`edited`). `thread` is its root's ts, `parent` the id of who wrote that root."""

    channel: str
    ts: str
    thread: str
    team: str
    user: str
    text: str
    blocks: tuple[Mapping[str, Any], ...]
    files: tuple[RemoteFile, ...]
    edited: bool = False
    parent: str = ""

    @property
    def ref(self) -> str:
        return f"{self.channel}:{self.ts}"

    @property
    def at(self) -> datetime:
        """When it was written, by Slack's clock."""
        return datetime.fromtimestamp(float(self.ts), UTC)


@dataclass(frozen=True, slots=True)
class Gone:
    """A post was deleted; `user` wrote it."""

    channel: str
    ts: str
    user: str

    @property
    def ref(self) -> str:
        return f"{self.channel}:{self.ts}"


@dataclass(frozen=True, slots=True)
class Words:
    """What was written: as Markdown, less a note mark; and what keeps it in the house."""

    text: str
    is_note: bool
    mentions: bool


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a post. `hint` is the key of what its author is told, if anything."""

    leaves: bool
    hint: str | None = None


def read(event: Mapping[str, Any], team: str) -> Post | Gone | None:
    """A `message` event in an agents' channel; None for what is nobody's words. Raises ValueError for a broken one."""
    subtype = event.get("subtype")
    channel, post = required(event, "channel"), post_of(event)
    tombstone = mapping(event.get("message")).get("subtype") == "tombstone"
    if subtype == "message_deleted" or (subtype == "message_changed" and tombstone):
        ts = event.get("deleted_ts") or post.get("ts")
        return Gone(channel, required({"ts": ts}, "ts"), str(post.get("user") or ""))
    if not is_by_a_person(post) or not is_by_a_person(event):
        return None
    edited = subtype == "message_changed"
    if edited and not mapping(post.get("edited")):
        return None  # Slack itself changed it: a link was unfurled, a reply was counted
    if not edited and subtype not in SAYING:
        return None
    ts, thread = required(post, "ts"), post.get("thread_ts")
    if not _TS.fullmatch(ts):
        raise ValueError("no ts")
    if not isinstance(thread, str) or thread == ts:
        return None
    raw, text = post.get("blocks"), post.get("text")
    return Post(
        channel,
        ts,
        thread,
        home_of(post, team),
        required(post, "user"),
        text if isinstance(text, str) else "",
        tuple(block for block in raw if isinstance(block, Mapping)) if isinstance(raw, list) else (),
        tuple(files_of(post.get("files"))),
        edited,
        str(post.get("parent_user_id") or ""),
    )


def words(post: Post, names: Mapping[str, str]) -> Words:
    """`names` are those of who is mentioned: id → name."""
    try:
        markdown = from_slack_blocks(post.blocks, names)
    except (AttributeError, TypeError, ValueError, KeyError, IndexError, RecursionError):
        markdown = None  # a kind of block that we don't know: the text beside it says the same
    if markdown is None:
        markdown = from_mrkdwn(post.text, names)
    markdown = clean(markdown).strip()
    marked = bool(_NOTE.match(markdown)) or bool(_NOTE.match(post.text))
    return Words(_NOTE.sub("", markdown, count=1) if marked else markdown, marked, bool(mentioned(post)))


def mentioned(post: Post) -> list[str]:
    """Ids of the users, groups and broadcasts that a post names: in its text and in its blocks."""
    found = [special or word for word, special in _MENTION.findall(post.text)]
    found += _named(post.blocks, 0)
    return list(dict.fromkeys(found))


def _named(part: Any, depth: int) -> Iterator[str]:
    if depth > 20:
        return
    if isinstance(part, Mapping):
        kind = part.get("type")
        if kind in {"user", "usergroup", "broadcast"}:
            yield str(part.get("user_id") or part.get("usergroup_id") or part.get("range") or "somebody")
        for inner in part.values():
            yield from _named(inner, depth + 1)
    elif isinstance(part, list | tuple):
        for inner in part:
            yield from _named(inner, depth + 1)


def fate(case: Case, agent_id: str, said: Words, replies: str, *, after_claim: bool = True) -> Fate:
    """Whether a post goes to the customer: only its holder's words, in a live case, that nothing keeps here.

    `replies` is the desk's: thread | explicit. `after_claim`: it was written after its holder took the case; Slack
    delivers minutes late, and what was said before a claim stays internal however late it comes.
    """
    if not case.live:
        return Fate(False, "not_relayed_over")
    if said.is_note:
        return Fate(False)
    if case.agent_id is None or not case.with_people:
        return Fate(False, "not_relayed_unclaimed")
    if case.agent_id != agent_id:
        return Fate(False, "not_relayed_not_yours")
    if not after_claim:
        return Fate(False, "not_relayed_unclaimed")
    if said.mentions:
        return Fate(False, "not_relayed_mention")
    if replies == "explicit":
        return Fate(False, "not_relayed_explicit")
    return Fate(True)


def refs_in(parts: Sequence[str]) -> list[str]:
    """Of mentioned ids those of users."""
    return [one for one in parts if one[:1] in {"U", "W"}]
