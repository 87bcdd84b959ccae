"""What a newcomer plays with: six flows, each tried in every language that the desk speaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.desk_folder import DEMO_DESK, load

DESK = load(DEMO_DESK)


@pytest.mark.parametrize(
    "flow", ["order_status", "refund", "opening_hours", "product_finder", "design_to_store", "complaint"]
)
def test_each_flow_is_tried_in_every_language(flow: str) -> None:
    tests = [one for one in DESK.tests if Path(one.file).stem == flow]
    assert {one.locale for one in tests} == set(DESK.locales) == {"en", "nl", "nb", "he"}
    assert flow in DESK.flows


def test_every_product_has_a_name_in_every_language() -> None:
    shelves = DESK.connectors["products.find"].rows.values()  # type: ignore[union-attr]
    assert all(row[locale] for row in shelves for locale in DESK.locales)
