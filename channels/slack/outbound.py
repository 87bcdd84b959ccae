"""Our messages as what Slack is sent. Pure.

Limits (docs.slack.dev, Block Kit): 50 blocks a message, 3,000 characters a section, 25 elements a row of buttons, 75 a
label, 2,000 a value; about 13,200 characters in all blocks together (bolt-js#2509, undocumented).

What is not our own Markdown goes out as `plain_text`, letter by letter. Markdown is rendered with `&`, `<` and `>`
escaped, in sections that Slack does not search for names itself (`verbatim`): no text can ping anybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from bot.model import AuthorKind, Choice, Message
from bot.outbox import Part
from channels.slack.inbound import CHOICE
from channels.text import one_line, plain_to_mrkdwn, shorten, split, to_mrkdwn, to_plain, visible

SECTION = 3000
PER_MESSAGE = 11_000
FALLBACK = 3_900  # characters of the notification's text, before escaping; Slack advises 4,000, and cuts at 40,000
ROW = 25
MAX_ROWS = 5  # 125 buttons; more can be typed
LABEL = 75
VALUE = 2_000
NAME = 150
_ADDRESS = re.compile(r"(?<![<|\w`])https?://[^\s<>|`]*[^\s<>|`.,;:!?'\"*_~)\]…»”’]")

Block = dict[str, Any]


class SlackOutlet:
    """A `bot.outbox.Outlet`. An address is `{channel}` or `{channel}:{thread_ts}`, a ref `{channel}:{ts}` or `file:{id}`."""

    via = "slack"

    def parts(self, message: Message, address: str) -> Sequence[Part]:  # noqa: ARG002
        """The text, in as many posts as it takes; then each file by itself."""
        texts = [Part("text", post) for post in posts(message)]
        return (*texts, *(Part("file", {"file_id": file.id, "name": file.name}) for file in message.body.files))

    def edits(self, message: Message, refs: Sequence[str], address: str) -> Sequence[Part]:  # noqa: ARG002
        """Each post gets its new text; what is too few or too many comes and goes."""
        old = [ref for ref in refs if not ref.startswith("file:")]
        new = list(posts(message))
        if not old:
            return ()
        changed = [Part("edit", {"ref": ref, **post}) for ref, post in zip(old, new, strict=False)]
        more = [Part("text", post) for post in new[len(old) :]]
        return (*changed, *more, *(Part("delete", {"ref": ref}) for ref in old[len(new) :]))

    def deletes(self, message: Message, refs: Sequence[str], address: str) -> Sequence[Part]:  # noqa: ARG002
        return tuple(Part("delete", {"ref": ref}) for ref in refs)

    def lane(self, address: str) -> str:
        return f"slack:{address}"

    def bucket(self, address: str) -> str | None:
        return f"slack:{address.partition(':')[0]}"


def posts(message: Message, chosen: str | None = None) -> list[dict[str, Any]]:
    """A message's posts: `{"text", "blocks"}` each. Buttons stand under the last; `chosen` is the value that was pressed."""
    body = message.body
    found: list[dict[str, Any]] = [
        {"text": fallback(chunk, body.markdown), "blocks": blocks} for chunk, blocks in texts(body.text, body.markdown)
    ]
    below = choices(message, chosen)
    if below and (not found or weight(found[-1]["blocks"]) + weight(below) > PER_MESSAGE):
        found.append({"text": "…", "blocks": []})
    if below:
        found[-1]["blocks"] += below
    if found and message.author.kind is AuthorKind.AGENT and message.author.name.strip():
        found[0]["blocks"].insert(0, small(message.author.name))
    return found


def last_post(message: Message, chosen: str | None) -> dict[str, Any]:
    """The post under which the buttons stand, with what was chosen shown."""
    return posts(message, chosen)[-1]


