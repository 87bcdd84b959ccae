"""The disk and the database file: full, locked, cut off in the middle, copied while in use; the real program on SQLite."""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import sqlite3
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.fakes.telegram import TelegramServer
from tests.faults import chance
from tests.faults.invariants import Books, check
from tests.faults.program import Nursery, Program
from tests.support.house import Visitor

QUESTION = "where is my order?"
WORDS = "order number"
DISK = 4 * 1024 * 1024  # bytes of the small disk


@pytest.fixture
async def running() -> AsyncIterator[list[Program]]:
    """Programs that a test made itself: they end with it."""
    made: list[Program] = []
    yield made
    for one in made:
        await one.dies()


# ── full ───────────────────────────────────────────────────────────────────────────────────────────────────────────
@dataclass
class SmallDisk:
    """A disk that a test fills up and empties: a tmpfs where we may mount one, else a limit on the process's files."""

    folder: Path
    is_mounted: bool

    def fill(self, program: Program) -> None:
        if self.is_mounted:
            filler = os.open(self.folder / "filler", os.O_WRONLY | os.O_CREAT)
            for size in (4096, 1):
                try:
                    while True:
                        os.write(filler, b"x" * size)
                except OSError:
                    pass
            os.close(filler)
        else:
            wal = program.database.with_name(f"{program.database.name}-wal")
            program.may_write(wal.stat().st_size)

    def empty(self, program: Program) -> None:
        if self.is_mounted:
            (self.folder / "filler").unlink()
        else:
            program.may_write(None)


