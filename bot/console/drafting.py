"""The verbs of the draft: edit, discard, publish with a note, roll back. Every one of them leaves a line in the audit."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bot.console import store, writing
from bot.console.draft import Change, Checked, Draft, all_on_disk, checked_path, digest_of, hash_of, on_disk
from bot.console.people import Person
from bot.errors import Conflict, NotAllowed, NotFound
from bot.flows.transcripts import run_tests
from bot.storage.engine import Storage
from bot.storage.tx import Tx

if TYPE_CHECKING:
    from bot.desk_folder.watch import DeskInForce

LONGEST_NOTE = 500  # characters
FOUND = "found"
"""The note of a version that nobody published: the folder as it was found, changed from outside."""


class Drafting:
    def __init__(self, storage: Storage, desk: DeskInForce) -> None:
        self._storage, self._desk = storage, desk
        self._publishing = asyncio.Lock()

    @property
    def folder(self) -> Path:
        return self._desk.folder

    @property
    def is_builtin(self) -> bool:
        return self._desk.desk.is_builtin

    def is_writable(self) -> bool:
        """Whether a draft can be published at all: never into the demo desk, which is a part of the program."""
        return not self.is_builtin and writing.is_writable(self.folder)

    async def now(self) -> Draft:
        return Draft(self.folder, await self._storage.read(store.changes))

    async def check(self, draft: Draft | None = None, more: Mapping[str, str | None] | None = None) -> Checked:
        """What the loader says of the draft, with `more` over it. In a thread: nobody waits for it."""
        found = draft if draft is not None else await self.now()
        return await asyncio.to_thread(found.check, more)

    async def save(self, path: str, text: str | None, by: Person, *, seen: str | None = None) -> Change | None:
        """Keep a file's text (None: it is to go) in the draft; None where the folder has just that.

        `seen`: the hash of the text that this one was made from. Raises Conflict where somebody else changed it since.
        """
        checked_path(path)
        now_there = await asyncio.to_thread(on_disk, self.folder, path)

        def unit(tx: Tx) -> Change | None:
            store.lock_desk(tx)
            before = store.changes(tx.conn).get(path)
            current = before.text if before is not None else now_there
            if seen is not None and seen != (hash_of(current) or ""):
                raise Conflict(
                    f"{path} was changed by somebody else meanwhile; copy your text, reload, and put it in again"
                )
            if text == current:
                return before
            base = before.base_hash if before is not None else hash_of(now_there)
            if text == now_there and base == hash_of(now_there):
                store.drop_change(tx, path)
            else:
                store.set_change(tx, path, base, text, by)
            store.note(tx, by, "deleted" if text is None else "edited", path=path)
            return store.changes(tx.conn).get(path)

        return await self._storage.write(unit)

    async def discard(self, path: str, by: Person) -> None:
        """Forget what was changed of a file."""

        def unit(tx: Tx) -> None:
            store.lock_desk(tx)
            if store.drop_change(tx, path):
                store.note(tx, by, "discarded", path=path)

        await self._storage.write(unit)

    async def rebase(self, path: str, by: Person) -> None:
        """Keep the draft of a file although the file was changed in the folder: it will be written over that."""
        now_there = await asyncio.to_thread(on_disk, self.folder, path)

        def unit(tx: Tx) -> None:
            store.lock_desk(tx)
            change = store.changes(tx.conn).get(path)
            if change is not None:
                store.set_change(tx, path, hash_of(now_there), change.text, by)
                store.note(tx, by, "kept", path=path)

        await self._storage.write(unit)

    # ── in force ──
    async def publish(self, note: str, by: Person, *, seen: str = "") -> int:
        """Write the draft into the folder and take it in force; the number of the new version.

        `seen`: the digest of the draft that they looked at; "" of who looked at none. Raises Conflict: nothing to publish,
        another draft by now, a fault in it, a conversation test that fails, or a file that was changed in the folder
        meanwhile; NotAllowed where the folder can't be written. Nothing is written then.
        """
        note = _checked_note(note)
        async with self._publishing:
            self._must_be_writable()
            draft = await self.now()
            if not draft.changes:
                raise Conflict("there is nothing to publish; the draft is the same as the folder")
            if seen and seen != digest_of(draft):
                raise Conflict("the draft was changed by somebody meanwhile; look at it again before you publish")
            await self._must_pass(draft)
            return await self._put(draft, note, by, "published")

    async def roll_back(self, n: int, note: str, by: Person) -> int:
        """Write the files of an older version into the folder again, as a new version; its number."""
        note = _checked_note(note)
        async with self._publishing:
            self._must_be_writable()
            if await self._storage.read(store.count_changes):
                raise Conflict("there are changes in the draft; publish or discard them first")
            back = await self.back_to(n)
            if not back.changes:
                raise Conflict(f"the folder has just the files of version {n}")
            return await self._put(back, note, by, "rolled back", to=n)

    async def back_to(self, n: int) -> Draft:
        """What would change by going back to a version. Raises NotFound."""
        found = await self._storage.read(lambda conn: store.version(conn, n))
        if found is None:
            raise NotFound(f"there is no version {n}")
        kept = await self._storage.read(lambda conn: store.texts(conn, list(found.files.values())))
        there = await asyncio.to_thread(lambda: dict(all_on_disk(self.folder)))
        wanted = {path: kept[one] for path, one in found.files.items()}
        changed = [path for path in {**there, **wanted} if there.get(path) != wanted.get(path)]
        made = {
            path: Change(path, hash_of(there.get(path)), wanted.get(path), found.who, found.at)
            for path in sorted(changed)
        }
        return Draft(self.folder, made)

    async def _put(self, draft: Draft, note: str, by: Person, what: str, **more: int) -> int:
        conflicts = await asyncio.to_thread(draft.conflicts)
        if conflicts:
            raise Conflict(f"changed in the folder meanwhile: {', '.join(conflicts)}; look at them before you publish")
        checked = await self.check(draft)
        if checked.desk is None:
            wrong = [one for one in checked.faults if one.severity == "fault"]
            raise Conflict(f"not published, {len(wrong)} to mend first: {wrong[0]}")
        before = await asyncio.to_thread(lambda: dict(all_on_disk(self.folder)))
        await asyncio.to_thread(writing.write, self.folder, {path: one.text for path, one in draft.changes.items()})
        after = await asyncio.to_thread(lambda: dict(all_on_disk(self.folder)))
        desk_hash = checked.desk.hash

        def unit(tx: Tx) -> int:
            store.lock_desk(tx)
            _keep_found(tx, before, self._desk.desk.hash)
            n = _keep_version(tx, by.who, note, desk_hash, _hashes(before), after)
            for path, now in store.changes(tx.conn).items():
                published = draft.changes.get(path)
                if published is not None and published.text == now.text:
                    store.drop_change(tx, path)
                elif published is not None:  # edited again while we wrote: that edit is one of what we published
                    store.set_change(tx, path, hash_of(published.text), now.text, by)
            store.note(tx, by, what, version=n, note=note, files=sorted(draft.changes), **more)
            return n

        n = await self._storage.write(unit)
        await self._desk.reload()
        return n

    async def _must_pass(self, draft: Draft) -> None:
        """The desk's own conversation tests. (Going back asks for none: it must work when things are bad.)"""
        checked = await self.check(draft)
        failed = await asyncio.to_thread(failed_tests, checked)
        if failed:
            raise Conflict(f"not published, {len(failed)} conversation tests fail; the first: {failed[0]}")

    def _must_be_writable(self) -> None:
        if self.is_builtin:
            raise NotAllowed(
                "this is the built-in demo desk, a part of the program; make a desk of your own: "
                "stafett init my-desk, then STAFETT_DESK=my-desk stafett serve"
            )
        if not writing.is_writable(self.folder):
            raise NotAllowed(
                f"{self.folder} is read-only; let the server write in it, or change it where it comes from"
            )
        writing.finish(self.folder)


