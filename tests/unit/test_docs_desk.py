"""The desk of docs/desk.md is a desk: every file that the page shows is loaded, checked and tested as an admin's would be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.desk_folder.desk import Desk
from bot.desk_folder.load import load
from bot.desk_folder.settings import _DORMANT, _SECTIONS
from bot.flows import transcripts
from bot.flows.expressions import ARITY
from bot.flows.load import _COMMON_KEYS, _SLOT_KEYS
from bot.flows.schema import INSTRUMENTS, OUTCOMES, PRIORITIES, SCOPES, SLOT_TYPES
from bot.flows.source import read
from bot.flows.templates import FILTERS
from bot.flows.verbs import RECORD_KINDS, VERBS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "desk.md").read_text(encoding="utf-8")
FILES = re.findall(r"^`([\w./]+)`\n\n```\w+\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
SMALL = 6
"""So many files of the page are said to be a whole desk."""


def every_section() -> str:
    found = re.search(r"```yaml every-section\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


def written(folder: Path, files: list[tuple[str, str]]) -> Path:
    for name, text in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def passes(desk: Desk) -> None:
    results = transcripts.run_tests(desk)
    assert results
    assert [result.message for result in results if not result.ok] == []


def test_the_small_desk_is_whole_without_a_warning_and_its_tests_pass(tmp_path: Path) -> None:
    assert f"These {['', 'one', 'two', 'three', 'four', 'five', 'six'][SMALL]} files" in PAGE
    desk = load(written(tmp_path, FILES[:SMALL]))
    assert desk.warnings == ()
    passes(desk)


def test_all_files_of_the_page_together_are_a_desk_too(tmp_path: Path) -> None:
    assert len({name for name, _ in FILES}) == len(FILES)
    desk = load(written(tmp_path, FILES))
    assert desk.warnings == ()
    assert desk.articles
    assert desk.macros
    passes(desk)


def test_every_section_of_desk_yaml_is_shown_and_read(tmp_path: Path) -> None:
    desk = load(written(tmp_path, [*FILES, ("desk.yaml", every_section())]))
    assert {one.rule for one in desk.warnings} <= {"not-yet"}
    assert len(desk.warnings) == len(_DORMANT)
    shown = {line.partition(":")[0] for line in every_section().splitlines() if re.match(r"[a-z_]+:", line)}
    assert shown == {"schema", *_SECTIONS}


def test_every_verb_stands_in_the_table_with_its_keys_and_once_in_a_flow(tmp_path: Path) -> None:
    flow = load(written(tmp_path, FILES)).flows["every_verb"]
    used = {type(step.verb).__name__.removesuffix("Step").lower() for step in flow.steps}
    assert used == set(VERBS)
    rows = {row[0]: row[1] for row in re.findall(r"^\| `(\w+)` \| (.*) \|$", PAGE, re.MULTILINE)}
    for verb, (keys, _) in VERBS.items():
        assert verb in rows
        assert [key for key in keys if f"`{key}" not in rows[verb]] == []
    assert [key for key in _COMMON_KEYS if key not in rows] == []


@pytest.mark.parametrize(
    "names",
    [SLOT_TYPES, SCOPES, _SLOT_KEYS, OUTCOMES, INSTRUMENTS, PRIORITIES[2:3], RECORD_KINDS, tuple(FILTERS), tuple(ARITY), tuple(transcripts.EXPECTED)],
)  # fmt: skip
def test_every_name_that_an_admin_may_write_stands_on_the_page(names: tuple[str, ...]) -> None:
    assert [name for name in names if name not in PAGE] == []


def test_the_front_matter_is_yaml() -> None:
    from bot.flows.source import Faults

    for name, text in FILES:
        if name.endswith(".md"):
            faults = Faults()
            read(name, text.split("---")[1], faults)
            assert faults.found == []
