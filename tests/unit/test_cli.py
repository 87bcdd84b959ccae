"""The commands as a terminal sees them: words, exit codes, and what they never do."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from typer.testing import CliRunner, Result

from bot import doctor
from bot.api.local import LIFETIME, route, token
from bot.cli import app
from bot.cli_ground import plain
from bot.cli_writes import WRITES
from bot.model import Author, AuthorKind, Body, Sender, new_id
from bot.outbox import enqueue
from bot.outreach import store as notices
from bot.outreach.notice import Audience, Kind, Notice, State
from bot.settings import Settings
from bot.storage import customers, history
from bot.storage import tables as t
from bot.storage.engine import DatabaseInUse, Storage, lock_file
from bot.storage.tx import Tx
from channels.web import store as web
from channels.web.sessions import Session
from handoff import store as cases
from handoff.case import Relay
from tests.support.house import free_port

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)
CSV = "respondent,instrument,score,comment,time\nkari,ces7,6,=fine,2025-03-10T12:00:00Z\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with no setting set."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"STAFETT_{name.upper()}", raising=False)
    return tmp_path


def stafett(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=given)


def works(*arguments: str) -> str:
    done = stafett(*arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(*arguments: str) -> str:
    """The one line of an error."""
    done = stafett(*arguments)
    assert done.exit_code == 1
    lines = done.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("stafett: ")
    return lines[0]


async def written(unit: Any) -> Any:
    storage = Storage("sqlite+aiosqlite:///stafett.db")
    await storage.open()
    try:
        return await storage.write(unit)
    finally:
        await storage.close()


def somebody(tx: Tx) -> str:
    who, _ = customers.create(tx, Sender("telegram", "4242424", "4242424", "Kari", "en"), "en")
    history.append(tx, who.id, Body("my s3cret"), author=Author(AuthorKind.CUSTOMER), channel="telegram")
    return who.id


# ── as a program ───────────────────────────────────────────────────────────────────────────────────────────────────
def test_help_is_quick_and_imports_nothing_heavy(place: Path) -> None:
    look = (
        "import sys, time; from bot.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'sqlalchemy', 'aiogram', 'slack_bolt', 'fastapi', 'starlette', 'pydantic', 'httpx2'} & set(sys.modules)\n"
        "print(time.process_time(), heavy or '-', file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True)
    seconds, heavy = done.stderr.split(maxsplit=1)
    assert heavy.strip() == "-"
    assert float(seconds) < 0.5
    assert all(name in done.stdout for name in ("serve", "init", "check", "chat", "report", "doctor"))


def test_a_reader_that_has_gone_ends_a_command_without_a_word(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    piped = os.fdopen(writes, "w", buffering=1 << 20, encoding="utf-8")  # so much that nothing leaves before the end
    monkeypatch.setattr(sys, "stdout", piped)
    with pytest.raises(SystemExit) as end:
        app(["check", "--schema"])
    with suppress(BrokenPipeError):
        piped.close()
    assert end.value.code == 1
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_command_works_with_a_standard_stream_closed(place: Path, closed: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m bot chat {closed}"],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "arguments", [["foo"], ["serve", "--port", "x"], ["serve", "--port", "0"], ["report", "--by", "mood"], []]
)
def test_wrong_use_is_status_2(place: Path, arguments: list[str]) -> None:
    assert stafett(*arguments).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (["--mood"], ""),
        (["foo"], ""),
        (["serve", "--port", "x"], "serve "),
        (["report", "--format", "xml"], "report "),
        (["init"], "init "),
        (["responses", "import", "none.csv"], "responses import "),
        (["audit", "--retry", "a", "--drop", "b"], "audit "),
    ],
)
def test_wrong_use_is_one_line_that_names_the_help(place: Path, arguments: list[str], where: str) -> None:
    done = stafett(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("stafett: ")
    assert line.endswith(f"(see stafett {where}--help)")
    assert "Value error" not in line


def test_off_a_terminal_no_line_of_the_help_is_wrapped_or_cut_short(place: Path) -> None:
    whole = "  Validate a desk: each fault as file:line:column: message; exit 1 when there is one.\n"
    assert whole in works("--help")
    assert whole in works("check", "--help")


def test_a_benchmark_without_its_questions_is_status_1(place: Path) -> None:
    assert "banking77_train.csv" in refused("bench", "kb")


def test_the_days_of_a_report_are_those_that_were_asked_for(place: Path) -> None:
    works("db", "upgrade")
    assert works("report", "--from", "2026-03-01", "--to", "2026-03-31").startswith(
        "Stafett report, 2026-03-01 to 2026-03-31\n"
    )


def test_the_latest_answers_below_a_report_are_of_its_span_and_of_no_filtered_one(place: Path) -> None:
    works("db", "upgrade")
    rows = ["respondent,instrument,score,comment,time"]
    rows += [f"r{day},ces7,6,of the {day}th,2026-03-{day}T12:00:00Z" for day in (10, 11, 12)]
    (place / "answers.csv").write_text("\n".join(rows))
    works("responses", "import", "answers.csv")
    said = works("report", "--from", "2026-03-11", "--to", "2026-03-11")
    assert [f"of the {day}th" in said for day in (10, 11, 12)] == [False, True, False]
    assert "of the 12th" in works("report")
    assert "Latest" not in works("report", "--where", "channel=web")


def test_debug_shows_where_it_came_from_wherever_it_stands(place: Path) -> None:
    for arguments in (["--debug", "report"], ["report", "--debug"]):
        assert isinstance(stafett(*arguments).exception, Exception)


@pytest.mark.parametrize(
    "command",
    [
        ["report"],
        ["audit"],
        ["export", "x"],
        ["erase", "x"],
        ["responses", "export", "-"],
        ["agent", "invite", "demo"],
        ["db", "backup", "b.db"],
        ["audit", "--retry", "x"],
    ],
)
def test_without_a_database_commands_say_so_and_make_none(place: Path, command: list[str]) -> None:
    assert refused(*command) == "stafett: there is no database stafett.db yet; start the server: stafett serve"
    assert list(place.iterdir()) == []


def test_a_wrong_setting_is_one_line(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAFETT_DATABASE_URL", "mysql://x")
    assert "mysql is not supported" in refused("report")


# ── the desk ───────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_newcomer_s_desk_is_fine(place: Path) -> None:
    works("init", "support")
    assert works("check", "support").startswith("desk support is fine: ")
    assert " passed" in works("test", "support")
    assert "not empty" in refused("init", "support")


def test_every_fault_is_told_with_its_place(place: Path) -> None:
    works("init", "support")
    desk = place / "support" / "desk.yaml"
    before = desk.read_text(encoding="utf-8")
    desk.write_text(before + "\nfoo: 1\nbar: 2\n", encoding="utf-8")
    done = stafett("check", "support")
    line = before.count("\n") + 2
    assert done.exit_code == 1
    assert [one.split(": ")[0] for one in done.stdout.splitlines()] == [
        f"support/desk.yaml:{line}:1",
        f"support/desk.yaml:{line + 1}:1",
    ]


def test_a_failed_conversation_test_is_status_1(place: Path) -> None:
    works("init", "support")
    script = "- test: it says the impossible\n  script:\n    - {user: human}\n    - {bot: the impossible}\n"
    (place / "support" / "tests" / "more.yaml").write_text(script, encoding="utf-8")
    done = stafett("test", "support")
    assert done.exit_code == 1
    assert "support/tests/more.yaml:4: expected bot «the impossible»" in done.stdout


def test_the_bot_talks_in_the_terminal_and_nothing_is_stored(place: Path) -> None:
    done = stafett("chat", given="where is my order\nAB123456\n1\n7\n")
    assert done.exit_code == 0, done.output
    assert "order number" in done.stdout
    assert "[1] [2] [3] [4] [5] [6] [7]" in done.stdout
    assert list(place.iterdir()) == []
    assert "it has en, nl, nb, he" in refused("chat", "--locale", "fr")


# ── figures ────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_first_answer_is_seen_though_no_score_is_shown_yet(place: Path) -> None:
    works("db", "upgrade")
    (place / "a.csv").write_text(CSV, encoding="utf-8")
    assert "1 answer imported" in works("responses", "import", "a.csv")
    assert "0 answers imported, 1 were there already" in works("responses", "import", "a.csv")
    told = works("report")
    assert "not shown" in told
    assert told.rstrip().splitlines()[-1].split() == ["2025-03-10", "13:00", "ces7", "6", "–", "=fine"]
    made = json.loads(works("report", "--format", "json", "--from", "2025-03-10", "--to", "2025-03-10"))
    assert made["scores"][0] | {"n": 1, "score": None, "by": {}} == made["scores"][0]
    assert works("report", "--format", "csv").startswith("section,name,n,value")
    assert "kari,ces7,6,'=fine,2025-03-10T12:00:00Z" in works("responses", "export", "-")
    assert works("responses", "export", "b.csv") == "b.csv: 1 answer\n"


def test_one_refused_row_refuses_the_file_and_is_told_with_its_line(place: Path) -> None:
    works("db", "upgrade")
    (place / "a.csv").write_text(CSV + "ola,ces7,8,,2025-03-10\neva,ces7,6,,2199-03-10\n", encoding="utf-8")
    done = stafett("responses", "import", "a.csv")
    told = [(line.split(": ")[0], line.split(" is ")[1][:13]) for line in done.stdout.splitlines()]
    assert (done.exit_code, told) == (1, [("a.csv:3", "not a whole n"), ("a.csv:4", "still to come")])
    assert "responses 0" in works("report")


# ── customers ──────────────────────────────────────────────────────────────────────────────────────────────────────
def test_all_that_is_held_is_handed_over_and_then_forgotten(place: Path) -> None:
    works("db", "upgrade")
    customer = asyncio.run(written(somebody))
    for name in (customer, "telegram:4242424"):
        held = json.loads(works("export", name))
        assert held["customer"] == customer
        assert held["messages"][0]["text"] == "my s3cret"
    assert works("erase", "telegram:4242424").startswith(f"customer {customer} is erased: ")
    assert "there is no customer" in refused("export", customer)
    assert "there is no customer" in refused("erase", customer)
    assert all(b"s3cret" not in file.read_bytes() for file in place.iterdir())


def test_an_erasure_without_a_server_ends_their_widgets_and_the_notice_that_waited_for_them(place: Path) -> None:
    works("db", "upgrade")

    def unit(tx: Tx) -> str:
        who, _ = customers.create(tx, Sender("web", "v:1", "v:1", "Kari", "en"), "en")
        words, to = {"en": "Late"}, Audience(customers=(who.id,))
        notice = Notice("n1", Kind.INCIDENT, State.APPROVED, "Parcels", words, to, "api", tx.now, listed_at=tx.now)
        notices.add(tx, notice)
        notices.await_turn(tx, "n1", [who.id])
        return who.id

    def after(tx: Tx) -> tuple[str | None, str]:
        session = Session("v:1", "s1", tx.now - timedelta(hours=1), tx.now + timedelta(hours=1))
        return web.death(tx.conn, session), notices.held(tx, "n1").state

    customer = asyncio.run(written(unit))
    assert asyncio.run(written(after)) == (None, State.APPROVED)
    works("erase", customer)
    assert asyncio.run(written(after)) == ("moved", State.TOLD)


# ── operating ──────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_backup_is_of_that_very_database_wherever_it_lies_and_of_what_is_left_of_none(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "shop?#1 %41").mkdir()
    monkeypatch.chdir(place / "shop?#1 %41")
    works("db", "upgrade")
    customer = asyncio.run(written(somebody))
    Path(f"b.db.{os.getpid()}.part").write_text("what a backup left that was killed")
    assert works("db", "backup", "b.db").startswith("b.db: ")
    monkeypatch.setenv("STAFETT_DATABASE_URL", "sqlite+aiosqlite:///b.db")
    assert json.loads(works("export", customer))["customer"] == customer
    assert [one.name for one in place.iterdir()] == ["shop?#1 %41"]
    assert not list(Path().glob("*.part*"))


def test_a_failed_send_can_be_tried_again_or_given_up(place: Path) -> None:
    works("db", "upgrade")

    def two(tx: Tx) -> list[str]:
        made = [enqueue(tx, via="telegram", lane="telegram:1", kind="text", payload={}) for _ in range(2)]
        tx.conn.execute(t.outbox.update().values(state="failed", error="the\x1b[31m chat\nis gone"))
        return made

    one, two_ = asyncio.run(written(two))
    told = works("audit")
    assert "2 in all" in told
    assert "\x1b" not in told
    assert "the [31m chat is gone" in told
    assert works("audit", "--retry", one).strip() == f"send tried again: {one}"
    assert works("audit", "--drop", two_).strip() == f"send dropped: {two_}"
    assert works("audit").strip() == "nothing is stuck, delayed, uncertain, failed or dead"
    assert "there is nothing to drop" in refused("audit", "--drop", two_)
    assert "nothing by the id nix" in refused("audit", "--retry", "nix")


def test_what_hangs_on_a_send_hears_that_it_is_given_up_without_a_server_too(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its agent's post in Slack is marked, their case says so, and a question that never left counts as not asked."""
    for name, value in {"BOT_TOKEN": "xoxb-1", "SIGNING_SECRET": "s" * 32, "AGENT_CHANNEL": "C1"}.items():
        monkeypatch.setenv(f"STAFETT_SLACK_{name}", value)
    works("db", "upgrade")

    def said(tx: Tx, case_id: str, who: str, author: Author, meta: dict[str, Any]) -> tuple[str, str]:
        made = history.append(tx, who, Body("hello"), author=author, channel="telegram", case_id=case_id, meta=meta)
        sent = enqueue(
            tx, via="telegram", lane="telegram:1", kind="text", payload={}, customer_id=who, message_id=made.id
        )
        return made.id, sent

    def two(tx: Tx) -> list[str]:
        who = somebody(tx)
        case = cases.insert_case(tx, who, "telegram", "en")
        answer, one = said(tx, case.id, who, Author(AuthorKind.AGENT, "ann", "Ann"), {})
        question, other = said(tx, case.id, who, Author(AuthorKind.BOT), {"survey": "ces7"})
        words = Relay(
            new_id(), case.id, who, "ann", "slack", "C1:1700000001.000100", "hello", (), "said", 0, NOW, answer, NOW
        )
        cases.insert_relay(tx, words)
        asked = {"case_id": case.id, "customer_id": who, "state": "asked", "instrument": "ces7"}
        tx.conn.execute(
            t.survey_invitations.insert().values(
                id=new_id(), message_id=question, locale="en", decided_at=NOW, asked_at=NOW, **asked
            )
        )
        tx.conn.execute(t.outbox.update().values(state="failed", error="the chat is gone"))
        return [one, other]

    for one in asyncio.run(written(two)):
        works("audit", "--drop", one)

    def look(tx: Tx) -> tuple[Any, ...]:
        marks = [row.payload["add"] for row in tx.conn.execute(t.outbox.select().where(t.outbox.c.kind == "mark"))]
        return marks, tx.conn.execute(t.survey_invitations.select()).one().state

    assert asyncio.run(written(look)) == (["warning"], "cancelled")


