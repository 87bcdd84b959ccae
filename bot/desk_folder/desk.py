"""The desk in force: all that admins wrote, loaded and checked. `load.py` makes it; the rooms read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bot.answers.article import Article
from bot.flows.schema import Flow, Interrupt

Week = Mapping[str, Sequence[tuple[time, time]]]
"""mon … sun → opening intervals of local time; a day not named is closed."""


@dataclass(frozen=True, slots=True)
class Team:
    id: str
    name: str
    slack_channel: str | None = None
    hours: Week | None = None
    holidays: frozenset[date] = frozenset()


@dataclass(frozen=True, slots=True)
class Agent:
    """`slack` is (team id, user id): agents are known by that pair, never by e-mail."""

    id: str
    name: str
    team: str | None = None
    role: str = "agent"  # agent | lead | admin
    locales: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    slack: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class HttpConnector:
    """Secrets stand as ${NAME} and are read from the environment at the call."""

    name: str
    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None


@dataclass(frozen=True, slots=True)
class TableConnector:
    """Rows of a CSV file of the desk, by their key (compared without regard to case)."""

    name: str
    key: str
    rows: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Escalation:
    team: str | None = None
    queue_updates: timedelta | None = None
    silence: timedelta | None = None
    idle: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Macro:
    id: str
    title: str
    locale: str
    body: str
    file: str = ""


@dataclass(frozen=True, slots=True)
class TestScript:
    """One conversation test, as written, with its place."""

    __test__ = False  # pytest: not one of yours

    name: str
    file: str
    line: int
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Desk:
    """`hash` tells two versions apart. `surveys`, `sla`, `routing`, `targets`, `privacy` are kept as checked sections."""

    name: str
    locales: tuple[str, ...]
    time_zone: ZoneInfo
    hash: str
    is_builtin: bool = False
    hours: Week | None = None  # None: always open
    holidays: frozenset[date] = frozenset()
    teams: tuple[Team, ...] = ()
    agents: tuple[Agent, ...] = ()
    connectors: Mapping[str, HttpConnector | TableConnector] = field(default_factory=dict)
    interrupts: tuple[Interrupt, ...] = ()
    flows: Mapping[str, Flow] = field(default_factory=dict)
    texts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    articles: tuple[Article, ...] = ()
    macros: tuple[Macro, ...] = ()
    tests: tuple[TestScript, ...] = ()
    escalation: Escalation = field(default_factory=Escalation)
    surveys: Mapping[str, Any] = field(default_factory=dict)
    sla: Mapping[str, Any] = field(default_factory=dict)
    routing: Mapping[str, Any] = field(default_factory=dict)
    targets: Mapping[str, Any] = field(default_factory=dict)
    privacy: Mapping[str, Any] = field(default_factory=dict)
    replies: str = "thread"  # thread | explicit
    undo: timedelta = timedelta(seconds=5)
    reopen_window: timedelta = timedelta(hours=72)
    allow_hosts: tuple[str, ...] = ()
    auto_assign: bool = False
    folder: Path | None = None

    @property
    def human_flow(self) -> str | None:
        """The flow of the interrupt `human`."""
        return next((one.run for one in self.interrupts if one.id == "human"), None)
