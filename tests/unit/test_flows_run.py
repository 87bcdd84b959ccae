"""The interpreter: what a customer says at which moment, and what comes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bot import flows
from bot.model import FileRef
from bot.texts import escape_markdown
from bot.texts import say as built_in
from tests.unit.flows_house import DESK, HUMAN, Customer, desk_of

ORDER = """\
flow: order
triggers: {commands: [/order], phrases: {en: [where is my order], he: [איפה ההזמנה]}}
slots:
  order_no: {type: text, scope: case, pattern: "^[A-Z]{2}[0-9]{6}$"}
  order: {type: object}
  helped: {type: choice}
steps:
  - {id: q_order, ask: order_no, text: {en: "Which number?", he: "איזה מספר?"}, retry: {max: 2, text: {en: "Not a number.", he: "לא מספר."}, then: to_human}}
  - {id: lookup, call: orders.get, with: {order_no: "{{ order_no }}"}, save: order, on: {404: gone}}
  - branch:
      - {if: "order.status == 'late'", goto: late}
      - {else: fine}
  - {id: late, say: {en: "Late, {{ order.amount }} euro.", he: "מאוחר"}, next: to_human}
  - {id: fine, say: {en: "On its way.", he: "בדרך."}}
  - id: q_helped
    ask: helped
    text: {en: "Did it help?", he: "עזר?"}
    options:
      - {value: "yes", label: {en: "Yes, thanks", he: "כן, תודה"}, synonyms: [sure]}
      - {value: "no", label: {en: "Not at all", he: "בכלל לא"}}
  - branch: [{if: "helped == 'no'", goto: to_human}, {else: finish}]
  - {id: finish, close: resolved, topic: order}
  - {survey: csat5, delay: 5m, next: end}
  - {id: gone, say: {en: "No such order.", he: "אין הזמנה."}, next: end}
  - {id: to_human, run: handoff, next: end}
"""
FREE = """\
flow: complain
triggers: {phrases: {en: [complaint], he: [תלונה]}}
slots: {story: {type: text}, why: {type: text}}
steps:
  - {id: q_story, ask: story, text: {en: "What happened?", he: "מה קרה?"}}
  - {id: q_why, ask: why, text: {en: "Why?", he: "למה?"}}
  - {id: heard, say: {en: "You said: {{ story }}", he: "{{ story }}"}}
