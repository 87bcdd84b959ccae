"""`python3 -m bot …` in a checkout and `stafett …` when installed: the same commands."""

from __future__ import annotations

import sys
from os import devnull
from pathlib import Path

from bot.bootstrap import ensure


def main() -> None:
    open_streams()
    ensure("bot")
    from bot.cli import app

    app()


def open_streams() -> None:
    """Who starts a command with a standard stream closed (`<&-`) gets an empty one: Python has None there, and the next
    file that is opened, even the database, would take its number.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - stays open


if __name__ == "__main__":
    main()
