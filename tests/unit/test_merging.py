"""Two customers turn out to be one, and may be parted again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, update

from bot.errors import Conflict, NotFound
from bot.events import CustomersMerged
from bot.model import BOT, Author, AuthorKind, Body, Deleted, Edited, Inbound, Sender, Wrote
from bot.outbox import say
from bot.storage import customers, history, merging
from bot.storage import tables as t
from bot.storage.engine import Storage
from bot.storage.tx import Tx
from channels.web import store as web
from tests.support.rooms import NOON, Rooms, echo, rooms, wrote


async def pair(house: Rooms) -> tuple[str, str]:
    """Kari on paper, Ola on stone, a few words each."""
    for number in range(3):
        await house.hears(f"k{number}", "kari")
        house.clock.passes(seconds=1)
        await house.hears(f"o{number}", "ola", channel="stone", ref=f"ola-{number}", id=None)
        house.clock.passes(seconds=1)
    return await house.customer("kari"), await house.customer("ola", "stone")


async def merge(house: Rooms, winner: str, loser: str, evidence: str = "linked") -> str:
    return await house.storage.write(lambda tx: merging.merge(tx, winner, loser, evidence))


async def unmerge(house: Rooms, merge_id: str) -> Any:
    return await house.storage.write(lambda tx: merging.unmerge(tx, merge_id))


async def held(house: Rooms, customer_id: str) -> dict[str, Any]:
    """What stands under this id, to compare before and after."""
    found: dict[str, Any] = {"said": await house.said(customer_id)}
    for table in (t.identities, t.files, t.inbox, t.outbox, t.timers, t.survey_responses):
        rows = await house.storage.read(
            lambda conn, table=table: conn.execute(select(table).where(table.c.customer_id == customer_id)).all()
        )
        found[table.name] = sorted(str(row[1]) for row in rows)
    return found


async def test_one_timeline_without_gaps_holds_both_histories_in_order_of_time(database_url: str) -> None:
    async with rooms(database_url) as house:
        kari, ola = await pair(house)
        before = await house.said(kari)
        await merge(house, kari, ola)
        assert (await house.said(kari))[: len(before)] == before
        assert await house.words(kari) == ["k0", "k1", "k2", "o0", "o1", "o2"]
        told = await house.storage.read(lambda conn: history.latest(conn, kari))
        assert [one.body.text for one in told if one.author.kind == "customer"] == ["k0", "o0", "k1", "o1", "k2", "o2"]
        assert {one.channel for one in await house.storage.read(lambda conn: customers.identities(conn, kari))} == {
            "paper",
            "stone",
        }
        found = await house.storage.read(lambda conn: customers.customer(conn, ola))
        assert found is not None
        assert found.id == kari
        receipt = await house.hears("on", "ola", channel="stone")
        assert receipt.customer_id == kari
        assert (await house.words(kari))[-1] == "on"


async def test_after_a_merge_nothing_stands_before_what_was_said_earlier_though_the_clock_went_back(
    database_url: str,
) -> None:
    async with rooms(database_url) as house:
        await house.hears("k", "kari")
        house.clock.passes(seconds=10)
        await house.hears("o", "ola", channel="stone")
        kari, ola = await house.customer("kari"), await house.customer("ola", "stone")
        house.clock.passes(seconds=-5)
        await merge(house, kari, ola)
        await house.hears("after", "kari")
        told = await house.storage.read(lambda conn: history.latest(conn, kari))
        assert [one.body.text for one in told if one.author.kind == "customer"] == ["k", "o", "after"]


async def test_undoing_is_exact_and_what_was_said_since_stays_with_the_winner(database_url: str) -> None:
    async with rooms(database_url) as house:
        kari, ola = await pair(house)

        def belongings(tx: Any) -> None:
            for who in (kari, ola):
                file = {"name": "a", "type": "text/plain", "size": 1, "data": b"x", "created_at": tx.now}
                tx.conn.execute(insert(t.files).values(id=f"file of {who}", customer_id=who, **file))
                response = {"customer_id": who, "instrument": "ces7", "score": 6, "at": tx.now}
                tx.conn.execute(insert(t.survey_responses).values(id=f"score of {who}", **response))

        await house.storage.write(belongings)
        before = {who: await held(house, who) for who in (kari, ola)}
        merge_id = await merge(house, kari, ola)
        await house.hears("since", "ola", channel="stone")
        assert await unmerge(house, merge_id) == (kari, ola)
        after = {who: await held(house, who) for who in (kari, ola)}
        since = [("customer", "since"), ("bot", "heard: since")]
        assert after[ola] == before[ola]
        assert after[kari]["said"] == before[kari]["said"] + since
        assert after[kari]["files"] == before[kari]["files"]
        assert after[kari]["survey_responses"] == before[kari]["survey_responses"]
        receipt = await house.hears("apart", "ola", channel="stone")
        assert receipt.customer_id == ola
        with pytest.raises(NotFound):
            await unmerge(house, merge_id)


@pytest.mark.parametrize("last", ["kari", "ola"])
async def test_answers_go_where_the_one_that_they_are_wrote_last_and_after_the_undoing_where_each_is(
    database_url: str, last: str
) -> None:
    places = {"kari": "paper", "ola": "stone"}
    async with rooms(database_url) as house:
        kari, ola = await pair(house)
        await house.hears("and now?", last, channel=places[last])
        for winner, loser in ((kari, ola), (ola, kari)):
            merge_id = await merge(house, winner, loser)
            answer = await house.storage.write(lambda tx, to=winner: say(tx, to, Body("here"), author=BOT))
            assert answer.channel == places[last]
            await unmerge(house, merge_id)
            for who, place in ((kari, "paper"), (ola, "stone")):
                answer = await house.storage.write(lambda tx, to=who: say(tx, to, Body("apart"), author=BOT))
                assert answer.channel == place


async def test_they_can_be_joined_parted_and_joined_again(database_url: str) -> None:
    async with rooms(database_url) as house:
        kari, ola = await pair(house)
        for _ in range(3):
            merge_id = await merge(house, kari, ola)
            assert await house.words(kari) == ["k0", "k1", "k2", "o0", "o1", "o2"]
            await unmerge(house, merge_id)
            assert (await house.words(kari), await house.words(ola)) == (["k0", "k1", "k2"], ["o0", "o1", "o2"])
        await merge(house, ola, kari)
        assert await house.words(ola) == ["o0", "o1", "o2", "k0", "k1", "k2"]


async def test_joined_one_way_and_then_the_other_each_gets_back_what_is_theirs_alone(database_url: str) -> None:
    """The first undoing leaves hidden copies, which the second one must not take for the loser's words."""
    async with rooms(database_url) as house:
        kari, ola = await pair(house)
        before = {who: await held(house, who) for who in (kari, ola)}
        await unmerge(house, await merge(house, kari, ola))
        await unmerge(house, await merge(house, ola, kari))
        assert {who: await held(house, who) for who in (kari, ola)} == before


