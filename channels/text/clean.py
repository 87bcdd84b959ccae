"""What may be stored of a text, and what people who work with it get to see of its invisible characters.

Two different things. `clean` runs at the door, and drops only what cannot be stored or shown anywhere; the record
keeps all else, as it was written. `visible` is for agents' views and for what a model reads: there, nothing may
hide, and nothing may turn the line around.
"""

from __future__ import annotations

import re

from channels.text.split import grapheme_floor

TEXT_LIMIT = 16_000
"""Characters (code points) of one message, on every channel: CONTRACT.md, the widget's frames."""

_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")
_NEWLINES = re.compile("\r\n?|[\x85\u2028\u2029]")

_TAGS = "\U000e0000-\U000e007f"
_EMOJI = "\u00a9\u00ae\u203c-\u3299\ufe0f\U0001f000-\U0001faff"
_HIDDEN = re.compile(
    "(?P<flag>\U0001f3f4\U000e0067\U000e0062(?:\U000e0065\U000e006e\U000e0067|\U000e0073\U000e0063\U000e0074|"
    "\U000e0077\U000e006c\U000e0073)\U000e007f)"  # England, Scotland, Wales: the only flags made of tags (UTS #51)
    f"|(?P<tags>[{_TAGS}]+)"
    f"|(?P<joiner>(?<=[{_EMOJI}])\u200d(?=[{_EMOJI}]))"
    "|(?P<letters>(?<=[\u0600-\u06ff\u0900-\u0dff])[\u200c\u200d](?=[\u0600-\u06ff\u0900-\u0dff]))"  # Persian, Indic
    "|(?P<selector>[\ufe0e\ufe0f](?![\ufe00-\ufe0f\U000e0100-\U000e01ef]))"
    "|(?P<other>[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u202a-\u202e\u2060-\u2067\u206a-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0080-\U000e0fff]+)"
)
_FSI, _PDI = "\u2068", "\u2069"
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


def clean(text: str) -> str:
    """`text` without what databases, logs and platforms refuse: NUL and other controls, lone surrogates.

    Line ends become line feeds; two halves of a surrogate pair become one character, a lone half U+FFFD.
    """
    if text.isascii():
        if text.isprintable():  # nothing of what is looked for below, as most texts and names
            return text
    else:
        try:
            text.encode()
        except UnicodeEncodeError:
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return _CONTROLS.sub("", _NEWLINES.sub("\n", text))


def shorten(text: str, limit: int = TEXT_LIMIT, note: str = "…") -> str:
    """`text`, or as much of its beginning as fits `limit` characters together with `note` behind it.

    Pass `say("cut_here", locale)` as the note where people should be told. Never cuts a grapheme in two.
    """
    if len(text) <= limit:
        return text
    if len(note) >= limit:
        return text[: grapheme_floor(text, limit)]
    return text[: grapheme_floor(text, limit - len(note))] + note


def visible(text: str) -> str:
    """`text` for agents' eyes and for models: nothing hides in it, nothing reorders what stands beside it.

    Direction overrides, zero-width and filler characters are named, `[U+202E]`; text in tag characters is spelt
    out, `[hidden: …]`. What emoji and scripts need stays: joiners, flags, single selectors, direction marks.
    """
    text = clean(text)
    return text if text.isascii() else "\n".join(_balanced(_HIDDEN.sub(_shown, line)) for line in text.split("\n"))


def one_line(text: str, limit: int = 100) -> str:
    """A name, topic or file name for agents' eyes: visible, on one line, at most `limit` characters."""
    return shorten(" ".join(visible(text).split()), limit)


def bare(text: str) -> str:
    """A typed or copied code without what clings to it: spaces at its ends, isolates, zero-width characters."""
    return _INVISIBLE.sub("", text).strip()


def _shown(match: re.Match[str]) -> str:
    found = match[0]
    if match.lastgroup == "tags":
        letters = "".join(chr(ord(char) - 0xE0000) for char in found if "\U000e0020" <= char <= "\U000e007e")
        return f"[hidden: {letters}]"
    if match.lastgroup != "other":
        return found
    return f"[U+{ord(found[0]):04X}]" if len(found) == 1 else f"[U+{ord(found[0]):04X} ×{len(found)}]"


def _balanced(line: str) -> str:
    """`line` with every isolate closed, and none closed that was not opened."""
    if _FSI not in line and _PDI not in line:
        return line
    depth, out = 0, []
    for char in line:
        if char == _PDI and depth == 0:
            continue
        depth += (char == _FSI) - (char == _PDI)
        out.append(char)
    return "".join(out) + _PDI * depth