def test_a_backup_is_whole_private_and_never_overwrites(place: Path) -> None:
    works("db", "upgrade")
    asyncio.run(written(somebody))
    works("db", "backup", "b.db")
    copy = sqlite3.connect(place / "b.db")
    assert copy.execute("SELECT text FROM messages").fetchall() == [("my s3cret",)]
    copy.close()
    assert (place / "b.db").stat().st_mode & 0o077 == 0
    assert "is there already" in refused("db", "backup", "b.db")
    assert not list(place.glob("*.part*"))


def test_a_running_server_s_database_is_read_but_not_written_around_it(place: Path) -> None:
    works("db", "upgrade")
    held = lock_file(place / "stafett.db")
    try:
        works("report")
        works("audit")
        assert "in use by another stafett" in refused("erase", "x")
    finally:
        held.close()


async def test_a_command_s_write_goes_through_the_server_that_holds_the_file(place: Path) -> None:
    await asyncio.to_thread(works, "db", "upgrade")
    storage = Storage("sqlite+aiosqlite:///stafett.db")
    await storage.open()
    storage.answers_at("http://127.0.0.1:8080")
    with pytest.raises(DatabaseInUse) as found:
        lock_file(storage.path)
    assert found.value.address == "http://127.0.0.1:8080"
    customer = await storage.write(somebody)
    door = Starlette(routes=[route(storage, "a secret of the house", WRITES)])
    now = datetime.now(UTC)

    async def ask(secret: str, at: datetime, peer: str = "127.0.0.1", **headers: str) -> httpx2.Response:
        transport = httpx2.ASGITransport(app=door, client=(peer, 1))
        sent = {"Authorization": f"Bearer {token(secret, at)}", **headers}
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as http:
            return await http.post("/api/local/erase", json={"customer": customer}, headers=sent)

    assert (await ask("another secret", now)).status_code == 404
    assert (await ask("a secret of the house", now - 2 * LIFETIME)).status_code == 404
    assert (await ask("a secret of the house", now, "192.0.2.1")).status_code == 404
    assert (await ask("a secret of the house", now, **{"X-Forwarded-For": "127.0.0.1"})).status_code == 404
    assert (await ask("a secret of the house", now)).json()["customer"] == customer
    assert (await ask("a secret of the house", now)).json()["detail"] == f"there is no customer {customer}"
    await storage.close()