def failed_tests(checked: Checked) -> list[str]:
    """What the conversation tests of a draft complain of, as `file:line: expected …, got …`. Takes a while: a ms each."""
    if checked.desk is None:
        return []
    folder = f"{checked.desk.folder}/"
    return [one.message.replace(folder, "") for one in run_tests(checked.desk) if not one.ok]


def _checked_note(note: str) -> str:
    note = " ".join(note.split())
    if not note:
        raise Conflict("say in a few words what is new: the note stands in the history")
    return note[:LONGEST_NOTE]


def _hashes(files: Mapping[str, str]) -> dict[str, str]:
    return {path: hash_of(text) or "" for path, text in files.items()}


def _keep_found(tx: Tx, files: Mapping[str, str], desk_hash: str) -> None:
    """The folder as it was before us, unless a version says the same: one can go back to it then."""
    newest = store.versions(tx.conn, 1)
    if not newest or dict(newest[0].files) != _hashes(files):
        before = dict(newest[0].files) if newest else {}
        _keep_version(tx, FOUND, FOUND, desk_hash, before, files)


def _keep_version(
    tx: Tx, who: str, note: str, desk_hash: str, before: Mapping[str, str], files: Mapping[str, str]
) -> int:
    hashes = _hashes(files)
    store.keep_texts(tx, {hash_of(text) or "": text for text in files.values()})
    paths = [path for path in {**before, **hashes} if before.get(path) != hashes.get(path)]
    changed = {path: (before.get(path), hashes.get(path)) for path in sorted(paths)}
    return store.add_version(tx, who, note, desk_hash, hashes, changed)
