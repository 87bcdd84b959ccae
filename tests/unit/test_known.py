"""What a transaction knows without asking again is what stands in the database, whatever was done in it, and undone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.model import CaseStatus, Identity, Sender
from bot.storage import customers, history, merging
from bot.storage.tx import Tx
from handoff import store as cases
from tests.support.rooms import rooms

NAMES = ("kari", "ola")
STEPS = ("writes", "writes elsewhere", "bot remembers", "baton moves", "unreachable", "reachable", "case opens", "flow begins",
         "question", "team", "case ends", "line")  # fmt: skip
plans = st.recursive(
    st.tuples(st.sampled_from(STEPS), st.sampled_from(NAMES)),
    lambda inner: st.tuples(st.sampled_from(["undone", "kept"]), st.lists(inner, max_size=4)),
    max_leaves=12,
)


class Undone(Exception):
    """So that nothing is left for the next example."""


def address(name: str) -> Sender:
    return Sender("paper", name, name, locale="en")


def do(tx: Tx, step: str, who: Identity) -> None:
    case = cases.live_now(tx, who.customer_id)
    match step:
        case "writes" | "writes elsewhere":
            customers.wrote_at(tx, who, who.address if step == "writes" else "elsewhere")
        case "bot remembers":
            customers.set_bot_state(tx, who.customer_id, {"kb": {"seen": tx.now.isoformat()}})
        case "baton moves":
            customers.move_baton(tx, who.customer_id)
        case "unreachable" | "reachable":
            customers.set_reachable(tx, who.id, reachable=step == "reachable")
        case "line":
            history.next_seq(tx, who.customer_id, tx.now)
        case "case opens" if case is None:
            cases.insert_case(tx, who.customer_id, "paper", "en")
        case "flow begins" if case is not None:
            cases.change(tx, case, flow="order", last_customer_at=tx.now)
        case "team" if case is not None:
            cases.change(tx, case, team="sales", routing={"tried": ["ann"]})
        case "question" if case is not None:
            cases.count_question(tx, case.id)
        case "case ends" if case is not None:
            cases.compare_and_set(tx, case, status=CaseStatus.RESOLVED)


def follow(tx: Tx, plan: Any, people: dict[str, Identity]) -> None:
    what, of = plan
    if what in {"undone", "kept"}:
        savepoint = tx.savepoint()
        for one in of:
            follow(tx, one, people)
        savepoint.rollback() if what == "undone" else savepoint.commit()
    else:
        do(tx, what, people[of])
    for who in people.values():
        knows(tx, who.customer_id)


def knows(tx: Tx, customer_id: str) -> None:
    assert customers.talk(tx, customer_id) == customers.conversation(tx.conn, customer_id)
    assert customers.reply_to(tx, customer_id) == customers.reply_identity(tx.conn, customer_id)
    live = cases.live_case(tx.conn, customer_id)
    assert customers.live_case(tx, customer_id) == (None if live is None else live.id)
    assert cases.live_now(tx, customer_id) == live
    for one in cases.of_customer(tx.conn, customer_id):
        assert cases.case_now(tx, one.id) == one


async def test_what_is_known_is_what_stands_there(database_url: str) -> None:
    async with rooms(database_url) as house:

        def unit(tx: Tx) -> None:
            people = {name: customers.resolve(tx, address(name), "en")[1] for name in NAMES}

            @settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
            @given(st.lists(plans, max_size=6))
            def holds(some: list[Any]) -> None:
                savepoint = tx.savepoint()
                try:
                    for plan in some:
                        follow(tx, plan, {name: customers.resolve(tx, address(name), "en")[1] for name in people})
                finally:
                    savepoint.rollback()

            holds()
            raise Undone

        with pytest.raises(Undone):
            await house.storage.write(unit)


async def test_after_two_became_one_and_parted_again(database_url: str) -> None:
    async with rooms(database_url) as house:

        def unit(tx: Tx) -> None:
            kari, ola = (customers.resolve(tx, address(name), "en")[1] for name in NAMES)
            cases.insert_case(tx, ola.customer_id, "paper", "en")
            knows(tx, kari.customer_id)
            merge_id = merging.merge(tx, kari.customer_id, ola.customer_id, "linked")
            for _ in range(2):
                assert customers.resolve(tx, address("ola"), "en")[0].id == kari.customer_id
                knows(tx, kari.customer_id)
            merging.unmerge(tx, merge_id)
            assert customers.resolve(tx, address("ola"), "en")[0].id == ola.customer_id
            for one in (kari, ola):
                knows(tx, one.customer_id)

        await house.storage.write(unit)
