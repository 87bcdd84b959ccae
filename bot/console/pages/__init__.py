"""The pages, in the order of the menu. A page is a module here with a tuple PAGES; add it to the list below."""

from __future__ import annotations

from collections.abc import Sequence

from bot.console.page import Page
from bot.console.pages import (
    audit,
    changes,
    dry_run,
    files,
    flows,
    history,
    notices,
    overview,
    people,
    simulator,
    tests,
    texts,
    trouble,
    unanswered,
    versions,
    written,
)

PAGES: tuple[Page, ...] = (
    *overview.PAGES,
    *trouble.PAGES,
    *flows.PAGES,
    *versions.PAGES,
    *texts.PAGES,
    *written.PAGES,
    *unanswered.PAGES,
    *notices.PAGES,
    *files.PAGES,
    *simulator.PAGES,
    *tests.PAGES,
    *dry_run.PAGES,
    *changes.PAGES,
    *history.PAGES,
    *people.PAGES,
    *audit.PAGES,
)

GROUPS = (
    "",
    "console_group_mend",
    "console_group_team",
    "console_group_content",
    "console_group_try",
    "console_group_publish",
    "console_group_people",
)
"""The headings of the menu, in their order."""


def in_order(pages: Sequence[Page]) -> tuple[Page, ...]:
    """By the headings; under one heading as they come."""
    return tuple(sorted(pages, key=lambda one: GROUPS.index(one.group)))