"""


@pytest.fixture
def customer(tmp_path: Path) -> Customer:
    return Customer(desk_of(tmp_path, ORDER, FREE))


def test_a_trigger_an_answer_a_table_and_the_end(customer: Customer) -> None:
    assert customer.says("Hello! Where is my ORDER?") == ["Which number?"]
    assert customer.state.waiting == "ask"
    assert customer.says("ab123456") == ["On its way.", "Did it help?"]
    customer.picks("yes")
    assert customer.only(flows.Close) == flows.Close("resolved", "order", None)
    assert customer.only(flows.Survey) == flows.Survey("csat5", 300)
    assert customer.state.frames == ()
    assert customer.state.waiting == ""


def test_what_no_flow_wants_is_left_to_the_articles(customer: Customer) -> None:
    customer.says("do you sell tents?")
    assert not customer.handled
    assert customer.effects == ()
    customer.take(flows.Files((FileRef("f", "a.png", "image/png", 1),)))
    assert not customer.handled


def test_a_number_that_comes_with_the_question_is_not_asked_for(customer: Customer) -> None:
    assert customer.says("where is my order AB123456?") == ["On its way.", "Did it help?"]


def test_an_answer_of_scope_case_is_never_asked_twice(customer: Customer) -> None:
    customer.says("where is my order")
    customer.says("AB123456")
    customer.says("sure")
    assert customer.says("where is my order") == ["On its way.", "Did it help?"]


@pytest.mark.parametrize("typed", ["1", "yes", "Yes, thanks!", "sure", "כן, תודה", "oh yes, thanks a lot"])
def test_an_option_may_be_typed_as_number_value_label_or_synonym_in_any_language(
    customer: Customer, typed: str
) -> None:
    customer.says("where is my order AB123456")
    customer.says(typed)
    assert customer.only(flows.Close).outcome == "resolved"


def test_wrong_answers_are_told_and_then_a_human_comes(customer: Customer) -> None:
    customer.says("where is my order")
    assert customer.says("no idea") == ["Not a number."]
    assert customer.says("still none") == ["Not a number."]
    customer.says("really not")
    assert customer.only(flows.Escalate).reason_code == "retry"
    assert customer.state.waiting == "escalate"


def test_a_stale_button_answers_in_words_and_fills_nothing(customer: Customer) -> None:
    customer.says("where is my order AB123456")
    old = customer.token
    customer.picks("no")
    before = customer.state
    assert customer.picks("yes", old) == [escape_markdown(built_in("already_answered", "en"))]
    assert replace(customer.state, turns=before.turns) == before
    assert customer.none(flows.Close)


def test_tokens_never_repeat_across_cases(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, ORDER)
    tokens = set()
    for case in ("c1", "c2"):
        customer = Customer(desk, case={"id": case})
        customer.says("where is my order")
        tokens.add(customer.token)
    assert len(tokens) == 2


def test_a_button_that_was_never_offered_is_a_wrong_answer(customer: Customer) -> None:
    customer.says("where is my order AB123456")
    customer.picks("maybe")
    assert customer.state.waiting == "ask"
    assert customer.none(flows.Close)


# ── interrupts ──


def test_a_phrase_of_human_fires_at_any_length_and_shows_what_was_told(customer: Customer) -> None:
    customer.says("where is my order")
    customer.says("I have been waiting for two weeks now and I would really like to talk to a person about all of it")
    assert customer.only(flows.Escalate).reason_code == "asked"
    customer = Customer(customer.desk)
    customer.says("where is my order AB123456")
    customer.says("human")
    assert ("order_no", "AB123456") in customer.only(flows.Escalate).show


def test_a_single_word_of_human_in_a_long_answer_is_part_of_the_story(customer: Customer) -> None:
    customer.says("complaint")
    assert customer.says("the agent told me yesterday that it would come") == ["Why?"]
    customer.says("an agent please")
    assert customer.only(flows.Escalate).reason_code == "asked"


def test_a_single_word_of_human_fires_in_any_message_while_nothing_is_asked(customer: Customer) -> None:
    customer.says("hello dear shop, I would like you to fetch some agent for me now")
    assert customer.only(flows.Escalate).reason_code == "asked"


def test_human_asked_twice_does_not_run_its_flow_twice(customer: Customer) -> None:
    customer.says("human")
    customer.says("human!!")
    assert len(customer.state.frames) <= 1
    assert customer.only(flows.Escalate).reason_code == "asked"


def test_after_a_human_was_fetched_new_words_are_new(customer: Customer) -> None:
    customer.says("human")
    assert customer.says("where is my order") == ["Which number?"]


def test_a_word_of_an_interrupt_within_a_wish_does_not_cut_in(customer: Customer) -> None:
    customer.says("how do I cancel my order?")
    assert not customer.handled


def test_cancel_leaves_and_restart_forgets(customer: Customer) -> None:
    customer.says("where is my order AB123456")
    assert customer.says("cancel") == [escape_markdown(built_in("cancelled", "en"))]
    assert customer.state.frames == ()
    assert customer.state.slots == {"order_no": "AB123456"}
    customer.says("please start over")
    assert customer.state.slots == {}


def test_a_word_of_an_interrupt_alone_is_no_answer_to_free_text(customer: Customer) -> None:
    customer.says("complaint")
    customer.says("Cancel.")
    assert customer.state.frames == ()


def test_back_asks_the_question_before(customer: Customer) -> None:
    customer.says("complaint")
    customer.says("the box was wet")
    assert customer.says("back") == ["What happened?"]
    assert customer.says("the box was open") == ["Why?"]
    assert customer.says("because") == ["You said: the box was open"]


def test_back_at_the_first_question_says_so_and_asks_again(customer: Customer) -> None:
    customer.says("complaint")
    assert customer.says("back") == [escape_markdown(built_in("flow_no_back", "en")), "What happened?"]


def test_a_language_can_be_asked_for_in_the_middle(customer: Customer) -> None:
    customer.says("where is my order")
    assert customer.says("עברית")[-1] == "איזה מספר?"
    assert customer.only(flows.SwitchLocale) == flows.SwitchLocale("he")


def test_words_of_another_language_of_the_desk_switch_to_it(customer: Customer) -> None:
    assert customer.says("שלום, איפה ההזמנה שלי?") == ["איזה מספר?"]
    assert customer.only(flows.SwitchLocale).locale == "he"


def test_a_phrase_of_another_flow_wins_over_a_wrong_answer(customer: Customer) -> None:
    customer.says("where is my order")
    assert customer.says("I have a complaint") == ["What happened?"]
    assert [frame.flow for frame in customer.state.frames] == ["complain"]


def test_a_command_starts_its_flow_at_any_point(customer: Customer) -> None:
    assert customer.says("/order AB123456") == ["On its way.", "Did it help?"]


def test_without_interrupts_of_its_own_a_desk_still_reaches_a_human(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, desk="schema: 1\nname: Bare\nlocales: [en, he]\nteams: [{id: support, name: S}]\n")
    for words in ("can I speak to a human", "תעבירו אותי לנציג"):
        customer = Customer(desk)
        customer.says(words)
        assert customer.only(flows.Escalate).reason_code == "asked"


# ── connectors ──

SHOP = """\
flow: shop
triggers: {phrases: {en: [my parcel], he: [החבילה שלי]}}
slots: {order_no: {type: text, scope: case}, order: {type: object}}
steps:
  - {id: q, ask: order_no, text: {en: "Number?", he: "מספר?"}}
  - {id: ask_shop, call: shop.get, with: {order_no: "{{ order_no }}"}, timeout: 5s, once: "o-{{ order_no }}", save: order, on: {404: none, timeout: slow, error: slow}}
  - {id: tell, say: {en: "It is {{ order.status }}.", he: "{{ order.status }}"}, next: end}
  - {id: none, say: {en: "None.", he: "אין."}, next: end}
  - {id: slow, run: handoff}
