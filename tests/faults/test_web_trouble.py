"""The widget's line is bad: two tabs say one thing, a reader reads nothing, everybody is away while an agent answers."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

from tests.faults import chance
from tests.faults.invariants import Books, check
from tests.faults.program import Program
from tests.support.house import Visitor

QUESTION = "where is my order?"
WORDS = "order number"
ARTICLE = "How long is a gift card valid?"
TABS = 150 if chance.is_long() else 15  # of each customer


async def test_f43_one_id_is_one_message_from_whichever_tab_and_before_and_after_a_crash(web: Program) -> None:
    await web.starts()
    here = await web.visitor()
    there = await web.visitor(here.token)
    mine = str(uuid.uuid4())
    answers = await asyncio.gather(*(tab.says(QUESTION, id_=mine) for tab in (here, there)))
    assert {answer["type"] for answer in answers} == {"ack"}
    assert len({answer["seq"] for answer in answers}) == 1
    other = await there.says("other words", id_=mine)
    assert (other["type"], other["code"]) == ("error", "conflict")
    await web.dies()
    await web.starts()
    again = await web.visitor(here.token)
    assert await again.says(QUESTION, id_=mine) == answers[0]
    books = Books(web.database)
    await books.at_rest()
    check(books, [QUESTION])
    for tab in (here, there, again):
        await tab.leaves()


async def test_f44_what_an_agent_said_while_the_widget_was_away_comes_whole_and_in_order(web: Program) -> None:
    """Also over a crash of the server in between."""
    web.sets_clock(seconds=0)
    await web.starts()
    kari = await web.visitor()
    await kari.says("talk to a human")
    await kari.hears("number 1 in the queue")
    agent = await web.agent()
    (waiting,) = await agent.sees()
    (await agent.does(waiting["id"], "claim")).raise_for_status()
    await kari.hears("is here and has read everything")
    await kari.leaves()
    said = [f"answer {number}" for number in range(3)]
    for words in said:
        (await agent.does(waiting["id"], "reply", text=words, ref=str(uuid.uuid4()))).raise_for_status()
    await agent.http.aclose()
    await web.dies()
    web.sets_clock(minutes=1)  # their undo windows are over
    await web.starts()
    books = Books(web.database)
    async with asyncio.timeout(30):
        while books.one("SELECT count(*) FROM messages WHERE author_kind = 'agent'") < len(said):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await kari.connects()
    for words in said:
        await kari.hears(words, "agent")
    assert kari.seqs == list(range(1, kari.last_seq + 1))
    assert [text for text in kari.said() if text in said] == said
    await books.at_rest()
    check(books, ["talk to a human"])
    await kari.leaves()


def resident(pid: int) -> int:
    """Bytes of memory that a process holds; 0 where the system does not tell."""
    told = Path(f"/proc/{pid}/status")
    for line in told.read_text().splitlines() if told.exists() else ():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    return 0


async def test_f42_who_reads_nothing_holds_up_nobody_and_reads_it_all_later(web: Program) -> None:
    """More than the line can hold waits for the one reader: in the database, not in memory."""
    await web.starts()
    tabs = [await web.visitor()]
    tabs += [await web.visitor(tabs[0].token) for _ in range(3)]
    stuck = tabs.pop()
    assert stuck._reading is not None
    stuck._reading.cancel()
    stuck._socket.transport.pause_reading()
    early = await web.visitor()
    await early.says(ARTICLE)  # waits until all that is needed to know languages and articles is in memory
    await early.hears("3 years", "bot")
    await tabs[0].says(QUESTION)
    await tabs[0].hears(WORDS, "bot")
    before = resident(web.pid)
    told = []

    async def pours(tab: Visitor, name: str) -> None:
        for number in range(16):  # a socket may say twenty things at once
            told.append(f"{name} {number} " + "\N{HEBREW LETTER ALEF}" * 10_000)
            await tab.says(told[-1])

    async with asyncio.TaskGroup() as group:
        for number, tab in enumerate(tabs):
            group.create_task(pours(tab, f"tab {number}"))
    other = await web.visitor()
    await other.says(QUESTION + " (2)")
    await other.hears(WORDS, "bot")
    if before:
        assert resident(web.pid) - before < 100 * 1024 * 1024
    last = max(tab.last_seq for tab in tabs)
    stuck._socket.transport.abort()
    await stuck.connects(after=0)
    if stuck.last_seq < last:
        await stuck.gets(lambda frame: frame.get("seq", 0) >= last)
    assert stuck.seqs[:last] == list(range(1, last + 1))
    books = Books(web.database)
    await books.at_rest()
    check(books, [*told, ARTICLE, QUESTION, QUESTION + " (2)"])
    for tab in (*tabs, stuck, other, early):
        await tab.leaves()


async def test_f42_after_a_crash_all_widgets_come_back_at_once_and_who_writes_is_answered(web: Program) -> None:
    """Each gets the whole of its own conversation and nothing else; memory stays within what so many lines need."""
    await web.starts()
    customers = [await web.visitor() for _ in range(4)]
    told = [f"hello {number}" for number in range(len(customers))]
    for customer, words in zip(customers, told, strict=True):
        await customer.says(words)
    books = Books(web.database)
    await books.at_rest()
    await web.dies()
    await web.starts()
    writer = await web.visitor()
    await writer.says(ARTICLE)  # waits until all that is needed to know languages and articles is in memory
    await writer.hears("3 years", "bot")
    before = resident(web.pid)
    tabs = [Visitor(web) for _ in range(TABS * len(customers))]  # type: ignore[arg-type]
    for tab, customer in zip(tabs, customers * TABS, strict=True):
        tab.token = customer.token
    coming = [asyncio.create_task(tab.connects(after=0)) for tab in tabs]
    await writer.says(QUESTION)
    await writer.hears(WORDS, "bot")
    await asyncio.gather(*coming)
    for tab, words in zip(tabs, told * TABS, strict=True):
        await tab.hears(words, "customer")
        await tab.gets(lambda frame, tab=tab: frame.get("seq", 0) >= tab.ready["last_seq"])  # type: ignore[misc]
        assert tab.seqs == list(range(1, tab.ready["last_seq"] + 1))
        assert [text for text in tab.said() if text in told] == [words]
    if before:
        assert resident(web.pid) - before < 10 * 1024 * 1024 + len(tabs) * 100 * 1024
    await books.at_rest()
    check(books, [*told, ARTICLE, QUESTION])
    for tab in (*tabs, *customers, writer):
        await tab.leaves()
