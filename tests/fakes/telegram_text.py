"""How Telegram reads formatted text: parse modes HTML and MarkdownV2, entities, and what it refuses.

Offsets and lengths of entities count UTF-16 code units, as in the Bot API; errors count bytes, as the server does.
"""

from __future__ import annotations

import re
from html import unescape
from typing import Any

MAX_TEXT = 4096  # Bot API, sendMessage: 1-4096 characters after entities parsing
MAX_CAPTION = 1024
Entity = dict[str, Any]

HTML_TAGS = {
    "b": "bold", "strong": "bold", "i": "italic", "em": "italic", "u": "underline", "ins": "underline",
    "s": "strikethrough", "strike": "strikethrough", "del": "strikethrough", "code": "code", "pre": "pre",
    "tg-spoiler": "spoiler", "span": "spoiler", "a": "text_link", "blockquote": "blockquote", "tg-emoji": "custom_emoji",
}  # fmt: skip
MARKS = {"*": "bold", "_": "italic", "__": "underline", "~": "strikethrough", "||": "spoiler", "`": "code"}
RESERVED = frozenset("_*[]()~`>#+-=|{}.!")
_TAG = re.compile(r"<(/?)([A-Za-z-]+)((?:\s+[A-Za-z-]+(?:\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s>]+))?)*)\s*>")
_ATTRIBUTE = re.compile(r"([A-Za-z-]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>]+))")
_CHARACTER = re.compile(r"&(?:lt|gt|amp|quot|#\d+|#x[0-9a-fA-F]+);")


class Refused(Exception):
    """A request that Telegram refuses; the text is its description, without "Bad Request: "."""

    def __init__(self, description: str, code: int = 400, **parameters: Any) -> None:
        super().__init__(description)
        self.description, self.code, self.parameters = description, code, parameters


def units(text: str) -> int:
    """The length of a text as Telegram counts it."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def formatted(text: str, parse_mode: str | None, entities: list[Entity] | None) -> tuple[str, list[Entity]]:
    """What people see, and how it is set. Raises Refused as the real server does."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refused("strings must be encoded in UTF-8") from None
    found: list[Entity]
    if not parse_mode:
        found = _checked(text, entities or [])
    elif parse_mode.lower() == "html":
        text, found = _html(text)
    elif parse_mode.lower() == "markdownv2":
        text, found = _markdown(text)
    else:
        raise Refused("unsupported parse_mode")
    return _trimmed(text, found)


def _unparsable(why: str) -> Refused:
    return Refused(f"can't parse entities: {why}")


def _checked(text: str, entities: list[Entity]) -> list[Entity]:
    raw, total = text.encode("utf-16-le"), units(text)
    for entity in entities:
        start, length = int(entity.get("offset", -1)), int(entity.get("length", 0))
        if start < 0 or length <= 0 or start + length > total:
            raise _unparsable(f"entity at UTF-16 offset {start} with length {length} is outside of the text")
        for edge in (start, start + length):
            if edge < total and 0xDC <= raw[edge * 2 + 1] <= 0xDF:
                raise _unparsable("entity begins or ends in a middle of a UTF-16 symbol")
    return sorted((dict(entity) for entity in entities), key=lambda e: (e["offset"], -e["length"]))


def _html(source: str) -> tuple[str, list[Entity]]:
    out: list[str] = []
    length, position = 0, 0
    entities: list[Entity] = []
    open_tags: list[tuple[str, int, dict[str, Any]]] = []
    while position < len(source):
        if source[position] == "<":
            at = len(source[:position].encode())
            tag = _TAG.match(source, position)
            if tag is None:
                raise _unparsable(f'Unsupported start tag "{source[position + 1 : position + 9]}" at byte offset {at}')
            position = tag.end()
            name = tag[2].lower()
            if tag[1]:
                if not open_tags:
                    raise _unparsable(f"Unexpected end tag at byte offset {at}")
                opened, start, more = open_tags.pop()
                if opened != name:
                    raise _unparsable(
                        f'Unmatched end tag at byte offset {at}, expected "</{opened}>", found "</{name}>"'
                    )
                if length > start:
                    entities.append({"type": HTML_TAGS[name], "offset": start, "length": length - start, **more})
            elif name not in HTML_TAGS:
                raise _unparsable(f'Unsupported start tag "{name}" at byte offset {at}')
            else:
                open_tags.append((name, length, _attributes(name, tag[3], at)))
            continue
        character = _CHARACTER.match(source, position)
        piece = unescape(character[0]) if character else source[position]
        position = character.end() if character else position + 1
        out.append(piece)
        length += units(piece)
    if open_tags:
        raise _unparsable(f'Can\'t find end tag corresponding to start tag "{open_tags[-1][0]}"')
    return "".join(out), _merged(entities)