"""


@pytest.fixture
def shopper(tmp_path: Path) -> Customer:
    customer = Customer(desk_of(tmp_path, SHOP))
    customer.says("my parcel")
    customer.says("7 & 8")
    return customer


def test_a_call_ends_the_step_and_its_answer_goes_on(shopper: Customer) -> None:
    call = shopper.only(flows.Call)
    assert (call.connector, call.values, call.timeout_s, call.once) == ("shop.get", {"order_no": "7 & 8"}, 5, "o-7 & 8")
    assert shopper.state.waiting == "call"
    assert shopper.state.call_token == call.token
    assert shopper.take(flows.CallDone(call.token, "ok", {"status": "lost"})) == ["It is lost."]


def test_words_that_come_during_a_call_wait_but_a_human_does_not(shopper: Customer) -> None:
    before = shopper.state
    shopper.says("hello?")
    assert not shopper.handled
    assert shopper.state.pending == before.pending
    shopper.says("agent")
    assert shopper.only(flows.Escalate).reason_code == "asked"
    shopper.take(flows.CallDone(before.call_token, "ok", {"status": "x"}))
    assert shopper.effects == ()  # nobody waits for it any more


@pytest.mark.parametrize(
    ("outcome", "reason"), [("timeout", "connector"), ("error", "connector"), ("503", "connector")]
)
def test_a_call_that_fails_goes_its_own_way(shopper: Customer, outcome: str, reason: str) -> None:
    shopper.take(flows.CallDone(shopper.state.call_token, outcome))
    assert shopper.only(flows.Escalate).reason_code == reason


@pytest.mark.parametrize("page", ["<html>Please sign in</html>", 7, True])
def test_an_answer_that_is_not_what_the_slot_keeps_is_an_error(shopper: Customer, page: object) -> None:
    assert shopper.take(flows.CallDone(shopper.token, "ok", page)) != ["It is ."]
    assert shopper.only(flows.Escalate).reason_code == "connector"


def test_who_answers_without_a_word_has_done_it(shopper: Customer) -> None:
    assert shopper.take(flows.CallDone(shopper.token, "ok", "")) == ["It is ."]


@pytest.mark.parametrize(("kept", "answer"), [("number", "12 kr"), ("number", True), ("bool", 1), ("bool", {})])
def test_a_number_or_a_yes_is_not_made_of_something_else(tmp_path: Path, kept: str, answer: object) -> None:
    customer = Customer(desk_of(tmp_path, SHOP.replace("{type: object}", f"{{type: {kept}}}").replace(".status", "")))
    customer.says("my parcel")
    customer.says("7")
    customer.take(flows.CallDone(customer.token, "ok", answer))
    assert customer.only(flows.Escalate).reason_code == "connector"


def test_a_status_that_the_flow_names_has_its_own_way(shopper: Customer) -> None:
    assert shopper.take(flows.CallDone(shopper.state.call_token, "404")) == ["None."]


def test_a_table_says_404_for_what_it_does_not_hold(customer: Customer) -> None:
    assert customer.says("where is my order ZZ999999") == ["No such order."]


# ── the breaker, versions, subflows ──


def test_a_loop_trips_the_breaker_which_speaks_and_fetches_a_human(tmp_path: Path) -> None:
    loop = """\
flow: loop
triggers: {phrases: {en: [loop], he: [לולאה]}}
slots: {n: {type: text, scope: case, default: x}}
steps:
  - {id: again, say: {en: Round., he: סיבוב.}}
  - {id: q, ask: n, text: {en: "N?", he: "N?"}, next: again}
"""
    customer = Customer(desk_of(tmp_path, loop))
    customer.says("loop")
    assert customer.said == ["Round."] * 3
    escalation = customer.only(flows.Escalate)
    assert escalation.reason_code == "breaker"
    assert escalation.text
    assert customer.state.frames == ()


def test_a_flow_that_runs_itself_is_stopped(tmp_path: Path) -> None:
    own = """\
flow: own
triggers: {phrases: {en: [own], he: [אני]}}
slots: {n: {type: text, scope: case, default: x}}
steps:
  - {id: q, ask: n, text: {en: "N?", he: "N?"}}
  - {run: own}
