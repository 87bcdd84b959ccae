"""Stored conversations against a desk that has changed: what the house said is what the replay says, and only what was
changed differs."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import func, select

from bot.answers import language
from bot.desk_folder import load
from bot.model import Occurred
from bot.replay import Report, Wanted, replay
from bot.replay.report import as_json
from bot.storage import tables as t
from bot.storage.tx import Tx
from handoff import cases
from tests.support.house import House

DESK = """\
schema: 1
name: Small shop
locales: [en, nl]
teams: [{{id: support, name: Support}}]
agents: [{{id: ann, name: Ann, team: support, role: admin}}]
allow_hosts: [127.0.0.1]
connectors:
  orders.get: {{method: GET, url: "{url}/orders/{{{{ order_no }}}}"}}
interrupts: [{{id: human, run: handoff, phrases: {{en: [human], nl: [medewerker]}}}}]
surveys: {{instrument: ces7, delay: 0, quiet_hours: off, throttle_days: 0, fatigue_after: 0, sample: 1}}
"""
HANDOFF = """\
schema: 1
flow: handoff
version: 1
slots: {order_no: {type: text, scope: case, pattern: "^[A-Z]{2}[0-9]{6}$"}}
steps:
  - {id: person, escalate: {team: support, show: [order_no]}, text: {en: Somebody comes., nl: Er komt iemand.}}
  - {close: resolved}
"""
ORDER = """\
schema: 1
flow: order
version: 1
triggers: {phrases: {en: [where is my order], nl: [waar is mijn bestelling]}}
slots:
  order_no: {type: text, scope: case, pattern: "^[A-Z]{2}[0-9]{6}$"}
  order: {type: object}
  helped: {type: choice, ask_again: true}
steps:
  - id: q_order
    ask: order_no
    text: {en: What is your order number?, nl: Wat is je bestelnummer?}
    retry: {max: 2, text: {en: Two letters and six digits., nl: Twee letters en zes cijfers.}, then: to_human}
    timeout: {after: 10m, then: gone}
  - id: lookup
    call: orders.get
    with: {order_no: "{{ order_no }}"}
    timeout: 5s
    save: order
    on: {404: to_human, timeout: to_human, error: to_human}
  - {id: tell, say: {en: "It is {{ order.status }}.", nl: "Status: {{ order.status }}."}}
  - id: q_helped
    ask: helped
    text: {en: Is that all?, nl: Is dat alles?}
    options: [{value: "yes", label: {en: "Yes", nl: Ja}}, {value: "no", label: {en: "No", nl: Nee}}]
  - branch: [{if: "helped == 'no'", goto: to_human}, {else: finish}]
  - {id: finish, close: resolved, topic: orders, next: end}
  - {id: to_human, run: handoff, next: end}
  - {id: gone, say: {en: "I will be here when you have it.", nl: "Ik ben er als je het hebt."}}
"""
PARCEL = """\
schema: 1
flow: parcel
version: 1
triggers: {event: parcel.sent}
slots: {carrier: {type: text}}
steps:
  - {say: {en: "Your parcel left with {{ carrier }}.", nl: "Je pakket is weg met {{ carrier }}."}}
"""
ARTICLE = """\
---
title: What delivery costs
locale: en
questions: [How much does delivery cost?]
---
It costs € 4.90.
"""
GIFTS = """\
---
title: Gift wrapping
locale: en
questions: [Can you wrap it as a gift?, Do you do gift wrapping?]
---
We wrap it for € 2.
"""
FILES = {
    "desk.yaml": DESK,
    "flows/handoff.yaml": HANDOFF,
    "flows/order.yaml": ORDER,
    "flows/parcel.yaml": PARCEL,
    "knowledge/delivery.en.md": ARTICLE,
    "knowledge/gifts.en.md": GIFTS,
}
CALLS: list[str] = []


@pytest_asyncio.fixture
async def shop() -> AsyncIterator[str]:
    """The shop's own system: it knows one order, and must not be asked again."""
    CALLS.clear()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        CALLS.append(head.split(" ")[1])
        body = json.dumps({"status": "shipped"}).encode() if "AB123456" in head else b"{}"
        status = "200 OK" if "AB123456" in head else "404 Not Found"
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n".encode()
            + body
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


