"""YAML as admins mean it: what they write stays what they wrote, and every mistake has its place."""

from __future__ import annotations

import pytest

from bot.flows.source import Faults, Node, Reader, read, seconds


def node_of(text: str) -> Node:
    faults = Faults()
    node = read("a.yaml", text, faults)
    assert faults.found == []
    assert node is not None
    return node


def faults_of(text: str) -> list[str]:
    faults = Faults()
    read("a.yaml", text, faults)
    return [str(fault) for fault in faults.found]


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("12:30", "12:30"),
        ("2026-01-01", "2026-01-01"),
        ("0123", 123),
        ("1_000", "1_000"),
        ("0o17", 15),
        ("0x1f", 31),
        ("12", 12),
        ("-3", -3),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".inf", ".inf"),
        ("1e999", "1e999"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("'12'", "12"),
        ('"true"', "true"),
        ("! 12", "12"),
        ("9" * 400, "9" * 400),
    ],
)
def test_scalars_follow_yaml_1_2(written: str, means: object) -> None:
    value = node_of(f"key: {written}").entries["key"].value
    assert value == means
    assert type(value) is type(means)


def test_a_text_stays_as_it_was_written() -> None:
    faults = Faults()
    reader = Reader("a.yaml", faults)
    node = node_of("{a: 0123, b: no, c: 1.50}")
    assert [reader.text(one, "x") for one in node.entries.values()] == ["0123", "no", "1.50"]
    assert faults.found == []


def test_the_norwegian_key_is_a_key() -> None:
    assert list(node_of("no: hei").entries) == ["no"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: 1\nb: 2\na: 3\n", 'a.yaml:3:1: the key "a" stands here twice; the first is in line 1'),
        ("a: &x 1\nb: *x\n", 'a.yaml:2:4: aliases are not allowed ("*x"); write the value out'),
        ("a: !!python/object:os.system x\n", "a.yaml:1:4: tags are not allowed"),
        ("a: [1, 2\nb: 3\n", "a.yaml:2:"),
        ("a: 1\n---\nb: 2\n", "a.yaml:2:1: a second document"),
        ("? [a]\n: 1\n", "a.yaml:1:3: a key must be a word"),
        ("a:\n\t- b\n", "a.yaml:2:1: not valid YAML"),
    ],
)
def test_what_yaml_forgives_is_a_fault_with_its_place(text: str, fault: str) -> None:
    assert faults_of(text)[0].startswith(fault)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "title: Helmets: all\n",
            '1:15: not valid YAML: a colon where no key can stand: put quotes around a text with ": "',
        ),
        ("é: 1\nsteps:\n\t- {say: x}\n", "3:1: not valid YAML: a tab; indent with spaces"),
        ("a: @ann\n", '1:4: not valid YAML: a text that begins with "@" needs quotes'),
        ('a: 1\nb: "open\nc: 2\n', "4:1: not valid YAML: the quote of line 2 is never closed"),
        (
            "steps: [\n  {say: hi}\n  {say: ho}\n]\n",
            "3:3: not valid YAML: the bracket of line 1 is not closed before this",
        ),
        ("teams:\n  - {id: a}\n  b: 1\n", "3:3: not valid YAML: the list of line 2 goes on here without a -"),
        ("a: 'don't'\n", "1:9: not valid YAML: something is left over here"),
        ('a: "C:\\shop"\n', "1:7: not valid YAML: within double quotes a \\ is written \\\\"),
    ],
)
def test_who_knows_no_yaml_is_told_what_to_mend(text: str, fault: str) -> None:
    assert faults_of(text)[0].startswith(f"a.yaml:{fault}")


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 5000, "- " * 5000 + "x", "a: " + "&x [" * 60])
def test_a_pile_of_brackets_is_refused_and_exhausts_nothing(text: str) -> None:
    assert "levels deep" in faults_of(text)[-1] or "not valid YAML" in faults_of(text)[-1]


def test_a_bomb_of_aliases_does_not_grow() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{two}: &{two} [*{one}, *{one}]\n" for one, two in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert all("aliases are not allowed" in fault for fault in faults_of(bomb))


@pytest.mark.parametrize(
    ("written", "span"),
    [
        ("30s", 30),
        ("5m", 300),
        ("2h", 7200),
        ("1d", 86400),
        ("1w", 604800),
        ("90", 90),
        ("1.5h", None),
        ("soon", None),
        ("-5m", None),
        ("", None),
    ],
)
def test_durations(written: str, span: int | None) -> None:
    assert seconds(written) == span