async def test_deliveries_that_are_no_message_go_back_as_well(database_url: str) -> None:
    """An edit has the words of who made it: nobody else's export shows them."""
    async with rooms(database_url) as house:
        kari, ola = await pair(house)
        edit = Edited("ola-1", "better words", version="2")
        await house.inbox.receive(Inbound("stone", "e", Sender("stone", "ola", "ola"), edit, raw=b"better words"))
        before = {who: await held(house, who) for who in (kari, ola)}
        await unmerge(house, await merge(house, kari, ola))
        assert {who: await held(house, who) for who in (kari, ola)} == before


async def test_what_is_known_of_the_loser_leaves_with_them_and_what_was_told_since_stays(database_url: str) -> None:
    def attributes(conn: Connection) -> dict[str, Any]:
        return {row.id: (row.name, row.attributes) for row in conn.execute(select(t.customers))}

    async with rooms(database_url) as house:
        kari, ola = await pair(house)
        theirs = {
            kari: {"city": "Bergen"},
            ola: {"city": "Oslo", "email": "ola@example.com", "consent": True, "size": 1},
        }

        def told(tx: Tx) -> None:
            for who, attributes in theirs.items():
                for name, value in attributes.items():
                    customers.set_attribute(tx, who, name, value)
            customers.set_name(tx, kari, "")

        await house.storage.write(told)
        merge_id = await merge(house, kari, ola)
        assert (await house.storage.read(attributes))[kari] == ("Ola", {**theirs[ola], **theirs[kari]})
        await house.storage.write(lambda tx: customers.set_attribute(tx, kari, "size", 2))
        await unmerge(house, merge_id)
        left = {kari: ("", {"city": "Bergen", "size": 2}), ola: ("Ola", theirs[ola])}
        assert await house.storage.read(attributes) == left


