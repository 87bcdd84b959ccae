"""kb calibrate and kb unanswered: the whole way from what customers said to desk.yaml."""

from __future__ import annotations

import asyncio
import csv
import errno
import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import insert
from typer.testing import CliRunner, Result

from bot.answers import store
from bot.answers.unanswered import Asked, gaps
from bot.cli import app
from bot.desk_folder import DEMO_DESK, load
from bot.model import BOT, Author, AuthorKind, Body, Choice, Sender
from bot.settings import Settings
from bot.storage import customers, history, schema
from bot.storage import tables as t
from bot.storage.engine import Storage
from bot.storage.tx import Tx

NOON = datetime(2026, 3, 9, 12, tzinfo=UTC)
OFF_TOPIC = [
    f"tell me about {topic}" for topic in ("whales", "jazz", "Mars", "chess", "tulips", "Rome", "soup", "opera", "skis")
]
ASKED = {
    "delivery": (
        "how quick is your delivery",
        "shipping cost to Spain",
        "delivery price please",
        "what does shipping cost me",
    ),
    "returns": ("sending something back", "return it please", "how to return shoes", "may I return this"),
    "payment": ("pay with a card", "which payment ways", "can I pay by invoice", "payment with paypal"),
    "warranty": ("is there a guarantee", "warranty on a lamp", "how long the warranty", "warranty period"),
    "gift_cards": ("buy a gift card", "gift card for a friend", "gift card balance", "how does the gift card work"),
    "cancel": ("I want to cancel an order", "cancel what I ordered", "can an order be cancelled", "undo my order"),
}


def stafett(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"STAFETT_{name.upper()}", raising=False)
    shutil.copytree(DEMO_DESK, tmp_path / "desk")
    return tmp_path / "desk"