"""
    customer = Customer(desk_of(tmp_path, own))
    customer.says("own")
    assert customer.only(flows.Escalate).reason_code == "breaker"


def test_a_question_inserted_above_changes_nothing_for_who_waits_below(tmp_path: Path) -> None:
    """The state names steps and versions, never a place in a list."""
    customer = Customer(desk_of(tmp_path / "v1", FREE))
    customer.says("complaint")
    customer.says("wet box")
    inserted = FREE.replace("steps:\n", 'steps:\n  - {id: q_new, ask: why, text: {en: "New?", he: "חדש?"}}\n')
    new = desk_of(tmp_path / "v2", inserted)
    pinned = new.keeping(customer.desk)
    assert pinned.flow("complain", customer.state.frames[0].hash) == customer.desk.flows["complain"]
    customer.desk = new  # even where nobody has the old version any more
    assert customer.says("because") == ["You said: wet box"]


def test_a_step_that_is_gone_tells_the_customer_and_fetches_a_human(tmp_path: Path) -> None:
    customer = Customer(desk_of(tmp_path / "v1", FREE))
    customer.says("complaint")
    customer.desk = desk_of(tmp_path / "v2", FREE.replace("q_story", "q_other"))
    customer.says("the box was wet")
    assert customer.only(flows.Escalate).reason_code == "version"
    assert customer.only(flows.Escalate).text
    assert customer.state.frames == ()


def test_a_subflow_takes_values_and_gives_one_back(tmp_path: Path) -> None:
    outer = """\
flow: outer
triggers: {phrases: {en: [outer], he: [חוץ]}}
slots: {n: {type: number, default: 20}, sum: {type: number}}
steps:
  - {id: inner, run: inner, with: {n: "n + 1"}, save: sum}
  - {say: {en: "Sum {{ sum }}", he: "{{ sum }}"}}
"""
    inner = """\
flow: inner
slots: {n: {type: number}, more: {type: number}, sum: {type: number}}
steps:
  - {id: q, ask: more, text: {en: "More?", he: "עוד?"}}
  - {set: {sum: "n + more"}}
"""
    customer = Customer(desk_of(tmp_path, outer, inner))
    assert customer.says("outer") == ["More?"]
    assert [frame.flow for frame in customer.state.frames] == ["outer", "inner"]
    assert customer.says("21") == ["Sum 42"]


# ── people, timers, customers ──

REFUND = """\
flow: refund
triggers: {phrases: {en: [refund], he: [החזר]}}
slots:
  iban: {type: text, sensitive: true}
  email: {type: email, scope: customer}
steps:
  - {id: q_iban, ask: iban, text: {en: "IBAN?", he: "IBAN?"}}
  - id: person
    escalate: {team: billing, priority: high, reason: "refund", sla: 15m}
    text: {en: Somebody comes., he: בדרך.}
    on: {no_agent: q_email}
  - {id: after, say: {en: Done., he: בוצע.}, next: end}
  - {id: q_email, ask: email, text: {en: "E-mail?", he: "מייל?"}}
  - {id: thanks, say: {en: "We write to {{ email }}", he: "{{ email }}"}}
"""


def test_an_escalation_carries_team_priority_and_sla_and_hides_what_is_sensitive(tmp_path: Path) -> None:
    customer = Customer(desk_of(tmp_path, REFUND))
    customer.says("refund")
    customer.says("NL91 ABNA 0417 1643 00")
    expected = flows.Escalate("flow", "refund", "billing", "high", (), "Somebody comes.", 900)
    assert customer.only(flows.Escalate) == expected


def test_with_nobody_there_the_flow_goes_on_while_the_case_waits(tmp_path: Path) -> None:
    customer = Customer(desk_of(tmp_path, REFUND), is_staffed=lambda *_: False)
    customer.says("refund")
    assert customer.says("NL91") == ["E-mail?"]
    assert customer.only(flows.Escalate).text == ""
    assert customer.says("ann@example") == [escape_markdown(built_in("flow_retry_email", "en"))]
    assert customer.says("it is ann@example.com") == ["We write to ann@example\\.com"]
    assert customer.only(flows.SetCustomer) == flows.SetCustomer("email", "ann@example.com")
    customer.says("refund")
    assert customer.says("NL92") == ["We write to ann@example\\.com"], (
        "an answer of scope customer is never asked twice"
    )


def test_timers_of_questions_and_waits(tmp_path: Path) -> None:
    waits = """\
flow: waits
triggers: {phrases: {en: [wait], he: [חכה]}}
slots: {a: {type: text}}
steps:
  - {id: q, ask: a, text: {en: "A?", he: "A?"}, timeout: {after: 10m, then: pause}}
  - {id: done, say: {en: Done., he: סוף.}, next: end}
  - {id: pause, wait: {for: 1h}}
  - {say: {en: Later., he: אחר כך.}}
