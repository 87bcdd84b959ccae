"""The command doctor: the findings of `bot/doctor.py`, and the desk's."""

from __future__ import annotations

import typer

from bot.cli_ground import run, settings
from bot.doctor import FAULT, OK, WARNING, Finding, examine
from bot.errors import DeskFault, SettingsFault
from bot.settings import Settings


def doctor() -> None:
    """A line for each check; exit 1 when one is a fault."""
    try:
        chosen = settings()
    except SettingsFault as error:
        print(Finding(FAULT, "settings", str(error)))
        raise typer.Exit(1) from error
    faults = run(_tell(chosen))
    if faults:
        print(f"\n{faults} fault{'s' if faults > 1 else ''}")
        raise typer.Exit(1)
    print("\nnothing is wrong")


async def _tell(chosen: Settings) -> int:
    from bot.doctor_slack import slack_desk
    from channels.slack.manifest import BOT_EVENTS, BOT_SCOPES
    from channels.slack.store import heard

    faults = 0
    found = _desk(chosen)
    print(found)
    faults += found.level == FAULT
    async for one in examine(chosen, BOT_SCOPES):
        print(one)
        faults += one.level == FAULT
    async for one in slack_desk(chosen, _channels(chosen), BOT_EVENTS, heard):
        print(one)
        faults += one.level == FAULT
    return faults


def _channels(chosen: Settings) -> list[str]:
    """Ids of the channels that agents work in."""
    from bot.desk_folder import DEMO_DESK, load

    try:
        teams = load(chosen.desk or DEMO_DESK).teams
    except DeskFault:
        teams = ()
    named = [chosen.slack_agent_channel, *(one.slack_channel for one in teams)]
    return list(dict.fromkeys(one for one in named if one))


def _desk(chosen: Settings) -> Finding:
    from bot.desk_folder import DEMO_DESK, load

    folder = chosen.desk or DEMO_DESK
    try:
        made = load(folder)
    except DeskFault as error:
        return Finding(FAULT, "desk", str(error).splitlines()[0], f"stafett check {chosen.desk or ''}".rstrip())
    if made.warnings:
        count = len(made.warnings)
        told = f"{made.name}, {count} warning{'s' if count > 1 else ''}"
        return Finding(WARNING, "desk", told, f"stafett check {chosen.desk or ''}".rstrip())
    return Finding(OK, "desk", made.name)
