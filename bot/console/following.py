"""Where several nodes share the database but each has its own copy of the desk folder: a publication reaches them all.

Each node looks for versions that are newer than its folder, and writes what they changed: every file of a version or none,
and only where the folder has what the publisher's had before. Where it has something else (somebody changed this copy by
hand), nothing is written and a fault says so. On SQLite there is one node, and nothing to follow.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

import structlog

from bot.console import store, writing
from bot.console.draft import all_on_disk, hash_of
from bot.console.drafting import FOUND
from bot.desk_folder.watch import DeskInForce
from bot.errors import DeskFault
from bot.storage.engine import Storage

log = structlog.get_logger()
LOOK_BACK = 200  # versions in which a folder is looked up at the start


class Following:
    """`run` is the work of a Worker that polls."""

    def __init__(self, storage: Storage, desk: DeskInForce) -> None:
        self._storage, self._desk = storage, desk
        self._at: int | None = None  # the newest version that this folder has, or has refused
        self.faults: tuple[str, ...] = ()

    async def run(self) -> datetime | None:
        newest = await self._storage.read(store.newest_version)
        if newest == self._at or self._desk.desk.is_builtin:
            return None
        found = await self._storage.read(lambda conn: store.versions(conn, LOOK_BACK))
        if self._at is None:
            self._at = await asyncio.to_thread(_stands_at, self._desk.folder, found)
        behind = [one for one in reversed(found) if one.n > self._at]
        for version in behind:
            if version.who != FOUND:  # what others found in their folders is their own affair
                fault = await self._take_over(version)
                self.faults = (fault,) if fault else ()
            self._at = version.n
        return None

    async def _take_over(self, version: store.Version) -> str:
        """Write a version's changes into the folder; the fault, or "" where there is none."""
        wanted = [after for _, after in version.changes.values() if after]
        kept = await self._storage.read(lambda conn: store.texts(conn, wanted))
        files = {path: kept[after] if after else None for path, (_, after) in version.changes.items()}
        try:
            differing = await asyncio.to_thread(_write_where_it_fits, self._desk.folder, version, files)
        except DeskFault as error:
            differing = []
            fault = str(error)
        else:
            fault = f"{', '.join(differing)} is not what it was where that was published" if differing else ""
        if fault:
            line = f"version {version.n} was published on another node and is not in force here: {fault}"
            log.error("version_not_taken_over", version=version.n, reason=fault)
            return line
        log.info("version_taken_over", version=version.n, files=sorted(files))
        await self._desk.reload()
        return ""


def _stands_at(folder: Path, versions: list[store.Version]) -> int:
    """The newest version whose files the folder has; of none: the newest there is, for then the folder has its own way."""
    there = {path: hash_of(text) for path, text in all_on_disk(folder)}
    same = next((one.n for one in versions if dict(one.files) == there), None)
    return same if same is not None else versions[0].n if versions else 0


def _write_where_it_fits(folder: Path, version: store.Version, files: dict[str, str | None]) -> list[str]:
    """The files that stand in the way; empty: it is written, or was there already. Raises DeskFault."""
    there = {path: hash_of(text) for path, text in all_on_disk(folder)}
    left = {path: pair for path, pair in version.changes.items() if there.get(path) != pair[1]}
    differing = [path for path, (before, _) in left.items() if there.get(path) != before]
    if left and not differing:
        writing.write(folder, {path: files[path] for path in left})
    return differing
