"""Forms that a room offers to colleagues, whatever desk draws them: a modal in Slack, a page of the console. No I/O.

A room implements `Sheets`; a desk asks it for the sheet of a kind, draws it, and hands back what was filled in. So a room never
knows Slack, and a desk never knows what its colleagues are asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bot.storage.tx import Tx


@dataclass(frozen=True, slots=True)
class Question:
    """One field. With `options` (value, label) one is chosen; without them a text is written."""

    id: str
    label: str
    options: tuple[tuple[str, str], ...] = ()
    optional: bool = False
    longest: int = 1000  # characters of a text


@dataclass(frozen=True, slots=True)
class Sheet:
    """A form. `id` names what it is about and comes back with the answers; `material` is what they are about: (who, said)."""

    id: str
    title: str
    lead: str
    questions: tuple[Question, ...]
    submit: str
    material: Sequence[tuple[str, str]] = ()


class Sheets(Protocol):
    """A room's forms. `who` is a colleague's id as their desk knows them; `locale` the language that they read."""

    @property
    def kinds(self) -> Sequence[str]: ...

    def open(self, conn: Any, kind: str, who: str, locale: str) -> Sheet | str:
        """The next sheet of a kind for this colleague, or a sentence that says why there is none."""

    def fill(self, tx: Tx, sheet_id: str, who: str, given: Mapping[str, str], locale: str) -> Mapping[str, str] | Sheet:
        """Take the answers. What is wrong, by question's id ("" for the whole sheet); empty: they are kept.

        A sheet: nothing is kept yet, this one comes next.
        """
