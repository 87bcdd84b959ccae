"""Every verb of the grammar, each kind of slot and each scope, in one conversation each: what the customer hears, what comes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot import flows
from bot.flows.graph import VERB_OF
from bot.flows.verbs import VERBS
from bot.model import FileRef
from tests.unit.flows_house import Customer, desk_of

KINDS = """\
flow: kinds
triggers: {phrases: {en: [begin], he: [התחל]}}
slots:
  words: {type: text, min: 3, max: 20}
  code: {type: text, pattern: "^K[0-9]{3}$"}
  many: {type: number, min: 1, max: 9}
  sure: {type: bool}
  size: {type: choice}
  mail: {type: email, scope: customer}
  tel: {type: phone, scope: case}
  day: {type: date}
  photo: {type: file}
steps:
  - {id: q1, ask: words, text: {en: words?, he: words?}}
  - {id: q2, ask: code, text: {en: code?, he: code?}}
  - {id: q3, ask: many, text: {en: many?, he: many?}, check: "many != 7", error: {en: "Not 7.", he: "לא 7."}}
  - {id: q4, ask: sure, text: {en: sure?, he: sure?}}
  - {id: q5, ask: size, text: {en: size?, he: size?}, options: [{value: s, label: {en: Small, he: קטן}}, {value: l, label: {en: Large, he: גדול}}]}
  - {id: q6, ask: mail, text: {en: mail?, he: mail?}}
  - {id: q7, ask: tel, text: {en: tel?, he: tel?}}
  - {id: q8, ask: day, text: {en: day?, he: day?}}
  - {id: q9, ask: photo, text: {en: photo?, he: photo?}}
  - {say: {en: "{{ words }}|{{ code }}|{{ many }}|{{ size }}|{{ photo }}", he: x}}
"""


def test_each_kind_of_slot_takes_its_answer_and_refuses_another(tmp_path: Path) -> None:
    customer = Customer(desk_of(tmp_path, KINDS))
    assert customer.says("begin") == ["words?"]
    for wrong, right, following in (
        ("x", "three words here", "code?"),
        ("K12", "it is k123", "many?"),
        ("many of them", "4", "sure?"),
        ("perhaps", "yes please", "size?"),
        ("huge", "the large one", "mail?"),
        ("me at home", "write to kari@example.com", "tel?"),
        ("none", "+47 22 12 34 56", "day?"),
        ("someday", "2026-05-17", "photo?"),
    ):
        (again,) = customer.says(wrong)
        assert again != following, wrong
        assert customer.says(right) == [following], right
    assert len(customer.says("no photo")) == 1
    (told,) = customer.take(flows.Files((FileRef("f1", "shoe.jpg", "image/jpeg", 9),)))
    assert told.replace("\\", "") == "three words here|K123|4|l|shoe.jpg"
    assert customer.context.customer["mail"] == "kari@example.com"


def test_what_outlives_the_flow_is_never_asked_twice_and_a_check_speaks_for_itself(tmp_path: Path) -> None:
    customer = Customer(desk_of(tmp_path, KINDS))
    for said in ("begin", "some words", "K123"):
        customer.says(said)
    assert customer.says("7") == ["Not 7."]
    for said in ("4", "yes", "1", "kari@example.com", "+47 22 12 34 56", "2026-05-17"):
        customer.says(said)
    customer.take(flows.Files((FileRef("f1", "a.jpg", "image/jpeg", 9),)))
    for said in ("begin", "some words", "K123", "4", "yes"):
        customer.says(said)
    assert customer.says("2") == ["day?"], "the address and the number are known: of the customer, of the case"
    fresh = Customer(customer.desk, customer=customer.context.customer)
    for said in ("begin", "some words", "K123", "4", "yes"):
        fresh.says(said)
    assert fresh.says("2") == ["tel?"], "another case: only what belongs to the customer is known"


ALL = """\
flow: all
triggers: {phrases: {en: [begin], he: [התחל]}}
slots: {n: {type: number}, twice: {type: number}, found: {type: object}, got: {type: object}, sum: {type: number}, late: {type: bool}}
steps:
  - {say: {en: "Hello.", he: "שלום."}}
  - {id: q, ask: n, text: {en: "How many?", he: "כמה?"}}
  - {set: {twice: "n * 2"}}
  - {run: double, with: {n: twice}, save: {sum: result}}
  - branch: [{if: "sum == 8", goto: look}, {else: fetch}]
  - {id: look, call: orders.get, with: {order_no: AB123456}, save: found, on: {404: fetch}}
  - {id: write, call: shop.get, with: {order_no: "{{ n }}"}, once: "write-{{ n }}", retries: 1, save: got, on: {404: fetch, timeout: fetch, error: fetch}}
  - {id: rest, wait: {for: 1h}}
  - {id: parcel, wait: {event: parcel.sent, timeout: 2d, then: fetch}}
  - {id: know, kb: {en: about it, he: על זה}, on: {unsure: fetch, none: reword}}
  - {id: reword, llm: "Short.", grounded_in: know, on: {refused: notes}}
  - {id: notes, record: {kind: complaint, about: "{{ n }}"}}
  - {notify: {slack: C1, text: "{{ n }} of {{ found.status }}"}}
  - {goto: fetch}
  - {say: {en: never, he: never}}
  - {id: fetch, escalate: {team: billing, priority: high, reason: "n is {{ n }}", show: [n]}, text: {en: "Somebody comes.", he: "נציג."}, on: {no_agent: nobody}}
  - {survey: csat5}
  - {close: resolved, topic: all, next: end}
  - {id: nobody, say: {en: "Nobody is there.", he: "אין איש."}}
  - {close: no_solution, reason: nobody}
