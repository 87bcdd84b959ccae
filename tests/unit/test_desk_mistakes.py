"""Whatever an admin gets wrong is named with file, line and column: a table of mistakes, each made in a desk that loads."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bot.desk_folder import DeskFaults, load

HERE = "▸"
"""Stands in a mistake where the fault must point; it is not part of the file."""

DESK = """\
schema: 1
name: Plain shop
locales: [en, nl]
timezone: Europe/Amsterdam
opening_hours: {mon: "9:00-17:00", tue: ["9:00-12:00", "13:00-17:00"]}
holidays: [2026-12-25]
teams:
  - {id: support, name: Support}
  - {id: billing, name: Billing, opening_hours: always}
agents:
  - {id: ann, name: Ann, team: support, role: agent, locales: [en], slack: {team: T01234567, user: U01234567}}
connectors:
  orders.get: {method: GET, url: "https://shop.example/api/orders/{{ order_no }}", headers: {Authorization: "Bearer ${TOKEN}"}}
  parcels.get: {table: data/parcels.csv, key: parcel}
interrupts:
  - {id: human, run: handoff, phrases: {en: [human], nl: [mens]}}
escalation: {team: support, queue_updates: 3m}
surveys: {instrument: ces7, delay: 1m, quiet_hours: "21:00-08:00"}
undo: 5s
reopen_window: 72h
"""
HANDOFF = """\
schema: 1
flow: handoff
version: 1
steps:
  - {id: person, escalate: {team: support, priority: high, sla: 15m}, text: $taking}
"""
ORDER = """\
schema: 1
flow: order
version: 1
triggers: {commands: [/order], phrases: {en: [my order], nl: [mijn bestelling]}}
slots:
  order_no: {type: text, scope: case, pattern: "^[A-Z]{2}[0-9]{6}$"}
  order: {type: object}
  helped: {type: choice}
steps:
  - {id: q_order, ask: order_no, text: $order_q, retry: {max: 2, text: $order_q, then: to_human}}
  - {id: lookup, call: orders.get, with: {order_no: "{{ order_no }}"}, timeout: 5s, save: order, on: {404: to_human, timeout: to_human, error: to_human}}
  - branch:
      - {if: "order.status == 'late'", goto: late}
      - {else: q_helped}
  - {id: late, say: $late}
  - {id: q_helped, ask: helped, text: $helped_q, options: [{value: "yes", label: $yes_l}, {value: "no", label: $no_l}]}
  - {if: "helped == 'no'", goto: to_human}
  - {close: resolved, topic: order}
  - {survey: ces7, next: end}
  - {id: to_human, run: handoff, next: end}
"""
TEXTS = """\
taking: {en: A colleague comes., nl: Er komt een collega.}
order_q: {en: Your order number?, nl: Je bestelnummer?}
late: {en: "Late by {{ order.days }} days.", nl: "{{ order.days }} dagen te laat."}
helped_q: {en: Did that help?, nl: Heeft dat geholpen?}
yes_l: {en: "Yes", nl: "Ja"}
no_l: {en: "No", nl: "Nee"}
"""
ARTICLE = """\
---
title: Returns
locale: en
tags: [returns]
questions: [How do I send it back?]
---
Send it back within 30 days.
"""
TESTS = """\
- test: an order is found
  locale: en
  script:
    - {user: my order}
    - {bot: Your order number?}