def _attributes(name: str, text: str, at: int) -> dict[str, Any]:
    found = {key.lower(): unescape(a or b or c) for key, a, b, c in _ATTRIBUTE.findall(text)}
    if name == "span" and found.get("class") != "tg-spoiler":
        raise _unparsable(f'Tag "span" must have class "tg-spoiler" at byte offset {at}')
    if name == "a" and "href" in found:
        return {"url": found["href"]}
    if name == "code" and found.get("class", "").startswith("language-"):
        return {"language": found["class"].removeprefix("language-")}
    if name == "tg-emoji":
        return {"custom_emoji_id": found.get("emoji-id", "")}
    return {}


def _merged(entities: list[Entity]) -> list[Entity]:
    """In order; `<pre><code class="language-x">` is one entity; a link without a URL is none."""
    kept = [entity for entity in entities if entity["type"] != "text_link" or entity.get("url")]
    for pre in [entity for entity in kept if entity["type"] == "pre"]:
        for code in [e for e in kept if e["type"] == "code" and e["offset"] == pre["offset"]]:
            pre.update({key: code[key] for key in ("language",) if key in code})
            kept.remove(code)
    return sorted(kept, key=lambda e: (e["offset"], -e["length"]))


def _markdown(source: str) -> tuple[str, list[Entity]]:
    out: list[str] = []
    entities: list[Entity] = []
    open_marks: list[tuple[str, int, int]] = []
    length, position = 0, 0

    def close(kind: str, start: int, **more: Any) -> None:
        if length > start:
            entities.append({"type": kind, "offset": start, "length": length - start, **more})

    while position < len(source):
        at = len(source[:position].encode())
        character = source[position]
        if character == "\\" and position + 1 < len(source) and ord(source[position + 1]) < 127:
            out.append(source[position + 1])
            length, position = length + 1, position + 2
            continue
        if source.startswith("```", position) or character == "`":
            mark = "```" if source.startswith("```", position) else "`"
            end = source.find(mark, position + len(mark))
            if end < 0:
                raise _unparsable(f"Can't find end of {'Pre' if len(mark) == 3 else 'Code'} entity at byte offset {at}")
            inner = re.sub(r"\\(.)", r"\1", source[position + len(mark) : end])
            language = ""
            if len(mark) == 3 and "\n" in inner:
                language, inner = inner.split("\n", 1)
            start, length = length, length + units(inner)
            out.append(inner)
            close("pre" if len(mark) == 3 else "code", start, **({"language": language} if language else {}))
            position = end + len(mark)
            continue
        if character == ">" and (position == 0 or source[position - 1] == "\n"):
            position += 1
            continue
        if character == "[":
            open_marks.append(("[", length, at))
            position += 1
            continue
        if character == "]" and open_marks and open_marks[-1][0] == "[":
            _, start, _ = open_marks.pop()
            link = re.compile(r"\]\(((?:\\.|[^)\\])*)\)").match(source, position)
            if link:
                close("text_link", start, url=re.sub(r"\\(.)", r"\1", link[1]))
            position = link.end() if link else position + 1
            continue
        mark = next((m for m in ("__", "||", "*", "_", "~") if source.startswith(m, position)), "")
        if mark:
            if open_marks and open_marks[-1][0] == mark:
                close(MARKS[mark], open_marks.pop()[1])
            else:
                open_marks.append((mark, length, at))
            position += len(mark)
            continue
        if character in RESERVED:
            raise _unparsable(f"Character '{character}' is reserved and must be escaped with the preceding '\\'")
        out.append(character)
        length, position = length + units(character), position + 1
    if open_marks:
        kind = MARKS.get(open_marks[-1][0], "TextUrl").capitalize()
        raise _unparsable(f"Can't find end of {kind} entity at byte offset {open_marks[-1][2]}")
    return "".join(out), _merged(entities)


def _trimmed(text: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    """Without white space at the ends, the entities moved and cut to what is left."""
    lead = units(text) - units(text.lstrip())
    text = text.strip()
    total = units(text)
    moved = []
    for entity in entities:
        start = max(entity["offset"] - lead, 0)
        end = min(entity["offset"] - lead + entity["length"], total)
        if end > start:
            moved.append({**entity, "offset": start, "length": end - start})
    return text, moved
