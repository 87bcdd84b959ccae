"""A new version of a flow for a part of the customers: always the same ones, all others begin in the one before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bot.desk_folder import Desk, load
from bot.desk_folder.desk import Rollout, Versions
from bot.desk_folder.load import DeskFaults
from bot.flows import Context, FlowState, Say, StartFlow, step
from bot.flows.play import START

DESK = "schema: 1\nname: x\nlocales: [en]\n"
FLOW = """\
schema: 1
flow: f
version: {version}
slots: {{a: {{type: text}}}}
steps:
  - {{id: q, ask: a, text: "{text}"}}
"""


def desk(folder: Path, version: int, text: str, more: str = "") -> Desk:
    (folder / "flows").mkdir(parents=True, exist_ok=True)
    (folder / "desk.yaml").write_text(DESK + more)
    (folder / "flows" / "f.yaml").write_text(FLOW.format(version=version, text=text))
    return load(folder)


@pytest.fixture
def rolled(tmp_path: Path) -> Desk:
    """Version 2 for a quarter of the customers."""
    before = desk(tmp_path, 1, "old?")
    planned = f"versions: {{rollout: {{f: {{share: 25%, before: {before.flows['f'].hash}}}}}}}\n"
    return desk(tmp_path, 2, "new?", planned).keeping(before)


def asked(made: Desk, customer_id: str) -> str:
    context = Context(START, "en", {"id": customer_id} if customer_id else {})
    outcome = step(made, FlowState(), StartFlow("f"), context)
    return next(one.text for one in outcome.effects if isinstance(one, Say))


def test_a_part_of_the_customers_gets_the_new_version_and_keeps_it(rolled: Desk) -> None:
    got = {f"c{n}": asked(rolled, f"c{n}") for n in range(2000)}
    assert 400 < sum(text == "new?" for text in got.values()) < 600
    assert all(asked(rolled, one) == text for one, text in list(got.items())[:50])
    more = replace(rolled, versions=Versions(rollout={"f": replace(rolled.versions.rollout["f"], share=0.5)}))
    assert all(asked(more, one) == "new?" for one, text in got.items() if text == "new?"), "who has it keeps it"


def test_who_begins_in_the_version_before_goes_on_in_it(rolled: Desk) -> None:
    old = next(f"c{n}" for n in range(50) if asked(rolled, f"c{n}") == "old?")
    outcome = step(rolled, FlowState(), StartFlow("f"), Context(START, "en", {"id": old}))
    assert outcome.state.frames[0].hash == rolled.versions.rollout["f"].before


def test_without_the_old_version_or_a_customer_it_is_the_one_in_force(rolled: Desk) -> None:
    assert asked(replace(rolled, pinned={}), "c1") == "new?"
    killed = Versions(kill=(rolled.versions.rollout["f"].before,), rollout=rolled.versions.rollout)
    assert {asked(replace(rolled, versions=killed), f"c{n}") for n in range(50)} == {"new?"}
    assert asked(rolled, "") == "new?", "the tests of the desk play what is in force"
    assert not Rollout(0, "x").is_in("f", "c1")
    assert Rollout(1, "x").is_in("f", "c1")


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("{g: {share: 5%, before: 0123456789abcdef}}", '4:22: rollout: unknown flow "g"'),
        ("{f: {share: 120%, before: 0123456789abcdef}}", "share must be a part of the customers"),
        ("{f: {share: 5%, before: yes}}", "is no version's hash"),
        ("{f: {share: 5%}}", '"before" is missing'),
        ("[f]", "must be"),
    ],
)
def test_what_is_wrong_with_it_is_told_with_its_place(tmp_path: Path, written: str, says: str) -> None:
    with pytest.raises(DeskFaults) as caught:
        desk(tmp_path, 1, "x?", f"versions: {{rollout: {written}}}\n")
    assert any(says in str(one) for one in caught.value.faults), caught.value.faults
