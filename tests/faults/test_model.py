"""The whole life of cases, with a death of the process between any two steps, or inside one, at each of its named places.

A Hypothesis machine over the real App on a real SQLite file. To die is to go on from what lies on the disk at that instant:
the files are copied, the old App goes on for nobody (what it acknowledges and sends from then on happens to no one), and a new
App starts on the copy. Customers and platforms do what they do in life: what was not acknowledged they send again.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import itertools
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from pydantic import SecretStr

from bot import failpoints
from bot.app import App
from bot.errors import Conflict, NotAllowed, NotSent, Uncertain
from bot.model import Chose, Deleted, Edited, Inbound, Sender, Wrote
from bot.settings import Settings
from bot.storage import schema
from channels.port import Delivery, Sent, Verdict
from channels.telegram.store import was_doubled
from handoff import cases
from handoff.case import OUTCOMES
from tests.faults import chance
from tests.faults.invariants import Books, check, nothing_is_anothers, numbers_have_no_gaps, one_of_each
from tests.support.house import MONDAY
from tests.support.rooms import PaperOutlet

T = TypeVar("T")
VIA = "telegram"  # a platform that can't be asked what arrived
PLACES = ("received", "turning", "committed", "claimed", "accepted")
WORDS = ("where is my order?", "talk to a human", "AB123456", "thanks", "yes", "how do I send it back?", "6")
PEOPLE = st.sampled_from(["kari", "ola"])
VERBS = st.sampled_from(["claim", "release", "draft", "resolve", "snooze", "transfer"])
FATES = st.sampled_from(  # where it dies, at which time of coming there; "rest": once the step is done
    [None, ("rest", 1), ("turning", 2), ("committed", 2), ("claimed", 2), *((place, 1) for place in PLACES)]
)
SPANS = (1, 6, 61, 3600, 30 * 3600)
AGENT = "demo"
ANSWERED = (Conflict, NotAllowed)  # a refusal is an answer, not a fault


class Chat:
    """The platform's side: what really stands in people's chats. It takes nothing of a process that is dead."""

    via = VIA

    def __init__(self, life: Life) -> None:
        self._life = life
        self.shown: Counter[str] = Counter()  # by the send's id
        self.troubles: list[str] = []

    def of(self, life: Life) -> Chat:
        made = Chat(life)
        made.shown, made.troubles = self.shown, self.troubles
        return made

    async def send(self, delivery: Delivery) -> Sent:
        trouble = self.troubles.pop(0) if self.troubles else ""
        if trouble == "refused connection":
            raise NotSent("nobody there")
        if trouble != "lost on the way" and not self._life.is_over:
            self.shown[delivery.id] += 1
        if trouble:
            raise Uncertain("no answer")
        return Sent(f"{delivery.lane.partition(':')[2]}:{delivery.id}")

    async def resolve(self, delivery: Delivery) -> Sent | Verdict:
        doubled = await self._life.app.storage.read(lambda conn: was_doubled(conn, delivery.id))
        return Verdict.GIVE_UP if doubled else Verdict.RESEND


class Life:
    """One process: an App on a file, from its start to its death or end."""

    def __init__(self, folder: Path, clock: Callable[[], Any]) -> None:
        self.folder = folder
        url = f"sqlite+aiosqlite:///{folder / 'stafett.db'}"
        secret = SecretStr("a secret for tests, long enough")
        self.app = App(Settings(_env_file=None, database_url=url, secret=secret, admin_password=secret), clock)
        self.is_over = False

    async def begins(self, chat: Chat) -> None:
        app = self.app
        app.delivery.senders[VIA] = chat
        app.storage.wiring.outlets = {**app.storage.wiring.outlets, VIA: PaperOutlet(VIA)}
        await app.storage.open()
        await schema.upgrade(app.settings.database_url, locked=True)
        await app.storage.write(lambda tx: tx.conn.exec_driver_sql("PRAGMA wal_autocheckpoint=0").close())
        await app.desk.keep()
        await app.delivery.recover()
        await app.inbox.wake_parked("words:")

    async def ends(self) -> None:
        self.is_over = True
        await self.app.stop()


class World(RuleBasedStateMachine):
    """Two customers, an agent, a platform; and a process that dies."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="stafett-model-"))
        self.loop = asyncio.new_event_loop()
        self.now = MONDAY
        self.numbers = itertools.count(1)
        self.lives = 0
        self.armed: tuple[str, int] | None = None
        self.copied: Path | None = None
        self.copying = threading.Lock()
        self.sent: list[Inbound] = []  # whatever customers did, in order
        self.acknowledged: set[str] = set()  # the keys of it
        self.reach, failpoints.reach = failpoints.reach, self.reached
        load = importlib.import_module("bot.desk_folder.load")
        self.load, load.load = load.load, LOAD
        self.life = self.new_life()
        self.chat = Chat(self.life)
        self.run(self.life.begins(self.chat))

    def teardown(self) -> None:
        try:
            self.comes_to_rest()
        finally:
            self.run(self.life.ends())
            failpoints.reach = self.reach
            importlib.import_module("bot.desk_folder.load").load = self.load
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()
            shutil.rmtree(self.root)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    # ── to die ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def new_life(self) -> Life:
        self.lives += 1
        folder = self.root / str(self.lives)
        folder.mkdir(exist_ok=True)
        return Life(folder, lambda: self.now)

    def reached(self, name: str) -> None:
        """In place of `bot.failpoints.reach`: also in the writer's thread."""
        with self.copying:
            if self.armed is None or self.armed[0] != name or self.copied is not None:
                return
            place, left = self.armed
            self.armed = (place, left - 1)
            if left <= 1:
                self.copy_the_disk()

    def copy_the_disk(self) -> None:
        """As it is at this instant; from here on this life is nobody's."""
        self.life.is_over = True
        self.copied = self.root / str(self.lives + 1)
        self.copied.mkdir()
        for name in ("stafett.db", "stafett.db-wal"):
            there = self.life.folder / name
            if there.exists():
                shutil.copyfile(there, self.copied / name)

    def step(self, work: Coroutine[Any, Any, T]) -> tuple[bool, T | None]:
        """Something is asked of the process: (whether it lived to answer, its answer). If it died, the next one lives now."""

        async def all_of_it() -> T | None:
            try:
                answer = await work
            except ANSWERED:
                answer = None
            finished.append(self.copied is None)
            await self.life.app.settle()
            return answer

        finished: list[bool] = []
        answer = self.run(all_of_it())
        self.reached("rest")
        self.armed = None
        if self.copied is not None:
            self.begin_again()
        return finished[0], answer

    def begin_again(self) -> None:
        self.run(self.life.ends())
        self.copied = None
        self.life = self.new_life()
        self.chat = self.chat.of(self.life)
        self.run(self.life.begins(self.chat))
        self.run(self.life.app.settle())

    # ── what happens in the world ──────────────────────────────────────────────────────────────────────────────────
    def happens(self, inbound: Inbound) -> None:
        lived, receipt = self.step(self.life.app.inbox.receive(inbound))
        if lived and receipt is not None:
            self.acknowledged.add(inbound.key)

    def does(self, who: str, happening: Any) -> None:
        sender = Sender(VIA, who, address=who, name=who.title(), locale="en")
        self.sent.append(Inbound(VIA, f"u{next(self.numbers)}", sender, happening, raw=b"{}"))
        self.happens(self.sent[-1])

    @rule(who=PEOPLE, words=st.sampled_from(WORDS), fate=FATES)
    def a_customer_writes(self, who: str, words: str, fate: tuple[str, int] | None) -> None:
        """And it may die in the middle of that."""
        self.armed = fate
        self.does(who, Wrote(f"{words} #{next(self.numbers)}", ref=f"{who}:{next(self.numbers)}"))

    @precondition(lambda self: self.sent)
    @rule(which=st.integers(0, 1000))
    def the_platform_tells_again(self, which: int) -> None:
        self.happens(self.sent[which % len(self.sent)])

    @precondition(lambda self: self.sent)
    @rule(which=st.integers(0, 1000), deletes=st.booleans())
    def a_customer_changes_their_words(self, which: int, deletes: bool) -> None:
        of = self.sent[which % len(self.sent)]
        if isinstance(of.happening, Wrote) and of.happening.ref:
            words = f"changed #{next(self.numbers)}"
            ref = of.happening.ref
            self.does(of.sender.external_id, Deleted(ref) if deletes else Edited(ref, words))

    @rule(who=PEOPLE, index=st.integers(0, 7), fate=FATES)
    def a_customer_presses(self, who: str, index: int, fate: tuple[str, int] | None) -> None:
        offered = self.books.rows(
            "SELECT m.id FROM messages m JOIN identities i ON i.customer_id = m.customer_id "
            "WHERE i.external_id = ? AND m.choices != '[]' AND m.author_kind = 'bot' ORDER BY m.seq DESC LIMIT 1",
            who,
        )
        if offered:
            self.armed = fate
            self.does(who, Chose(offered[0]["id"], index=index))

    @rule(verb=VERBS, outcome=st.sampled_from(OUTCOMES), fate=FATES)
    def the_agent(self, verb: str, outcome: str, fate: tuple[str, int] | None) -> None:
        found = self.books.rows("SELECT id FROM cases ORDER BY updated_at DESC LIMIT 1")
        if not found:
            return
        case_id, ref = found[0]["id"], f"r{next(self.numbers)}"
        until = self.now + timedelta(hours=1)
        units: dict[str, Callable[[Any], Any]] = {
            "claim": lambda tx: cases.claim(tx, case_id, AGENT, desk="web"),
            "release": lambda tx: cases.release(tx, case_id, AGENT, desk="web"),
            "draft": lambda tx: cases.draft(tx, case_id, AGENT, f"words {ref}", desk="web", ref=ref),
            "resolve": lambda tx: cases.resolve(tx, case_id, AGENT, outcome, None, "because"),
            "snooze": lambda tx: cases.snooze(tx, case_id, AGENT, until, desk="web"),
            "transfer": lambda tx: cases.transfer(tx, case_id, AGENT, "support", desk="web"),
        }
        self.armed = fate
        self.step(self.life.app.storage.write(units[verb]))

    @rule(span=st.sampled_from(SPANS), fate=FATES)
    def time_passes(self, span: int, fate: tuple[str, int] | None) -> None:
        self.armed = fate
        self.now += timedelta(seconds=span)
        self.step(nothing())

    @rule(trouble=st.sampled_from(["refused connection", "lost on the way", "answer lost"]))
    def the_line_is_bad(self, trouble: str) -> None:
        self.chat.troubles.append(trouble)

    # ── what is true whatever happened ─────────────────────────────────────────────────────────────────────────────
    @property
    def books(self) -> Books:
        return Books(self.life.folder / "stafett.db")

    @invariant()
    def the_books_are_in_order(self) -> None:
        numbers_have_no_gaps(self.books)
        one_of_each(self.books)
        nothing_is_anothers(self.books)

    @invariant()
    def nothing_stands_in_a_chat_twice_unmarked(self) -> None:
        marked = {row["id"] for row in self.books.rows("SELECT id FROM outbox WHERE doubled")}
        assert {one: n for one, n in self.chat.shown.items() if n > 1 + (one in marked)} == {}

    def comes_to_rest(self) -> None:
        """Platforms tell once more what was not acknowledged; the line is good; hours pass. Then all has come to its end."""
        self.armed = None
        self.chat.troubles.clear()
        for inbound in self.sent:
            if inbound.key not in self.acknowledged:
                self.happens(inbound)
        assert self.acknowledged == {inbound.key for inbound in self.sent}
        for _ in range(8):
            self.now += timedelta(minutes=10)
            self.step(nothing())
        gone = {one.happening.ref for one in self.sent if isinstance(one.happening, Edited | Deleted)}
        said = [one.happening for one in self.sent if isinstance(one.happening, Wrote)]
        check(self.books, [one.text for one in said if one.ref not in gone])
        arrived = self.books.rows(f"SELECT id FROM outbox WHERE via = '{VIA}' AND state = 'sent'")
        assert [row["id"] for row in arrived if not self.chat.shown[row["id"]]] == [], "believed to have arrived"
        drafts = self.books.rows("SELECT text FROM messages WHERE author_kind = 'agent' AND text LIKE 'words r%'")
        assert len({row["text"] for row in drafts}) == len(drafts), "an agent's words were said twice"


async def nothing() -> None:
    """Only what is due."""


LOAD = functools.cache(importlib.import_module("bot.desk_folder.load").load)


@pytest.mark.timeout(7200 if chance.is_long() else 300)
def test_f04_f13_f45_f48_f49_whatever_happens_and_wherever_it_dies_all_comes_to_a_good_end() -> None:
    how = settings(
        max_examples=500 if chance.is_long() else 8,
        stateful_step_count=60 if chance.is_long() else 25,
        deadline=None,
        derandomize=False,
        database=None,
        phases=[Phase.generate, Phase.shrink]
        if chance.is_long()
        else [Phase.generate],  # what CI finds it shows at once
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(seed(chance.seed())(World), settings=how)