# ── the doctor ─────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_fresh_place_is_healthy_and_stays_empty(place: Path) -> None:
    told = works("doctor")
    assert "fault" not in told.replace("WAL-reset fault", "")
    assert told.rstrip().endswith("nothing is wrong")
    assert list(place.iterdir()) == []


def test_a_place_where_no_database_can_be_made_is_a_fault(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.doctor.os.access", lambda *_: False)  # root may write anywhere, so no mode would do
    done = stafett("doctor")
    assert done.exit_code == 1
    assert f"fault    database    stafett.db can't be made: {place} can't be written to; " in done.stdout
    monkeypatch.setenv("STAFETT_DATABASE_URL", "sqlite+aiosqlite:///missing/a.db")
    assert f"can't be made; make the folder {place / 'missing'}" in stafett("doctor").stdout


def test_a_fault_comes_with_what_to_do_and_status_1(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "stafett.db").write_bytes(b"this is no database, and longer than a hundred bytes" * 10)
    monkeypatch.setenv("STAFETT_DESK", "nowhere")
    done = stafett("doctor")
    assert done.exit_code == 1
    faults = [line for line in done.stdout.splitlines() if line.startswith("fault")]
    assert any(" desk " in line and "stafett check nowhere" in line for line in faults)
    assert any(" database " in line for line in faults)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, []),
        ({"slack_app_token": "xapp-1"}, ["STAFETT_SLACK_APP_TOKEN"]),
        ({"slack_signing_secret": "s", "telegram_webhook_secret": "s"}, ["SLACK_SIGNING_SECRET", "TELEGRAM_WEBHOOK"]),
        ({"llm_url": "http://127.0.0.1:1/v1"}, ["STAFETT_LLM_URL is set and does nothing without STAFETT_LLM_MODEL"]),
        ({"llm_model": "m", "llm_key": "k"}, ["STAFETT_LLM_MODEL is set", "LLM_KEY is set and does nothing without"]),
        ({"llm_url": "http://127.0.0.1:1/v1", "llm_model": "m", "llm_key": "k"}, []),
        ({"slack_bot_token": "xoxb-1", "slack_app_token": "xapp-1"}, []),
    ],
)
def test_a_setting_that_does_nothing_without_another_is_named(
    place: Path, given: dict[str, str], named: list[str]
) -> None:
    found = list(doctor.without_their_other_half(Settings(**given)))
    assert all(one.level == "warning" for one in found)
    assert len(found) == len(named)
    assert all(words in one.told for words, one in zip(named, found, strict=True))


