"""The desk: what an admin writes, read and checked.

    load(path) -> Desk                    raises DeskFaults(faults): all of them, each `file:line:column: message`
    Desk, Team, Agent, Connector, Table, Interrupt, Macro …   frozen dataclasses (`desk.py`)
    Fault(file, line, column, message, severity, rule)        `str(fault)` is the line that `stafett check` prints
    DEMO_DESK: Path                       the built-in desk
    write_starter(target: Path)           copies it for a newcomer; refuses a folder that holds something

`edit` changes one value of a YAML file and keeps every other byte; `splices` and `spelling` are its parts.
Warnings do not stop a desk: they are in `desk.warnings`.
"""

from __future__ import annotations

from bot.desk_folder.desk import (
    Agent,
    Connector,
    Desk,
    Escalation,
    Interrupt,
    Macro,
    Privacy,
    Routing,
    Sla,
    SlackAccount,
    Table,
    Team,
)
from bot.desk_folder.load import DeskFaults, load
from bot.desk_folder.starter import DEMO_DESK, write_starter
from bot.flows.source import Fault

__all__ = [
    "DEMO_DESK",
    "Agent",
    "Connector",
    "Desk",
    "DeskFaults",
    "Escalation",
    "Fault",
    "Interrupt",
    "Macro",
    "Privacy",
    "Routing",
    "Sla",
    "SlackAccount",
    "Table",
    "Team",
    "load",
    "write_starter",
]