@pytest.mark.parametrize("goes_on", [True, False])
async def test_the_bot_goes_on_with_a_case_that_goes_back_where_it_is_by_now(database_url: str, goes_on: bool) -> None:
    """Else it would do once more what it did while they were joined."""

    def talks(conn: Connection) -> dict[str, Any]:
        return {row.customer_id: row.bot_state for row in conn.execute(select(t.conversations))}

    async with rooms(database_url, takers=()) as house:
        kari, ola = await pair(house)
        case = {"id": "c1", "customer_id": ola, "channel": "stone", "status": "bot", "locale": "nb"}
        times = {"opened_at": house.clock(), "updated_at": house.clock()}
        await house.storage.write(lambda tx: tx.conn.execute(insert(t.cases).values(**case, **times)))
        asked, paid = ({"case": "c1", "flow": {"frames": [{"step": step}]}} for step in ("ask", "paid"))
        await house.storage.write(lambda tx: customers.set_bot_state(tx, ola, asked))
        merge_id = await merge(house, kari, ola)
        assert (await house.storage.read(talks))[kari] == asked
        now = paid if goes_on else {"case": "another"}
        await house.storage.write(lambda tx: customers.set_bot_state(tx, kari, now))
        await unmerge(house, merge_id)
        assert await house.storage.read(talks) == ({kari: {}, ola: paid} if goes_on else {kari: now, ola: {}})


async def test_what_the_winner_told_the_bot_does_not_go_with_the_losers_case(sqlite_url: str) -> None:
    """Of two live cases the loser's goes on, and in it the winner's flow."""
    async with rooms(sqlite_url, takers=()) as house:
        kari, ola = await pair(house)

        def begin(tx: Tx) -> None:
            for case_id, who in (("k", kari), ("o", ola)):
                case = {"id": case_id, "customer_id": who, "channel": "stone", "status": "bot", "locale": "nb"}
                tx.conn.execute(insert(t.cases).values(**case, opened_at=tx.now, updated_at=tx.now))
            customers.set_bot_state(tx, kari, {"case": "k", "flow": {"frames": [{"slots": {"order": "Kari's"}}]}})

        def close(tx: Tx, _: CustomersMerged) -> None:
            tx.conn.execute(update(t.cases).where(t.cases.c.id == "k").values(status="closed"))

        await house.storage.write(begin)
        house.storage.wiring.subscribers = {CustomersMerged: [close]}
        merge_id = await merge(house, kari, ola)
        house.storage.wiring.subscribers = {}
        joined = await house.storage.read(lambda conn: customers.conversation(conn, kari).bot_state)
        await unmerge(house, merge_id)
        parted = await house.storage.read(lambda conn: customers.conversation(conn, ola).bot_state)
        assert (joined["case"], parted) == ("o", {})


async def test_names_of_what_was_deleted_while_joined_go_back_as_well(sqlite_url: str) -> None:
    async with rooms(sqlite_url) as house:
        kari, ola = await pair(house)
        merge_id = await merge(house, kari, ola)
        await house.inbox.receive(Inbound("stone", "d", Sender("stone", "ola", "ola"), Deleted("ola-1")))
        await unmerge(house, merge_id)
        assert {row.ref: row.customer_id for row in await house.rows("message_refs")} == {
            f"ola-{number}": ola for number in range(3)
        }