def test_the_doctor_names_secrets_that_are_easily_guessed(place: Path) -> None:
    given = Settings(api_token="x" * 15, web_identity_secret="s3cret")
    assert [one.told for one in doctor.easily_guessed(given)] == [
        "STAFETT_API_TOKEN is short",
        "STAFETT_WEB_IDENTITY_SECRET is short",
    ]
    assert not list(doctor.easily_guessed(Settings(api_token="x" * 16)))


def test_the_doctor_tells_of_half_a_setting_and_of_a_secret_that_others_can_read(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAFETT_LLM_MODEL", "m")
    assert "warning  settings    STAFETT_LLM_MODEL is set and does nothing" in works("doctor")
    (place / "stafett.db.secret").write_text("x" * 64)
    (place / "stafett.db.secret").chmod(0o644)
    monkeypatch.setenv("STAFETT_DATABASE_URL", "sqlite+aiosqlite:///stafett.db?timeout=5")
    assert "chmod 600 stafett.db.secret" in stafett("doctor").stdout


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STAFETT_DESK", "nowhere"),
        ("STAFETT_DATABASE_URL", "mysql+aiomysql://a/b"),
        ("STAFETT_DATABASE_URL", "postgresql+asyncpg://nobody@127.0.0.1:1/none"),
    ],
)
@pytest.mark.usefixtures("logs_of_its_own")
def test_a_start_that_is_refused_for_its_desk_or_database_leaves_nothing_behind(
    place: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    if value.startswith("postgresql"):
        monkeypatch.setenv("STAFETT_SECRET", "a secret for tests, long enough")
    assert stafett("serve", "--port", str(free_port())).exit_code == 1
    assert not list(place.iterdir())


@pytest.mark.parametrize(
    ("version", "level"),
    [
        ((3, 40, 1), "warning"),
        ((3, 51, 2), "warning"),
        ((3, 51, 3), "ok"),
        ((3, 50, 7), "ok"),
        ((3, 50, 6), "warning"),
        ((3, 44, 6), "ok"),
        ((3, 45, 0), "warning"),
        ((3, 34, 0), "fault"),
    ],
)
def test_sqlite_versions_that_can_lose_a_commit_are_named(version: tuple[int, ...], level: str) -> None:
    assert doctor.sqlite(version, is_used=True).level == level


def test_clock_scopes_and_webhook_are_compared() -> None:
    date = "Mon, 09 Mar 2026 12:00:00 GMT"
    assert doctor.clock("Slack", {"date": date}, NOW + timedelta(seconds=20)).level == "ok"
    assert doctor.clock("Slack", {"date": date}, NOW + timedelta(seconds=40)).level == "fault"
    assert doctor.has_scopes("chat:write, im:write", ["chat:write"]).level == "ok"
    assert "users:read" in doctor.has_scopes("chat:write", ["chat:write", "users:read"]).told
    polling = Settings.model_construct()
    assert doctor.webhook(polling, {"url": ""}).level == "ok"
    assert doctor.webhook(polling, {"url": "https://elsewhere.example"}).level == "warning"


def test_what_others_wrote_stays_on_its_line() -> None:
    assert plain("a\nb\x1b[2J\u202ec") == "a b [2Jc"
    assert len(plain("x" * 500)) == 200
