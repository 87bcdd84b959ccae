"""The benchmarks run, in tiny sizes; what they find on this machine is nobody's promise here."""

from __future__ import annotations

import asyncio
import importlib
import json
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.bench import history, reports
from tests.bench.__main__ import LARGE, SCENARIOS, asked
from tests.bench.table import Row, render
from tests.bench.telegram import BotApi, Crowd


@pytest_asyncio.fixture
async def tg() -> AsyncIterator[BotApi]:
    async with BotApi() as server:
        yield server


async def echo(tg: BotApi, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A webhook bot in twenty lines: it says back what it hears, then acknowledges."""
    there = await asyncio.open_connection("127.0.0.1", int(tg.url.rpartition(":")[2]))
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            size = re.search(rb"Content-Length: (\d+)", head)
            assert size is not None
            update = json.loads(await reader.readexactly(int(size[1])))
            body = json.dumps({"chat_id": update["message"]["chat"]["id"], "text": update["message"]["text"]}).encode()
            there[1].write(b"POST /bot7:x/sendMessage HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    except asyncio.IncompleteReadError:
        for one in (there[1], writer):
            one.close()
            await one.wait_closed()


def test_who_asks_how_it_is_used_is_told_and_nothing_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        asked(["--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert all(word in told for word in (*SCENARIOS, *LARGE, "--quick", "--cases", "--data"))
    with pytest.raises(SystemExit) as ended:
        asked(["--quikc"])
    assert ended.value.code == 2
    given = vars(asked(["burst", "--cases=10", "reports", "--quick"]))
    assert given == {"names": ["burst", "reports"], "quick": True, "cases": 10, "data": None}


async def test_the_crowd_counts_a_message_only_once_it_was_answered(tg: BotApi) -> None:
    talks: list[asyncio.Task[None]] = []

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.append(asyncio.create_task(echo(tg, reader, writer)))

    bot = await asyncio.start_server(begin, "127.0.0.1", 0)
    crowd = Crowd(tg, bot.sockets[0].getsockname()[1], chats=3, texts=("one", "two"))
    assert await crowd.in_flight(4, 20) > 0
    assert len(await crowd.at_rate(200, 10)) == 10
    assert tg.sent == 30
    await asyncio.gather(*talks)
    bot.close()


async def test_what_waits_is_given_in_batches_until_it_is_confirmed(tg: BotApi) -> None:
    tg.waiting.extend({"update_id": number} for number in range(1, 6))
    given: list[bytes] = []
    tg.called("getUpdates", b'{"offset": 0, "limit": 2}', given.append)
    tg.called("getUpdates", b'{"offset": 3, "limit": 2}', given.append)
    assert [[one["update_id"] for one in json.loads(batch)] for batch in given] == [[1, 2], [3, 4]]
    assert tg.confirmed == 2


async def test_the_history_is_measured_and_its_own_statement_explained() -> None:
    growth, plan = await history.run(tiny=True)
    assert growth.ratio > 0
    assert plan.holds, plan.detail


async def test_every_report_is_measured_and_what_the_chat_feels_of_it() -> None:
    wrong, first, *measured, felt = await reports.run(tiny=True)
    assert (wrong.ratio, first.unit) == (0, " s")
    to_mend = [f"to mend: {name}" for name in reports.TO_MEND]
    names = [*reports.REPORTS, "stafett report --by team", "the page of figures, of a year", *to_mend]
    assert [row.what for row in measured] == [f"SQLite: {name}" for name in names]
    assert all(row.ratio > 0 and row.unit == " s" for row in measured)
    assert felt.unit == " ms"


@pytest.mark.parametrize(
    "name", [one for one in (*SCENARIOS, *LARGE) if one != "burst"]
)  # that imports Slack's SDK for a second
def test_each_scenario_can_be_run(name: str) -> None:
    assert callable(importlib.import_module(f"tests.bench.{name}").run)


def test_the_table_says_what_holds_and_what_does_not() -> None:
    shown = render([Row("a", "speed", 2.5, 2.0, at_least=True), Row("b", "commits", 0.2, 0.1, unit="")]).splitlines()
    assert shown[1].split() == ["a", "speed", "2.50×", "≥", "2.00×", "holds"]
    assert shown[2].split() == ["b", "commits", "0.2", "≤", "0.1", "DOES", "NOT", "HOLD"]
