"""The command replay: stored conversations against a changed desk. The database is only read; nobody is asked or told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from bot.cli_ground import columns, desk, fail, moment, plain, reading, run, settings

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk
    from bot.replay import Report, Wanted
    from bot.settings import Settings


def replay(
    folder: Path,
    since: str | None,
    until: str | None,
    topics: Sequence[str],
    sample: int,
    seed: int,
    at_most: float | None,
    *,
    as_json: bool,
) -> None:
    """`at_most`: exit 1 when a greater share of the conversations differs."""
    import json

    from bot.replay import Wanted
    from bot.replay import report as made

    changed = desk(folder)
    zone = ZoneInfo(changed.time_zone)
    wanted = Wanted(moment(since, "since", zone), moment(until, "until", zone), tuple(topics), sample, seed)
    found = run(_replay(settings(), changed, wanted))
    if as_json:
        print(json.dumps(made.as_json(found), ensure_ascii=False, indent=2))
    else:
        _show(found)
    whole = found.whole
    if at_most is not None and whole.n and whole.diverged > at_most * whole.n:
        raise fail(f"{whole.diverged / whole.n:.1%} of the conversations differ; at most {at_most:.1%} may")


async def _replay(chosen: Settings, changed: Desk, wanted: Wanted) -> Report:
    from bot.replay import replay as play

    async with reading(chosen) as storage:
        return await play(storage.read, changed, wanted)


def _show(found: Report) -> None:
    from bot.replay import report as made

    whole = found.whole
    if not whole.n:
        print(f"{found.desk}: no conversation of the bot's to replay")
        return
    drawn = f", drawn from {found.of} (seed {found.seed})" if found.of > whole.n else ""
    print(f"{found.desk}: {whole.n} conversation{'' if whole.n == 1 else 's'} replayed{drawn}\n")
    print(columns([made.HEAD, *map(made.cells, found.lines), made.cells(whole)]) + "\n")
    for kind, count in found.kinds.items():
        print(f"{count} × {kind}")
    shown = [*found.differing, *found.reworded][: made.SHOWN]
    if shown:
        print()
        print("\n".join(made.told(shown, plain)))
    left = len(found.differing) + len(found.reworded) - len(shown)
    if left > 0:
        print(f"\n{left} more; all of them: --json")
    if found.differing:
        print(
            "\nWhat comes after the first turn that differs is not counted: nobody knows what the customer would have said."
        )
