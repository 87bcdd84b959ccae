"""Markdown → plain text and the spans of it that have a style.

The light kind of Markdown: paragraphs, line breaks (kept, as in a chat), bold, italic, strikethrough, code, code
blocks, links, lists, quotes; headings become bold lines, pictures become links. No HTML, no indented code, no
tables, no link definitions: in a chat they are accidents.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bot.nouns import noun

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

BOLD, ITALIC, STRIKE, CODE, PRE, LINK, QUOTE = "bold", "italic", "strike", "code", "pre", "link", "quote"

_OPENS = {"strong_open": BOLD, "em_open": ITALIC, "s_open": STRIKE, "link_open": LINK}
_CLOSES = {"strong_close", "em_close", "s_close", "link_close"}
SAID_OFTEN = 2_000  # characters: what a flow or an article says, it says to many
_PERHAPS_MARKUP = re.compile(r"[\\`*_~\[\]<>#&]|\n[ \t]*\n|^[ \t]|^[-+=]|^\d+[.)]|[ \t]$", re.MULTILINE)
_ADDRESS = re.compile(r"https?://[^\s<>\"`{}|\\^\[\]]+")
_AROUND_ADDRESS = ".,;:!?'*_~)"
_FORBIDDEN_IN_URL = re.compile(r"[\x00-\x20\x7f-\x9f\\<>\"`{}|^]")


@noun(frozen=True, slots=True)
class Span:
    """`text[start:end]` (code points) has a style. `value` is a link's URL, or a code block's language."""

    kind: str
    start: int
    end: int
    value: str = ""


@noun(frozen=True, slots=True)
class Flat:
    """Plain text and its spans, properly nested, outer before inner."""

    text: str
    spans: tuple[Span, ...] = ()


def is_plain(md: str) -> bool:
    """Whether `md` surely holds no markup, so that nobody needs to parse it. May say no for want of a look."""
    return not _PERHAPS_MARKUP.search(md)


def flatten(md: str) -> Flat:
    """The text of `md` as people read it, with its spans."""
    if is_plain(md):
        return Flat(md.strip("\n"))
    return _parsed(md) if len(md) <= SAID_OFTEN else _Walk().over(parse(md))


@lru_cache(maxsize=512)
def _parsed(md: str) -> Flat:
    return _Walk().over(parse(md))


def parse(md: str) -> list[Token]:
    """markdown-it's tokens of `md`, with headings turned into bold paragraphs and pictures into links."""
    tokens = _parser().parse(md)
    for number, token in enumerate(tokens):
        if token.type in {"heading_open", "heading_close"}:
            token.type, token.tag = token.type.replace("heading", "paragraph"), "p"
            if token.nesting == 1:
                inline = tokens[number + 1]
                inline.children = [_token("strong_open"), *(inline.children or []), _token("strong_close")]
    for token in tokens:
        if token.children:
            token.children = _without_pictures(token.children)
    return tokens


def safe_url(url: str) -> bool:
    """Whether we link to it: http, https with a host and no user name, or mailto; nothing a browser would mend."""
    if _FORBIDDEN_IN_URL.search(url):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    if parts.scheme in {"http", "https"}:
        return bool(parts.hostname) and "@" not in parts.netloc
    return parts.scheme == "mailto" and bool(parts.path)