async def test_after_the_undoing_each_message_is_found_under_its_own_customer(database_url: str) -> None:
    """Else the loser's buttons and edits would be looked for in the winner's copies."""
    async with rooms(database_url) as house:
        kari, ola = await pair(house)
        said = (await house.storage.read(lambda conn: history.messages(conn, ola)))[0]
        merge_id = await merge(house, kari, ola)
        merged = await house.storage.read(lambda conn: history.message(conn, said.id))
        await unmerge(house, merge_id)
        parted = await house.storage.read(lambda conn: history.by_ref(conn, "stone", "ola-0"))
        assert merged is not None
        assert parted is not None
        assert (merged.customer_id, parted.customer_id, parted.deleted_at) == (kari, ola, None)


async def test_what_was_deleted_while_joined_stays_deleted(database_url: str) -> None:
    async with rooms(database_url) as house:
        kari, ola = await pair(house)
        merge_id = await merge(house, kari, ola)
        await house.inbox.receive(Inbound("stone", "d", Sender("stone", "ola", "ola"), Deleted("ola-1")))
        assert "o1" not in await house.words(kari)
        await unmerge(house, merge_id)
        assert await house.words(ola) == ["o0", "o2"]


async def test_words_that_were_edited_while_joined_and_are_taken_back_after_it_are_nowhere_any_more(
    database_url: str,
) -> None:
    """The edit's delivery has stayed with the winner."""
    ola = Sender("stone", "ola", "ola")
    async with rooms(database_url, takers=()) as house:
        await house.inbox.receive(Inbound("stone", "k", ola, Wrote("pin 1234", ref="r1"), raw=b"pin 1234"))
        await house.hears("hello", "kari")
        merge_id = await merge(house, await house.customer("kari"), await house.customer("ola", "stone"))
        await house.inbox.receive(Inbound("stone", "e", ola, Edited("r1", "pin 9876"), raw=b"pin 9876"))
        await unmerge(house, merge_id)
        await house.inbox.receive(Inbound("stone", "d", ola, Deleted("r1")))
        left = [str(row) for name in ("messages", "timeline", "inbox", "outbox") for row in await house.rows(name)]
        assert [row for row in left if "1234" in row or "9876" in row] == []


async def test_what_was_on_its_way_to_the_loser_still_arrives(database_url: str) -> None:
    """Epochs are counted per customer: what was said under the loser's is not mistaken for words over a human."""
    async with rooms(database_url) as house:
        kari, ola = await pair(house)
        for _ in range(4):
            await house.storage.write(lambda tx: customers.move_baton(tx, ola))
        await house.storage.write(lambda tx: say(tx, ola, Body(text="stays"), author=BOT))
        await merge(house, kari, ola)
        house.delivery.senders["stone"] = house.sender
        await house.deliver()
        assert [one for one in house.sender.texts if "heard: o" in one or one == "stays"] == ["stays"]


@pytest.mark.parametrize("is_taken_over", [False, True])
async def test_what_waits_through_the_undoing_leaves_unless_a_human_took_over_while_they_were_joined(
    sqlite_url: str, is_taken_over: bool
) -> None:
    """Epochs are counted per customer, here as well: the same number may be another baton."""
    async with rooms(sqlite_url) as house:
        kari, ola = await pair(house)
        if not is_taken_over:
            await house.storage.write(lambda tx: customers.move_baton(tx, kari))
        await house.storage.write(lambda tx: say(tx, ola, Body(text="waits"), author=BOT))
        merge_id = await merge(house, kari, ola)
        if is_taken_over:
            await house.storage.write(lambda tx: customers.move_baton(tx, kari))
        await unmerge(house, merge_id)
        house.delivery.senders["stone"] = house.sender
        await house.deliver()
        assert ("waits" in house.sender.texts) is not is_taken_over


