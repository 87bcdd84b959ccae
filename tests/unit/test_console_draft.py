"""Drafts over the desk folder: checked before they are written, published whole or not at all, and taken back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from bot.console import store, writing
from bot.console.draft import Draft, as_kept, diff, digest_of, hash_of, is_editable, on_disk, shown
from bot.console.drafting import Drafting
from bot.console.following import Following
from bot.console.pages.flows import starter
from bot.console.people import Person, Role
from bot.console.renaming import renamed
from bot.desk_folder.watch import DeskInForce
from bot.errors import Conflict, DeskFault, NotAllowed, NotFound
from bot.storage import step_rows
from bot.storage import tables as t
from bot.storage.engine import Storage

DESK = """\
schema: 1
name: Shop   # our name
locales: [en]
interrupts:
  - {id: human, run: "hello", phrases: {en: [human]}}
"""
FLOW = """\
schema: 1
flow: hello
version: 1
triggers: {phrases: {en: [hello]}}
steps:
  - say: Hello!
"""
OTHER = """\
schema: 1
flow: other
version: 1
triggers: {phrases: {en: [other]}}
steps:
  - run: hello   # said there
"""
ANN = Person("password", "Ann", Role.ADMIN)
BOB = Person("b", "Bob", Role.EDITOR)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "desk"
    (made / "flows").mkdir(parents=True)
    (made / "desk.yaml").write_text(DESK, encoding="utf-8")
    (made / "flows" / "hello.yaml").write_text(FLOW, encoding="utf-8")
    return made


@pytest_asyncio.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    made = Storage(f"sqlite+aiosqlite:///{tmp_path / 'draft.db'}")
    await made.open()
    await made.write(lambda tx: t.metadata.create_all(tx.conn))
    yield made
    await made.close()


@pytest.fixture
def desk(folder: Path) -> DeskInForce:
    return DeskInForce(folder)


@pytest.fixture
def drafting(storage: Storage, desk: DeskInForce) -> Drafting:
    return Drafting(storage, desk)


def said(desk: DeskInForce) -> str:
    return str(desk.desk.flows["hello"].source)


def hidden(folder: Path) -> list[str]:
    return [one.name for one in folder.rglob(".*")]


async def audited(storage: Storage) -> list[str]:
    return [one.what for one in await storage.read(lambda conn: store.audit(conn, None, 100))][::-1]


# ── one draft ──────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_draft_is_checked_whole_and_neither_the_folder_nor_the_running_desk_changes(
    drafting: Drafting, folder: Path, desk: DeskInForce
) -> None:
    await drafting.save("flows/hello.yaml", FLOW.replace("Hello!", "Hi!"), ANN)
    await drafting.save("flows/more.yaml", OTHER, BOB)
    checked = await drafting.check()
    assert checked.desk is not None
    assert set(checked.desk.flows) == {"hello", "other"}
    assert "Hi!" in checked.desk.flows["hello"].source
    assert (folder / "flows" / "hello.yaml").read_text() == FLOW
    assert not (folder / "flows" / "more.yaml").exists()
    assert "Hello!" in said(desk)


async def test_faults_of_a_draft_name_their_file_within_the_folder_with_line_and_column(drafting: Drafting) -> None:
    checked = await drafting.check(more={"flows/hello.yaml": FLOW.replace("say:", "sya:")})
    assert checked.desk is None
    (fault,) = [one for one in checked.of("flows/hello.yaml") if one.severity == "fault"][:1]
    assert fault.line == 6
    assert all(not one.file.startswith("/") for one in checked.faults)


async def test_a_file_that_a_draft_deletes_is_gone_for_the_check(drafting: Drafting) -> None:
    await drafting.save("flows/hello.yaml", None, ANN)
    draft = await drafting.now()
    assert draft.text("flows/hello.yaml") is None
    assert draft.paths("flows") == []
    assert "unknown flow" in " ".join(str(one) for one in (await drafting.check(draft)).faults)  # the interrupt's


async def test_a_text_changed_back_is_no_change(drafting: Drafting) -> None:
    await drafting.save("flows/hello.yaml", FLOW + "# more\n", ANN)
    assert await drafting.save("flows/hello.yaml", FLOW, ANN) is None
    assert (await drafting.now()).changes == {}


async def test_two_people_on_one_file_do_not_overwrite_each_other(drafting: Drafting) -> None:
    seen = hash_of(FLOW)
    await drafting.save("flows/hello.yaml", FLOW + "# Ann\n", ANN, seen=seen)
    with pytest.raises(Conflict, match="somebody else"):
        await drafting.save("flows/hello.yaml", FLOW + "# Bob\n", BOB, seen=seen)
    assert (await drafting.now()).changes["flows/hello.yaml"].text == FLOW + "# Ann\n"


@pytest.mark.parametrize(
    "path",
    ["../desk.yaml", "/etc/passwd", "flows/../../x.yaml", "flows/.hidden.yaml", "flows/x.txt", "flows/x", "x.yaml",
     "flows//x.yaml", "flows/a\0.yaml", "flows/a\nb.yaml", "data/x.yaml", "", "flows/", "secrets/x.yaml", "flows/" + "a" * 300 + ".yaml"],
)  # fmt: skip
async def test_only_files_of_a_desk_can_be_written(drafting: Drafting, path: str) -> None:
    assert not is_editable(path)
    with pytest.raises(NotAllowed):
        await drafting.save(path, "x", ANN)


def test_a_link_out_of_the_folder_is_not_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text("x")
    (folder / "flows" / "out.yaml").symlink_to(tmp_path / "secret.yaml")
    with pytest.raises(DeskFault, match="outside"):
        on_disk(folder, "flows/out.yaml")


@pytest.mark.parametrize("before", ["a: 1\n", "a: 1\r\n", "\ufeffa: 1\n", "\ufeffa: 1\r\nb: 2\r\n", "א: 1\n"])
def test_what_nobody_changed_is_kept_byte_for_byte(before: str) -> None:
    assert as_kept(shown(before), before) == before


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
def test_what_no_file_can_hold_is_refused(text: str) -> None:
    with pytest.raises(Conflict, match="character"):
        as_kept(text, None)


# ── in force ───────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_publication_is_in_force_written_and_in_the_history_with_its_note(
    drafting: Drafting, folder: Path, desk: DeskInForce, storage: Storage
) -> None:
    await drafting.save("flows/hello.yaml", FLOW.replace("Hello!", "Hi!"), BOB)
    await drafting.save("flows/other.yaml", OTHER, BOB)
    n = await drafting.publish("  warmer\n words ", ANN)
    assert "Hi!" in said(desk)
    assert (folder / "flows" / "other.yaml").read_text() == OTHER
    assert (await drafting.now()).changes == {}
    newest, found = await storage.read(store.versions)
    assert (newest.n, newest.note, newest.who) == (n, "warmer words", ANN.who)
    assert set(newest.changes) == {"flows/hello.yaml", "flows/other.yaml"}
    assert found.files["flows/hello.yaml"] == hash_of(FLOW)  # what was there before can be had again
    assert await audited(storage) == ["console: edited", "console: edited", "console: published"]
    assert hidden(folder) == []


async def test_nobody_publishes_what_somebody_else_changed_after_they_had_looked(
    drafting: Drafting, folder: Path
) -> None:
    await drafting.save("flows/hello.yaml", FLOW.replace("Hello!", "Hi!"), BOB)
    looked_at = digest_of(await drafting.now())
    await drafting.save("flows/hello.yaml", FLOW.replace("Hello!", "Go away!"), BOB)
    with pytest.raises(Conflict, match="look at it again"):
        await drafting.publish("warmer", ANN, seen=looked_at)
    assert (folder / "flows" / "hello.yaml").read_text() == FLOW
    await drafting.publish("colder", ANN, seen=digest_of(await drafting.now()))
    assert "Go away!" in (folder / "flows" / "hello.yaml").read_text()


async def test_rolling_back_writes_the_older_files_anew(drafting: Drafting, folder: Path, desk: DeskInForce) -> None:
    await drafting.save("flows/hello.yaml", FLOW.replace("Hello!", "Hi!"), ANN)
    await drafting.save("flows/other.yaml", OTHER, ANN)
    n = await drafting.publish("one", ANN)
    before = n - 1  # as it was found
    assert sorted((await drafting.back_to(before)).changes) == ["flows/hello.yaml", "flows/other.yaml"]
    newer = await drafting.roll_back(before, "no, better not", ANN)
    assert newer > n
    assert (folder / "flows" / "hello.yaml").read_text() == FLOW
    assert not (folder / "flows" / "other.yaml").exists()
    assert "Hello!" in said(desk)
    with pytest.raises(Conflict, match="just the files"):
        await drafting.roll_back(before, "again", ANN)
    with pytest.raises(NotFound):
        await drafting.roll_back(99, "again", ANN)


@pytest.mark.parametrize("note", ["", "  \n "])
async def test_nothing_is_published_without_a_note(drafting: Drafting, note: str) -> None:
    await drafting.save("flows/hello.yaml", FLOW + "# x\n", ANN)
    with pytest.raises(Conflict, match="what is new"):
        await drafting.publish(note, ANN)


async def test_a_draft_with_a_fault_is_not_published_and_nothing_is_written(drafting: Drafting, folder: Path) -> None:
    await drafting.save("flows/hello.yaml", FLOW + "# fine\n", ANN)
    await drafting.save("flows/other.yaml", OTHER.replace("hello", "nowhere"), ANN)
    with pytest.raises(Conflict, match=r"flows/other.yaml:6:\d+: .*nowhere"):
        await drafting.publish("x", ANN)
    assert (folder / "flows" / "hello.yaml").read_text() == FLOW


async def test_a_file_changed_in_the_folder_meanwhile_stops_the_publication_until_somebody_decides(
    drafting: Drafting, folder: Path, desk: DeskInForce
) -> None:
    file = folder / "flows" / "hello.yaml"
    await drafting.save("flows/hello.yaml", FLOW.replace("Hello!", "Hi!"), ANN)
    file.write_text(FLOW.replace("Hello!", "Good day!"))
    with pytest.raises(Conflict, match="changed in the folder meanwhile"):
        await drafting.publish("x", ANN)
    assert "Good day!" in file.read_text()
    await drafting.rebase("flows/hello.yaml", ANN)
    await drafting.publish("x", ANN)
    assert "Hi!" in said(desk)


async def test_the_demo_desk_is_never_written_and_one_line_says_what_to_do(storage: Storage) -> None:
    drafting = Drafting(storage, DeskInForce())
    assert not drafting.is_writable()
    text = on_disk(drafting.folder, "flows/refund.yaml") or ""
    await drafting.save("flows/refund.yaml", text + "# x\n", ANN)
    with pytest.raises(NotAllowed, match="stafett init my-desk, then STAFETT_DESK=my-desk stafett serve"):
        await drafting.publish("x", ANN)
    assert on_disk(drafting.folder, "flows/refund.yaml") == text


async def test_what_is_edited_while_it_is_published_stays_a_draft(
    drafting: Drafting, monkeypatch: pytest.MonkeyPatch, desk: DeskInForce
) -> None:
    await drafting.save("flows/hello.yaml", FLOW.replace("Hello!", "Hi!"), ANN)
    wrote, loop = writing.write, asyncio.get_running_loop()

    def write(folder: Path, files: dict[str, str | None]) -> None:
        wrote(folder, files)
        later = drafting.save("flows/hello.yaml", FLOW.replace("Hello!", "Hey!"), BOB)
        asyncio.run_coroutine_threadsafe(later, loop).result(30)

    monkeypatch.setattr(writing, "write", write)
    await drafting.publish("x", ANN)
    draft = await drafting.now()
    assert "Hi!" in said(desk)
    assert "Hey!" in (draft.text("flows/hello.yaml") or "")
    assert draft.conflicts() == []


# ── several files as one change ────────────────────────────────────────────────────────────────────────────────────
def state(folder: Path) -> dict[str, str]:
    return {one.name: one.read_text() for one in folder.rglob("*") if one.is_file() and not one.name.startswith(".")}


@pytest.mark.parametrize("dies_at", range(12))
def test_a_process_that_dies_at_any_point_leaves_all_of_a_publication_or_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch, dies_at: int
) -> None:
    """Every change of the file system is one step; the process dies before the step `dies_at`."""
    before = state(folder)
    files = {"flows/hello.yaml": "new", "flows/more/second.yaml": "second", "desk.yaml": None}
    steps = 0

    class Died(BaseException):
        pass

    def counted(name: str) -> None:
        real = getattr(os if name == "fsync" else Path, name)

        def step(*args: object, **kwargs: object) -> object:
            nonlocal steps
            if steps == dies_at:
                raise Died
            steps += 1
            return real(*args, **kwargs)

        monkeypatch.setattr(os if name == "fsync" else Path, name, step)

    for name in ("fsync", "replace", "unlink"):
        counted(name)
    with contextlib.suppress(Died):
        writing.write(folder, files)
    monkeypatch.undo()
    writing.finish(folder)
    after = {"hello.yaml": "new", "second.yaml": "second"}
    assert state(folder) in (before, after)
    assert not (folder / writing.JOURNAL).exists()


def test_a_folder_that_cannot_be_written_is_told_in_one_line_and_unchanged(folder: Path) -> None:
    before = state(folder)
    (folder / "texts").write_text("in the way")
    with pytest.raises(DeskFault, match="nothing was changed"):
        writing.write(folder, {"flows/hello.yaml": "x", "texts/shop.yaml": "y"})
    assert state(folder) == {**before, "texts": "in the way"}
    assert hidden(folder) == []


def test_a_journal_of_a_publication_that_stopped_is_carried_out(folder: Path) -> None:
    (folder / "flows" / ".hello.yaml.stafett-new").write_text("new")
    moves = {"flows/hello.yaml": "flows/.hello.yaml.stafett-new", "desk.yaml": None}
    (folder / writing.JOURNAL).write_text(json.dumps(moves))
    assert writing.finish(folder)
    assert state(folder) == {"hello.yaml": "new"}
    assert not writing.finish(folder)


# ── pure parts ─────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_flows_name_changes_wherever_it_is_named_and_every_other_byte_stays() -> None:
    files = {
        "desk.yaml": DESK,
        "flows/hello.yaml": FLOW,
        "flows/other.yaml": OTHER,
        "tests/core.yaml": "- test: hello\n",
    }
    assert renamed(files, "flows/hello.yaml", "flows/welcome.yaml", "hello", "welcome") == {
        "desk.yaml": DESK.replace('"hello"', '"welcome"'),
        "flows/hello.yaml": None,
        "flows/welcome.yaml": FLOW.replace("flow: hello", "flow: welcome"),
        "flows/other.yaml": OTHER.replace("run: hello", "run: welcome"),
    }


@given(st.lists(st.sampled_from("abc"), max_size=30), st.lists(st.sampled_from("abc"), max_size=30))
def test_a_difference_says_what_goes_and_what_comes(old: list[str], new: list[str]) -> None:
    """The lines that stay and those that come are the new text, as far as the difference shows it; gaps are unchanged."""
    lines = diff("\n".join(old), "\n".join(new), around=100)
    if old != new:
        assert [one.text for one in lines if one.kind in {"same", "new"}] == new
        assert [one.text for one in lines if one.kind in {"same", "gone"}] == old
    else:
        assert lines == []


def test_a_draft_lists_its_new_files_and_not_the_hidden_ones(folder: Path) -> None:
    (folder / "flows" / ".hello.yaml.swp").write_text("x")
    assert Draft(folder).paths("flows") == ["flows/hello.yaml"]


# ── several nodes ──────────────────────────────────────────────────────────────────────────────────────────────────
class Node:
    """A node with its own copy of the desk folder; the database is shared."""

    def __init__(self, storage: Storage, folder: Path) -> None:
        self.folder = folder
        self.desk = DeskInForce(folder)
        self.drafting = Drafting(storage, self.desk)
        self.following = Following(storage, self.desk)


@pytest_asyncio.fixture
async def nodes(storage: Storage, folder: Path, tmp_path: Path) -> tuple[Node, Node]:
    shutil.copytree(folder, tmp_path / "copy")
    made = Node(storage, folder), Node(storage, tmp_path / "copy")
    for one in made:
        await one.following.run()
    return made


async def test_a_publication_reaches_every_nodes_copy_of_the_desk(nodes: tuple[Node, Node]) -> None:
    here = nodes[0]
    await here.drafting.save("flows/hello.yaml", FLOW.replace("Hello!", "Hi!"), ANN)
    await here.drafting.save("flows/other.yaml", OTHER, ANN)
    await here.drafting.publish("x", ANN)
    for one in nodes:
        await one.following.run()
        assert "Hi!" in said(one.desk)
        assert "other" in one.desk.desk.flows
        assert one.following.faults == ()


async def test_a_node_that_was_down_takes_over_what_was_published_meanwhile(
    nodes: tuple[Node, Node], storage: Storage
) -> None:
    here, there = nodes
    for words in ("Hi!", "Hey!"):
        await here.drafting.save("flows/hello.yaml", FLOW.replace("Hello!", words), ANN)
        await here.drafting.publish(words, ANN)
    late = Node(storage, there.folder)
    await late.following.run()
    assert "Hey!" in said(late.desk)


async def test_a_copy_that_was_changed_by_hand_is_left_alone_and_told_of(nodes: tuple[Node, Node]) -> None:
    here, there = nodes
    mine = FLOW.replace("Hello!", "Mine!")
    (there.folder / "flows" / "hello.yaml").write_text(mine)
    await here.drafting.save("flows/hello.yaml", FLOW.replace("Hello!", "Hi!"), ANN)
    await here.drafting.save("flows/other.yaml", OTHER, ANN)
    n = await here.drafting.publish("x", ANN)
    await there.following.run()
    assert (there.folder / "flows" / "hello.yaml").read_text() == mine
    assert not (there.folder / "flows" / "other.yaml").exists()  # all of a version, or none
    assert there.following.faults[0].startswith(f"version {n} was published on another node and is not in force here")
    (there.folder / "flows" / "hello.yaml").write_text(FLOW)
    await here.drafting.roll_back(n - 1, "back", ANN)
    await there.following.run()
    assert there.following.faults == ()


async def test_a_draft_whose_conversation_tests_fail_is_not_published_but_going_back_always_works(
    drafting: Drafting, folder: Path
) -> None:
    script = "- test: greets\n  script:\n    - {user: hello}\n    - {bot: Hello!}\n"
    await drafting.save("tests/core.yaml", script, ANN)
    n = await drafting.publish("a test", ANN)
    await drafting.save("flows/hello.yaml", FLOW.replace("Hello!", "Good morning!"), ANN)
    with pytest.raises(Conflict, match=r"1 conversation tests fail; the first: tests/core.yaml:4: expected bot"):
        await drafting.publish("x", ANN)
    assert on_disk(folder, "flows/hello.yaml") == FLOW
    await drafting.discard("flows/hello.yaml", ANN)
    await drafting.roll_back(n - 1, "without the test", ANN)
    assert on_disk(folder, "tests/core.yaml") is None


async def test_a_new_flow_begins_with_a_text_that_loads_in_any_language(drafting: Drafting) -> None:
    for locales in (("en",), ("fr", "pt-BR"), ("en", "nl", "nb", "he")):
        desk = DESK.replace("[en]", f"[{', '.join(locales)}]").replace("phrases: {en: [human]}", "phrases: {}")
        phrases = "{" + ", ".join(f"{one}: [hi]" for one in locales) + "}"
        flow = FLOW.replace("{en: [hello]}", phrases)
        human = desk.replace("phrases: {}", f"phrases: {phrases.replace('hi', 'human')}")
        more = {"desk.yaml": human, "flows/hello.yaml": flow, "flows/on.yaml": starter("on", locales)}
        assert [str(one) for one in (await drafting.check(more=more)).of("flows/on.yaml")] == []


async def test_the_whole_way_is_the_same_on_each_database(database_url: str, folder: Path, desk: DeskInForce) -> None:
    storage = Storage(database_url)
    await storage.open()
    try:
        await storage.write(lambda tx: t.metadata.create_all(tx.conn))
        drafting = Drafting(storage, desk)
        edits = [drafting.save("flows/hello.yaml", FLOW.replace("Hello!", f"Hi {n}!"), ANN) for n in range(5)]
        await asyncio.gather(*edits)
        n = await drafting.publish("Hi", ANN)
        newer = await drafting.roll_back(n - 1, "back", ANN)
        assert [one.n for one in await storage.read(store.versions)] == [newer, n, n - 1]
        assert (await audited(storage))[-2:] == ["console: published", "console: rolled back"]
        await storage.write(lambda tx: store.invite(tx, "b", "token", "Bob", Role.EDITOR, ANN))
        used = [await storage.write(lambda tx: store.use_link(tx, "token")) for _ in range(2)]
        assert [one is not None for one in used] == [True, False]
        await storage.write(lambda tx: store.revoke(tx, "session", tx.now + timedelta(hours=1)))
        await storage.write(lambda tx: store.revoke(tx, "session", tx.now + timedelta(hours=1)))
        assert await storage.read(lambda conn: store.is_revoked(conn, "session"))
        counted = {("f", "a", "2026-03-09"): 2}
        for _ in range(2):
            await storage.write(lambda tx: step_rows.add(tx, counted, {}))
        assert await storage.read(lambda conn: step_rows.since(conn, "f", "2026-03-01")) == {"a": (4, 0)}
        assert await storage.read(store.states_in_flows) == []
    finally:
        await storage.close()
