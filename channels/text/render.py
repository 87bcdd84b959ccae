"""A text as each channel draws it. Pure; safe for any input."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

from channels.text.flat import (
    BOLD,
    CODE,
    ITALIC,
    LINK,
    PRE,
    QUOTE,
    STRIKE,
    Flat,
    Span,
    flatten,
    is_plain,
    parse,
    safe_url,
)

Entity = dict[str, Any]
"""Telegram's MessageEntity: `type`, `offset` and `length` in UTF-16 code units, `url` or `language`."""

_BARE_URL = re.compile(r"https?://[^\s<>\"`{}|\\^\x00-\x1f\x7f-\x9f\u2066-\u2069\u200b-\u200f\u202a-\u202e]+")
_TRAILING = ".,;:!?'*_~)]…»”’"
_TAGS = frozenset({"p", "br", "strong", "em", "s", "code", "pre", "a", "ul", "ol", "li", "blockquote", "hr"})
_TELEGRAM = {
    BOLD: "bold",
    ITALIC: "italic",
    STRIKE: "strikethrough",
    CODE: "code",
    PRE: "pre",
    LINK: "text_link",
    QUOTE: "blockquote",
}
_MARKS = {BOLD: "*", ITALIC: "_", STRIKE: "~", CODE: "`"}


def to_plain(md: str) -> str:
    """Markdown as plain text: without marks, a link's address in brackets behind its label."""
    flat = flatten(md)
    text = flat.text
    for span in sorted((s for s in flat.spans if s.kind == LINK), key=lambda s: -s.end):
        if not _same_address(flat.text[span.start : span.end], span.value):
            text = f"{text[: span.end]} ({span.value}){text[span.end :]}"
    return text


def to_html(md: str) -> str:
    """Markdown as HTML that may be put into our pages: an allow-list of tags, links that open apart."""
    if is_plain(md):
        return f"<p>{plain_to_html(md.strip())}</p>" if md.strip() else ""
    import nh3
    from markdown_it.renderer import RendererHTML

    tokens = parse(md)
    for token in tokens:
        if token.children:
            token.children = list(_linked(token.children))
    return nh3.clean(
        RendererHTML().render(tokens, _html_options(), {}),
        tags=set(_TAGS),
        attributes={"a": {"href"}, "ol": {"start"}},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    ).strip()


def plain_to_html(text: str) -> str:
    """Plain text as HTML: escaped, line breaks kept, http(s) addresses made into links."""
    return "".join(
        f'<a href="{html.escape(piece)}" target="_blank" rel="noopener nofollow">{html.escape(piece)}</a>'
        if is_link
        else html.escape(piece).replace("\n", "<br>")
        for piece, is_link in _pieces(text)
    )


def to_telegram(md: str) -> tuple[str, list[Entity]]:
    """Markdown as Telegram's text and entities, to be sent without parse_mode."""
    flat = flatten(md)
    if not flat.spans:
        return flat.text, []
    offset = _utf16_offsets(flat.text)
    entities: list[Entity] = []
    for span in _for_telegram(flat):
        start, end = offset(span.start), offset(span.end)
        entity: Entity = {"type": _TELEGRAM[span.kind], "offset": start, "length": end - start}
        if span.kind == LINK:
            entity["url"] = span.value
        elif span.kind == PRE and span.value:
            entity["language"] = span.value
        entities.append(entity)
    return flat.text, entities


def to_mrkdwn(md: str) -> str:
    """Markdown as Slack's mrkdwn. `&`, `<` and `>` are escaped, so that no text can mention or ping anybody."""
    flat = flatten(md)
    text = flat.text
    marks: dict[int, list[tuple[int, str]]] = {}  # place → (order, mark)
    for order, (span, opening, closing) in enumerate(_slack_marks(flat)):
        marks.setdefault(span.start, []).append((order, opening))
        marks.setdefault(span.end, []).append((-order - 1, closing))  # closings first, the innermost before its outer
    out, at = [], 0
    for place in sorted(marks):
        out.append(plain_to_mrkdwn(text[at:place]))
        out.extend(mark for _, mark in sorted(marks[place]))
        at = place
    out.append(plain_to_mrkdwn(text[at:]))
    return "".join(out)


