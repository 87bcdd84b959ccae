"""A slash command is heard as customers type it, and as they copy it out of a sentence of ours."""

from __future__ import annotations

import pytest

from bot.texts.commands import command


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("/Link@shop ABC", ("link", "ABC")),
        ("/human", ("human", "")),
        ("\u2066/link\u2069", ("link", "")),
        ("\u2066/link\u2069 ABCDEFGH", ("link", "ABCDEFGH")),
        ("\u200f/link\u200e \u2066ABCDEFGH\u2069", ("link", "ABCDEFGH")),
        ("/", ("", "")),
        ("", ("", "")),
        ("and/or", ("", "")),
    ],
)
def test_a_command_and_what_follows_it(text: str, heard: tuple[str, str]) -> None:
    assert command(text) == heard
