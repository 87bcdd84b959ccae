"""Every fault of the catalogue has a test by its name, or a reason."""

from __future__ import annotations

from pathlib import Path

from tests.faults.catalogue import FAULTS, NO_TEST, proofs


def test_each_of_the_52_faults_has_a_test_by_its_name_or_a_reason() -> None:
    found = proofs(Path(__file__).parents[1])
    assert len(FAULTS) == 52
    assert set(found) == set(FAULTS), "a test names a fault that is not in the catalogue"
    assert {fault for fault, named in found.items() if not named} == set(NO_TEST)
