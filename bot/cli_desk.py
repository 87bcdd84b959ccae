"""The commands for whoever writes a desk: init, check, test, chat."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from bot.cli_ground import complain, desk, fail

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk


def init(folder: Path) -> None:
    from bot.desk_folder import write_starter

    written = write_starter(folder)
    print(f"{folder}: {len(written)} files. Next: stafett check {folder}, then stafett serve --desk {folder}")


def schema() -> None:
    import json

    from bot.desk_folder.json_schema import schema as made

    print(json.dumps(made(), indent=1, ensure_ascii=False))


def reference() -> None:
    from bot.desk_folder import reference

    print(reference.reference(), end="")


def check(folder: Path | None) -> None:
    """Each fault on a line of its own, on stdout; warnings too, which keep nothing from running."""
    made = _checked(folder, out=True)
    for warning in made.warnings:
        print(warning)
    print(f"desk {folder or made.name} is fine: {_counted(made)}")


def test(folder: Path | None) -> None:
    """A dot or an F for each test, then what failed, then the count."""
    made = _checked(folder, out=True)
    from bot.flows.transcripts import run_tests

    results = run_tests(made)
    for one in results:
        print(f"{'ok  ' if one.ok else 'FAIL'}  {one.file}:{one.line}  {one.name}")
    failed = [one for one in results if not one.ok]
    for one in failed:
        print(f"\n{one.message}")
    if not results:
        raise fail(f"{folder or made.name} has no conversation tests; write some in its tests/ folder")
    print(f"\n{len(results) - len(failed)} passed" + (f", {len(failed)} failed" if failed else ""))
    if failed:
        raise typer.Exit(1)


def _checked(folder: Path | None, *, out: bool) -> Desk:
    """The desk; its faults on stdout (a check's result) or stderr, and exit 1."""
    from bot.desk_folder import DeskFaults
    from bot.errors import DeskFault

    try:
        return desk(folder)
    except DeskFaults as broken:
        for one in broken.faults:
            print(one, file=sys.stdout if out else sys.stderr)
        count = sum(one.severity == "fault" for one in broken.faults)
        complain(f"{count} fault{'s' if count > 1 else ''}")
    except DeskFault as broken:
        print(str(broken), file=sys.stdout if out else sys.stderr)
    raise typer.Exit(1)


def _counted(made: Desk) -> str:
    counts = (
        (len(made.flows), "flow"),
        (len(made.articles), "article"),
        (len(made.macros), "macro"),
        (len(made.tests), "conversation test"),
    )
    return ", ".join(f"{n} {what}{'' if n == 1 else 's'}" for n, what in counts)


def chat(folder: Path | None, locale: str | None) -> None:
    from bot.cli_chat import chat as talk
    from bot.cli_ground import settings

    talk(_checked(folder, out=False), folder or settings().desk, locale)