async def test_what_waits_comes_along_and_goes_back_though_it_has_left_meanwhile(database_url: str) -> None:
    """A call, a card: sends of no message, which no index of messages finds."""
    o = t.outbox

    def put(tx: Tx, which: str, **values: Any) -> None:
        row = {"lane": which, "via": "call", "kind": "call", "payload": {}, "state": "ready"}
        tx.conn.execute(insert(o).values({"id": which, "due_at": tx.now, "created_at": tx.now, **row, **values}))

    async def whose() -> dict[str, str]:
        return {row.id: row.customer_id for row in await house.rows("outbox") if row.via == "call"}

    async with rooms(database_url, takers=()) as house:
        kari, ola = await pair(house)
        case = {"id": "c1", "customer_id": ola, "channel": "stone", "status": "bot", "locale": "nb"}
        times = {"opened_at": house.clock(), "updated_at": house.clock()}
        await house.storage.write(lambda tx: tx.conn.execute(insert(t.cases).values(**case, **times)))
        await house.storage.write(lambda tx: put(tx, "waited", customer_id=ola))
        await house.storage.write(lambda tx: put(tx, "had left", customer_id=ola, state="sent"))
        merge_id = await merge(house, kari, ola)
        assert await whose() == {"waited": kari, "had left": ola}
        await house.storage.write(lambda tx: tx.conn.execute(update(o).values(state="sent")))
        await house.storage.write(lambda tx: put(tx, "about their case", customer_id=kari, case_id="c1"))
        await house.storage.write(lambda tx: put(tx, "the winner's", customer_id=kari))
        await unmerge(house, merge_id)
        assert await whose() == {"waited": ola, "had left": ola, "about their case": ola, "the winner's": kari}


async def test_a_chain_is_undone_from_its_end(database_url: str) -> None:
    async with rooms(database_url) as house:
        kari, ola = await pair(house)
        await house.hears("p0", "per")
        per = await house.customer("per")
        first = await merge(house, ola, kari)
        second = await merge(house, per, ola)
        assert await house.words(per) == ["p0", "k0", "o0", "k1", "o1", "k2", "o2"]
        with pytest.raises(Conflict):
            await unmerge(house, first)
        await unmerge(house, second)
        await unmerge(house, first)
        assert [await house.words(who) for who in (per, ola, kari)] == [["p0"], ["o0", "o1", "o2"], ["k0", "k1", "k2"]]


async def test_nobody_is_merged_with_themselves_or_with_nobody(database_url: str) -> None:
    async with rooms(database_url) as house:
        kari, ola = await pair(house)
        with pytest.raises(NotFound):
            await merge(house, kari, "nobody")
        with pytest.raises(Conflict):
            await merge(house, kari, kari)
        await merge(house, kari, ola)
        with pytest.raises(Conflict):
            await merge(house, ola, kari)


async def test_f46_opposite_merges_at_once_are_one(database_url: str) -> None:
    async with rooms(database_url) as house:
        kari, ola = await pair(house)
        other = house.storage if house.storage.is_sqlite else Storage(database_url, house.clock)
        results = await asyncio.gather(
            house.storage.write(lambda tx: merging.merge(tx, kari, ola, "linked")),
            other.write(lambda tx: merging.merge(tx, ola, kari, "linked")),
            return_exceptions=True,
        )
        assert sorted(type(one) for one in results if isinstance(one, Exception)) == [Conflict]
        winner = (await house.storage.read(lambda conn: customers.customer(conn, kari))).id  # type: ignore[union-attr]
        assert sorted(await house.words(winner)) == ["k0", "k1", "k2", "o0", "o1", "o2"]
        if other is not house.storage:
            await other.close()


async def test_f46_messages_that_race_with_a_merge_are_all_there_once(database_url: str) -> None:
    async with rooms(database_url) as house:
        kari, ola = await pair(house)
        other = house.storage if house.storage.is_sqlite else Storage(database_url, house.clock)
        inbox = type(house.inbox)(other, [echo])
        late = [inbox.receive(wrote(f"r{n}", "ola", channel="stone")) for n in range(8)]
        early = [house.hears(f"q{n}", "kari") for n in range(8)]
        await asyncio.gather(house.storage.write(lambda tx: merging.merge(tx, kari, ola, "linked")), *late, *early)
        words = await house.words(kari)
        wanted = ["k0", "k1", "k2", "o0", "o1", "o2", *(f"q{n}" for n in range(8)), *(f"r{n}" for n in range(8))]
        assert sorted(words) == sorted(wanted)
        if other is not house.storage:
            await other.close()


