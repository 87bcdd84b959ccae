"""What admins' files, customers and other systems may hold against the bot: refused or cut by rule, in one clear line, and
nothing that runs is disturbed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from bot import flows
from bot.desk_folder.load import DeskFaults, load
from bot.desk_folder.watch import DeskInForce
from bot.flows.expressions import compiled_pattern
from bot.flows.source import MAX_BYTES
from tests.unit.flows_house import DESK, Customer, desk_of

FLOW = """\
flow: order
triggers: {phrases: {en: [order], he: [הזמנה]}}
slots: {no: {type: text}, order: {type: object}}
steps:
  - {id: q_no, ask: no, text: {en: "Which one, {{ customer.name }}?", he: "איזו?"}}
  - {id: look, call: shop.get, with: {order_no: "{{ no }}"}, save: order, on: {404: gone, timeout: gone, error: gone}}
  - branch: [{if: "order.status == 'sent' and order.amount > 5", goto: sent}, {else: odd}]
  - {id: sent, say: {en: "Sent: {{ order.note }}.", he: "נשלח"}, next: end}
  - {id: odd, say: {en: "Odd: {{ order.status }}.", he: "מוזר"}, next: end}
  - {id: gone, say: {en: "Gone.", he: "אין"}}
"""
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
)


@pytest.mark.parametrize(
    ("why", "content", "says"),
    [
        ("a bomb of aliases", BOMB, "aliases are not allowed"),
        ("an alias", "schema: 1\nname: &n Shop\ntitle: *n\n", "aliases are not allowed"),
        ("a merge key", "base: &b {a: 1}\nschema: 1\nname: {<<: *b}\n", "aliases are not allowed"),
        ("a key twice", "schema: 1\nname: A\nname: B\n", 'the key "name" stands here twice'),
        ("a tag that makes objects", "schema: 1\nname: !!python/object/apply:os.system [ls]\n", "tags are not allowed"),
        ("10 MB", "# " + "x" * (10 * MAX_BYTES), f"at most {MAX_BYTES} are read"),
        ("a pile of brackets", "[" * 50_000, "levels deep"),
        ("a pile of keys", "".join(f"k{n}: 1\n" for n in range(10_000)), "unknown key"),
        ("no YAML", "name: [", "not valid YAML"),
        ("bytes", "name: \x00\x01", "null byte"),
    ],
)
def test_a_hostile_file_is_refused_soon_and_in_one_line_each(tmp_path: Path, why: str, content: str, says: str) -> None:
    (tmp_path / "desk.yaml").write_text(content, encoding="utf-8")
    began = time.process_time()
    with pytest.raises(DeskFaults) as caught:
        load(tmp_path)
    assert time.process_time() - began < 10
    lines = [str(one) for one in caught.value.faults]
    assert any(says in line for line in lines), lines[:3]
    assert all(line.startswith(str(tmp_path)) and len(line) < 1500 and "\n" not in line for line in lines)
    assert len(lines) <= 1001


async def test_a_hostile_change_disturbs_nothing_that_runs(tmp_path: Path) -> None:
    desk_of(tmp_path, FLOW)
    rules = DeskInForce(tmp_path)
    before = rules.desk
    customer = Customer(before)
    customer.says("order")
    for content in (BOMB, "# " + "x" * (2 * MAX_BYTES), "a: 1\na: 2\n"):
        (tmp_path / "flows" / "own0.yaml").write_text(content, encoding="utf-8")
        assert not await rules.reload()
        assert rules.faults
        assert rules.desk is before
    customer.desk = rules.desk
    customer.says("A1")
    assert customer.only(flows.Call).connector == "shop.get"


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|aa)+$", "^(.*a){20}$", "(x+x+)+y", r"^(\d+)*[A-Z]$"])
def test_a_hostile_pattern_runs_in_linear_time_or_is_refused(pattern: str) -> None:
    try:
        compiled = compiled_pattern(pattern)
    except ValueError:
        return
    began = time.process_time()
    compiled.search("a" * 10_000 + "!")
    compiled.search("x" * 10_000)
    assert time.process_time() - began < 1


@pytest.mark.parametrize("pattern", ["(?<=a)b", r"(a)\1", "a{1,100000}", "(", "[z-a]", "x" * 5_000])
def test_a_pattern_that_re2_does_not_take_is_a_fault_with_its_place(tmp_path: Path, pattern: str) -> None:
    quoted = pattern.replace("'", "''")
    with pytest.raises(DeskFaults) as caught:
        desk_of(tmp_path, FLOW.replace("no: {type: text}", f"no: {{type: text, pattern: '{quoted}'}}"))
    assert any("own0.yaml:5:" in str(one) and one.rule == "pattern" for one in caught.value.faults)


INJECTED = (
    "{{ customer.secret }}", "{{ 7*7 }}", "{% for x in y %}", "{x.__class__.__mro__}", "%s%n", "${TOKEN}", "<%= 1 %>",
    "<!channel> <@U1>", "[link](https://evil.example)", "**bold** `code`", "<script>alert(1)</script>", "\u202egnp.exe",
)  # fmt: skip


@pytest.mark.parametrize("name", INJECTED)
def test_a_customers_name_and_answer_are_words_and_never_a_template(tmp_path: Path, name: str) -> None:
    known = {"name": name, "secret": "HIDDEN"}
    customer = Customer(desk_of(tmp_path, FLOW), customer=known)
    (asked,) = customer.says("order")
    customer.says(name)
    call = customer.only(flows.Call)
    assert call.values == {"order_no": name.strip()}
    (told,) = customer.take(flows.CallDone(call.token, "ok", {"status": "sent", "amount": 9, "note": name}))
    for text in (asked, told):
        assert "HIDDEN" not in text
        assert "49" not in text
        plain = text.replace("\\", "")
        assert " ".join(name.split()) in plain
        if name.startswith(("[", "*", "<")):
            assert name not in text, "markup is escaped"


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        ["sent"],
        {},
        {"status": None},
        {"status": ["sent"], "amount": "lots"},
        {"status": {"deep": {"deeper": 1}}, "amount": {}},
        {"status": "sent", "amount": "9"},
        {"status": 5, "amount": 10**300},
        {"status": "x" * 1_000_000, "amount": -1},
        {str(n): n for n in range(5_000)},
    ],
    ids=lambda value: repr(value)[:30],
)
def test_an_answer_of_the_wrong_type_is_no_end_of_the_talk(tmp_path: Path, value: Any) -> None:
    customer = Customer(desk_of(tmp_path, FLOW))
    customer.says("order")
    customer.says("A1")
    (told,) = customer.take(flows.CallDone(customer.state.call_token, "ok", value))
    assert told.startswith("Odd: ")
    assert len(told) < 5_000
    assert customer.state.frames == ()


@pytest.mark.parametrize("value", ["just text", 17, True])
def test_an_answer_that_is_no_object_at_all_goes_the_way_of_errors(tmp_path: Path, value: Any) -> None:
    customer = Customer(desk_of(tmp_path, FLOW))
    customer.says("order")
    customer.says("A1")
    assert customer.take(flows.CallDone(customer.state.call_token, "ok", value)) == ["Gone."]


def test_a_desk_that_names_its_own_host_in_a_place_is_refused(tmp_path: Path) -> None:
    bad = DESK.replace("https://shop.example/{{ order_no }}", "https://{{ order_no }}.example/")
    with pytest.raises(DeskFaults, match="written out"):
        desk_of(tmp_path, FLOW, desk=bad)
