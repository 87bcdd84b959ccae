"""A conversation that was played in the simulator, as a conversation test in YAML. Pure.

Of every answer a part is expected: its beginning, as far as it can be told apart. Where the conversation ended, and with
whom, is expected too. What is written reads as the same conversation: `bot.flows.transcripts` is its reader.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from bot.console.sketch import Sketch
from bot.console.stage import Beat, Scene, span
from bot.desk_folder.spelling import double
from bot.desk_folder.spelling import plain as unquoted
from bot.flows.transcripts import plain

FILE = "tests/simulator.yaml"
NEW_FILE = (
    "# Conversation tests that were saved from the simulator. `stafett test` plays them; change them as you like.\n"
)
ENOUGH = 60  # characters of an answer that a test looks for
_INSIDE = {"choose": "user", "file": "user", "score": "user", "claim": "agent", "note": "agent", "resolve": "agent"}
_SENTENCE = re.compile(r"[.!?؟](\s|\Z)")


def as_test(name: str, sketch: Sketch, scene: Scene) -> str:
    """One entry of a file of tests, with a line break at its end."""
    lines = [f"- test: {_word(' '.join(name.split()))}", f"  locale: {sketch.locale}"]
    if sketch.given:
        lines.append(f"  given: {flow_style(sketch.given)}")
    lines.append("  script:")
    for beat in scene.beats:
        lines += [f"    - {one}" for one in _script(beat)]
    if expected := _expected(scene):
        lines.append(f"    - {flow_style({'expect': expected})}")
    return "\n".join(lines) + "\n"


def _script(beat: Beat) -> Iterator[str]:
    value = beat.value
    if beat.kind == "after":
        value = span(value)
    elif beat.kind == "event":
        value = {value[0]: value[1]} if value[1] else value[0]
    line = {_INSIDE[beat.kind]: {beat.kind: value}} if beat.kind in _INSIDE else {beat.kind: value}
    yield flow_style(line)
    for bubble in beat.bubbles:
        if bubble.who == "bot" and (part := telling(bubble.text)):
            yield flow_style({"bot": part})


def telling(text: str) -> str:
    """The part of an answer that a test looks for: its first sentence, or as many words as are enough."""
    said = plain(text)
    found = _SENTENCE.search(said)
    first = said[: found.start() + 1] if found else said
    if len(first) > ENOUGH:
        first = first[:ENOUGH].rpartition(" ")[0] or first[:ENOUGH]
    if first.startswith(("/", "$")):  # a pattern, or the key of a text
        first = first[1:].strip()
    return first.strip()


def _expected(scene: Scene) -> dict[str, Any]:
    expected: dict[str, Any] = {}
    if scene.escalated:
        expected |= {"escalated": scene.escalated, "reason": scene.reason}
    if scene.closed:
        expected |= {"closed": scene.closed} | ({"survey": scene.survey} if scene.survey else {})
    if scene.score is not None:
        expected["score"] = scene.score
    slots = {name: value for name, value in scene.slots.items() if isinstance(value, str | int | float)}
    return expected | ({"slots": slots} if slots else {})


# ── YAML on one line ──


def flow_style(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_word(str(key))}: {flow_style(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow_style, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    return repr(value) if isinstance(value, int | float) else _word(str(value))


def _word(text: str) -> str:
    return unquoted(text) or double(text)