def texts(text: str, markdown: bool) -> Iterator[tuple[str, list[Block]]]:
    """`text` as (its own words, sections), in posts that Slack takes."""
    for chunk in split(text.strip("\n"), PER_MESSAGE, "codepoints"):
        drawn = list(sections(chunk, markdown))
        while drawn:
            taken: list[tuple[str, Block]] = []
            size = 0
            while drawn and (not taken or size + len(drawn[0][1]["text"]["text"]) <= PER_MESSAGE) and len(taken) < 15:
                taken.append(drawn.pop(0))
                size += len(taken[-1][1]["text"]["text"])
            yield "\n".join(words for words, _ in taken), [block for _, block in taken]


def sections(text: str, markdown: bool, size: int = SECTION) -> Iterator[tuple[str, Block]]:
    """(words, section) of at most 3,000 characters each, as Slack counts them: after escaping."""
    for piece in split(text, size, "codepoints"):
        drawn = mrkdwn(piece) if markdown else piece
        if not drawn.strip():
            continue
        if len(drawn) > SECTION and size > 100:
            yield from sections(piece, markdown, size // 2)
            continue
        shown: Block = (
            {"type": "mrkdwn", "text": drawn[:SECTION], "verbatim": True} if markdown else plain(drawn, SECTION)
        )
        yield piece, {"type": "section", "text": shown}


def mrkdwn(markdown: str) -> str:
    """Markdown for Slack. With `verbatim` Slack makes no links of bare addresses: they are marked here."""
    return _ADDRESS.sub(lambda found: f"<{found[0]}>", to_mrkdwn(markdown))


def fallback(text: str, markdown: bool) -> str:
    """What notifications and screen readers say."""
    return plain_to_mrkdwn(shorten(to_plain(text) if markdown else text, FALLBACK)) or "…"


def choices(message: Message, chosen: str | None = None) -> list[Block]:
    """Rows of buttons. Once one was pressed it is shown and the rest go; a survey's scale stays, and can be pressed again."""
    body = message.body
    if not body.choices:
        return []
    if chosen is not None and body.survey is None:
        return [small(f"✓ {label_of(choice)}") for choice in body.choices if choice.value == chosen][:1]
    buttons = [button(message.id, index, choice, chosen) for index, choice in enumerate(body.choices)]
    rows: list[Block] = [
        {"type": "actions", "elements": buttons[at : at + ROW]}
        for at in range(0, min(len(buttons), ROW * MAX_ROWS), ROW)
    ]
    survey = body.survey
    if survey is not None and (survey.low or survey.high):
        rows.append(small(f"{survey.min} = {survey.low} · {survey.max} = {survey.high}"))
    return rows


def button(message_id: str, index: int, choice: Choice, chosen: str | None) -> Block:
    """The index in the action's id says which; a value that is too long for Slack is cut."""
    pressed = choice.value == chosen
    label = label_of(choice)
    shown: Block = {
        "type": "button",
        "action_id": f"{CHOICE}{message_id}:{index}",
        "text": plain(f"✓ {label}" if pressed else label, LABEL),
        "value": (choice.value or str(index))[:VALUE],
    }
    return {**shown, "style": "primary"} if pressed else shown


def label_of(choice: Choice) -> str:
    return one_line(choice.label).strip() or choice.value.strip() or "…"


def weight(blocks: Sequence[Block]) -> int:
    """Characters of all texts in blocks."""
    words = [block["text"] for block in blocks if "text" in block]
    words += [
        part.get("text", part) for block in blocks for part in block.get("elements", ()) if part["type"] == "button"
    ]
    return sum(len(one["text"]) for one in words)


def small(text: str) -> Block:
    """A line in small grey letters: names and marks, always letter by letter."""
    return {"type": "context", "elements": [plain(visible(one_line(text)), NAME)]}


def plain(text: str, limit: int) -> Block:
    return {"type": "plain_text", "text": text if len(text) <= limit else text[: limit - 1] + "…", "emoji": False}