def label(desk: Path, **more: str) -> None:
    rows = [(question, "en", article) for article, questions in ASKED.items() for question in questions]
    rows += [(question, "en", "") for question in OFF_TOPIC] + [
        (question, "en", article) for question, article in more.items()
    ]
    with (desk / "knowledge" / "questions.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("question", "locale", "article"), *rows])


def test_thresholds_are_found_told_and_written_without_touching_anything_else(desk: Path) -> None:
    label(desk)
    told = stafett("kb", "calibrate", "desk")
    assert told.exit_code == 0, told.output
    assert "33 labelled questions" in told.stdout
    assert "held out" in told.stdout
    assert "Paste that into desk.yaml" in told.stdout
    found = json.loads(stafett("kb", "calibrate", "desk", "--json").stdout)
    assert found["held_out"]["answered"]["n"] == found["n"] == 33
    before = (desk / "desk.yaml").read_text(encoding="utf-8")
    assert stafett("kb", "calibrate", "desk", "--write").exit_code == 0
    after = (desk / "desk.yaml").read_text(encoding="utf-8")
    assert after.startswith(before.rstrip("\n"))
    made = load(desk)
    assert (made.answers.sure, made.answers.unsure) == (found["sure"], found["unsure"])
    assert stafett("kb", "calibrate", "desk", "--write").stdout.rstrip().endswith("they stand there already")
    assert (desk / "desk.yaml").read_text(encoding="utf-8") == after


def test_a_disk_that_is_full_leaves_desk_yaml_as_it_was(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is replaced as a whole, once its new text lies on the disk."""
    label(desk)
    before = sorted((one, one.read_bytes()) for one in desk.rglob("*") if one.is_file())

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    done = stafett("kb", "calibrate", "desk", "--write")
    assert (done.exit_code, "nothing was changed" in done.stderr) == (1, True)
    left = sorted((one, one.read_bytes()) for one in desk.rglob("*") if one.is_file() and one.stat().st_size)
    assert [one for one in left if not one[0].name.endswith(".stafett-new")] == before


def test_wrong_rows_and_too_few_questions_are_told(desk: Path) -> None:
    missing = stafett("kb", "calibrate", "desk")
    assert missing.exit_code == 1
    assert "questions.csv is not there" in missing.stderr
    label(desk, hello="no_such_article")
    wrong = stafett("kb", "calibrate", "desk")
    assert wrong.exit_code == 1
    assert wrong.stdout == "desk/knowledge/questions.csv:35: there is no article no_such_article\n"
    (desk / "knowledge" / "questions.csv").write_text("question,article\nhow do I pay,payment\n")
    few = stafett("kb", "calibrate", "desk")
    assert few.exit_code == 1
    assert "1 labelled questions; at least 30 are needed" in few.stderr


def test_crossed_thresholds_in_desk_yaml_are_a_fault(desk: Path) -> None:
    with (desk / "desk.yaml").open("a", encoding="utf-8") as file:
        file.write("answers: {sure: 0.2, unsure: 0.6}\n")
    done = stafett("check", "desk")
    assert done.exit_code == 1
    assert "answers: 0 ≤ unsure ≤ sure ≤ 1, not unsure 0.6, sure 0.2" in done.stdout


# ── what conversations tell ──


def a_day(tx: Tx) -> None:
    who, _ = customers.create(tx, Sender("web", "kari", "kari", "Kari", "en"), "en")
    row = {"customer_id": who.id, "status": "closed", "channel": "web", "opened_at": tx.now, "updated_at": tx.now}
    cases = ({"locale": "en", "topic": "warranty", "resolved_by": "agent"}, {"locale": "nl"})
    for n, more in enumerate(cases):
        tx.conn.execute(insert(t.cases).values(id=f"case{n}", **row, **more))
    nothing = (("is my lamp insured", 0), ("Is my lamp insured?", 0), ("waar is de factuur", 1))
    for question, n in nothing:
        event = {"kind": "unanswered", "data": {"question": question}, "at": tx.now}
        tx.conn.execute(insert(t.case_events).values(case_id=f"case{n}", customer_id=who.id, **event))
    for article, value in (("delivery", "kb:yes"), ("returns", "kb:no")):
        meta = {"source": f"article:{article}", "question": f"about {article} then"}
        choices = (Choice("kb:yes", "Yes"), Choice("kb:no", "No"))
        on = history.append(
            tx, who.id, Body("…", choices=choices), author=BOT, channel="web", case_id="case0", meta=meta
        )
        pressed = {"pressed": {"message": on.id, "value": value}}
        by = Author(AuthorKind.CUSTOMER)
        history.append(tx, who.id, Body("No"), author=by, channel="web", case_id="case0", meta=pressed)


async def filled() -> Storage:
    await schema.upgrade("sqlite+aiosqlite:///stafett.db")
    storage = Storage("sqlite+aiosqlite:///stafett.db")
    await storage.open()
    await storage.write(a_day)
    return storage


async def test_what_helped_and_what_agents_made_of_a_question_are_labels(desk: Path) -> None:
    storage = await filled()
    try:
        assert await storage.read(store.verdicts) == [
            (("about delivery then", "en", "delivery"), True),
            (("about returns then", "en", "returns"), False),
        ]
        marked = await storage.read(lambda conn: store.marks(conn, {"warranty", "delivery"}))
        assert set(marked) == {("is my lamp insured", "en", "warranty"), ("Is my lamp insured?", "en", "warranty")}
        assert await storage.read(lambda conn: store.marks(conn, {"delivery"})) == []
    finally:
        await storage.close()


def test_the_work_list_counts_by_language_and_names_the_nearest_article(desk: Path) -> None:
    async def fill() -> None:
        await (await filled()).close()

    asyncio.run(fill())
    done = stafett("kb", "unanswered")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("2 × en  ")
    assert "3 gaps, asked 4 times" in done.stdout
    assert "did not help: returns" in done.stdout
    found = json.loads(stafett("kb", "unanswered", "--json", "--locale", "nl").stdout)
    assert [(one["locale"], one["asked"], one["questions"]) for one in found] == [("nl", 1, ["waar is de factuur"])]
    assert stafett("kb", "unanswered", "--since", "2999-01-01").stdout == "no question is without an answer\n"


def test_a_gap_knows_when_it_was_last_asked() -> None:
    later = NOON.replace(hour=15)
    found = gaps(
        [
            Asked("an invoice", "en", NOON),
            Asked("the invoices", "en", later, "payment"),
            Asked("an invoice", "en", NOON),
        ]
    )
    assert [(one.asked, one.last, one.tried) for one in found] == [(3, later, ("payment",))]