async def test_a_web_visitor_who_moved_begins_a_new_session(database_url: str) -> None:
    from bot.events import CustomersMerged
    from channels.web.sessions import new_session

    def moved(tx: Any, event: CustomersMerged) -> None:
        for one in web.visitors_of(tx, event.loser_id, undone=event.undone):
            web.moved(tx, one)

    async with rooms(database_url, subscribers={CustomersMerged: [moved]}) as house:
        await house.hears("hi", "kari")
        await house.hears("hi", "v:1", channel="web")
        kari, visitor = await house.customer("kari"), await house.customer("v:1", "web")
        old = new_session(NOON, "en", "v:1")
        death = lambda one: house.storage.read(lambda conn: web.death(conn, one))  # noqa: E731
        assert await death(old) is None
        merge_id = await merge(house, kari, visitor)
        assert await death(old) == "moved"
        house.clock.passes(seconds=1)
        fresh = new_session(house.clock.now, "en", "v:1")
        assert await death(fresh) is None
        house.clock.passes(seconds=1)
        await unmerge(house, merge_id)
        assert await death(fresh) == "moved"


async def test_who_opted_out_stays_opted_out(database_url: str) -> None:
    async with rooms(database_url) as house:
        kari, ola = await pair(house)
        c = t.customers
        await house.storage.write(lambda tx: tx.conn.execute(c.update().where(c.c.id == ola).values(opted_out=True)))
        await merge(house, kari, ola)
        assert await house.storage.read(lambda conn: conn.execute(select(c.c.opted_out).where(c.c.id == kari)).scalar())


async def test_notes_come_along_unnumbered(database_url: str) -> None:
    async with rooms(database_url) as house:
        kari, ola = await pair(house)
        await house.storage.write(lambda tx: add_note(tx, ola))
        await merge(house, kari, ola)
        told = await house.storage.read(lambda conn: history.latest(conn, kari, notes=True))
        assert [one.seq for one in told if one.body.text == "careful"] == [None]
        await house.said(kari)


@pytest.mark.parametrize("state", ["apart", "joined", "parted again"])
async def test_the_last_messages_are_the_last_by_time(database_url: str, state: str) -> None:
    """Whether they are read off the index or sorted: notes between, our clock set back, copies with their old times."""
    async with rooms(database_url) as house:
        kari, ola = await pair(house)
        for passed in (5, -60, 90):
            house.clock.passes(seconds=passed)
            await house.storage.write(lambda tx: add_note(tx, kari))
            await house.hears(f"after {passed}", "kari")
        if state != "apart":
            merge_id = await merge(house, kari, ola)
            await house.hears("since", "kari")
            if state == "parted again":
                await unmerge(house, merge_id)
        m = t.messages.c
        mine = select(m.id).where(m.customer_id == kari, m.deleted_at.is_(None)).order_by(m.at, m.seq.is_(None), m.seq)

        def agree(conn: Connection) -> None:
            for notes, query in ((True, mine), (False, mine.where(m.seq.is_not(None)))):
                known = [one for (one,) in conn.execute(query)]
                assert len(known) > 10
                for limit in range(1, 30):
                    told = history.latest(conn, kari, limit, notes=notes)
                    assert [one.id for one in told] == known[-limit:]

        await house.storage.read(agree)


def add_note(tx: Tx, customer_id: str) -> None:
    ann = Author(AuthorKind.AGENT, "Ann")
    history.append(tx, customer_id, Body(text="careful"), author=ann, channel="paper", note=True)


async def test_a_session_that_was_ended_stays_ended_though_its_visitor_also_moved(database_url: str) -> None:
    """ "Moved" gives a new session, "revoked" never: whichever of the two the database finds first."""
    from channels.web.sessions import new_session

    async with rooms(database_url) as house:
        for number in range(20):
            session = new_session(NOON, "en", f"v:{number}")

            def both(tx: Any, session: Any = session) -> None:
                web.revoke(tx, session.id, session.expires_at)
                web.moved(tx, session.visitor)

            await house.storage.write(both)
            assert await house.storage.read(lambda conn, one=session: web.death(conn, one)) == "revoked"
