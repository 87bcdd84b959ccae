"""Draws Block Kit as Slack shows it, roughly, as SVG: for the documentation, from the blocks that the product really makes.

`python -m tests.support.slack_pictures` writes docs/pictures/slack; a test holds the files equal to what is made. Pure, but for
`write`. Widths are guessed: an SVG cannot break lines by itself.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Iterator
from html import escape, unescape
from pathlib import Path
from typing import Any

WIDTH, MARGIN = 640, 16
INK, GREY, LINE, BLUE, GREEN, PAPER = "#1d1c1d", "#616061", "#d0d0d0", "#1264a3", "#007a5a", "#ffffff"
GAP = "\u2003"  # SVG takes several spaces for one
FONT = "Lato, 'Segoe UI', Helvetica, Arial, sans-serif"
FOLDER = Path(__file__).resolve().parents[2] / "docs" / "pictures" / "slack"
_TOKEN = re.compile(r"<(?:!date\^[^|>]*\|)?([^|>]*)(?:\|([^>]*))?>")


class Sheet:
    """A column that grows downwards."""

    def __init__(self) -> None:
        self.y = MARGIN
        self.parts: list[str] = []

    def text(
        self, x: float, words: str, size: int = 15, colour: str = INK, *, bold: bool = False, width: float = 0
    ) -> None:
        for line in wrapped(words, width or WIDTH - MARGIN - x, size):
            self.y += size + 6
            weight = ' font-weight="700"' if bold else ""
            self.parts.append(
                f'<text x="{x:g}" y="{self.y:g}" font-size="{size}" fill="{colour}"{weight}>{escape(line)}</text>'
            )

    def box(self, x: float, y: float, width: float, height: float, *, fill: str = PAPER, stroke: str = LINE) -> None:
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="5" fill="{fill}" stroke="{stroke}"/>'
        )

    def button(self, x: float, y: float, element: dict[str, Any]) -> float:
        """Its width."""
        label, style = element["text"]["text"], element.get("style")
        width = measure(label, 14) + 24
        fill, ink = (GREEN, PAPER) if style == "primary" else ("#e01e5a", PAPER) if style == "danger" else (PAPER, INK)
        self.box(x, y, width, 30, fill=fill, stroke=fill if style else LINE)
        self.parts.append(
            f'<text x="{x + 12:g}" y="{y + 20:g}" font-size="14" font-weight="700" fill="{ink}">{escape(label)}</text>'
        )
        return width

    def svg(self, title: str) -> str:
        height = self.y + MARGIN
        body = "\n".join(self.parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" height="{height:g}" '
            f'font-family="{FONT}" role="img" aria-label="{escape(title)}">\n'
            f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1:g}" rx="8" fill="{PAPER}" stroke="{LINE}"/>\n{body}\n</svg>\n'
        )


def draw(name: str, made: dict[str, Any]) -> str:
    """One message or view as SVG."""
    sheet = Sheet()
    if made.get("type") == "modal":
        sheet.text(MARGIN, made["title"]["text"], 18, bold=True)
        sheet.y += 8
    for block in made["blocks"]:
        _block(sheet, block)
    if made.get("type") == "modal":
        _foot(sheet, made)
    return sheet.svg(name.replace("-", " "))


def _block(sheet: Sheet, block: dict[str, Any]) -> None:
    kind = block["type"]
    if kind == "header":
        sheet.text(MARGIN, block["text"]["text"], 18, bold=True)
    elif kind == "section":
        _section(sheet, block)
    elif kind == "context":
        sheet.text(MARGIN, GAP.join(said(one) for one in block["elements"]), 12, GREY)
    elif kind == "actions":
        _actions(sheet, block["elements"])
    elif kind == "input":
        _input(sheet, block)
    elif kind == "divider":
        sheet.y += 8
        sheet.parts.append(f'<path d="M{MARGIN} {sheet.y}H{WIDTH - MARGIN}" stroke="{LINE}"/>')
    sheet.y += 8


def _section(sheet: Sheet, block: dict[str, Any]) -> None:
    top, accessory = sheet.y, block.get("accessory")
    if block.get("text"):
        words = said(block["text"])
        sheet.text(MARGIN, words, bold=is_bold(block["text"]), width=WIDTH - 2 * MARGIN - (190 if accessory else 0))
    fields = block.get("fields", ())
    for at in range(0, len(fields), 2):
        label, value = fields[at : at + 2]
        row = sheet.y
        sheet.text(MARGIN, said(label), 14, bold=True, width=190)
        left, sheet.y = sheet.y, row
        sheet.text(MARGIN + 200, said(value), 14)
        sheet.y = max(left, sheet.y)
    if accessory and accessory["type"] == "button":
        width = measure(accessory["text"]["text"], 14) + 24
        sheet.button(WIDTH - MARGIN - width, top + 4, accessory)
        sheet.y = max(sheet.y, top + 34)


def _actions(sheet: Sheet, elements: list[dict[str, Any]]) -> None:
    x, top = float(MARGIN), sheet.y + 4
    for element in elements:
        if element["type"] != "button":
            element = {"text": {"text": f"{(element.get('placeholder') or {'text': '…'})['text']} ▾"}}  # noqa: PLW2901
        width = measure(element["text"]["text"], 14) + 24
        if x + width > WIDTH - MARGIN:
            x, top = float(MARGIN), top + 38
        x += sheet.button(x, top, element) + 8
    sheet.y = top + 30


def _input(sheet: Sheet, block: dict[str, Any]) -> None:
    element, optional = block["element"], " (optional)" if block.get("optional") else ""
    sheet.text(MARGIN, block["label"]["text"] + optional, 14, bold=True)
    chosen = (element.get("initial_option") or {}).get("text", {}).get("text")
    inside = {"datepicker": "Select a date", "timepicker": "Select a time"}.get(element["type"], "")
    inside = chosen or element.get("initial_value") or inside
    if "select" in element["type"]:
        inside = f"{inside or 'Select an option'}  ▾"
    height = 78 if element.get("multiline") else 34
    sheet.y += 6
    sheet.box(MARGIN, sheet.y, WIDTH - 2 * MARGIN, height)
    top, sheet.y = sheet.y, sheet.y
    for line in wrapped(inside, WIDTH - 4 * MARGIN, 14)[:1]:
        sheet.parts.append(
            f'<text x="{MARGIN + 10}" y="{top + 22:g}" font-size="14" fill="{GREY}">{escape(line)}</text>'
        )
    sheet.y = top + height


def _foot(sheet: Sheet, made: dict[str, Any]) -> None:
    labels = [(made[one]["text"], one == "submit") for one in ("submit", "close") if made.get(one)]
    x, top = WIDTH - MARGIN, sheet.y + 6
    for label, submits in labels:
        element = {"text": {"text": label}, **({"style": "primary"} if submits else {})}
        x -= round(measure(label, 14)) + 24
        sheet.button(x, top, element)
        x -= 8
    sheet.y = top + 30


def said(part: dict[str, Any]) -> str:
    """A text object as people read it."""
    text = str(part.get("text") or "")
    if part.get("type") != "mrkdwn":
        return text
    shown = _TOKEN.sub(lambda found: found[2] or found[1], text)
    return unescape(re.sub(r"(?<!\w)\*([^*]+)\*(?!\w)", r"\1", shown))


def is_bold(part: dict[str, Any]) -> bool:
    return part.get("type") == "mrkdwn" and str(part["text"]).startswith("*")


def measure(words: str, size: int) -> float:
    """Roughly the width of words, in pixels."""
    return sum(size * (1.15 if ord(one) > 0x2000 else 0.33 if one in "iljtf.,:;!' |" else 0.58) for one in words)


def wrapped(words: str, width: float, size: int) -> list[str]:
    return [line for paragraph in words.split("\n") for line in _lines(paragraph, width, size)]


def _lines(words: str, width: float, size: int) -> Iterator[str]:
    line = ""
    for word in words.split(" "):
        longer = f"{line} {word}" if line else word
        if line and measure(longer, size) > width:
            yield line
            line = word
        else:
            line = longer
    yield line


async def pictures() -> dict[str, str]:
    """File name → SVG of everything."""
    from tests.support.slack_samples import made
    from tests.unit.handoff_house import build

    with tempfile.TemporaryDirectory() as folder:
        house = await build(f"sqlite+aiosqlite:///{folder}/samples.db")
        try:
            found = await made(house)
        finally:
            await house.storage.close()
    return {f"{name}.svg": draw(name, one) for name, one in found.items()}


def write() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, svg in asyncio.run(pictures()).items():
        (FOLDER / name).write_text(svg, "utf-8")


if __name__ == "__main__":
    write()
