"""Every Block Kit message and view of the agents' Slack, as the product makes them for one small story.

`{"text", "blocks"}` or a view, by name, in the order in which docs/slack.md shows them. Forms come from the table of verbs, so
that one which is added there is drawn, and checked, too.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from bot.desk_folder.desk import Macro, Sla
from bot.errors import Conflict, NotAllowed, NotFound
from bot.events import EscalationAsked
from bot.storage import customers, history
from bot.storage.tx import Tx
from handoff import brief, cases, persons, relays, store
from handoff.case import TIME_ZONE
from handoff.slack import commands, more, transcript, undo
from handoff.slack.agents import Who
from handoff.slack.card import card
from handoff.slack.home import store as at_home
from handoff.slack.home import view as home
from handoff.slack.verb import Scene
from handoff.slack.verbs import VERBS
from handoff.slack.wording import Wording
from tests.unit.handoff_house import House

SITE = "https://acme.slack.com/"
ANN = Who("ann", "Ann", "U1", "T1:U1", listed=True, tz="Europe/Oslo")
SHOW = (("order", "AB123456"), ("parcel", "left Oslo on Friday"))
TRIED = ("looked up the order", "offered the article: Where is my parcel?")
SLA = (Sla(first_response=timedelta(minutes=15), next_response=timedelta(hours=1)),)


async def made(house: House, words: str = "My parcel was due on Friday and is not here.") -> dict[str, dict[str, Any]]:
    """`words` are the customer's, and stand in for all that people type: name, topic, notes."""
    typed = words if words != "My parcel was due on Friday and is not here." else None
    macro = Macro("late", typed or "A late parcel", "en", typed or "Sorry, {{ customer.name }}. It left us today.")
    house.desk = replace(house.desk, sla=SLA, macros=(macro,))
    name = typed or "Kari Nordmann"
    who = await house.newcomer(name, "slack")
    await house.do(customers.set_attribute, who, TIME_ZONE, "Europe/Oslo")
    await house.writes(who, typed or "Where do I change my address?")
    before = await house.do(cases.on_escalation, EscalationAsked(who, "asked"))
    await house.do(cases.claim, before.id, "bob", desk="web")
    await house.do(cases.resolve, before.id, "bob", "resolved", topic=(typed and typed[:120]) or "address")
    await house.later(days=9)
    await house.writes(who, words)
    await house.bot_says(who, "It left Oslo on Friday. Shall I fetch a colleague?")
    await house.writes(who, typed or "Yes, a person please")
    asked = EscalationAsked(who, "asked", reason=typed or "wants a human", priority="high", show=SHOW, tried=TRIED)
    case = await house.do(cases.on_escalation, asked)
    found: dict[str, dict[str, Any]] = {}
    found["card-waiting"] = await house.do(_card, case.id)
    await house.later(minutes=4)
    await house.do(cases.claim, case.id, "ann", desk="slack")
    await house.do(cases.note, case.id, "bob", typed or "Their parcels are often late", desk="slack", ref="C1:1.1")
    found["card-taken"] = await house.do(_card, case.id)
    found["thread"] = await house.do(_thread, case.id)
    relay = await house.do(relays.draft, case.id, "ann", typed or "It is with the carrier.", desk="slack", ref="C1:2.2")
    found["undo"] = undo.line(relay, Wording(house.desk))
    found["more"] = await house.do(lambda tx: more.form(_scene(tx, case.id)))
    for name_, verb in VERBS.items():
        if verb.form is not None:
            view = await house.do(_form, case.id, name_)
            if view is not None:
                found[f"form-{name_}"] = view
    found["home"] = await house.do(_home)
    found["home-away"] = home.away_form(Wording(house.desk))
    found["home-stranger"] = home.stranger(house.desk.name, Wording(house.desk))
    words_ = (typed or "parcel")[:80]
    rows = await house.do(lambda tx: at_home.search(tx.conn, words_, tx.now))
    found["search"] = dict(
        await house.do(commands.run, f"search {words_}", ANN, house.desk, SITE, "https://help.example", rows)
    )
    await house.do(cases.resolve, case.id, "ann", "resolved", topic=(typed and typed[:120]) or "late parcel")
    await house.do(persons.block, case.id, "ann", desk="slack")
    found["card-over"] = await house.do(_card, case.id)
    return found


def _scene(tx: Tx, case_id: str) -> Scene:
    case, desk = store.case(tx.conn, case_id), tx.wiring.desk()
    assert case is not None
    return Scene(tx, case, store.agent(tx.conn, desk, "ann"), ANN, "C1", "1.1", desk, Wording(desk), {})


def _form(tx: Tx, case_id: str, name: str) -> dict[str, Any] | None:
    """None where this story has no place for it."""
    build = VERBS[name].form
    try:
        return build(_scene(tx, case_id)) if build is not None else None
    except (Conflict, NotAllowed, NotFound):
        return None


def _card(tx: Tx, case_id: str) -> dict[str, Any]:
    case, desk = store.case(tx.conn, case_id), tx.wiring.desk()
    assert case is not None
    told = brief.read(tx.conn, case, desk)
    links = {one.case_id: f"{SITE}archives/C1/p1" for one in told.earlier}
    return card(told, Wording(desk), links)


def _thread(tx: Tx, case_id: str) -> dict[str, Any]:
    said = history.of_case(tx.conn, case_id)
    pieces = [piece for one in said for piece in transcript.pieces(one, Wording(tx.wiring.desk()))]
    return transcript.posts(pieces)[0]


def _home(tx: Tx) -> dict[str, Any]:
    agent = store.agent(tx.conn, tx.wiring.desk(), "ann")
    mine = at_home.mine(tx.conn, "ann")
    late = [home.Late(row, tx.now - timedelta(minutes=5), broken=True) for row in mine]
    scores = (at_home.Scored("ces7", 12, 5.8, 10), at_home.Scored("csat5", 33, 4.3, 28))
    shown = home.Page("Ann", at_home.availability(tx.conn, "ann", tx.now), mine, at_home.queue(tx.conn, agent), late,
                      [(row, tx.now - timedelta(hours=5)) for row in mine], scores)  # fmt: skip
    links = {row.case.id: f"{SITE}archives/C1/p2" for row in mine}
    return home.page(shown, Wording(tx.wiring.desk()), links)