def write(folder: Path, url: str, **changed: str) -> Path:
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        written = text.format(url=url) if name == "desk.yaml" else text
        for old, new in changed.items():
            if f"/{name}".endswith((f"/{old}.yaml", f"/{old}.en.md")):
                before, after = new.split(" → ")
                assert before in written
                written = written.replace(before, after)
        path.write_text(written, encoding="utf-8")
    return folder


async def day(house: House) -> None:
    """Eight conversations, through every door of the bot."""
    language.warm()
    kari = await house.visitor()  # finds her order, and is done
    await kari.says("/start")
    await kari.says("where is my order")
    await kari.says("it is 12")
    await kari.says("AB123456")
    await kari.presses(await kari.hears("Is that all?"), "yes")
    await kari.presses(await kari.hears("easy"), "6")
    ola = await house.visitor("nl")  # no such order: people
    await ola.says("waar is mijn bestelling")
    await ola.says("ZZ999999")
    await ola.hears("Er komt iemand")
    await ola.says("ben je er?")
    ada = await house.visitor()  # an article, and it helped
    await ada.says("how much does delivery cost")
    await ada.presses(await ada.hears("Did this help"), "kb:yes")
    eve = await house.visitor()  # nothing is found, twice, and then a human
    await eve.says("quantum chromodynamics")
    await eve.says("asdf ghjk")
    await eve.presses(await eve.hears("", "bot"), "human")
    ida = await house.visitor()  # silence, then a language, then a human by name
    await ida.says("where is my order")
    await house.passes(minutes=11)
    await ida.hears("I will be here")
    await ida.says("/language nl")
    await ida.says("ik wil een medewerker spreken")
    finn = await house.visitor()  # writes another language, and is followed
    await finn.says("waar is mijn bestelling gebleven, hij had er allang moeten zijn")
    await finn.hears("bestelnummer")
    await finn.says("AB123456")
    bo = await house.visitor()  # something happened elsewhere
    await bo.says("hello")
    customer = (await sole(house))["bo"]
    await house.app.inbox.receive_event(customer, str(uuid.uuid4()), Occurred("parcel.sent", {"carrier": "Bring"}))
    await bo.hears("left with Bring")
    await house.settle()
    await house.app.storage.write(ann_helps)
    await house.passes(hours=80)
    await ola.says("waar is mijn bestelling")  # back with the same matter: it goes on with people
    await ola.hears("een paar dagen geleden")


def ann_helps(tx: Tx) -> None:
    """The Dutch customer who waits."""
    waiting = (t.cases.c.locale == "nl", t.cases.c.status == "queued")
    case_id = tx.conn.execute(select(t.cases.c.id).where(*waiting).order_by(t.cases.c.opened_at)).scalars().first()
    cases.claim(tx, str(case_id), "ann", desk="web")
    cases.resolve(tx, str(case_id), "ann", "resolved")


async def sole(house: House) -> dict[str, str]:
    """The customer who said hello."""
    query = select(t.messages.c.customer_id).where(t.messages.c.text == "hello")
    return {"bo": await house.app.storage.read(lambda conn: str(conn.execute(query).scalar_one()))}


def told(report: Report) -> list[tuple[str, int | None, str]]:
    return [(one.verdict, one.turn, one.kind) for one in report.findings]


@pytest.fixture
def house_folder(tmp_path: Path) -> Path:
    (tmp_path / "house").mkdir()
    return tmp_path / "house"