"""
    customer = Customer(desk_of(tmp_path, waits))
    customer.says("wait")
    timer = customer.only(flows.SetTimer)
    assert timer == flows.SetTimer(customer.token, 600)
    customer.take(flows.TimedOut("another"))
    assert customer.state.waiting == "ask"
    customer.take(flows.TimedOut(timer.token))
    assert customer.only(flows.SetTimer).after_s == 3600
    assert customer.take(flows.TimedOut(customer.token)) == ["Later."]


def test_a_check_refuses_and_leaves_the_slot_as_it_was(tmp_path: Path) -> None:
    check = """\
flow: nights
triggers: {phrases: {en: [book], he: [הזמן]}}
slots: {n: {type: number, scope: case}}
steps:
  - {id: q, ask: n, text: {en: "Nights?", he: "לילות?"}, check: "n <= 14", error: {en: "At most 14.", he: "עד 14."}}
  - {say: {en: "{{ n }} nights", he: "{{ n }}"}}
"""
    customer = Customer(desk_of(tmp_path, check))
    customer.says("book")
    assert customer.says("20") == ["At most 14."]
    assert customer.state.slots == {}
    assert customer.says("7 please") == ["7 nights"]


def test_a_file_answers_a_question_for_a_file(tmp_path: Path) -> None:
    photo = """\
flow: photo
triggers: {phrases: {en: [broken], he: [שבור]}}
slots: {photo: {type: file}}
steps:
  - {id: q, ask: photo, text: {en: "Photo?", he: "תמונה?"}}
  - {say: {en: "Got {{ photo.name }}", he: "{{ photo.name }}"}}
"""
    customer = Customer(desk_of(tmp_path, photo))
    customer.says("it is broken")
    assert customer.says("here") == [escape_markdown(built_in("flow_retry_file", "en"))]
    assert customer.take(flows.Files((FileRef("f1", "x.png", "image/png", 9),))) == ["Got x\\.png"]


def test_a_step_whose_if_does_not_hold_is_passed_over_to_the_one_below(tmp_path: Path) -> None:
    maybe = """\
flow: maybe
triggers: {phrases: {en: [maybe], he: [אולי]}}
steps:
  - {id: vip, if: "customer.vip", say: {en: Dear guest., he: אורח יקר.}, next: end}
  - {id: all, say: {en: Hello., he: שלום.}}
"""
    desk = desk_of(tmp_path, maybe)
    assert Customer(desk).says("maybe") == ["Hello."]
    assert Customer(desk, customer={"vip": True}).says("maybe") == ["Dear guest."]


def test_a_trigger_can_depend_on_the_customer_and_the_channel(tmp_path: Path) -> None:
    vip = """\
flow: vip
triggers: {phrases: {en: [hello], he: [שלום]}, when: "customer.vip", channels: [web]}
steps:
  - {say: {en: Dear guest., he: אורח יקר.}}
"""
    desk = desk_of(tmp_path, vip)
    assert Customer(desk, customer={"vip": True}).says("hello") == ["Dear guest."]
    assert Customer(desk).says("hello") == []
    assert Customer(desk, customer={"vip": True}, case={"channel": "slack"}).says("hello") == []


def test_the_trace_names_steps_and_what_branches_decided(customer: Customer) -> None:
    customer.says("where is my order CD345678")
    assert {"flow": "order", "step": "lookup", "outcome": "ok"} in customer.trace
    assert any(one.get("if") == "order.status == 'late'" and one["value"] is True for one in customer.trace)


def test_what_a_customer_wrote_is_never_markup_nor_a_template(customer: Customer) -> None:
    customer.says("complaint")
    customer.says("**bold** [x](http://evil.example) {{ customer }} <b>")
    said = customer.says("no")
    assert said == [
        r"You said: \*\*bold\*\* \[x\]\(http://evil\.example\) \{\{ customer \}\} \<b\>",
    ]


def test_starting_a_flow_that_is_not_there_is_not_handled(customer: Customer) -> None:
    customer.take(flows.StartFlow("nowhere"))
    assert not customer.handled
    customer.take(flows.StartFlow("handoff"))
    assert customer.only(flows.Escalate).reason_code == "asked"


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ("where is my order then?", True),
        ("get me a human", True),
        ("I would really like to talk to a person about how all of this went", True),
        ("cancel", True),
        ("I wanted to cancel it and that was easy", False),
        ("the agent who helped me was very kind and quick", False),
        ("quick and friendly", False),
    ],
)
def test_what_would_begin_something_is_told_from_a_comment(customer: Customer, text: str, begins: bool) -> None:
    assert flows.is_request(customer.desk, text) is begins


def test_a_call_for_a_human_is_told_in_every_language(customer: Customer) -> None:
    assert flows.asks_for_human(customer.desk, "אפשר לדבר עם נציג?")
    assert not flows.asks_for_human(customer.desk, "where is my order")


def test_records_notifications_and_closings_carry_values(tmp_path: Path) -> None:
    record = """\
