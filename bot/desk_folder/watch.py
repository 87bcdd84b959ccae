"""The desk in force: loaded once, loaded again when a file of its folder changes.

All or nothing: a change with a fault is refused, the desk that was in force stays, and `faults` says why until the folder
is whole again. Conversations that run in an older version of a flow keep it (`Desk.keeping`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from bot.desk_folder.desk import Desk
from bot.errors import DatabaseFault, DeskFault

if TYPE_CHECKING:
    from bot.flows.source import Fault

log = structlog.get_logger()

SETTLED_MS = 300  # an editor or `git pull` writes several files: they are one change; also how often we look for more
AGAIN_S = 5.0  # so long until a folder that cannot be watched is tried again
SHOWN = 5  # faults in one line of the log

Load = Callable[[Path], Desk]
Accepted = Callable[[Desk], Awaitable[None]]
Replaced = Callable[[], Awaitable[None]]
Refused = Callable[[Sequence["Fault | str"]], Awaitable[None]]
Watch = Callable[[Path], AsyncIterator[object]]


class DeskInForce:
    """`folder` None is the built-in demo desk. Raises DeskFault when the desk is broken at the start.

    `accepted` hears of each desk before it is in force (its flows are kept, for the conversations that will run in them),
    `refused` of the faults of one that is not taken, and of () when the folder is whole again; `replaced` is called when
    another desk has come into force.
    `load` and `watch` are handed in by tests only.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        load: Load | None = None,
        watch: Watch | None = None,
        accepted: Accepted | None = None,
        refused: Refused | None = None,
        replaced: Replaced | None = None,
    ) -> None:
        from bot.desk_folder.load import load as load_folder
        from bot.desk_folder.starter import DEMO_DESK

        self.folder = folder or DEMO_DESK
        self._is_builtin = folder is None
        self._load = load or load_folder
        self._watch = watch or _changes
        self._accepted = accepted
        self._refused = refused
        self._replaced = replaced
        self.desk = self._loaded()
        self.faults: tuple[Fault | str, ...] = ()

    async def reload(self) -> bool:
        """Load the folder again; true if another desk is in force now. Never raises for what admins wrote."""
        try:
            desk = await asyncio.to_thread(self._loaded)
        except DeskFault as error:
            before, self.faults = self.faults, _faults_of(error)
            first = [str(one) for one in self.faults[:SHOWN]]
            log.error("desk_refused", first=first, of=len(self.faults))  # noqa: TRY400 - admins read it; no traceback
            if self.faults != before:
                await self._tell(self.faults)
            return False
        was_refused = bool(self.faults)
        if was_refused:
            self.faults = ()
            await self._tell(())
        if desk.hash == self.desk.hash:
            if was_refused:  # nothing is loaded anew, and the refusal must not be the log's last word
                log.info("desk_whole_again", hash=desk.hash)
            return False
        await self.keep(desk)
        self.desk = desk.keeping(self.desk)
        log.info("desk_reloaded", hash=desk.hash, flows=len(desk.flows), articles=len(desk.articles))
        await self._tell_of_another()
        return True

    async def keep(self, desk: Desk | None = None) -> None:
        """Tell whoever keeps desks of this one, the one in force by default. A database that fails stops nobody."""
        if self._accepted is not None:
            try:
                await self._accepted(desk or self.desk)
            except DatabaseFault as error:
                log.warning("flows_not_kept", reason=str(error))

    async def _tell_of_another(self) -> None:
        if self._replaced is not None:
            try:
                await self._replaced()
            except DatabaseFault as error:
                log.warning("desk_reload_not_told", reason=str(error))

    async def _tell(self, faults: Sequence[Fault | str]) -> None:
        if self._refused is not None:
            try:
                await self._refused(faults)
            except DatabaseFault as error:
                log.warning("desk_refusal_not_told", reason=str(error))

    async def reload_when_changed(self) -> None:
        """Runs until it is cancelled. The built-in desk is part of the program, and does not change."""
        while not self._is_builtin:
            try:
                async with aclosing(self._watch(self.folder)) as changes:  # type: ignore[type-var]
                    async for _ in changes:
                        await self.reload()
            except (OSError, RuntimeError) as error:  # the folder is gone, or the system gives no more watches
                log.warning("desk_not_watched", folder=str(self.folder), reason=str(error))
            await asyncio.sleep(AGAIN_S)
            await self.reload()  # what changed while nobody watched

    def _loaded(self) -> Desk:
        desk = self._load(self.folder)
        return replace(desk, is_builtin=True) if self._is_builtin else desk


async def _changes(folder: Path) -> AsyncIterator[object]:
    from watchfiles import awatch

    async for change in awatch(folder, debounce=4 * SETTLED_MS, step=SETTLED_MS):
        yield change


def _faults_of(error: DeskFault) -> tuple[Fault | str, ...]:
    found: Sequence[Fault] = getattr(error, "faults", ())
    return tuple(found) or (str(error),)
