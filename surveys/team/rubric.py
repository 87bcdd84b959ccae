"""What a good conversation is: criteria, each with its marks. Pure.

A desk writes its own under `quality:` in desk.yaml; without it the six below hold. Marks are whole numbers from `low` to
`high`; a criterion that did not come up is left out of the sum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SCALES: Mapping[str, tuple[int, int]] = {"yes_no": (0, 1), "1-3": (1, 3), "1-5": (1, 5)}
NOT_APPLICABLE = "na"


@dataclass(frozen=True, slots=True)
class Criterion:
    """`weight` is its share in the card's sum, beside the others'. `name` None: a built-in one, named by the texts."""

    id: str
    name: str | None = None
    scale: str = "1-3"
    weight: float = 1.0

    @property
    def low(self) -> int:
        return SCALES[self.scale][0]

    @property
    def high(self) -> int:
        return SCALES[self.scale][1]

    @property
    def marks(self) -> range:
        return range(self.low, self.high + 1)


@dataclass(frozen=True, slots=True)
class Rubric:
    criteria: tuple[Criterion, ...]
    sample: int = 10
    """Cases that are drawn at once."""

    def score(self, marks: Mapping[str, int]) -> float | None:
        """The weighted share of what could be had, 0…1; None where nothing applied."""
        given = [(one, marks[one.id]) for one in self.criteria if one.id in marks]
        weight = sum(one.weight for one, _ in given)
        if weight == 0:
            return None
        return sum(one.weight * (mark - one.low) / (one.high - one.low) for one, mark in given) / weight

    def refused(self, marks: Mapping[str, str]) -> str | None:
        """The id of the first criterion whose mark is none of its own; `na` is one of every criterion's."""
        for one in self.criteria:
            if marks.get(one.id, "") not in {NOT_APPLICABLE, *map(str, one.marks)}:
                return one.id
        return None


USUAL = Rubric(
    (
        Criterion("understood"),
        Criterion("correct", weight=2.0),
        Criterion("complete"),
        Criterion("kind"),
        Criterion("effort"),
        Criterion("recorded", scale="yes_no"),
    )
)


def from_section(section: Mapping[str, Any] | None) -> Rubric:
    """The rubric of desk.yaml's `quality:`, which the desk has checked already."""
    if not section or not section.get("criteria"):
        return Rubric(USUAL.criteria, int((section or {}).get("sample", USUAL.sample)))
    criteria = tuple(
        Criterion(
            str(one["id"]), str(one.get("name") or one["id"]), str(one.get("scale", "1-3")), float(one.get("weight", 1))
        )
        for one in section["criteria"]
    )
    return Rubric(criteria, int(section.get("sample", USUAL.sample)))


def to_json(rubric: Rubric) -> list[dict[str, Any]]:
    return [{"id": one.id, "name": one.name, "scale": one.scale, "weight": one.weight} for one in rubric.criteria]


def from_json(kept: Sequence[Mapping[str, Any]]) -> Rubric:
    """As it was when a sample was drawn."""
    return Rubric(tuple(Criterion(one["id"], one["name"], one["scale"], one["weight"]) for one in kept))