async def test_only_what_was_changed_differs(tmp_path: Path, house_folder: Path, shop: str) -> None:
    desk = write(tmp_path / "desk", shop)
    async with House(house_folder, desk=desk) as house:
        await day(house)
        asked = list(CALLS)
        before = await house.app.storage.read(everything)

        async def against(**changed: str) -> Report:
            return await replay(house.app.storage.read, load(write(tmp_path / str(uuid.uuid4()), shop, **changed)))

        same = await against()
        assert [(one.verdict, one.then, one.now) for one in same.findings if one.verdict != "same"] == []
        assert [one.turns for one in same.findings] == [5, 2, 2, 3, 3, 2, 2, 1]
        assert same.whole.escalated == 4

        reworded = await against(order="What is your order number? → And the number?")
        assert told(reworded) == [
            ("reworded", 2, ""),
            *[("same", None, "")] * 3,
            ("reworded", 1, ""),
            *[("same", None, "")] * 3,
        ]

        edited = await against(delivery="€ 4.90 → € 5.90")
        assert told(edited)[2] == ("reworded", 1, "")

        fewer = await against(order="404: to_human → 404: finish")
        assert told(fewer)[1] == ("diverged", 2, "no longer fetches a human")
        assert fewer.whole.fewer == 1

        more = await against(order="next: end}\n  - {id: to_human →  next: to_human}\n  - {id: to_human")
        assert told(more)[0] == ("diverged", 5, "fetches a human")

        zebra = ARTICLE.replace("What delivery costs", "Zebras").replace("How much does delivery cost?", "Zebra?")
        gone = await against(delivery=f"{ARTICLE} → {zebra.replace('It costs € 4.90', 'They are striped')}")
        assert told(gone)[2] == ("diverged", 1, "dead end")

        unrecorded = await against(order='{{ order_no }}"} → x{{ order_no }}"}')
        nobody_asked = "asks a connector what was not recorded"
        assert told(unrecorded)[:2] == [("diverged", 4, nobody_asked), ("diverged", 2, nobody_asked)]
        assert unrecorded.findings[0].detail == "orders.get"

        button = await against(
            order='{value: "yes", label: {en: "Yes", nl: Ja}} → {value: sure, label: {en: "Yes", nl: Ja}}'
        )
        assert told(button)[0] == ("diverged", 5, "a pressed button is gone")

        survey = await against(desk="instrument: ces7 → instrument: csat5")
        other = "asks another question at the end"
        assert [(one.kind, one.then, one.now) for one in survey.differing] == [(other, "ces7", "csat5")] * 3
        assert survey.findings[1].escalated, "also where people have taken over, answered and ended it"
        nobody = await against(desk="instrument: ces7 → instrument: off")
        assert [(one.kind, one.now) for one in nobody.differing] == [(other, "")] * 3
        chosen = await against(handoff="- {close: resolved} → - {close: resolved}\n  - {survey: csat5}")
        assert [one.number for one in chosen.differing] == [survey.findings[1].number], (
            "the flow chooses it for its cases"
        )

        assert asked == CALLS, "a replay asks nobody"
        assert await house.app.storage.read(everything) == before, "a replay writes nothing"

        orders = await replay(house.app.storage.read, load(desk), Wanted(topics=("orders",)))
        assert [one.topic for one in orders.findings] == ["orders"]
        two = Wanted(sample=2, seed=3)
        drawn = [await replay(house.app.storage.read, load(desk), two) for _ in range(2)]
        assert drawn[0] == drawn[1]
        assert (len(drawn[0].findings), drawn[0].of) == (2, 8)
        later = await replay(house.app.storage.read, load(desk), Wanted(since=house.now))
        assert as_json(later)["all"]["n"] == 1
        assert later.findings[0].escalated


def everything(conn: Any) -> dict[str, int]:
    """Rows by table; what the house makes of them for its figures, it makes in its own time."""
    tables = [table for table in t.metadata.sorted_tables if not table.name.startswith(("figure_", "step_counts"))]
    return {table.name: conn.execute(select(func.count()).select_from(table)).scalar() for table in tables}
