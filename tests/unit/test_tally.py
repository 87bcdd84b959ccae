"""Where flows lose people: every turn's steps are counted once it is committed, and nobody's words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from bot.console.drawing.picture import Counts
from bot.console.live import of_flow
from bot.desk_folder import DEMO_DESK, Desk, load
from bot.events import StepsTaken
from bot.storage import step_rows
from bot.storage import tables as t
from bot.storage.engine import Storage
from bot.storage.tx import Tx
from bot.tally import EVERY, Tally, taken
from surveys.pages.store import came

MONDAY = datetime(2026, 3, 9, 12, tzinfo=UTC)


class Clock:
    now = MONDAY

    def __call__(self) -> datetime:
        return self.now


@pytest_asyncio.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    made = Storage(f"sqlite+aiosqlite:///{tmp_path / 'tally.db'}", Clock())
    await made.open()
    await made.write(lambda tx: t.metadata.create_all(tx.conn))
    yield made
    await made.close()


def at(step: str, **more: object) -> dict[str, object]:
    return {"flow": "f", "step": step, **more}


@pytest.mark.parametrize(
    ("trace", "found"),
    [
        ([at("a"), at("b")], [("a", True, False), ("b", True, False)]),
        ([at("a", answer="x"), at("b")], [("a", False, True), ("b", True, False)]),
        ([at("a"), at("a", known="x"), at("b")], [("a", True, True), ("b", True, False)]),
        ([at("a", **{"if": "x", "value": False}), at("b")], [("a", False, False), ("b", True, False)]),
        ([at("a", **{"if": "x", "value": True}), at("b")], [("a", True, False), ("b", True, False)]),
        ([at("d"), at("d", **{"if": "x", "value": False}), at("e")], [("d", True, False), ("e", True, False)]),
        ([at("a", retry=1)], [("a", False, False)]),
        ([at("b", back="a"), at("a")], [("b", False, True), ("a", True, False)]),
        ([at("c", outcome="404"), at("b")], [("c", False, False), ("b", True, False)]),
    ],
)
def test_who_came_and_who_answered_is_read_from_a_turns_trace(
    trace: list[dict[str, object]], found: list[tuple[str, bool, bool]]
) -> None:
    assert [(step, came, answered) for _, step, came, answered in taken(trace)] == found


async def test_what_committed_is_counted_and_written_in_one_go_and_what_was_rolled_back_is_not(
    storage: Storage,
) -> None:
    tally = Tally(storage)
    storage.wiring.subscribers = {StepsTaken: [tally.heard]}

    def turn(tx: Tx) -> None:
        tx.emit(StepsTaken([at("a"), at("b")]))

    def failing(tx: Tx) -> None:
        turn(tx)
        raise ZeroDivisionError

    for _ in range(3):
        await storage.write(turn)
    with pytest.raises(ZeroDivisionError):
        await storage.write(failing)
    clock = storage.clock
    assert isinstance(clock, Clock)
    assert await tally.run() == MONDAY + EVERY  # not yet
    assert await storage.read(lambda conn: step_rows.since(conn, "f", "2026-03-09")) == {}
    clock.now += EVERY
    await tally.run()
    await storage.write(turn)
    await tally.stop()
    assert await storage.read(lambda conn: step_rows.since(conn, "f", "2026-03-09")) == {"a": (4, 0), "b": (4, 0)}
    assert await storage.read(lambda conn: step_rows.since(conn, "f", "2026-03-10")) == {}
    clock.now += timedelta(days=1)
    assert await tally.run() is None


async def test_a_day_is_the_desks_as_in_all_other_figures(storage: Storage) -> None:
    """Who comes at half past eight in Oslo's evening in Auckland comes tomorrow."""
    tally, clock = Tally(storage), storage.clock
    assert isinstance(clock, Clock)
    storage.wiring.subscribers = {StepsTaken: [tally.heard]}
    for place in ("Europe/Oslo", "Pacific/Auckland"):
        storage.wiring.desk = lambda place=place: Desk("Fjord", time_zone=place)
        clock.now = datetime(2026, 3, 9, 19, 30, tzinfo=UTC)
        await storage.write(lambda tx: tx.emit(StepsTaken([at("a")])))
    await tally.flush()
    assert await storage.read(lambda conn: came(conn, "2026-03-09", "2026-03-09")) == {"f": {"a": 1}}
    assert await storage.read(lambda conn: came(conn, "2026-03-10", "2026-03-10")) == {"f": {"a": 1}}


async def test_counts_that_could_not_be_written_are_kept(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    tally = Tally(storage)
    storage.wiring.subscribers = {StepsTaken: [tally.heard]}
    await storage.write(lambda tx: tx.emit(StepsTaken([at("a")])))
    with monkeypatch.context() as patch:
        patch.setattr(step_rows, "add", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await tally.flush()
    await tally.flush()
    assert await storage.read(lambda conn: step_rows.since(conn, "f", "")) == {"a": (1, 0)}


def test_whoever_came_did_not_answer_and_is_not_there_was_lost_there() -> None:
    flow = load(DEMO_DESK).flows["order_status"]
    here = {"flow": {"frames": [{"flow": "order_status", "step_id": "q_order"}]}}
    numbers = of_flow([here, here, {}], flow, {"q_order": (10, 5), "lookup": (5, 0)})
    assert numbers == {"q_order": Counts(2, 10, 3), "lookup": Counts(0, 5, 0)}