"""
DOUBLE = """\
flow: double
slots: {n: {type: number}, result: {type: number}}
steps:
  - {set: {result: "n * 2"}}
"""


@pytest.mark.parametrize("agents", [True, False])
def test_every_verb_does_its_part(tmp_path: Path, agents: bool) -> None:
    assert {verb for verb in VERBS if f"{verb}:" in ALL} == set(VERBS) == set(VERB_OF.values())
    customer = Customer(desk_of(tmp_path, ALL, DOUBLE), is_staffed=lambda *_: agents)
    assert customer.says("begin") == ["Hello.", "How many?"]
    customer.says("2")
    first = customer.only(flows.Call)
    assert (first.connector, first.values, first.once) == ("shop.get", {"order_no": 2}, "write-2")
    customer.take(flows.CallDone(first.token, "timeout"))
    again = customer.only(flows.Call)
    assert (again.once, again.after_s) == ("write-2", 1), "the same key at every try"
    customer.take(flows.CallDone(again.token, "ok", {"done": True}))
    hour = customer.only(flows.SetTimer)
    assert hour.after_s == 3600
    customer.take(flows.TimedOut(hour.token))
    assert customer.only(flows.SetTimer).after_s == 2 * 86_400
    customer.take(flows.Happened("parcel.sent", {"late": True}))
    assert flows.Record("complaint", {"about": 2}) in customer.effects
    assert customer.only(flows.Notify) == flows.Notify("C1", "2 of shipped")
    fetched = customer.only(flows.Escalate)
    assert (fetched.team, fetched.priority, fetched.reason) == ("billing", "high", "n is 2")
    assert ("n", "2") in fetched.show
    if agents:
        assert fetched.text == "Somebody comes."
        assert fetched.survey == flows.Survey("csat5", None)
        assert customer.state.waiting == "escalate"
    else:
        assert customer.said == ["Nobody is there."]
        assert customer.only(flows.Close) == flows.Close("no_solution", "all", "nobody")


@pytest.mark.parametrize(
    ("said", "locale", "means"),
    [
        *(("yes please", "en", True), ("no thanks", "en", False), ("no idea", "en", None), ("yes or no", "en", None)),
        *(
            ("ja graag", "nl", True),
            ("nee dank je", "nl", False),
            ("ja gjerne takk", "nb", True),
            ("nei takk", "nb", False),
        ),
        *(("כן בבקשה", "he", True), ("לא תודה", "he", False), ("", "en", None), ("please", "en", None)),
    ],
)
def test_yes_and_no_may_be_polite(said: str, locale: str, means: bool | None) -> None:
    from bot.flows import answers
    from bot.flows.schema import AskStep, Slot
    from tests.unit.flows_house import NOON

    found = answers.answer(Slot("sure", "bool"), AskStep("sure", {}), said, (), locale, NOON)
    assert found is means
