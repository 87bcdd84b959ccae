"""`send_check` for one case: in the languages that its customer and its agents use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.storage import customers
from handoff import send_check, store, terms
from handoff.case import Case

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk


@dataclass(frozen=True, slots=True)
class Look:
    """`warnings` hold an answer back until its agent confirms it; `seems` is the language that it seems to be in, where that is
    not the `customer`'s, and only told.
    """

    warnings: tuple[str, ...]
    customer: str
    seems: str | None


def look(conn: store.Reader, desk: Desk | None, case: Case, text: str) -> Look:
    who = customers.customer(conn, case.customer_id)
    theirs = who.locale if who else case.locale
    spoken = desk.locales if desk else ()
    found = send_check.warnings(text, (theirs, terms.agents_locale(desk)))
    return Look(found, theirs, send_check.language_tip(text, theirs, spoken))


def parted(warning: str) -> tuple[str, str]:
    """(kind, what) of a warning: ("insult", "idiot"), ("open", "[order?]"), ("shouting", "")."""
    kind, _, what = warning.partition(":")
    return kind, what
