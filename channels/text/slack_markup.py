"""What an agent writes in Slack → our Markdown: from mrkdwn, or better from the rich_text block beside it.

Mentions become names, never ids; whatever Slack does not read as markup is escaped, so that the customer sees the
same as the agent saw.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from channels.text.emoji import SHORTCODE, emoji
from channels.text.flat import safe_url

_TOKEN = re.compile(
    r"```(?P<pre>.+?)```"
    r"|`(?P<code>[^`\n]+)`"
    r"|<(?P<angle>[^<>\n]+)>"
    r"|(?<![\w*])\*(?P<bold>(?=[^\s*])[^*\n]*?[^\s*])\*(?![\w*])"
    r"|(?<!\w)_(?P<italic>(?=[^\s_])[^\n]{0,1000}?[^\s_])_(?!\w)"
    r"|(?<![\w~])~(?P<strike>(?=[^\s~])[^~\n]*?[^\s~])~(?![\w~])"
    rf"|(?P<emoji>{SHORTCODE.pattern})",
    re.DOTALL,
)
_MARKUP = re.compile(r"([\\`*~\[\]]|(?<![^\W_])_|_(?![^\W_])|<(?![\s\d=])|&(?=#?\w+;))")
"""What Markdown reads as more than itself: not the _ of `order_no`, the < of `a < b`, the & of `R&D`. Who reads a message's text
by the API reads these as they were typed.
"""
_LINE_START = re.compile(r"^([ \t]*)(#{1,6}(?=\s|$)|[+](?=\s|$)|(?:-[ \t]*)+$|=+[ \t]*$)")
_NUMBER = re.compile(r"^([ \t]*\d{1,9})(\)(?=\s|$)|\.[ \t]*$)")
_BULLET = re.compile(r"^([ \t]*)[•◦▪] ", re.MULTILINE)
_NOBODY = "@…"
_STYLES = (("bold", "**"), ("italic", "_"), ("strike", "~~"))


def from_mrkdwn(text: str, names: Mapping[str, str]) -> str:
    """Slack's mrkdwn (as `message.text` brings it, escaped) as Markdown.

    `names` is Slack id → name, of users, groups and channels; who is not in it and has no label is `@…`.
    """
    return _convert(_BULLET.sub(r"\1- ", text), names).strip("\n")


def from_slack_blocks(blocks: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> str | None:
    """The rich_text blocks among `blocks` as Markdown; None if there is none, then use `from_mrkdwn` of the text."""
    rich = [element for block in blocks if block.get("type") == "rich_text" for element in block.get("elements", ())]
    if not rich:
        return None
    parts: list[str] = []
    kinds: list[str] = []
    for element in rich:
        kind = str(element.get("type", ""))
        text = _block(element, names)
        if parts and kind == kinds[-1] == "rich_text_list":
            parts[-1] += "\n" + text
        elif text.strip():
            parts.append(text.strip("\n"))
            kinds.append(kind)
    return "\n\n".join(parts)


def _convert(text: str, names: Mapping[str, str]) -> str:
    out, at = [], 0
    for match in _TOKEN.finditer(text):
        out.append(_literal(text[at : match.start()], _begins_line(text, at)))
        out.append(_token(match, names))
        at = match.end()
    out.append(_literal(text[at:], _begins_line(text, at)))
    return "".join(out)


def _begins_line(text: str, at: int) -> bool:
    return at == 0 or text[at - 1] == "\n"


def _token(match: re.Match[str], names: Mapping[str, str]) -> str:
    kind, inner = next((name, value) for name, value in match.groupdict().items() if value is not None)
    match kind:
        case "pre":
            return _fence(_unescape(_plain_angles(inner, names)))
        case "code":
            return _code(_unescape(_plain_angles(inner, names)))
        case "angle":
            return _angle(inner, names)
        case "bold":
            return f"**{_convert(inner, names)}**"
        case "italic":
            return f"_{_convert(inner, names)}_"
        case "strike":
            return f"~~{_convert(inner, names)}~~"
        case _:
            return _emoji(inner)


def _emoji(shortcode: str) -> str:
    parts = SHORTCODE.fullmatch(shortcode)
    return (emoji(parts[1], parts[2]) if parts else None) or _literal(shortcode)


def _angle(inner: str, names: Mapping[str, str]) -> str:
    """What stands between < and >: a mention, a special word or a link."""
    target, _, label = inner.partition("|")
    if target[:1] in {"@", "#", "!"}:
        return _literal(_mention(target, _unescape(label), names))
    return _link(_unescape(target), _unescape(label))


def _mention(target: str, label: str, names: Mapping[str, str]) -> str:
    kind, who = target[0], target[1:]
    if kind == "@":
        return "@" + (names.get(who) or label.lstrip("@")) if names.get(who) or label else _NOBODY
    if kind == "#":
        return "#" + (names.get(who) or label.lstrip("#") or "…")
    word, _, rest = who.partition("^")
    if word == "subteam":
        return "@" + (names.get(rest) or label.lstrip("@")) if names.get(rest) or label else _NOBODY
    return label or (f"@{word}" if word in {"here", "channel", "everyone"} else "")


def _link(url: str, label: str) -> str:
    shown = label or url.removeprefix("mailto:")
    if not safe_url(url):
        return _literal_plain(label or url)
    if shown in {url, url.removeprefix("mailto:")} and "mailto:" not in url:
        return f"<{url}>"
    return f"[{_literal_plain(shown)}](<{url}>)"


def _block(element: Mapping[str, Any], names: Mapping[str, str]) -> str:
    inner = element.get("elements", ())
    match element.get("type"):
        case "rich_text_list":
            indent = "   " * int(element.get("indent", 0))
            first = int(element.get("offset", 0)) + 1
            ordered = element.get("style") == "ordered"
            items = (_section(item.get("elements", ()), names).replace("\n", f"\n{indent}   ") for item in inner)
            return "\n".join(f"{indent}{f'{n}.' if ordered else '-'} {item}" for n, item in enumerate(items, first))
        case "rich_text_quote":
            return "\n".join(f"> {line}" for line in _section(inner, names).split("\n"))
        case "rich_text_preformatted":
            return _fence("".join(str(part.get("text") or part.get("url") or "") for part in inner))
        case _:
            return _section(inner, names)


def _section(elements: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> str:
    return "".join(_styled(element, names) for element in elements)


def _styled(element: Mapping[str, Any], names: Mapping[str, str]) -> str:
    style = element.get("style") or {}
    text = str(element.get("text", ""))
    if element.get("type") == "text" and style.get("code"):
        return _code(text)
    done = _element(element, text, names)
    core = done.strip()
    if not core or "\n" in core:
        return done
    for name, mark in _STYLES:
        if style.get(name):
            done = done.replace(core, f"{mark}{core}{mark}", 1)
            core = f"{mark}{core}{mark}"
    return done


def _element(element: Mapping[str, Any], text: str, names: Mapping[str, str]) -> str:
    match element.get("type"):
        case "text":
            return "\n".join(map(_line, _literal_plain(text).split("\n")))
        case "link":
            return _link(str(element.get("url", "")), text)
        case "emoji":
            points = str(element.get("unicode") or "")
            if re.fullmatch(r"[0-9a-f]{2,6}(-[0-9a-f]{2,6})*", points):
                return "".join(chr(int(point, 16)) for point in points.split("-"))
            name = str(element.get("name", ""))
            return emoji(name) or _literal_plain(f":{name}:")
        case "user":
            return _literal_plain("@" + names.get(str(element.get("user_id")), _NOBODY[1:]))
        case "usergroup":
            return _literal_plain("@" + names.get(str(element.get("usergroup_id")), _NOBODY[1:]))
        case "channel":
            return _literal_plain("#" + names.get(str(element.get("channel_id")), "…"))
        case "broadcast":
            return _literal_plain("@" + str(element.get("range", "channel")))
        case _:
            return _literal_plain(text or str(element.get("fallback") or element.get("value") or ""))


def _literal(text: str, begins_line: bool = False) -> str:
    """A stretch of mrkdwn without markup: Slack's three escapes undone, Markdown's characters escaped.

    A quote (`&gt; …`) means the same to both, so its mark stays; what only Markdown would read at a line's
    beginning is escaped.
    """
    first, *rest = _literal_plain(_unescape(text)).split("\n")
    return "\n".join([_line(first) if begins_line else first, *map(_line, rest)])


def _line(text: str) -> str:
    return _NUMBER.sub(r"\1\\\2", _LINE_START.sub(r"\1\\\2", text))


def _literal_plain(text: str) -> str:
    return _MARKUP.sub(r"\\\1", text)


def _unescape(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _plain_angles(text: str, names: Mapping[str, str]) -> str:
    """Code as it was typed: Slack makes links and mentions even there."""

    def shown(match: re.Match[str]) -> str:
        target, _, label = match[1].partition("|")
        return _mention(target, label, names) if target[:1] in {"@", "#", "!"} else label or target

    return re.sub(r"<([^<>\n]+)>", shown, text)


def _code(text: str) -> str:
    return f"``{text}``" if "`" in text and "``" not in text else f"`{text.replace('`', chr(39))}`"


def _fence(text: str) -> str:
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"\n{fence}\n{text.strip(chr(10))}\n{fence}\n"
