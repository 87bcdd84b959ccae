"""The desk in force: a good change is taken over whole, a broken one is refused whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from bot.desk_folder import DEMO_DESK, DeskFaults
from bot.desk_folder.desk import Desk
from bot.desk_folder.starter import write_starter
from bot.desk_folder.watch import DeskInForce
from bot.errors import DatabaseFault, DeskFault, StafettError
from bot.flows.schema import Flow


def desk(name: str, **more: object) -> Desk:
    return replace(Desk(name=name, hash=name), **more)  # type: ignore[arg-type]


class Folder:
    """A folder that holds what the test puts there; `signal()` says that something changed."""

    def __init__(self, now: Desk | Exception) -> None:
        self.now = now
        self.changed = asyncio.Event()
        self.seen = asyncio.Event()

    def load(self, _folder: Path) -> Desk:
        if isinstance(self.now, Exception):
            raise self.now
        return self.now

    async def watch(self, _folder: Path) -> AsyncIterator[object]:
        while True:
            await self.changed.wait()
            self.changed.clear()
            yield None
            self.seen.set()  # the reader came back for more: it has dealt with the change

    async def change(self, now: Desk | Exception) -> None:
        self.now = now
        self.seen.clear()
        self.changed.set()
        async with asyncio.timeout(5):
            await self.seen.wait()


async def test_f50_a_good_change_is_in_force_and_a_broken_one_is_refused_with_its_reason() -> None:
    folder = Folder(desk("one"))
    rules = DeskInForce(Path("shop"), load=folder.load, watch=folder.watch)
    task = asyncio.create_task(rules.reload_when_changed())
    assert rules.desk.name == "one"
    assert rules.faults == ()

    await folder.change(desk("two"))
    assert rules.desk.name == "two"

    await folder.change(DeskFault("shop/desk.yaml:3:1: broken"))
    assert rules.desk.name == "two"
    assert [*map(str, rules.faults)] == ["shop/desk.yaml:3:1: broken"]

    await folder.change(desk("two"))  # mended, to what was in force
    assert rules.desk.name == "two"
    assert rules.faults == ()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_conversation_finds_the_version_of_the_flow_that_it_began_in() -> None:
    old, new = (Flow("order", 1, content, ()) for content in ("old", "new"))
    folder = Folder(desk("one", flows={"order": old}))
    rules = DeskInForce(Path("shop"), load=folder.load)
    folder.now = desk("two", flows={"order": new})
    assert await rules.reload()
    assert rules.desk.flows["order"] is new
    assert rules.desk.flow("order", "old") is old


async def test_an_unchanged_folder_keeps_the_very_desk_that_is_in_force() -> None:
    folder = Folder(desk("one"))
    rules = DeskInForce(Path("shop"), load=folder.load)
    before = rules.desk
    folder.now = desk("one")
    assert not await rules.reload()
    assert rules.desk is before


def test_only_the_built_in_desk_says_that_it_is() -> None:
    folder: Callable[[Path], Desk] = lambda _folder: desk("one")  # noqa: E731
    assert DeskInForce(None, load=folder).desk.is_builtin
    assert not DeskInForce(DEMO_DESK, load=folder).desk.is_builtin


def test_a_desk_that_is_broken_at_the_start_is_told(tmp_path: Path) -> None:
    with pytest.raises(DeskFaults, match=r"desk\.yaml"):
        DeskInForce(tmp_path)


async def test_a_saved_file_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    write_starter(folder)
    rules = DeskInForce(folder)
    task = asyncio.create_task(rules.reload_when_changed())
    page = folder / "desk.yaml"
    before = page.read_text(encoding="utf-8")
    async with asyncio.timeout(20):
        for at in range(200):  # the watch needs a moment to begin: write until it sees
            page.write_text(before.replace("name: Stafett demo shop", f"name: Shop {at}", 1), encoding="utf-8")
            await asyncio.sleep(0.1)
            if rules.desk.name.startswith("Shop"):
                break
    assert rules.desk.name.startswith("Shop")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_the_starter_is_a_desk_and_never_overwrites(tmp_path: Path) -> None:
    files = write_starter(tmp_path / "new")
    assert tmp_path / "new" / "desk.yaml" in files
    assert not DeskInForce(tmp_path / "new").desk.is_builtin
    with pytest.raises(StafettError) as refused:
        write_starter(tmp_path / "new")
    assert "\n" not in str(refused.value)
    (tmp_path / "file").write_text("x")
    with pytest.raises(StafettError):
        write_starter(tmp_path / "file")


async def test_what_is_refused_is_told_once_and_again_only_when_it_changes() -> None:
    told: list[list[str]] = []

    async def refused(faults: Sequence[object]) -> None:
        told.append([str(one) for one in faults])

    folder = Folder(desk("one"))
    rules = DeskInForce(Path("shop"), load=folder.load, refused=refused)
    for now in (DeskFault("a:1:1: one"), DeskFault("a:1:1: one"), DeskFault("a:2:1: two"), desk("one"), desk("one")):
        folder.now = now
        await rules.reload()
    assert told == [["a:1:1: one"], ["a:2:1: two"], []]


@pytest.mark.parametrize(("then", "last"), [("one", "desk_whole_again"), ("two", "desk_reloaded")])
@pytest.mark.usefixtures("logs_of_its_own")
async def test_the_logs_last_word_is_that_the_folder_is_whole_again(then: str, last: str) -> None:
    folder = Folder(desk("one"))
    rules = DeskInForce(Path("shop"), load=folder.load)
    with structlog.testing.capture_logs() as logged:
        for now in (DeskFault("a:1:1: one"), desk(then), desk(then)):
            folder.now = now
            await rules.reload()
    assert [line["event"] for line in logged] == ["desk_refused", last]


async def test_whoever_looks_again_finds_the_other_desk_in_force_and_only_then() -> None:
    found: list[str] = []

    async def replaced() -> None:
        found.append(rules.desk.name)

    folder = Folder(desk("one"))
    rules = DeskInForce(Path("shop"), load=folder.load, replaced=replaced)
    for now in (desk("one"), DeskFault("a:1:1: one"), desk("two"), desk("two")):
        folder.now = now
        await rules.reload()
    assert found == ["two"]


async def test_a_database_that_fails_stops_no_reload() -> None:
    async def refused(faults: Sequence[object]) -> None:
        raise DatabaseFault("gone")

    async def replaced() -> None:
        raise DatabaseFault("gone")

    folder = Folder(desk("one"))
    rules = DeskInForce(Path("shop"), load=folder.load, refused=refused, replaced=replaced)
    folder.now = DeskFault("a:1:1: one")
    assert not await rules.reload()
    folder.now = desk("two")
    assert await rules.reload()
    assert rules.desk.name == "two"
