"""What keeps `stafett serve` from starting is said in one line, with status 1; a platform that is down does not."""

from __future__ import annotations

import shutil
import socket
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from bot.storage import schema
from tests.fakes.telegram import TelegramServer
from tests.faults.invariants import Books, check
from tests.faults.program import Nursery, Program


async def refused(program: Program, *more: str) -> str:
    """Start it; the one line that it leaves with status 1."""
    program.runs("serve", "--port", str(program.port), *more)
    assert await program.ends() == 1, program.logged()
    lines = program.logged().strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


async def test_f28_a_second_server_on_the_same_file_is_refused(web: Program, nursery: Nursery, tmp_path: Path) -> None:
    """And the first goes on."""
    await web.starts()
    second = Program(nursery, tmp_path)
    second.log = tmp_path / "second"
    line = await refused(second)
    assert f"stafett.db is in use by another stafett (process {web.pid})" in line
    visitor = await web.visitor()
    await visitor.says("where is my order?")
    await visitor.leaves()


async def test_a_server_that_was_killed_leaves_no_lock_behind(web: Program) -> None:
    await web.starts()
    await web.dies()
    await web.starts()


async def test_f31_a_database_of_a_newer_program_is_left_alone(web: Program) -> None:
    await web.starts()
    assert await web.stops() == 0
    web.log.unlink()
    with sqlite3.connect(web.database) as conn:
        conn.execute("UPDATE alembic_version SET version_num = '9999'")
    conn.close()
    before = web.database.read_bytes()
    line = await refused(web)
    assert "9999" in line
    assert "newer stafett" in line
    assert web.database.read_bytes() == before


@pytest.mark.parametrize("how", ["deleted", "emptied"])
async def test_f31_a_database_that_is_gone_is_not_made_anew(web: Program, how: str) -> None:
    """Customers would begin as strangers, and nobody would notice; who wants that says so by deleting the lock."""
    await web.starts()
    assert await web.stops() == 0
    web.log.unlink()
    if how == "deleted":
        web.database.unlink()
    else:
        web.database.write_bytes(b"")
    for _ in range(2):
        line = await refused(web)
        assert "stafett.db is gone" in line
        assert "stafett.db.lock" in line
        web.log.unlink()
    assert not (web.database.exists() and web.database.stat().st_size)
    web.database.with_name("stafett.db.lock").unlink()
    await web.starts()


async def test_f31_a_database_of_an_older_program_is_brought_up_to_date_with_all_that_is_in_it(web: Program) -> None:
    folder = web.database.parent
    make_old(web.database)
    await web.starts()
    visitor = await web.visitor()
    await visitor.says("where is my order?")
    await visitor.hears("order number", "bot")
    await visitor.leaves()
    books = Books(web.database)
    assert books.one("SELECT version_num FROM alembic_version") == schema.HEAD
    assert books.one("SELECT name FROM customers WHERE id = 'old'") == "Kari of old"
    await books.at_rest()
    check(books, ["where is my order?"])
    assert [one.name for one in folder.iterdir() if "backup" in one.name] == []


def make_old(database: Path) -> None:
    """A database as the first release made it, with somebody in it."""
    from alembic import command

    engine = create_engine(f"sqlite:///{database}")
    with engine.begin() as conn:
        config = schema.config(conn)
        command.upgrade(config, "0001")
        columns = "id, name, locale, created_at, attributes, opted_out"
        values = "'old', 'Kari of old', 'en', '2026-01-01 12:00:00.000000', '{}', 0"
        conn.exec_driver_sql(f"INSERT INTO customers ({columns}) VALUES ({values})")
    engine.dispose()


async def test_f31_a_file_that_is_no_database_is_left_alone(web: Program) -> None:
    web.database.write_bytes(b"a letter to my mother, " * 100)
    assert "stafett.db" in await refused(web)
    assert web.database.read_bytes().startswith(b"a letter")


async def test_a_taken_port_is_named_and_nothing_is_made(web: Program) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", web.port))
        taken.listen()
        line = await refused(web)
    assert f"port {web.port} on 127.0.0.1 is taken" in line
    assert not web.database.exists()


async def test_a_broken_desk_is_named_by_file_and_line(web: Program, tmp_path: Path) -> None:
    demo = Path(__file__).parents[2] / "bot" / "demo_desk"
    desk = tmp_path / "desk"
    shutil.copytree(demo, desk)
    (desk / "desk.yaml").write_text("name: Shop\nlocales: [en, tlh]\nteems: []\n", encoding="utf-8")
    line = await refused(web, "--desk", str(desk))
    assert "desk.yaml:" in line


async def test_a_telegram_token_that_telegram_refuses_ends_the_start(both: Program) -> None:
    both.environment["STAFETT_TELEGRAM_TOKEN"] = "7000000001:AAnotTheTokenOfTheLocalServer0000000"
    both.runs("serve", "--port", str(both.port))
    assert await both.ends() == 1
    said = [line for line in both.logged().splitlines() if line.startswith("stafett: ")]
    assert len(said) == 1, both.logged()
    assert "STAFETT_TELEGRAM_TOKEN" in said[0]
    assert "Traceback" not in both.logged()
    assert both.environment["STAFETT_TELEGRAM_TOKEN"] not in both.logged()


async def test_f17_while_telegram_is_down_the_web_works_and_telegram_comes_when_it_is_back(
    both: Program, tg: TelegramServer
) -> None:
    await tg.down()
    await both.starts()
    visitor = await both.visitor()
    await visitor.says("where is my order?")
    await visitor.hears("order number", "bot")
    await visitor.leaves()
    kari = tg.person(1001)
    await kari.says("where is my order, please?")
    await tg.up()
    await kari.hears("order number", timeout=20)
    await tg.settled(timeout=20)
    books = Books(both.database)
    await books.at_rest()
    check(books, ["where is my order?", "where is my order, please?"], tg)


@pytest.mark.parametrize("name", ["STAFETT_PUBLIC_URL", "STAFETT_DATABASE_URL", "STAFETT_LOG"])
async def test_a_setting_that_can_not_be_is_named(web: Program, name: str) -> None:
    web.environment[name] = "nonsense"
    assert name in await refused(web)
