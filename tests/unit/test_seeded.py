"""Each bug of tests/seeded still has its place in the code, and the tests that are to notice it exist."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.seeded.__main__ import planted
from tests.seeded.bugs import BUGS, Bug

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_seeded_bug_has_one_place_and_its_tests(bug: Bug) -> None:
    spoiled = planted(bug, (ROOT / bug.file).read_text(encoding="utf-8"))
    ast.parse(spoiled)  # a bug that is no program would be noticed by anything
    assert all((ROOT / file).is_file() for file in bug.caught_by)


def test_there_are_many_and_each_is_another() -> None:
    assert len({(bug.file, bug.old, bug.new) for bug in BUGS}) == len({bug.name for bug in BUGS}) == len(BUGS) >= 20
