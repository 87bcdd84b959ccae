"""What is wrong with a desk folder, and where: collected over all files, told at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rapidfuzz import process
from rapidfuzz.distance import OSA

from bot.errors import DeskFault

FAULT, WARNING = "fault", "warning"
MOST = 500
"""So many faults are told; more help nobody."""


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """`file` as the folder was named, then the path in it; line and column count from 1; `rule` is a short word."""

    file: str
    line: int
    column: int
    message: str
    severity: str = FAULT
    rule: str = ""

    def __str__(self) -> str:
        mark = "warning: " if self.severity == WARNING else ""
        return f"{self.file}:{self.line}:{self.column}: {mark}{self.message}"


class DeskFaults(DeskFault):
    """Everything that keeps a desk from being loaded; `warnings` were found beside it."""

    def __init__(self, faults: Sequence[Fault], warnings: Sequence[Fault] = ()) -> None:
        super().__init__("\n".join(str(one) for one in faults))
        self.faults = list(faults)
        self.warnings = list(warnings)


@dataclass(slots=True)
class Report:
    """Collects faults while a folder is read; each is kept once."""

    found: dict[Fault, None] = field(default_factory=dict)

    def add(self, fault: Fault) -> None:
        self.found[fault] = None

    @property
    def faults(self) -> list[Fault]:
        return sorted(one for one in self.found if one.severity == FAULT)[:MOST]

    @property
    def warnings(self) -> list[Fault]:
        return sorted(one for one in self.found if one.severity == WARNING)[:MOST]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean "order"?` where a known word is near, else nothing."""
    far = max(1, len(word) // 3)
    near = process.extractOne(word[:80], sorted(known), scorer=OSA.distance, score_cutoff=far)
    return f'; did you mean "{near[0]}"?' if near else ""