flow: wish
triggers: {phrases: {en: [wish], he: [משאלה]}}
slots: {what: {type: text}}
steps:
  - {id: q, ask: what, text: {en: "What?", he: "מה?"}}
  - {record: {kind: feature_request, what: "{{ what }}"}}
  - {notify: {slack: "#wishes", text: "New wish: {{ what }}"}}
  - {close: no_solution, reason: "wish: {{ what }}"}
"""
    customer = Customer(desk_of(tmp_path, record))
    customer.says("wish")
    customer.says("a *blue* tent")
    assert customer.only(flows.Record) == flows.Record("feature_request", {"what": "a *blue* tent"})
    assert customer.only(flows.Notify) == flows.Notify("#wishes", "New wish: a *blue* tent")
    assert customer.only(flows.Close) == flows.Close("no_solution", "wish", "wish: a *blue* tent")


def test_the_reason_of_an_end_is_told_in_the_customers_language(tmp_path: Path) -> None:
    flow = """\
flow: refuse
triggers: {phrases: {en: [refuse], he: [סירוב]}}
steps:
  - {close: no_solution, reason: {en: "We sold it.", he: "נמכר."}}
"""
    english, hebrew = Customer(desk_of(tmp_path, flow)), Customer(desk_of(tmp_path, flow), locale="he")
    english.says("refuse")
    hebrew.says("סירוב")
    assert english.only(flows.Close) == flows.Close("no_solution", "refuse", "We sold it.")
    assert hebrew.only(flows.Close) == flows.Close("no_solution", "refuse", "נמכר.")


def test_an_interrupt_can_run_a_flow_of_its_own(tmp_path: Path) -> None:
    stop = "flow: bye\nsteps:\n  - {say: {en: Bye., he: להתראות.}}\n"
    own = DESK.replace(HUMAN, HUMAN + "\n  - {id: stop, run: bye, phrases: {en: [stop all], he: [די]}}")
    customer = Customer(desk_of(tmp_path, stop, FREE, desk=own))
    customer.says("complaint")
    assert customer.says("please stop all of it, I do not want this any more") == ["Bye."]


TOLD = flows.Told("delivery", "It costs € 4.90.")


def knowing(customer: Customer) -> list[str]:
    """The articles surely answer what has "cost" in it. The list holds what they were asked."""
    asked: list[str] = []

    def knows(text: str, _locale: str) -> flows.Told | None:
        asked.append(text)
        return TOLD if "cost" in text else None

    customer.context = replace(customer.context, knows=knows)
    return asked


def test_a_question_of_the_customers_own_is_answered_and_ours_asked_again_and_no_try_is_lost(
    customer: Customer,
) -> None:
    knowing(customer)
    customer.says("where is my order")
    token = customer.token
    for _ in range(5):
        assert customer.says("what does delivery cost?") == [TOLD.text, "Which number?"]
    assert customer.token == token, "a button that was shown before still counts"
    assert customer.says("hm") == ["Not a number."]
    assert customer.says("the cost is 12345") == ["Not a number."], "a number where one is asked for is a wrong answer"
    assert customer.says("AB123456") == ["On its way.", "Did it help?"]
    assert customer.says("what does delivery cost?") == [TOLD.text, "Did it help?"]
    assert [one.value for one in customer.effects[1].choices] == ["yes", "no"]  # type: ignore[union-attr]


def test_an_answer_an_interrupt_and_a_trigger_come_before_the_articles(customer: Customer) -> None:
    asked = knowing(customer)
    customer.says("where is my order")
    customer.says("AB123456")
    customer.says("complaint about the cost")
    assert customer.says("the cost of it all") == ["Why?"], "free text is an answer, whatever it is about"
    customer.says("cancel")
    customer.says("what does it cost")
    assert asked == []
    assert not customer.handled


# ── articles as a step ──

GUIDE = """\
flow: guide
triggers: {phrases: {en: [guide], he: [מדריך]}}
slots: {q: {type: text}}
steps:
  - {id: q_what, ask: q, text: {en: "What about?", he: "על מה?"}}
  - {id: look, kb: "{{ q }}", confirm: CONFIRM, on: {unsure: maybe, none: nothing}}
  - {id: done, say: {en: "Good.", he: "טוב."}, next: end}
  - {id: maybe, say: {en: "Say more.", he: "עוד."}, next: end}
  - {id: nothing, say: {en: "Nothing.", he: "אין."}}
