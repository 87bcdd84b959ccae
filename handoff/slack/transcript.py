"""What was said, as posts of a case's thread. Pure.

A message is a line that says who, where and when, then its words in `plain_text`. Several messages share a post up to
3,900 characters: Slack takes about one post a second in a channel. A post's payload remembers which of its blocks are
whose (`pieces`), so that a message that is edited or deleted can be drawn anew in its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.model import AuthorKind, Message
from channels.text import one_line, plain_to_mrkdwn, shorten, split, to_plain, visible
from handoff.slack.blocks import Block, line, ours, plain, section, small
from handoff.slack.wording import Wording

POST = 3_900  # characters; Slack advises 4,000
BLOCKS = 48  # of 50
PIECE = 2_800  # characters of a section, with room for what is made visible
FACES = {AuthorKind.CUSTOMER: "👤", AuthorKind.BOT: "🤖", AuthorKind.AGENT: "💬", AuthorKind.SYSTEM: "⚙️"}


@dataclass(frozen=True, slots=True)
class Piece:
    """Some blocks of one message, never parted. `text` is how a notification says them."""

    message_id: str
    text: str
    blocks: tuple[Block, ...]


def pieces(message: Message, wording: Wording, *, before: str = "") -> list[Piece]:
    """A message as pieces of at most a section each. `before` is a line of ours above it."""
    top = [line(before)] if before else []
    top.append(byline(message, wording))
    words = words_of(message, wording)
    chunks = split(words, PIECE, "codepoints") if words.strip() else ["–"]
    found = []
    for number, chunk in enumerate(chunks):
        blocks = (*(top if number == 0 else ()), section(chunk))
        found.append(Piece(message.id, f"{name_of(message, wording)}: {one_line(chunk, 300)}", blocks))
    return found


def byline(message: Message, wording: Wording) -> Block:
    note = message.seq is None
    face = "🔒" if note else FACES[message.author.kind]
    edited = " ✎" if message.edited_at and not message.deleted_at else ""
    return small(plain(f"{face} {name_of(message, wording)}{edited}", 150), ours(wording.date(message.at)))


def name_of(message: Message, wording: Wording) -> str:
    """Who said it, and for customers and other desks' agents, where."""
    role = wording(f"author_{message.author.kind}")
    name = one_line(message.author.name, 80)
    match message.author.kind:
        case AuthorKind.CUSTOMER:
            return f"{name or role} · {wording.channel(message.channel)}"
        case AuthorKind.AGENT:
            desk = str(message.meta.get("desk") or "")
            return f"{name or role} · {wording.channel(desk)}" if desk not in {"", "slack"} else name or role
        case _:
            return role


def words_of(message: Message, wording: Wording) -> str:
    if message.deleted_at is not None:
        return f"🗑 {wording('customer_deleted')}" if message.author.kind is AuthorKind.CUSTOMER else "🗑"
    body = message.body
    parts = [to_plain(body.text) if body.markdown else body.text]
    if body.choices and body.survey is None:
        parts.append("  ".join(f"[{one_line(choice.label)}]" for choice in body.choices))
    parts += [f"📎 {one_line(file.name)}" for file in body.files]
    return visible("\n".join(part for part in parts if part.strip()))


def posts(found: Iterable[Piece]) -> list[dict[str, Any]]:
    """Pieces in order, as few posts as they fit in."""
    made: list[dict[str, Any]] = []
    for piece in found:
        post = post_of([piece])
        joined = join(made[-1], post) if made else None
        if joined is None:
            made.append(post)
        else:
            made[-1] = joined
    return made


def post_of(found: Sequence[Piece]) -> dict[str, Any]:
    return {
        "text": plain_to_mrkdwn("\n".join(piece.text for piece in found)),
        "blocks": [block for piece in found for block in piece.blocks],
        "pieces": [[piece.message_id, len(piece.blocks)] for piece in found],
    }


def note_of_ours(text: str) -> dict[str, Any]:
    """A line of the house's own in the thread."""
    return {"text": plain_to_mrkdwn(shorten(text, POST)), "blocks": [section(text)], "pieces": [["", 1]]}


def call_of(text: str, user: str | None, group: str | None) -> dict[str, Any]:
    """As `note_of_ours`, calling one account or a user group: by ids of desk.yaml or Slack, never by what somebody wrote."""
    called = f"<@{user}>" if user else f"<!subteam^{group}>"
    quiet = one_line(text, 300)
    blocks = [{"type": "section", "text": ours(f"📣 {called} {plain_to_mrkdwn(quiet)}")}]
    return {"text": f"{called} {plain_to_mrkdwn(quiet)}", "blocks": blocks, "pieces": [["", 1]]}


def join(post: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any] | None:
    """Two posts as one, or None if that is too long."""
    if post.get("broadcast") or more.get("broadcast"):
        return None
    blocks = [*post["blocks"], *more["blocks"]]
    if len(blocks) > BLOCKS or weight(blocks) > POST:
        return None
    text = shorten(f"{post['text']}\n{more['text']}", POST)
    return {**post, "text": text, "blocks": blocks, "pieces": [*post["pieces"], *more["pieces"]]}


def redrawn(post: Mapping[str, Any], message: Message, wording: Wording) -> dict[str, Any]:
    """A post with one of its messages as it now is; what it needs beyond one section is cut, the rest stays."""
    blocks: list[Block] = []
    counts: list[list[Any]] = []
    at = 0
    for message_id, count in post["pieces"]:
        kept = list(post["blocks"][at : at + count])
        at += count
        if message_id == message.id:
            first = not any(one == message.id for one, _ in counts)
            kept = list(pieces(message, wording)[0].blocks) if first else [line("…")]
        blocks += kept
        counts.append([message_id, len(kept)])
    return {**post, "text": plain_to_mrkdwn(name_of(message, wording)), "blocks": blocks, "pieces": counts}


def weight(blocks: Iterable[Block]) -> int:
    """Characters of all texts in blocks, as Slack counts them."""
    return sum(
        len(part["text"]) for block in blocks for part in (block.get("text"), *block.get("elements", ())) if part
    )
