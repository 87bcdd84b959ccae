"""What admins save and what other systems answer, the real program in front of it: a broken desk, a shop that never answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.faults.invariants import Books, check
from tests.faults.program import Nursery, Program
from tests.unit.test_connectors import MAX_ANSWER, reply

PATIENCE = 30.0
DESK = """\
schema: 1
name: Small shop
locales: [en]
teams: [{id: support, name: Support}]
agents: [{id: ann, name: Ann, team: support, role: admin}]
connectors: {orders.get: {url: "SHOP/orders/{{ no }}"}}
"""
ORDER = """\
schema: 1
flow: order
version: 1
triggers: {phrases: {en: [where is my order]}}
slots: {no: {type: text, ask_again: true}, order: {type: object}}
steps:
  - {id: q_no, ask: no, text: "Which number?"}
  - {id: look, call: orders.get, with: {no: "{{ no }}"}, timeout: 60s, save: order, on: {timeout: person, error: person}}
  - {id: told, say: "It is {{ order.status }}.", next: end}
  - {id: person, escalate: {team: support, reason: "the shop does not answer"}, text: "Somebody looks."}
"""
PARCEL = """\
schema: 1
flow: parcel
version: 1
triggers: {phrases: {en: [my parcel]}}
slots: {no: {type: text, ask_again: true}, day: {type: text, ask_again: true}}
steps:
  - {id: q_no, ask: no, text: "Which parcel?"}
  - {id: q_day, ask: day, text: "Which day?"}
  - {id: told, say: "Old words about {{ no }}.", next: end}
"""
NEW = """\
schema: 1
flow: parcel
version: 2
triggers: {phrases: {en: [my parcel]}}
steps:
  - {id: told, say: "New words.", next: end}
"""
CIRCLE = """\
schema: 1
flow: parcel
version: 3
triggers: {phrases: {en: [my parcel]}}
steps:
  - {id: here, set: {}, next: there}
  - {id: there, say: "Round and round.", next: here}
"""


REASON = "the shop does not answer"
BAD = {
    "hangs up": b"",
    "garbage": b"garbage\r\n\r\n",
    "cut off": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
    "endless": reply(b"x" * (MAX_ANSWER + 1)),
}


@dataclass
class Orders:
    """The shop's system: answers by the order's number; to `hangs` not before it is `enough`, and then nothing."""

    asked: list[str] = field(default_factory=list)
    enough: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.asked.append(unquote(head.split(" ")[1].rpartition("/")[2]))
            if self.asked[-1] == "hangs":
                await self.enough.wait()
            else:
                writer.write(BAD.get(self.asked[-1], reply(b'{"status": "shipped"}')))
                await writer.drain()
        writer.close()


@pytest.fixture
async def orders() -> Orders:
    return Orders()


def save(folder: Path, name: str, text: str) -> None:
    path = folder / "desk" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.fixture
async def small(nursery: Nursery, tmp_path: Path, orders: Orders) -> AsyncIterator[Program]:
    """A small shop, with its desk; not yet started."""
    async with await asyncio.start_server(orders.serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        save(tmp_path, "desk.yaml", DESK.replace("SHOP", f"http://127.0.0.1:{port}"))
        save(tmp_path, "flows/order.yaml", ORDER)
        save(tmp_path, "flows/parcel.yaml", PARCEL)
        program = Program(nursery, tmp_path, STAFETT_DESK=str(tmp_path / "desk"))
        yield program
        orders.enough.set()
        await program.dies()


async def faults(program: Program) -> list[str]:
    async with program.http() as http:
        found: list[str] = (await http.get("/readyz")).json()["faults"]
    return found


async def saves(program: Program, parcel: str, *words: str) -> None:
    """Save this flow, and wait until each of these words stands among the faults; none: until there are no faults."""
    async with asyncio.timeout(PATIENCE):
        while True:
            save(program.folder, "flows/parcel.yaml", parcel)  # again: it may not have begun to watch
            for _ in range(40):
                told = "\n".join(await faults(program))
                if all(word in told for word in words) and bool(told) == bool(words):
                    return
                await asyncio.sleep(0.05)


async def test_f50_what_is_half_saved_is_refused_and_who_is_in_the_middle_goes_on_in_the_old_version(
    small: Program,
) -> None:
    """Also over a crash, and though the step where they stand is gone. A circle without a question never comes into force."""
    await small.starts()
    kari = await small.visitor()
    await kari.says("my parcel")
    await kari.hears("Which parcel?", "bot")
    await saves(small, PARCEL[: PARCEL.index("day, text")], "flows/parcel.yaml:9:1: not valid YAML")
    ola = await small.visitor()
    await ola.says("my parcel")
    await ola.hears("Which parcel?", "bot")
    await saves(small, CIRCLE, "flows/parcel.yaml:6:5: a circle without a question")
    await ola.says("K2")
    await ola.hears("Which day?", "bot")
    await saves(small, NEW)
    per = await small.visitor()
    await per.says("my parcel")
    await per.hears("New words.", "bot")
    await kari.says("K1")
    await kari.hears("Which day?", "bot")
    await small.dies()
    await small.starts()
    for who, day, number in ((kari, "Monday", "K1"), (ola, "Friday", "K2")):
        await who.connects()
        await who.says(day)
        await who.hears(f"Old words about {number}.", "bot")
    books = Books(small.database)
    await books.at_rest()
    check(books, ["K1", "Monday", "K2", "Friday"])


async def test_f41_a_shop_that_hangs_keeps_nobody_else_waiting_and_then_a_human_comes(
    small: Program, orders: Orders
) -> None:
    """Hung up, garbage, cut off, two megabytes: the case goes to people with its reason. Each was asked once."""
    await small.starts()
    kari, good, *others = [await small.visitor() for _ in range(2 + len(BAD))]
    for who, number in ((kari, "hangs"), (good, "good"), *zip(others, BAD, strict=True)):
        await who.says("where is my order?")
        await who.hears("Which number?", "bot")
        await who.says(number)
    for other in others:
        await other.hears("Somebody looks.", "bot")
    await good.hears("It is shipped.", "bot")
    assert not any("Somebody" in text for text in kari.said()), "the shop keeps her waiting still"
    orders.enough.set()
    await kari.hears("Somebody looks.", "bot")
    books = Books(small.database)
    await books.at_rest()
    told = books.rows("SELECT escalation FROM cases WHERE status = 'queued'")
    assert [json.loads(row["escalation"])["reason"] for row in told] == [REASON] * (len(BAD) + 1)
    assert sorted(orders.asked) == sorted(["hangs", "good", *BAD])
    check(books, ["hangs", "good", *BAD])