"""


def guided(tmp_path: Path, *, confirm: bool) -> Customer:
    def search(query: str, _locale: str, _tags: object) -> flows.Found:
        if "price" in query:
            return flows.Found("sure", "prices", "It is € 5.")
        return flows.Found("unsure" if "pri" in query else "none")

    customer = Customer(desk_of(tmp_path, GUIDE.replace("CONFIRM", str(confirm).lower()), ORDER), search=search)
    assert customer.says("guide") == ["What about?"]
    return customer


@pytest.mark.parametrize(
    ("said", "answer"),
    [("the price!", ["It is € 5.", "Good."]), ("pri", ["Say more."]), ("xyz", ["Nothing."])],
)
def test_a_step_asks_the_articles_and_goes_on_by_how_sure_they_are(
    tmp_path: Path, said: str, answer: list[str]
) -> None:
    customer = guided(tmp_path, confirm=False)
    assert customer.says(said) == answer
    records = [one for one in customer.effects if isinstance(one, flows.Record)]
    assert records == ([flows.Record("unanswered", {"question": "xyz"})] if said == "xyz" else [])


def test_a_step_asks_whether_the_article_helped(tmp_path: Path) -> None:
    customer = guided(tmp_path, confirm=True)
    answer, question = customer.says("price")
    assert (answer, question) == ("It is € 5.", escape_markdown(built_in("kb_did_this_help", "en")))
    assert customer.state.waiting == "confirm"
    assert [one.value for one in customer.effects[-1].choices] == ["yes", "no"]  # type: ignore[union-attr]
    assert customer.picks("yes") == ["Good."]

    for say, answer in (
        ("no", ["Nothing."]),
        (built_in("kb_helped", "en"), ["Good."]),
        ("where is my order", ["Which number?"]),
    ):
        customer.says("guide")
        customer.says("price")
        assert customer.says(say) == answer

    customer.says("guide")
    customer.says("price")
    assert customer.says("hm") == [question]
    assert customer.says("hm") == ["Nothing."], "neither yes nor no, twice: it did not help"


def test_a_step_that_asks_only_where_an_article_was_found_is_no_question_of_the_figures(tmp_path: Path) -> None:
    """Everybody who comes is counted there: those of whom nothing was asked would have left it all."""
    assert list(desk_of(tmp_path, GUIDE.replace("CONFIRM", "true"), ORDER).flows["guide"].questions) == ["q_what"]


@pytest.mark.parametrize("told", ["article", "answer"])
@pytest.mark.parametrize("helped", [True, False])
def test_what_ends_after_a_yes_is_confirmed_and_after_nothing_or_a_no_it_is_not(
    tmp_path: Path, told: str, helped: bool
) -> None:
    """The yes to an article that was just told, or what the flow itself says is one."""
    guide = GUIDE.replace("CONFIRM", "true").replace("next: end}", "next: over}")
    guide += "  - {id: over, close: resolved}\n"
    order = ORDER.replace("topic: order}", "topic: order, confirmed: \"helped == 'yes'\"}").replace(
        "goto: to_human}, {else", "goto: finish}, {else"
    )
    customer = Customer(desk_of(tmp_path, guide, order), search=lambda *_: flows.Found("sure", "prices", "It is € 5."))
    words = ("guide", "price") if told == "article" else ("where is my order", "AB123456")
    for said in words:
        customer.says(said)
    customer.picks("yes" if helped else "no")
    assert customer.only(flows.Close).confirmed is helped


# ── what is waited for ──

PARCEL = """\
flow: parcel
triggers: {event: parcel.sent}
slots: {carrier: {type: text}, day: {type: text}}
steps:
  - {say: {en: "Sent with {{ carrier }}.", he: "נשלח."}}
  - {id: way, wait: {event: parcel.delivered, timeout: 2d, then: late}}
  - {say: {en: "Delivered on {{ day }}.", he: "הגיע."}, next: end}
  - {id: late, say: {en: "It is late.", he: "מאחר."}}
"""


def test_an_event_begins_a_flow_and_another_one_ends_its_wait(tmp_path: Path) -> None:
    customer = Customer(desk_of(tmp_path, PARCEL, ORDER))
    assert customer.take(flows.Happened("parcel.delivered", {"day": "Monday"})) == []
    assert not customer.handled
    sent = flows.Happened("parcel.sent", {"carrier": "Post", "nonsense": 1})
    assert customer.take(sent) == ["Sent with Post."]
    assert customer.only(flows.SetTimer).after_s == 2 * 86_400
    assert customer.take(sent) == [], "a flow that waits is not begun again over itself"
    assert customer.take(flows.Happened("parcel.delivered", {"day": "Monday"})) == ["Delivered on Monday."]
    customer.take(sent)
    assert customer.take(flows.TimedOut(customer.token)) == ["It is late."]
    customer.says("where is my order")
    assert customer.take(sent) == []
    assert customer.state.waiting == "ask", "an event never takes the floor from a question"


def test_a_wait_for_the_opening_goes_on_when_the_desk_is_open(tmp_path: Path) -> None:
    waits = """\
flow: waits
triggers: {phrases: {en: [wait], he: [חכה]}}
steps:
  - {id: pause, wait: {business_open: true}}
  - {say: {en: "We are here.", he: "כאן."}}
