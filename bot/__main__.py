"""`python3 -m bot …` in a checkout and `stafett …` when installed: the same commands."""

from __future__ import annotations

from bot.bootstrap import ensure


def main() -> None:
    ensure("bot")
    from bot.cli import app

    app()


if __name__ == "__main__":
    main()