def mounts(folder: Path) -> bool:
    """Whether a small tmpfs is now mounted there."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.mount(b"tmpfs", bytes(folder), b"tmpfs", 0, f"size={DISK}".encode()) == 0)


def unmount(folder: Path) -> None:
    ctypes.CDLL(None).umount2(bytes(folder), 2)  # MNT_DETACH: also while somebody still looks at it


@pytest.fixture(params=["disk", "limit"])
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SmallDisk]:
    """Both ways where both can be had; where nothing may be mounted, the limit on files stands for the disk."""
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux can take a running process's disk space away")
    folder = tmp_path / "disk"
    folder.mkdir()
    disk = SmallDisk(folder, request.param == "disk" and mounts(folder))
    yield disk
    if disk.is_mounted:
        unmount(folder)


async def tries(visitor: Visitor, words: str, client_id: str) -> dict[str, Any]:
    """Write, and wait for whatever comes of it: `unavailable` names no message."""
    await visitor.sends({"type": "message", "id": client_id, "text": words})
    return await visitor.gets(lambda frame: frame["type"] == "error" or frame.get("id") == client_id)


async def test_f29_on_a_full_disk_nothing_is_acknowledged_and_all_goes_on_when_there_is_room(
    nursery: Nursery, tmp_path: Path, tg: TelegramServer, small_disk: SmallDisk, running: list[Program]
) -> None:
    program = Program(nursery, small_disk.folder, tg)
    program.log = tmp_path / "log"
    await program.starts()
    running.append(program)
    kari = await program.visitor()
    await kari.says("hello, before")
    ola = tg.person(1001, "Ola")
    await ola.says(f"{QUESTION} (1)")
    await ola.hears(WORDS, timeout=30)
    await tg.settled(timeout=30)

    small_disk.fill(program)
    mine = str(uuid.uuid4())
    refused = await tries(kari, told := "hello, " + "x" * 15_000, mine)
    assert (refused["type"], refused.get("code")) == ("error", "unavailable"), refused
    assert await kari.closed() == 1013
    await ola.says(f"{QUESTION} (2)")
    async with program.http() as http:
        answer = await http.post(
            "/api/web/files", files={"file": ("a.txt", b"words")}, headers={"Authorization": f"Bearer {kari.token}"}
        )
        assert (answer.status_code, answer.headers.get("retry-after")) == (503, "5"), answer.text
        assert (await http.get("/healthz")).status_code == 200
    books = Books(program.database)
    assert books.one("PRAGMA integrity_check") == "ok"
    assert program.exit_code is None

    small_disk.empty(program)
    again = await program.visitor(kari.token)
    assert (await again.says(told, id_=mine))["type"] == "ack"
    await tg.settled(timeout=60)
    await books.at_rest()
    check(books, ["hello, before", told, f"{QUESTION} (1)", f"{QUESTION} (2)"], tg)
    assert len(program.logged().splitlines()) < 200, "it waits for room, and does not try a hundred times a second"
    for visitor in (kari, again):
        await visitor.leaves()
    assert await program.stops() == 0


async def test_f29_a_disk_that_is_full_at_the_start_is_one_line(
    nursery: Nursery, tmp_path: Path, small_disk: SmallDisk
) -> None:
    if not small_disk.is_mounted:
        (small_disk.folder / "stafett.db").mkdir()  # a place where no file can be made
    else:
        small_disk.fill(Program(nursery, small_disk.folder))
    program = Program(nursery, small_disk.folder)
    program.log = tmp_path / "log"
    program.runs("serve", "--port", str(program.port))
    assert await program.ends() == 1
    assert len(program.logged().strip().splitlines()) == 1, program.logged()
    assert "stafett.db" in program.logged()


# ── locked ─────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_f28_a_database_that_another_program_locks_takes_nothing_and_goes_on_afterwards(web: Program) -> None:
    """Its writer waits 5 s for the lock; what it can't write then is not acknowledged."""
    await web.starts()
    kari = await web.visitor()
    await kari.says("hello, before")
    other = sqlite3.connect(web.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    mine = str(uuid.uuid4())
    answer = await tries(kari, QUESTION, mine)
    assert (answer["type"], answer.get("code")) == ("error", "unavailable")
    assert await kari.closed() == 1013
    async with web.http() as http:
        assert (await http.get("/healthz")).status_code == 200
        assert (await http.post("/api/web/session", json={"token": kari.token})).status_code == 200, "reading goes on"
    other.execute("ROLLBACK")
    other.close()
    again = await web.visitor(kari.token)
    await again.says(QUESTION, id_=mine)
    await again.hears(WORDS, "bot")
    books = Books(web.database)
    await books.at_rest()
    check(books, ["hello, before", QUESTION])
    await again.leaves()
    await kari.leaves()


# ── the power goes ─────────────────────────────────────────────────────────────────────────────────────────────────
@dataclass
class Cut:
    """What a disk held for certain at one moment: the database, and its log up to the byte that was there."""

    folder: Path
    acknowledged: tuple[str, ...]

    @property
    def database(self) -> Path:
        return self.folder / "stafett.db"

    def loses(self, luck: Random, after: bytes) -> None:
        """Behind what was certain lies nothing, half of what came later, or what the disk made of it."""
        wal = self.database.with_name("stafett.db-wal")
        rest = after[wal.stat().st_size :]
        torn = rest[: luck.randrange(len(rest) + 1)] if rest else b""
        if torn and luck.random() < 0.5:
            torn = torn[: len(torn) // 2] + bytes(
                len(torn) - len(torn) // 2
            )  # pages that were never written are zeroes
        with wal.open("ab") as log:
            log.write(torn)


@pytest.mark.parametrize("seed", chance.several(1, in_a_long_run=10))
async def test_f30_when_the_power_goes_all_that_was_acknowledged_is_there(
    web: Program, nursery: Nursery, tmp_path: Path, seed: int
) -> None:
    """The file as it was at each acknowledgement, with the end of its log lost or torn: whole, and with every word."""
    luck = Random(seed)
    await web.starts()
    kari = await web.visitor()
    cuts, told = [], []
    for number in range(8):
        told.append(f"line {number}")
        await kari.says(told[-1])
        folder = tmp_path / f"cut {number}"
        folder.mkdir()
        for name in ("stafett.db", "stafett.db-wal"):
            shutil.copyfile(web.folder / name, folder / name)
        cuts.append(Cut(folder, tuple(told)))
    await kari.leaves()
    later = (web.folder / "stafett.db-wal").read_bytes()
    await web.dies()
    for cut in cuts:
        cut.loses(luck, later)
        with sqlite3.connect(cut.database) as conn:
            assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            words = {text for (text,) in conn.execute("SELECT text FROM messages WHERE author_kind = 'customer'")}
        conn.close()
        assert words >= set(cut.acknowledged)
    last = Program(nursery, cuts[-1].folder)
    await last.starts()
    again = await last.visitor()
    await again.says(QUESTION)
    await again.hears(WORDS, "bot")
    books = Books(last.database)
    await books.at_rest()
    check(books, [*cuts[-1].acknowledged, QUESTION])
    await again.leaves()
    await last.dies()


def test_f30_each_commit_is_brought_to_the_disk(sqlite_url: str) -> None:
    """synchronous=FULL on the connection that writes: SQLite waits for the disk before a commit ends."""
    from bot.model import system_clock
    from bot.storage.tx import Wiring
    from bot.storage.writer import SqliteWriter

    writer = SqliteWriter(Path(sqlite_url.partition("///")[2]), system_clock, Wiring())

    async def ask(pragma: str) -> Any:
        return await writer.submit(lambda tx: tx.conn.exec_driver_sql(f"PRAGMA {pragma}").scalar())

    assert asyncio.run(ask("synchronous")) == 2
    assert asyncio.run(ask("journal_mode")) == "wal"
    writer.close()


# ── backup and restore ─────────────────────────────────────────────────────────────────────────────────────────────
async def chatters(program: Program, name: str, told: list[str], enough: asyncio.Event) -> None:
    visitor = await program.visitor()
    number = 0
    while not enough.is_set():
        line = f"{name} line {number}"
        answer = await visitor.says(line)
        if answer["type"] == "ack":
            told.append(line)
            number += 1
        await asyncio.sleep(0.03)
    await visitor.leaves()


async def test_f30_a_backup_made_under_load_is_whole_and_a_server_goes_on_from_it(
    web: Program, nursery: Nursery, tmp_path: Path
) -> None:
    """The restore drill of docs/operations.md: `stafett db backup FILE` beside the running server, then a start from FILE."""
    await web.starts()
    told: list[list[str]] = [[] for _ in range(4)]
    enough = asyncio.Event()
    talking = [asyncio.create_task(chatters(web, f"widget {n}", told[n], enough)) for n in range(len(told))]
    async with asyncio.timeout(30):
        while sum(map(len, told)) < 20:  # noqa: ASYNC110 - what four talkers have done by then
            await asyncio.sleep(0.02)
    before = [line for one in told for line in one]
    copy = tmp_path / "today.db"
    backup = Program(nursery, tmp_path)
    backup.log = tmp_path / "backup.log"
    backup.environment = web.environment
    backup.runs("db", "backup", str(copy))
    assert await backup.ends() == 0, backup.logged()
    enough.set()
    await asyncio.gather(*talking)
    await web.dies()

    restored = tmp_path / "restored"
    restored.mkdir()
    shutil.move(copy, restored / "stafett.db")
    house = Program(nursery, restored)
    await house.starts()
    again = await house.visitor()
    await again.says(QUESTION)
    await again.hears(WORDS, "bot")
    books = Books(house.database)
    await books.at_rest()
    check(books, [*before, QUESTION])
    await again.leaves()
    assert await house.stops() == 0