"""
    desk = desk_of(tmp_path, waits)
    assert Customer(desk).says("wait") == ["We are here."]
    customer = Customer(desk, is_open=False, opens_in_s=7200)
    customer.says("wait")
    assert customer.only(flows.SetTimer).after_s == 7200
    assert customer.take(flows.TimedOut(customer.token)) == []
    assert customer.state.waiting == "wait", "a holiday came in between"
    customer.context = replace(customer.context, is_open=True)
    assert customer.take(flows.TimedOut(customer.token)) == ["We are here."]


# ── once more ──


def test_a_call_is_tried_again_with_the_same_key_and_then_goes_its_way(tmp_path: Path) -> None:
    pays = """\
flow: pays
triggers: {phrases: {en: [pay], he: [שלם]}}
slots: {order_no: {type: text, default: A1}, paid: {type: object}}
steps:
  - {id: pay, call: shop.get, with: {order_no: "{{ order_no }}"}, once: "pay-{{ order_no }}", retries: 2, save: paid, on: {404: bad, timeout: slow, error: bad}}
  - {say: {en: "Paid.", he: "שולם."}, next: end}
  - {id: slow, say: {en: "Slow.", he: "לאט."}, next: end}
  - {id: bad, say: {en: "Bad.", he: "רע."}}
"""
    customer = Customer(desk_of(tmp_path, pays))
    customer.says("pay")
    calls = [customer.only(flows.Call)]
    for outcome in ("timeout", "503"):
        customer.take(flows.CallDone(customer.token, outcome))
        calls.append(customer.only(flows.Call))
    assert [call.after_s for call in calls] == [0, 1, 2]
    assert {call.once for call in calls} == {"pay-A1"}
    assert len({call.token for call in calls}) == 3
    assert customer.take(flows.CallDone(calls[0].token, "ok", {})) == [], "an answer to an earlier try is late"
    assert customer.take(flows.CallDone(customer.token, "timeout")) == ["Slow."]
    customer.says("pay")
    assert customer.take(flows.CallDone(customer.token, "404")) == ["Bad."], "what will not pass is not tried again"
    customer.says("pay")
    customer.take(flows.CallDone(customer.token, "error"))
    assert customer.take(flows.CallDone(customer.token, "ok", {"n": 1})) == ["Paid."]
    assert customer.state.retries == {}


# ── the end, chosen before people take over ──


def test_the_survey_below_an_escalation_goes_along_with_it(tmp_path: Path) -> None:
    chosen = REFUND.replace(
        "{id: after, say: {en: Done., he: בוצע.}, next: end}",
        "{id: after, close: resolved}\n  - {survey: nps, delay: 1h, next: end}",
    )
    outer = """\
flow: outer
triggers: {phrases: {en: [outer], he: [חוץ]}}
steps:
  - {id: run, run: refund}
  - {survey: csat5}
"""
    customer = Customer(desk_of(tmp_path, chosen, outer))
    customer.says("refund")
    customer.says("NL91")
    assert customer.only(flows.Escalate).survey == flows.Survey("nps", 3600)
    customer.says("outer")
    customer.says("NL91")
    assert customer.only(flows.Escalate).survey == flows.Survey("csat5"), "the flow that ran it has the last word"
    customer = Customer(desk_of(tmp_path / "plain", REFUND))
    customer.says("refund")
    customer.says("NL91")
    assert customer.only(flows.Escalate).survey is None


def test_a_result_may_have_another_name(tmp_path: Path) -> None:
    outer = """\
flow: outer
triggers: {phrases: {en: [outer], he: [חוץ]}}
slots: {total: {type: number}, who: {type: text}}
steps:
  - {id: inner, run: inner, save: {total: sum, who: name}}
  - {say: {en: "{{ who }}: {{ total }}", he: "{{ total }}"}}
"""
    inner = """\
flow: inner
slots: {sum: {type: number}, name: {type: text, scope: case}}
steps:
  - {set: {sum: "40 + 2", name: "'Kari'"}}
"""
    assert Customer(desk_of(tmp_path, outer, inner)).says("outer") == ["Kari: 42"]


def test_a_value_that_says_what_is_meant_begins_its_flow_when_nothing_else_does(tmp_path: Path) -> None:
    flow = ORDER.replace("commands: [/order],", "commands: [/order], slots: [order_no],")
    customer = Customer(desk_of(tmp_path, flow, FREE))
    assert customer.says("ab123456") == ["On its way.", "Did it help?"]
    customer = Customer(desk_of(tmp_path, flow, FREE))
    assert customer.says("it is AB123456 I think") == ["On its way.", "Did it help?"]
    customer = Customer(desk_of(tmp_path, flow, FREE))
    customer.says("my neighbour told me that AB123456 was the number of her old car")
    assert not customer.handled
    assert customer.says("a complaint about AB123456") == ["What happened?"]
