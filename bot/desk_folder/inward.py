"""The sections of desk.yaml on how the team looks at itself: `quality:` and `pulse:`. Strictly read."""

from __future__ import annotations

import re
from typing import Any

from bot.flows.source import Node, Reader

QUALITY_KEYS = ("sample", "criteria")
CRITERION_KEYS = ("id", "name", "scale", "weight")
SCALES = ("yes_no", "1-3", "1-5")
PULSE_KEYS = ("monthly", "questions")
MOST_CRITERIA, MOST_QUESTIONS, MOST_DRAWN = 12, 8, 100
_ID = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}\Z")


def quality(node: Node, reader: Reader) -> dict[str, Any]:
    """In the words of `surveys.team.rubric.from_section`."""
    found = reader.entries(node, QUALITY_KEYS, "quality")
    read: dict[str, Any] = {}
    if "sample" in found and (sample := reader.whole(found["sample"], "quality: sample", 1, MOST_DRAWN)) is not None:
        read["sample"] = sample
    if "criteria" in found:
        nodes = reader.items(found["criteria"], "quality: criteria")
        if len(nodes) > MOST_CRITERIA:
            reader.fault(found["criteria"], f"quality: at most {MOST_CRITERIA} criteria: nobody fills in more", "value")
        criteria = [one for item in nodes if (one := _criterion(item, reader)) is not None]
        twice = {one["id"] for one in criteria if [other["id"] for other in criteria].count(one["id"]) > 1}
        for name in sorted(twice):
            reader.fault(found["criteria"], f'quality: the criterion "{name}" stands twice', "duplicate")
        read["criteria"] = criteria
    return read


def _criterion(node: Node, reader: Reader) -> dict[str, Any] | None:
    found = reader.entries(node, CRITERION_KEYS, "criterion", ("id", "name"))
    name = reader.text(found["name"], "criterion: name") if "name" in found else None
    known = reader.text(found["id"], "criterion: id") if "id" in found else None
    if known is not None and not _ID.match(known):
        reader.wrong(found["id"], "a criterion's id must be letters, digits, _ and -")
        return None
    scale = reader.one_of(found["scale"], SCALES, "scale") if "scale" in found else "1-3"
    weight = reader.number(found["weight"], "weight") if "weight" in found else 1.0
    if weight is not None and weight <= 0:
        reader.wrong(found["weight"], "a weight must be above 0")
        return None
    if known is None or name is None or scale is None or weight is None:
        return None
    return {"id": known, "name": name, "scale": scale, "weight": float(weight)}


def pulse(node: Node, reader: Reader) -> dict[str, Any]:
    """`monthly`: whether a round opens by itself each month; `questions` instead of the built-in ones."""
    found = reader.entries(node, PULSE_KEYS, "pulse")
    read: dict[str, Any] = {}
    if "monthly" in found:
        read["monthly"] = reader.flag(found["monthly"], "pulse: monthly")
    if "questions" in found:
        read["questions"] = list(reader.texts(found["questions"], "pulse: questions"))
        if len(read["questions"]) > MOST_QUESTIONS:
            reader.fault(found["questions"], f"pulse: at most {MOST_QUESTIONS} questions", "value")
    return read