class _Walk:
    """Writes the text of markdown-it's tokens, and notes where each style begins and ends."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.length = 0
        self.newlines = 0  # how many the text ends with
        self.spans: list[Span | None] = []
        self.open: list[tuple[int, str, int, str]] = []  # place in spans, kind, start, value
        self.lists: list[int | None] = []  # the next number of each open list; None for bullets
        self.fresh = True  # a block has just been opened: its first line needs no gap

    def over(self, tokens: Sequence[Token]) -> Flat:
        for token in tokens:
            self._block(token)
        text = "".join(self.parts).rstrip("\n")
        spans = (Span(s.kind, s.start, min(s.end, len(text)), s.value) for s in self.spans if s is not None)
        return Flat(text, tuple(span for span in spans if span.start < span.end))

    def _block(self, token: Token) -> None:
        match token.type:
            case "inline":
                for child in token.children or ():
                    self._inline(child)
            case "paragraph_open":
                self._gap(1 if token.hidden else 2)
            case "bullet_list_open" | "ordered_list_open":
                self._gap(1 if self.lists else 2)
                start = token.attrGet("start")
                self.lists.append(None if token.type.startswith("bullet") else int(1 if start is None else start))
                self.fresh = True
            case "bullet_list_close" | "ordered_list_close":
                self.lists.pop()
            case "list_item_open":
                self._item()
            case "blockquote_open":
                self._gap(2)
                self._start(QUOTE)
                self.fresh = True
            case "blockquote_close":
                self._end()
            case "fence":
                self._gap(2)
                self._start(PRE, token.info.strip().split(" ")[0])
                self._write(token.content.rstrip("\n"))
                self._end()
            case "hr":
                self._gap(2)
                self._write("———")

    def _item(self) -> None:
        self._gap(1)
        number = self.lists[-1]
        self._write("  " * (len(self.lists) - 1) + ("• " if number is None else f"{number}. "))
        if number is not None:
            self.lists[-1] = number + 1
        self.fresh = True

    def _inline(self, token: Token) -> None:
        if token.type in _OPENS:
            self._start(_OPENS[token.type], str(token.attrGet("href") or ""))
        elif token.type in _CLOSES:
            self._end()
        elif token.type == "code_inline":
            self._start(CODE)
            self._write(token.content)
            self._end()
        elif token.type in {"softbreak", "hardbreak"}:
            self._write("\n")
        else:
            self._write(token.content)

    def _gap(self, newlines: int) -> None:
        if not self.fresh:
            self._write("\n" * (newlines - self.newlines))
        self.fresh = False

    def _write(self, text: str) -> None:
        if text:
            self.parts.append(text)
            self.length += len(text)
            stripped = text.rstrip("\n")
            ends = len(text) - len(stripped)
            self.newlines = ends if stripped else self.newlines + ends
            self.fresh = False

    def _start(self, kind: str, value: str = "") -> None:
        self.open.append((len(self.spans), kind, self.length, value))
        self.spans.append(None)

    def _end(self) -> None:
        place, kind, start, value = self.open.pop()
        self.spans[place] = Span(kind, start, self.length, value)


def _token(kind: str) -> Token:
    from markdown_it.token import Token

    tags = {"strong": "strong", "link": "a"}
    return Token(kind, tags[kind.partition("_")[0]], 1 if kind.endswith("_open") else -1)


def _without_pictures(children: Sequence[Token]) -> list[Token]:
    """Pictures become links to them: a picture would be fetched, and tell its server who reads."""
    result: list[Token] = []
    inside = 0  # links do not nest
    for child in children:
        inside += child.nesting if child.type.startswith("link_") else 0
        if child.type != "image":
            result.append(child)
            continue
        label = child.children or []
        if inside:
            result.extend(_without_pictures(label))
            continue
        opening = _token("link_open")
        opening.attrSet("href", str(child.attrGet("src") or ""))
        texts = [part for part in label if not part.type.startswith(("link_", "image"))]
        result.extend([opening, *(texts or [_text(str(child.attrGet("src") or ""))]), _token("link_close")])
    return result


def _text(content: str) -> Token:
    from markdown_it.token import Token

    return Token("text", "", 0, content=content)


def _address(state: StateInline, silent: bool) -> bool:
    """A bare http(s) address is one piece of text: the `*` and `_` in it are no marks, and it still works when clicked."""
    begun = next((scheme for scheme in ("https", "http") if state.pending.endswith(scheme)), "")
    if not begun or state.src[state.pos] != ":":
        return False
    match = _ADDRESS.match(state.src, state.pos - len(begun), state.posMax)
    address = match[0] if match else ""
    while (
        address
        and address[-1] in _AROUND_ADDRESS
        and not (address[-1] == ")" and address.count("(") >= address.count(")"))
    ):
        address = address[:-1]
    rest = address[len(begun) :]
    if len(rest) <= len("://"):
        return False
    if not silent:
        state.pending += rest
    state.pos += len(rest)
    return True


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "linkify": False})
    parser.enable("strikethrough").disable(["code", "lheading", "reference", "html_block", "html_inline"])
    parser.validateLink = safe_url  # type: ignore[method-assign]
    parser.inline.ruler.before("escape", "address", _address)
    return parser
