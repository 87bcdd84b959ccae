"""When people are fetched by rule: signals in four languages, what a first and a second one lead to, and what is no signal."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from bot.answers.rules import DEFAULT, KINDS, RAISING, Memory, Rule, Verdict, dress, hear, is_unhappy
from bot.answers.rules import told as bot_said
from bot.flows.expressions import Scope, parse

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def told(*texts: str, rules: tuple[Rule, ...] = DEFAULT) -> list[str]:
    """What comes of each text: "", "offer KIND" or "fetch KIND". The memory goes through JSON in between."""
    memory, verdicts = Memory(), []
    for text in texts:
        memory, verdict = hear(rules, memory, text)
        memory = Memory.from_json(json.loads(json.dumps(memory.to_json())))
        verdicts.append(named(verdict))
    return verdicts


def named(verdict: Verdict | None) -> str:
    return "" if verdict is None else f"{'fetch' if verdict.fetch else 'offer'} {verdict.rule.when}"


@pytest.mark.parametrize(
    "text",
    [
        "The charger caught fire last night",
        "I will talk to my lawyer about this",
        "someone used my card, this is fraud!",
        "De oplader heeft vlam gevat",
        "ik ben opgelicht door een verkoper",
        "dan schakel ik een advocaat in",
        "Laderen tok fyr i natt",
        "jeg er blitt svindlet",
        "da snakker jeg med advokaten min",
        "המטען עלה באש",
        "זאת הונאה",
        "אני פונה לעורך דין",
    ],
)
def test_danger_law_and_fraud_fetch_somebody_at_once(text: str) -> None:
    assert told(text) == ["fetch safety"]


@pytest.mark.parametrize(
    "texts",
    [
        ("where is my parcel, please?", "my parcel is late", "when does it come?"),
        ("it does not work", "no, not that one", "I still have not found it"),
        ("Hello!!", "AB123456", "OK", "thanks!"),
        ("MY ORDER IS AB123456",),
        ("this is ridiculous",),
        ("no", "no", "no", "no"),
        ("waar is mijn pakket?", "het is er nog steeds niet", "dank je!"),
        ("hvor er pakken?", "den har ikke kommet", "takk!"),
        ("איפה החבילה?", "היא לא הגיעה", "תודה!"),
        ("can I pay in fire-engine red?",),
    ],
)
def test_what_people_write_every_day_is_no_signal(texts: tuple[str, ...]) -> None:
    assert set(told(*texts)) == {""}


@pytest.mark.parametrize(
    ("strong", "weak"),
    [
        ("you are useless", "this is ridiculous"),
        ("wat een waardeloze bot", "dit is belachelijk"),
        ("for en elendig tjeneste", "dette er latterlig"),
        ("בוט מטופש", "זה מגוחך"),
    ],
)
def test_anger_is_offered_a_human_and_then_given_one_but_one_weak_sign_is_nothing(strong: str, weak: str) -> None:
    assert told(strong) == ["offer anger"]
    assert told(strong, strong + "!") == ["offer anger", "fetch anger"]
    assert told(weak) == [""]
    assert told(weak, "and more", weak + " now") == ["", "", "offer anger"]
    assert told(weak, *["one", "two", "three", "four"], weak + " now")[-1] == "", "it was long ago"


def test_three_weak_signs_in_one_text_are_a_strong_one() -> None:
    assert told("THIS IS RIDICULOUS, IT IS STILL NOT HERE!!!") == ["offer anger"]


@pytest.mark.parametrize(
    "said",
    [
        ("where is my green tent", "Where is my green tent?", "where is my green tent??", "where is my green tent"),
        (
            "waar is mijn groene tent",
            "Waar is mijn groene tent?",
            "waar is mijn groene tent",
            "waar is mijn groene tent",
        ),
        (
            "hvor er det grønne teltet",
            "Hvor er det grønne teltet?",
            "hvor er det grønne teltet",
            "hvor er det grønne teltet",
        ),
        ("איפה האוהל הירוק שלי", "איפה האוהל הירוק שלי?", "איפה האוהל הירוק שלי", "איפה האוהל הירוק שלי"),
    ],
)
def test_who_says_the_same_a_third_time_is_offered_a_human_and_then_gets_one(said: tuple[str, ...]) -> None:
    anger_left_out = tuple(rule for rule in DEFAULT if rule.when != "anger")
    assert told(*said, rules=anger_left_out) == ["", "", "offer loop", "fetch loop"]


def test_the_first_rule_of_the_list_wins_and_one_that_is_left_out_is_silent() -> None:
    text = "you are useless, I call my lawyer"
    assert told(text) == ["fetch safety"]
    assert told(text, rules=(Rule("anger"), Rule("safety"))) == ["offer anger"]
    assert told(text, rules=(Rule("loop"),)) == [""]


def test_a_desks_own_words_replace_the_built_in_ones() -> None:
    own = (Rule("safety", words={"en": ("gas leak",)}),)
    assert told("there is a gas leak", "my lawyer", rules=own) == ["fetch safety", ""]


def test_a_rule_dresses_an_escalation_and_a_vip_comes_one_step_sooner() -> None:
    rules = (
        Rule("failure", reason="shop_down", text={"en": "Sorry."}, priority="high", team="it"),
        Rule("vip", condition=parse("customer.vip")),
    )
    plain, vip = (Scope({"customer": {"vip": one}, "case": {}}, NOON, True) for one in (False, True))
    found = dress(rules, "connector", None, plain)
    assert (found.reason, found.text, found.priority, found.team) == ("shop_down", {"en": "Sorry."}, "high", "it")
    assert dress(rules, "connector", None, vip).priority == "urgent"
    assert dress(rules, "flow", None, vip).priority == "high"
    assert dress(rules, "flow", "urgent", vip).priority == "urgent"
    assert dress(rules, "flow", None, plain) == dress((), "flow", None, plain)
    assert dress((), "safety", None, plain).reason == "safety"


def test_the_built_in_list_holds_every_kind_but_the_one_that_needs_a_condition() -> None:
    assert [rule.when for rule in DEFAULT] == [kind for kind in KINDS if kind != "vip"]


def test_an_unhappy_or_dear_customer_comes_one_step_sooner_and_only_one() -> None:
    rules = (
        Rule("failure", reason="shop_down"),
        Rule("vip", reason="gold", text={"en": "At once."}, team="vips", condition=parse("customer.vip")),
        Rule("detractor"),
    )
    plain, vip = (Scope({"customer": {"vip": one}, "case": {}}, NOON, True) for one in (False, True))
    assert dress(rules, "connector", None, plain).raised == ()
    assert dress(rules, "connector", None, plain, unhappy=True).raised == ("detractor",)
    both = dress(rules, "connector", None, vip, unhappy=True)
    assert (both.reason, both.priority, both.team, both.text) == ("shop_down", "high", "vips", {"en": "At once."})
    assert both.raised == ("gold", "detractor")
    assert dress((), "connector", None, vip, unhappy=True).raised == ()
    assert all(rule.when not in RAISING or named_by(rule) == [""] for rule in rules)


def named_by(rule: Rule) -> list[str]:
    return told("you are useless, where is my green tent", rules=(rule,))


@pytest.mark.parametrize(
    ("instrument", "score", "unhappy"),
    [
        *(("ces7", 3, True), ("ces7", 4, False), ("csat5", 2, True), ("csat5", 3, False), ("csat2", 0, True)),
        *(("csat2", 1, False), ("nps", 6, True), ("nps", 7, False), ("ces7_statement", 1, True)),
    ],
)
def test_who_was_unhappy(instrument: str, score: float, unhappy: bool) -> None:
    assert is_unhappy(instrument, score) is unhappy


def heard_after(*turns: tuple[bool, str], rules: tuple[Rule, ...] = DEFAULT) -> list[str]:
    """Turns of the bot, each (whether the talk got on, what it said), and what comes of a harmless word after each."""
    memory, verdicts = Memory(), []
    for got_on, said in turns:
        memory = bot_said(memory, [said], got_on=got_on)
        memory, verdict = hear(rules, Memory.from_json(json.loads(json.dumps(memory.to_json()))), "hm")
        verdicts.append(named(verdict))
    return verdicts


def test_a_bot_that_says_the_same_a_third_time_offers_a_human_and_then_fetches_one() -> None:
    again = (False, "What is your order number?")
    assert heard_after(again, again, again, again) == ["", "", "offer loop", "fetch loop"]
    assert heard_after(again, again, again, rules=(Rule("loop", times=1),)) == ["", "offer loop", "fetch loop"]
    assert heard_after(again, again, again, again, rules=(Rule("anger"),)) == [""] * 4


def test_a_bot_that_gets_on_may_say_the_same_as_often_as_it_likes() -> None:
    assert heard_after(*[(True, "Is that what you wanted to know?")] * 9) == [""] * 9
    assert heard_after(*[(False, "Is that what you wanted?"), (True, "Yes.")] * 5) == [""] * 10
