"""What is counted of a replay, and how the command tells it. What is played is in tests/journeys/test_replay.py."""

from __future__ import annotations

import asyncio
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert
from typer.testing import CliRunner, Result

from bot.cli import app
from bot.desk_folder import DEMO_DESK
from bot.intervals import newcombe, newcombe_paired
from bot.model import BOT, Author, AuthorKind, Body, Choice, Sender
from bot.replay.compare import Finding
from bot.replay.recording import ESCALATION, Entry, Heard, Said, exchanges
from bot.replay.report import Report, line
from bot.settings import Settings
from bot.storage import customers, history, schema
from bot.storage import tables as t
from bot.storage.engine import Storage
from bot.storage.tx import Tx

NOON = datetime(2026, 3, 9, 12, tzinfo=UTC)


def heard(text: str, minute: int = 0) -> Entry:
    return Entry(heard=Heard("text", NOON + timedelta(minutes=minute), text))


def said(text: str, source: str | None = None) -> Entry:
    return Entry(said=Said(text, source=source), at=NOON)


def test_words_that_were_answered_together_stay_together_and_time_runs_to_the_next() -> None:
    found = exchanges([said("before anybody spoke"), heard("a"), heard("b"), said("1"), heard("c", 5), said("2")])
    assert [([h.text for h in one.heard], [s.text for s in one.said]) for one in found] == [
        (["a", "b"], ["1"]),
        (["c"], ["2"]),
    ]
    assert found[0].until == NOON + timedelta(minutes=5)
    assert exchanges([]) == ()


def test_the_queue_tells_whether_anybody_was_there() -> None:
    for key, agents in (("no_agents_until", 0), ("queue_place", 1), ("", None)):
        found = exchanges([heard("human"), said("somebody comes", ESCALATION), Entry(key=key)])
        assert (found[0].agents, found[0].escalated) == (agents, True)


def finding(topic: str = "a", verdict: str = "same", kind: str = "", **more: Any) -> Finding:
    return Finding("id", 1, topic, "en", "web", 3, verdict, kind=kind, **more)


def test_topics_stand_by_frequency_and_add_up() -> None:
    found = [
        finding("b"),
        finding("a", "diverged", "fetches a human"),
        finding("a", "diverged", "no longer fetches a human", escalated=True),
        finding("a", "reworded", escalated=True),
        finding("a", "diverged", "dead end", dead_end=1),
    ]
    report = Report("Shop", tuple(found), 5, 1)
    assert [(one.topic, one.n) for one in report.lines] == [("a", 4), ("b", 1)]
    whole = report.whole
    assert (whole.same, whole.reworded, whole.diverged, whole.n) == (1, 1, 3, 5)
    assert (whole.escalated, whole.more, whole.fewer, whole.dead_ends) == (2, 1, 1, 1)
    assert report.kinds == {"fetches a human": 1, "no longer fetches a human": 1, "dead end": 1}
    assert line("none", []).change is None


COUNTS = st.integers(0, 40)


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_a_paired_difference_lies_in_its_interval_and_turns_with_its_sides(a: int, b: int, c: int, d: int) -> None:
    found, turned = newcombe_paired(a, b, c, d), newcombe_paired(a, c, b, d)
    if found is None or turned is None:
        assert a + b + c + d == 0
        return
    assert found.low <= (c - b) / (a + b + c + d) <= found.high
    assert found.low == pytest.approx(-turned.high)


def test_pairs_that_go_together_say_more_than_strangers() -> None:
    paired, apart = newcombe_paired(40, 2, 6, 52), newcombe(42, 100, 46, 100)
    assert paired is not None
    assert apart is not None
    assert paired.high - paired.low < 0.7 * (apart.high - apart.low)


def test_the_paired_interval_covers_what_it_promises() -> None:
    """Simulated with strong pairing at n = 60, nominal 95 %."""
    rng = random.Random(5)
    hits = 0
    for _ in range(600):
        cells = [0, 0, 0, 0]  # both, only before, only after, neither
        for _ in range(60):
            cells[rng.choices(range(4), (0.3, 0.05, 0.1, 0.55))[0]] += 1
        found = newcombe_paired(*cells)
        assert found is not None
        hits += found.low <= 0.05 <= found.high
    assert hits / 600 > 0.93


# ── the command ──


def stafett(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def one_case(tx: Tx) -> None:
    who, _ = customers.create(tx, Sender("web", "kari", "kari", "Kari", "en"), "en")
    times = {"opened_at": tx.now, "updated_at": tx.now}
    row = {"id": "case", "number": 7, "customer_id": who.id, "status": "bot", "channel": "web", "locale": "en"}
    tx.conn.execute(insert(t.cases).values(**row, **times, flow="order_status"))
    for author, text, choices in (
        (Author(AuthorKind.CUSTOMER), "where is my order?", ()),
        (BOT, "Which order do you mean?", (Choice("x", "This one"),)),
    ):
        body = Body(text, choices=choices)
        history.append(tx, who.id, body, author=author, channel="web", case_id="case")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"STAFETT_{name.upper()}", raising=False)

    async def fill() -> None:
        await schema.upgrade("sqlite+aiosqlite:///stafett.db")
        storage = Storage("sqlite+aiosqlite:///stafett.db")
        await storage.open()
        await storage.write(one_case)
        await storage.close()

    asyncio.run(fill())
    return tmp_path


def test_the_command_lists_what_differs_and_may_fail_for_it(place: Path) -> None:
    done = stafett("replay", str(DEMO_DESK))
    assert done.exit_code == 0, done.output
    assert "Stafett demo shop: 1 conversation replayed" in done.stdout
    assert "case 7, turn 1 of order_status: answers otherwise" in done.stdout
    assert "  then      Which order do you mean? [This one]" in done.stdout
    assert "your order number?" in next(row for row in done.stdout.splitlines() if row.startswith("  now  "))
    found = json.loads(stafett("replay", str(DEMO_DESK), "--json").stdout)
    assert found["all"]["diverged"] == 1
    assert found["conversations"][0]["kind"] == "answers otherwise"
    strict = stafett("replay", str(DEMO_DESK), "--at-most", "0.5")
    assert strict.exit_code == 1
    assert strict.stderr.strip() == "stafett: 100.0% of the conversations differ; at most 50.0% may"


def test_a_span_without_conversations_and_a_wrong_day_are_told(place: Path) -> None:
    none = stafett("replay", str(DEMO_DESK), "--since", "2999-01-01")
    assert none.exit_code == 0
    assert "no conversation of the bot's to replay" in none.stdout
    assert stafett("replay", str(DEMO_DESK), "--since", "yesterday").exit_code == 2