def plain_to_mrkdwn(text: str) -> str:
    """Plain text for Slack: `&`, `<` and `>` escaped, as Slack asks, and nothing else touched."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    """`text` in pieces, each with whether it is an address to be linked."""
    at = 0
    for match in _BARE_URL.finditer(text):
        url = match[0]
        while url and url[-1] in _TRAILING and not (url[-1] == ")" and url.count("(") >= url.count(")")):
            url = url[:-1]
        if safe_url(url):
            yield text[at : match.start()], False
            yield url, True
            at = match.start() + len(url)
    yield text[at:], False


def _linked(children: list[Any]) -> Iterator[Any]:
    """Inline tokens with bare addresses turned into links, outside of links."""
    from markdown_it.token import Token

    inside = 0
    for child in children:
        inside += child.nesting if child.type.startswith("link_") else 0
        if child.type != "text" or inside:
            yield child
            continue
        for piece, is_link in _pieces(child.content):
            if is_link:
                yield Token("link_open", "a", 1, attrs={"href": piece})
            yield Token("text", "", 0, content=piece)
            if is_link:
                yield Token("link_close", "a", -1)


def _html_options() -> Any:
    from markdown_it.utils import OptionsDict

    return OptionsDict({
        "maxNesting": 20, "html": False, "linkify": False, "typographer": False, "quotes": "“”‘’",
        "xhtmlOut": False, "breaks": True, "langPrefix": "", "highlight": None,
    })  # fmt: skip


def _same_address(label: str, url: str) -> bool:
    return url in {label, f"mailto:{label}"} or label.rstrip("/") == url.rstrip("/")


def _for_telegram(flat: Flat) -> Iterator[Span]:
    """The spans that Telegram allows: code stands alone, quotes do not nest, no span is empty or only space."""
    quotes = [span for span in flat.spans if span.kind == QUOTE]
    links = [span for span in flat.spans if span.kind == LINK]
    codes = [
        span for span in flat.spans if span.kind in {CODE, PRE} and not any(_within(span, o) for o in (*quotes, *links))
    ]
    for span in flat.spans:
        if span.kind in {CODE, PRE}:
            pieces = [span] if span in codes else []
        elif span.kind == QUOTE:
            pieces = [] if any(_within(span, outer) for outer in quotes if outer is not span) else [span]
        elif span.kind == LINK:
            pieces = [] if _same_address(flat.text[span.start : span.end], span.value) else [span]
        else:
            pieces = list(_minus(span, codes))
        yield from (piece for piece in pieces if flat.text[piece.start : piece.end].strip())


def _within(span: Span, outer: Span) -> bool:
    return outer.start <= span.start and span.end <= outer.end


def _minus(span: Span, holes: list[Span]) -> Iterator[Span]:
    """What is left of `span` around `holes` (in order, apart)."""
    at = span.start
    for hole in holes:
        if _within(hole, span):
            yield Span(span.kind, at, hole.start, span.value)
            at = hole.end
    yield Span(span.kind, at, span.end, span.value)


def _utf16_offsets(text: str) -> Any:
    """A function from a place in `text` (code points) to Telegram's (UTF-16 code units)."""
    astral = [place for place, char in enumerate(text) if char > "\uffff"]
    if not astral:
        return lambda place: place
    from bisect import bisect_left

    return lambda place: place + bisect_left(astral, place)


def _slack_marks(flat: Flat) -> Iterator[tuple[Span, str, str]]:
    """Each span of `flat` with what opens and closes it in mrkdwn, outer before inner."""
    text = flat.text
    pres = [span for span in flat.spans if span.kind == PRE]
    for span in flat.spans:
        if span.kind == PRE:
            if "```" not in text[span.start : span.end]:
                yield span, "```\n", "\n```"
            continue
        if any(_within(span, pre) for pre in pres):
            continue
        for line in _lines(span, text):
            if span.kind == QUOTE:
                yield Span(QUOTE, line.start, line.end), "> ", ""
            elif span.kind == LINK:
                if not _same_address(text[line.start : line.end], span.value):
                    yield line, f"<{plain_to_mrkdwn(span.value).replace('|', '%7C')}|", ">"
            elif _stands_apart(text, line) and not (span.kind == CODE and "`" in text[line.start : line.end]):
                yield line, _MARKS[span.kind], _MARKS[span.kind]


def _lines(span: Span, text: str) -> Iterator[Span]:
    """`span` line by line, without the space at either end: Slack's marks do not reach over a line's end."""
    at = span.start
    for line in text[span.start : span.end].split("\n"):
        left = len(line) - len(line.lstrip()) if span.kind != QUOTE else 0
        if line.strip() or span.kind == QUOTE:
            end = at + (len(line) if span.kind == QUOTE else len(line.rstrip()))
            yield Span(span.kind, at + left, end, span.value)
        at += len(line) + 1


def _stands_apart(text: str, span: Span) -> bool:
    """Slack reads a mark only at a word's edge; within a word it would show the mark itself."""
    return not (text[span.start - 1 : span.start].isalnum() or text[span.end : span.end + 1].isalnum())
