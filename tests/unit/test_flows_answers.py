"""What a customer types, as a slot's value: codes as they stand on paper, in sentences, in small letters."""

from __future__ import annotations

import pytest

from bot.flows.answers import matching

ORDER = "^[A-Za-z]{2}[0-9]{6}$"


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("AB123456", "AB123456"),
        ("ab123456", "ab123456"),
        ("AB 123456", "AB123456"),
        ("ab-123456", "ab123456"),
        ("it is AB 123456, thanks", "AB123456"),
        ("my number: «AB-123456».", "AB123456"),
        ("AB123456 or CD123456", None),
        ("AB12345", None),
        ("AB 12345", None),
        ("no idea", None),
        ("", None),
    ],
)
def test_a_code_is_found_as_people_write_it(typed: str, found: str | None) -> None:
    assert matching(ORDER, typed) == found


def test_only_where_nothing_else_fits_the_gap_is_closed() -> None:
    assert matching("^[0-9]{3}$", "it was 123 456") is None
    assert matching("^[0-9]{6}$", "it was 123 456") == "123456"
    assert matching("^[A-Z]{2} [0-9]{2}$", "ab 12") == "AB 12"