"""
FILES = {
    "desk.yaml": DESK,
    "flows/handoff.yaml": HANDOFF,
    "flows/order.yaml": ORDER,
    "texts/shop.yaml": TEXTS,
    "knowledge/returns.en.md": ARTICLE,
    "tests/order.yaml": TESTS,
    "data/parcels.csv": "parcel,status\nP1,late\nP2,here\n",
}
FLOW, D, T = "flows/order.yaml", "desk.yaml", "texts/shop.yaml"

MISTAKES: list[tuple[str, str, str, str, str]] = [
    # what the mistake is, file, what stands there, what is written instead, part of the message
    ("unknown slot in a condition", FLOW, '{if: "order.status', '{if: "▸ordr.status', 'did you mean "order"?'),
    ("unknown slot that is asked", FLOW, "ask: order_no,", "ask: ▸order_n,", 'did you mean "order_no"?'),
    ("unknown slot in a template", FLOW, '"{{ order_no }}"', '"▸{{ orderno }}"', 'did you mean "order_no"?'),
    ("unknown step", FLOW, "goto: late}", "goto: ▸lte}", 'unknown step "lte"; did you mean "late"?'),
    ("unknown step of next", FLOW, "run: handoff, next: end", "run: handoff, next: ▸ende", 'unknown step "ende"'),
    ("unknown flow", FLOW, "run: handoff", "run: ▸handof", 'did you mean "handoff"?'),
    ("unknown connector", FLOW, "call: orders.get", "call: ▸order.get", 'did you mean "orders.get"?'),
    ("unknown text", FLOW, "say: $late", "say: ▸$lte", 'unknown text "$lte"; did you mean "$late"?'),
    ("unknown text of a reason", FLOW, "close: resolved", "close: no_solution, reason: ▸$sory", 'unknown text "$sory"'),
    ("a text's name where programs read", FLOW, '"{{ order_no }}"', "▸$order_no", 'a slot is written "{{ order_no }}"'),
    ("unknown verb", FLOW, "{survey: ces7", "{▸surve: ces7", 'did you mean "survey"?'),
    ("unknown key of a step", FLOW, "timeout: 5s", "▸timout: 5s", 'did you mean "timeout"?'),
    ("unknown instrument", FLOW, "survey: ces7", "survey: ▸ces8", "ces7"),
    ("unknown outcome", FLOW, "close: resolved", "close: ▸solved", 'did you mean "resolved"?'),
    ("a yes to what was no solution", FLOW, "close: resolved,", "close: spam, ▸confirmed: is_open(),", "only what is resolved"),
    ("no solution without a reason", FLOW, "close: resolved", "▸close: no_solution", "reason"),
    ("a call without error", FLOW, "on: {404: to_human, timeout: to_human, error: to_human}", "▸on: {404: to_human, timeout: to_human}", "error"),
    ("a call without timeout branch", FLOW, "on: {404: to_human, timeout: to_human, error: to_human}", "▸on: {error: to_human}", "timeout"),
    ("a call without what the connector needs", FLOW, 'with: {order_no: "{{ order_no }}"}', "with: ▸{}", 'needs "order_no"'),
    ("a branch without else", FLOW, "  - branch:\n      - {if: \"order.status == 'late'\", goto: late}\n      - {else: q_helped}", "  - ▸branch:\n      - {if: \"order.status == 'late'\", goto: late}", "else"),
    ("a question without a name", FLOW, "{id: q_helped, ask: helped", "▸{ask: helped", "id"),
    ("the same step twice", FLOW, "{id: late, say", "{id: ▸lookup, say", "twice"),
    ("an expression that is none", FLOW, "{if: \"helped == 'no'\"", "{if: \"helped == ▸= 'no'\"", ""),
    ("a part of a slot that has none", FLOW, "{if: \"helped == 'no'\"", "{if: \"▸helped.way == 'no'\"", "helped"),
    ("a pattern that is none", FLOW, '"^[A-Z]{2}[0-9]{6}$"', '▸"^[A-Z"', "RE2"),
    ("a pattern that RE2 refuses", FLOW, '"^[A-Z]{2}[0-9]{6}$"', '▸"(a)\\\\1"', "RE2"),
    ("a choice without options", FLOW, ', options: [{value: "yes", label: $yes_l}, {value: "no", label: $no_l}]', "", "options"),
    ("a type that is none", FLOW, "type: object", "type: ▸objct", 'did you mean "object"?'),
    ("two verbs", FLOW, "{id: late, say: $late}", "{id: late, say: $late, ▸goto: lookup}", "verb"),
    ("a model without an article", FLOW, "{id: late, say: $late}", "{id: late, ▸llm: x}", '"grounded_in" is missing'),
    ("an article's tag", FLOW, "{id: late, say: $late}", "{id: late, kb: $late, collections: [▸retuns], on: {unsure: end, none: end}}", 'did you mean "returns"?'),
    ("articles without a way out", FLOW, "{id: late, say: $late}", "{id: late, kb: $late, ▸on: {unsure: end}}", '"none" is missing'),
    ("a second try without a key", FLOW, "timeout: 5s", "▸retries: 2", '"once" is missing'),
    ("a slot that tells nothing by itself", FLOW, "commands: [/order]", "slots: [▸helped]", "no pattern"),
    ("an event that is none", FLOW, "commands: [/order]", "event: ▸Parcel Sent", "parcel.delivered"),
    ("a wait for an event without an end", FLOW, "{id: late, say: $late}", "{id: late, wait: ▸{event: a.b}}", '"timeout" is missing'),
    ("a wait for two things", FLOW, "{id: late, say: $late}", "{id: late, wait: {for: 1h, ▸event: a.b}}", "write one of"),
    ("an unknown result", FLOW, "{id: to_human, run: handoff", "{id: to_human, run: handoff, save: {order_no: ▸x}", 'no slot "x"'),
    ("a rule about nothing known", D, "queue_updates: 3m", "rules: [{when: ▸angr}]", 'did you mean "anger"?'),
    ("two rules about one thing", D, "queue_updates: 3m", "rules: [{when: anger}, ▸{when: anger}]", "two rules"),
    ("a rule's unknown text", D, "queue_updates: 3m", "rules: [{when: anger, text: ▸$soryy}]", "unknown text"),
    ("a rule's unknown team", D, "queue_updates: 3m", "rules: [{when: anger, team: ▸suport}]", 'did you mean "support"?'),
    ("a vip without a condition", D, "queue_updates: 3m", "rules: [▸{when: vip}]", '"if"'),
    ("a rule's words without a language", D, "queue_updates: 3m", "rules: [{when: safety, words: ▸{en: [gas]}}]", "nl"),
    ("an unknown team", "flows/handoff.yaml", "team: support", "team: ▸suport", 'did you mean "support"?'),
    ("an unknown priority", "flows/handoff.yaml", "priority: high", "priority: ▸hi", "priority"),
    ("a span that is none", "flows/handoff.yaml", "sla: 15m", "sla: ▸soon", "duration"),
    ("a language is missing", T, "helped_q: {en: Did that help?, nl: Heeft dat geholpen?}", "helped_q: ▸{en: Did that help?}", "nl"),
    ("a place without its other half", T, "{{ order.days }} dagen", "{{ order.days dagen", "{{"),
    ("a key twice", T, "no_l:", "▸yes_l:", "twice"),
    ("a key of the desk", D, "undo: 5s", "▸undoo: 5s", 'did you mean "undo"?'),
    ("a time zone", D, "Europe/Amsterdam", "▸Europe/Amsterdm", "zone"),
    ("opening hours", D, '{mon: "9:00-17:00"', '{mon: ▸"nine to five"', "9:00-17:00"),
    ("a day", D, "{mon:", "{▸mandag:", "unknown day"),
    ("a holiday", D, "2026-12-25", "▸2026-13-25", "2026-12-25"),
    ("a role", D, "role: agent", "role: ▸boss", "agent"),
    ("an agent's team", D, "team: support, role", "team: ▸suport, role", 'did you mean "support"?'),
    ("an address that is none", D, '"https://shop.example/api', '▸"shop.example/api', "http"),
    ("a secret's name", D, "${TOKEN}", "${to ken}", "${"),
    ("a table that is not there", D, "data/parcels.csv", "▸data/parcel.csv", "parcel.csv"),
    ("a table outside the folder", D, "data/parcels.csv", "▸../parcels.csv", ""),
    ("a table's key", D, "key: parcel}", "key: ▸parcl}", "parcl"),
    ("an interrupt's flow", D, "run: handoff", "run: ▸handof", 'did you mean "handoff"?'),
    ("no way to a human", D, "{id: human, run: handoff", "▸{id: human, do: escalate", "no path"),
    ("the survey's instrument", D, "instrument: ces7", "instrument: ▸ces9", "ces7"),
    ("the survey's quiet hours", D, '"21:00-08:00"', '▸"at night"', "21:00-08:00"),
    ("the schema's number", D, "schema: 1", "schema: ▸2", "schema"),
    ("an alias", D, "name: Plain shop", "name: ▸*shop", "alias"),
    ("a tag", D, "name: Plain shop", "name: ▸!!python/object:os.system x", "tag"),
    ("a tab", D, "agents:\n  -", "agents:\n▸\t-", ""),
    ("a bracket that never closes", D, "locales: [en, nl]", "locales: [en, nl", ""),
    ("front matter without a title", "knowledge/returns.en.md", "title: Returns\n", "", "title"),
    ("front matter that never ends", "knowledge/returns.en.md", "\n---\n", "\n", "the front matter never ends"),
    ("an unknown key in front matter", "knowledge/returns.en.md", "tags:", "▸tag:", 'did you mean "tags"?'),
    ("a test without a script", "tests/order.yaml", "  script:", "  ▸scrpt:", "script"),
]  # fmt: skip


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def place(text: str) -> tuple[int, int]:
    before = text[: text.index(HERE)]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def faults_of(folder: Path) -> list[str]:
    with pytest.raises(DeskFaults) as caught:
        load(folder)
    return [str(one) for one in caught.value.faults if one.severity == "fault"]


def test_the_plain_desk_has_no_fault(tmp_path: Path) -> None:
    desk = load(written(tmp_path, FILES))
    assert list(desk.flows) == ["handoff", "order"]
    assert [str(one) for one in desk.warnings] == []


@pytest.mark.parametrize(
    ("file", "old", "new", "message"), [one[1:] for one in MISTAKES], ids=[one[0] for one in MISTAKES]
)
def test_a_mistake_is_named_where_it_stands(tmp_path: Path, file: str, old: str, new: str, message: str) -> None:
    assert old in FILES[file], "the mistake must change the desk"
    marked = FILES[file].replace(old, new, 1)
    faults = faults_of(written(tmp_path, {**FILES, file: marked.replace(HERE, "")}))
    where = f"{tmp_path / file}:" + ("" if HERE not in marked else ":".join(map(str, place(marked))) + ":")
    assert any(one.startswith(where) and message in one for one in faults), f"{where} …{message}…\n" + "\n".join(faults)
    assert all("\n" not in one for one in faults)


def test_where_there_is_none_to_choose_from_none_is_listed(tmp_path: Path) -> None:
    """The misspelt `teams` is the fault; who then asks for a team is not shown an empty list."""
    faults = faults_of(written(tmp_path, {**FILES, D: DESK.replace("teams:", "teamz:", 1)}))
    assert any('did you mean "teams"?' in one for one in faults)
    assert any('unknown "' in one and one.endswith('"') for one in faults)
    assert not any(one.rstrip().endswith("known are") for one in faults)


def test_all_mistakes_of_all_files_are_told_in_one_pass(tmp_path: Path) -> None:
    broken = {
        D: DESK.replace("undo: 5s", "undoo: 5s").replace("role: agent", "role: boss"),
        FLOW: ORDER.replace("goto: late", "goto: lte"),
        T: TEXTS.replace(", nl: Heeft dat geholpen?", ""),
    }
    faults = faults_of(written(tmp_path, {**FILES, **broken}))
    for part in ("undoo", "boss", '"lte"', "nl"):
        assert any(part in one for one in faults), faults
    named = [(one.split(":")[0], int(one.split(":")[1])) for one in faults]
    assert named == sorted(named)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        (D, b"name: \xff\xfe"),
        (D, b""),
        (D, b"[" * 100_000),
        (D, b"{a: " * 5_000),
        (D, b"- 1\n"),
        (D, b"just words"),
        (D, b"a: 1\n---\nb: 2\n"),
        (D, b'name: "\x00"\n'),
        (D, b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"),
        (D, b"# " + b"x" * (1024 * 1024 + 1)),
        (FLOW, b"\xd7"),
        (T, b"{"),
        ("knowledge/returns.en.md", b"\xff"),
        ("knowledge/returns.en.md", b"---\ntitle: [\n---\n"),
        ("knowledge/returns.en.md", b"---\ntitle: never closed\n"),
        ("data/parcels.csv", b"\xff\xfe\x00"),
        ("data/parcels.csv", b""),
        ("tests/order.yaml", b"nothing"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_fault_and_never_a_crash(tmp_path: Path, file: str, content: bytes) -> None:
    written(tmp_path, FILES)
    (tmp_path / file).write_bytes(content)
    assert any(
        one.startswith(f"{tmp_path / (file if 'csv' not in file else D)}:") or file in one
        for one in faults_of(tmp_path)
    )


def test_no_folder_and_no_desk_yaml_are_one_clear_line_each(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "nowhere", tmp_path / "empty"):
        with pytest.raises(DeskFaults) as caught:
            load(folder)
        assert str(folder) in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1


def more_flow(name: str, steps: str, triggers: str = "") -> str:
    return f"schema: 1\nflow: {name}\nversion: 1\n{triggers}slots:\n  helped: {{type: text}}\nsteps:\n{steps}"


def test_the_same_words_in_two_flows_are_a_warning_at_the_second(tmp_path: Path) -> None:
    triggers = "triggers: {commands: [/order], phrases: {en: [hello, My  Order], nl: [hallo]}}\n"
    second = more_flow("parcel", "  - {id: late, say: $helped_q}\n", triggers)
    desk = load(written(tmp_path, {**FILES, "flows/parcel.yaml": second}))
    assert [str(one).removeprefix(f"{tmp_path}/") for one in desk.warnings] == [
        'flows/parcel.yaml:4:23: warning: the command "/order" starts the flow "order" already',
        'flows/parcel.yaml:4:54: warning: the phrase "My  Order" starts the flow "order" already',
    ]


def test_flows_that_run_each_other_without_a_question_are_a_fault_at_each_run(tmp_path: Path) -> None:
    circle = {
        "flows/a.yaml": more_flow("a", "  - {say: $helped_q}\n  - {run: b}\n"),
        "flows/b.yaml": more_flow("b", "  - {if: \"helped == 'x'\", run: a}\n"),
        "flows/c.yaml": more_flow("c", "  - {run: c}\n"),
    }
    faults = faults_of(written(tmp_path, {**FILES, **circle}))
    assert [one.removeprefix(f"{tmp_path}/").split(": a circle")[0] for one in faults] == [
        "flows/a.yaml:8:5", "flows/b.yaml:7:5", "flows/c.yaml:7:5",
    ]  # fmt: skip


def test_flows_that_run_each_other_and_ask_in_between_are_fine(tmp_path: Path) -> None:
    asking = {
        "flows/a.yaml": more_flow("a", "  - {id: q, ask: helped, text: $helped_q}\n  - {run: b}\n"),
        "flows/b.yaml": more_flow("b", "  - {run: a}\n"),
    }
    assert load(written(tmp_path, {**FILES, **asking})).warnings == ()


WARNINGS = [
    ("a step that nothing reaches", FLOW, "  - {id: to_human", "  - ▸{id: lost, say: $late, next: end}\n  - {id: to_human", "never reached"),
    ("one wording for all", FLOW, "say: $late", "say: ▸Late", "one wording"),
    ("a language that the desk does not speak", T, 'nl: "Ja"}', 'nl: "Ja", ▸fr: Oui}', '"fr"'),
]  # fmt: skip


@pytest.mark.parametrize(
    ("file", "old", "new", "message"), [one[1:] for one in WARNINGS], ids=[one[0] for one in WARNINGS]
)
def test_what_is_odd_but_works_is_a_warning(tmp_path: Path, file: str, old: str, new: str, message: str) -> None:
    marked = FILES[file].replace(old, new, 1)
    assert marked != FILES[file]
    desk = load(written(tmp_path, {**FILES, file: marked.replace(HERE, "")}))
    line, column = place(marked)
    [warning] = desk.warnings
    assert str(warning).startswith(f"{tmp_path / file}:{line}:{column}: warning: ")
    assert message in str(warning)


def test_one_mistake_makes_one_fault(tmp_path: Path) -> None:
    """A connector that is wrong is still a connector; without a readable desk.yaml nobody knows its languages."""
    wrong = DESK.replace("https://shop.example", "https://{{ order_no }}.example")
    assert len(faults_of(written(tmp_path / "a", {**FILES, D: wrong}))) == 1
    with pytest.raises(DeskFaults) as caught:
        load(written(tmp_path / "b", {**FILES, D: DESK.replace("[en, nl]", "[en, nl")}))
    assert len(caught.value.faults) == 1


def test_what_admins_wrote_is_quoted_in_one_line_of_bounded_length(tmp_path: Path) -> None:
    long = ORDER.replace("goto: late", 'goto: "l\\n\\e[31m' + "l" * 9_000 + '"')
    for fault in faults_of(written(tmp_path, {**FILES, FLOW: long, "flows/a\nb.yaml": "x: 1\n"})):
        assert fault.isprintable()
        assert len(fault) < 1500


def test_many_faults_are_told_soon(tmp_path: Path) -> None:
    """Suggestions for a thousand wrong targets cost no minutes (the fault cap, and a search that is not quadratic in words)."""
    steps = "".join(f"  - {{id: s{at}, goto: t{at}}}\n" for at in range(900))
    begun = time.process_time()
    faults = faults_of(written(tmp_path, {**FILES, "flows/x.yaml": f"schema: 1\nflow: x\nversion: 1\nsteps:\n{steps}"}))
    assert len(faults) == 900
    assert time.process_time() - begun < 5


def test_a_path_to_a_human_that_never_gets_there_is_told(tmp_path: Path) -> None:
    from tests.unit.flows_house import DESK, desk_of

    polite = "flow: polite\nsteps:\n  - {say: {en: No., he: לא.}}\n"
    made = desk_of(tmp_path / "no", polite, desk=DESK.replace("run: handoff", "run: polite"))
    (warning,) = made.warnings
    assert (warning.rule, warning.line) == ("no-human", 9)
    assert "never escalates" in warning.message
    indirect = polite + "  - {run: handoff}\n"
    assert desk_of(tmp_path / "yes", indirect, desk=DESK.replace("run: handoff", "run: polite")).warnings == ()


def test_more_buttons_and_longer_labels_than_a_channel_shows_are_told_with_their_place(tmp_path: Path) -> None:
    buttons = "".join(f"      - {{value: v{at}, label: Choice {at}}}\n" for at in range(102))
    long = "      - {value: x, label: " + "y" * 76 + "}\n"
    steps = f"  - id: q\n    ask: c\n    text: $helped_q\n    options:\n{long}{buttons}"
    flow = f"schema: 1\nflow: many\nversion: 1\nslots: {{c: {{type: choice}}}}\nsteps:\n{steps}"
    made = load(written(tmp_path, {**FILES, "flows/many.yaml": flow}))
    told = [(one.line, one.message) for one in made.warnings if one.rule == "length"]
    assert told[0] == (10, "label: 76 characters in en; more than 75 are too long for a channel")
    assert told[-1] == (110, "options: 103 buttons; Telegram shows 100, from here on they can only be typed")
