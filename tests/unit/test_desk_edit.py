"""A value is changed in its place: every other byte of the file stays, and the value reads as it was given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.desk_folder import DEMO_DESK
from bot.desk_folder.edit import CannotEdit, append, change, change_list, remove
from bot.flows.source import Faults, Node, read

LOCALES = ("en", "nl", "nb", "he")


def loaded(raw: bytes) -> Any:
    """As another reader of YAML sees it: every scalar a string."""
    return yaml.load(raw.decode("utf-8-sig"), Loader=yaml.BaseLoader)


# ── any file, any value ──

WORDS = st.text("abc xyzæø שלום 0123'\"\\#:,-{}[]|>&*!%@`?\n\t\r\x85\u2028\u200f\u202e\U0001f600~=", max_size=30)
PLAIN = st.text("abcdøשלום 12", min_size=1, max_size=12).map(str.strip).filter(lambda text: text and text not in "~12")
LINES = st.lists(PLAIN, min_size=1, max_size=3).map("\n".join)


def quoted(text: str) -> str:
    return '"' + "".join(char if char.isalnum() else f"\\U{ord(char):08x}" for char in text) + '"'


STYLES = {
    '"': (WORDS, lambda text, pad: quoted(text)),
    "'": (PLAIN, lambda text, pad: f"'{text}'"),
    "": (PLAIN, lambda text, pad: text),
    "|": (LINES, lambda text, pad: "|-  # so\n" + "\n".join(pad + line for line in text.split("\n"))),
    ">": (PLAIN, lambda text, pad: f">-\n{pad}{text}\n"),
}


@st.composite
def files(draw: st.DrawFn) -> tuple[str, list[tuple[str, str]], dict[tuple[str, str], tuple[int, int]]]:
    """A file of texts with comments, blank lines and all styles; its cells, and where each of them stands."""
    text, where = draw(st.sampled_from(["", "# texts\n\n"])), {}
    for key in draw(st.lists(st.sampled_from(["a", "b.c", "order_q", "שלום"]), min_size=1, max_size=4, unique=True)):
        flow = draw(st.booleans())
        text += f"{key}: {{" if flow else f"{key}:{draw(st.sampled_from(['', '  # of the shop']))}\n"
        locales = draw(st.lists(st.sampled_from(LOCALES), min_size=1, max_size=4, unique=True))
        for at, locale in enumerate(locales):
            style = draw(st.sampled_from(['"', "'", ""] if flow else list(STYLES)))
            value = draw(STYLES[style][0])
            text += (
                (", " if at else "") + f"{locale}: " if flow else f"  {locale}:{draw(st.sampled_from([' ', '   ']))}"
            )
            start = len(text)
            text += STYLES[style][1](value, "     ")
            where[key, locale] = start, len(text.rstrip("\n") if style == ">" else text)
            if not flow:
                text += (
                    "\n" if style in "|>" else draw(st.sampled_from(["\n", "  \n", "  # a remark, with: colon\n\n"]))
                )
        text += "}\n" if flow else ""
    text += draw(st.sampled_from(["", "\n\n", "# the end"]))
    return text, list(where), where


@given(files(), st.data(), WORDS, st.booleans(), st.booleans())
@settings(max_examples=80, deadline=None)
def test_whatever_the_file_and_the_value_only_this_value_changes(
    made: Any, data: st.DataObject, value: str, crlf: bool, bom: bool
) -> None:
    text, cells, where = made
    key, locale = data.draw(st.sampled_from(cells))
    start, end = where[key, locale]
    ends = "\r\n" if crlf else "\n"
    before, after = (part.replace("\n", ends).encode() for part in (text[:start], text[end:]))
    mark = b"\xef\xbb\xbf" if bom else b""
    raw = mark + before + text[start:end].replace("\n", ends).encode() + after

    now = change(raw, (key, locale), value)

    assert now.startswith(mark + before)
    assert now.endswith(after)
    expected = loaded(raw)
    expected[key][locale] = value
    assert loaded(now) == expected


@given(files(), st.data(), WORDS)
@settings(max_examples=80, deadline=None)
def test_a_language_that_is_missing_is_added_and_taken_away_without_a_trace(
    made: Any, data: st.DataObject, value: str
) -> None:
    text, cells, _ = made
    raw = text.encode()
    key = data.draw(st.sampled_from([key for key, _ in cells]))
    locale = data.draw(st.sampled_from([*(one for one in LOCALES if (key, one) not in cells), "de"]))

    now = change(raw, (key, locale), value)

    expected = loaded(raw)
    expected[key][locale] = value
    assert loaded(now) == expected
    back = remove(now, (key, locale))
    assert back in (raw, raw + b"\n")  # a last line that had no end has one


# ── what files look like ──


@pytest.mark.parametrize(
    ("before", "place", "value", "after"),
    [
        ("a: {en: Hi, nl: Hoi}  # said first\n", "a.nl", "Dag", "a: {en: Hi, nl: Dag}  # said first\n"),
        ("a: {en: Hi, nl: Hoi}\n", "a.nl", "Dag, jij", 'a: {en: Hi, nl: "Dag, jij"}\n'),
        ("a:\n  en: 'It''s'\n", "a.en", "Isn't it", "a:\n  en: 'Isn''t it'\n"),
        ('a:\n  he: "שלום"\n', "a.he", 'אמר "כן"', 'a:\n  he: "אמר \\"כן\\""\n'),
        ("a: x\n   y  # two lines\nb: 1\n", "a", "z", "a: z  # two lines\nb: 1\n"),
        ("a: |\n    one\n    two\n\n# next\nb: x\n", "a", "un\ndeux\n", "a: |\n    un\n    deux\n\n# next\nb: x\n"),
        ("a: >-\n  one\n  two\nb: x\n", "a", "un\ndeux", "a: >-\n  un\n\n  deux\nb: x\n"),
        ("a: {en: Hi}\r\nb: 1\r\n", "a.en", "Hello", "a: {en: Hello}\r\nb: 1\r\n"),
        ("a: {en: Hi}", "a.nl", "Hoi", 'a: {en: Hi, nl: "Hoi"}'),
        ("a: {en: Hi,}\n", "a.nl", "Hoi", 'a: {en: Hi, nl: "Hoi",}\n'),
        ("a:\n  en: Hi  # c\n\nb: 1\n", "a.nl", "Hoi", 'a:\n  en: Hi  # c\n  nl: "Hoi"\n\nb: 1\n'),
        ("a:\n  en: Hi", "a.nl", "Hoi", 'a:\n  en: Hi\n  nl: "Hoi"\n'),
        ("a: {}\n", "a.nl", "Hoi", 'a: {nl: "Hoi"}\n'),
        ("a:\nb: 1\n", "a.nl", "Hoi", 'a: {nl: "Hoi"}\nb: 1\n'),
        ("# my texts\na: {en: Hi}\n", "b.en", "Ho", '# my texts\na: {en: Hi}\nb:\n  en: "Ho"\n'),
        ("# none yet\n", "b.en", "Ho", '# none yet\nb:\n  en: "Ho"\n'),
        ("", "b.en", "Ho", 'b:\n  en: "Ho"\n'),
        ("a: yes it is\n", "a", "yes", 'a: "yes"\n'),
        ("a: one\n", "a", "12", 'a: "12"\n'),
        ("a: one\n", "a", "", 'a: ""\n'),
        ("a: one\n", "a", "x\n{{ y }}", 'a: "x\\n{{ y }}"\n'),
    ],
)
def test_the_style_that_stands_there_stays(before: str, place: str, value: str, after: str) -> None:
    assert change(before.encode(), place.split("."), value) == after.encode()


@pytest.mark.parametrize(
    ("before", "place", "after"),
    [
        ("a: {en: Hi, nl: Hoi, nb: Hei}\n", ("a", "nl"), "a: {en: Hi, nb: Hei}\n"),
        ("a: {en: Hi, nl: Hoi}\n", ("a", "en"), "a: {nl: Hoi}\n"),
        ("a:\n  en: Hi\n  nl: Hoi # x\nb: 1\n", ("a", "nl"), "a:\n  en: Hi\nb: 1\n"),
        ("a:\n  en: Hi\n# of b\nb: 1\n", ("a", "en"), "# of b\nb: 1\n"),
        ("a: |\n  one\n  two\nb: 1\n", ("a",), "b: 1\n"),
        ("a:\n  - x\n  - y  # why\n  - z\n", ("a", 1), "a:\n  - x\n  - z\n"),
        ("a: [x, y, z]\n", ("a", 0), "a: [y, z]\n"),
    ],
)
def test_what_is_removed_takes_only_its_own_line(before: str, place: Any, after: str) -> None:
    assert remove(before.encode(), place) == after.encode()


LIST = "title: t  # shown\nquestions:\n  - one  # best\n  - two\n  - 'three'\nlocale: en\n"


@pytest.mark.parametrize(
    ("values", "after"),
    [
        (["one", "two", "three"], LIST),
        (["one", "three"], LIST.replace("  - two\n", "")),
        (["one", "2", "three"], LIST.replace("- two", '- "2"')),
        (["zero", "one", "two", "three"], LIST.replace("  - one", "  - zero\n  - one")),
        (["one", "two", "three", "four?"], LIST.replace("'three'\n", "'three'\n  - four?\n")),
        ([], "title: t  # shown\nlocale: en\n"),
    ],
)
def test_a_list_keeps_the_lines_that_stay(values: list[str], after: str) -> None:
    assert change_list(LIST.encode(), ("questions",), values) == after.encode()


@given(
    st.lists(PLAIN | WORDS.filter(str.strip), min_size=1, max_size=4),
    st.lists(PLAIN | WORDS.filter(str.strip), max_size=4),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_any_list_becomes_any_other(old: list[str], new: list[str], flow: bool) -> None:
    items = [quoted(one) for one in old]
    body = f" [{', '.join(items)}]\n" if flow else "\n" + "".join(f"  - {one}\n" for one in items)
    raw = f"a: 1 # x\nb:{body}c: 2\n".encode()
    now = change_list(raw, ("b",), new)
    assert loaded(now) == {"a": "1", "c": "2"} | ({"b": new} if new else {})
    assert b"a: 1 # x\n" in now


def test_a_list_that_is_missing_is_added() -> None:
    assert change_list(b"title: t\n", ("tags",), ["a", "b c"]) == b"title: t\ntags: [a, b c]\n"


def test_a_test_is_written_behind_the_others() -> None:
    assert append(b"- test: a\n  # so\n", "- test: b\n") == b"- test: a\n  # so\n- test: b\n"
    assert append(b"- test: a", "- test: b\n") == b"- test: a\n- test: b\n"
    assert append(b"# tests\n", "- test: b\n") == b"# tests\n- test: b\n"
    assert append(b"- test: a\r\n", "- test: b\n") == b"- test: a\r\n- test: b\r\n"
    for other in (b"a: 1\n", b"[a]\n"):
        with pytest.raises(CannotEdit):
            append(other, "- test: b\n")


@pytest.mark.parametrize(
    ("raw", "place", "why"),
    [
        (b"a: [x\n", ("a",), "not valid YAML"),
        (b"a: *x\n", ("a",), "aliases are not allowed"),
        (b"a: 1\na: 2\n", ("a",), "twice"),
        (b"a: \xff\n", ("a",), "not UTF-8"),
        (b"a: {b: 1}\n", ("a",), "not a single value"),
        (b"a: [x]\n", ("a", 3), "nothing at a.3"),
        (b"a: x\n", ("a", "b"), "no keys"),
    ],
)
def test_what_cannot_be_changed_alone_is_refused_in_one_line(raw: bytes, place: Any, why: str) -> None:
    with pytest.raises(CannotEdit) as refused:
        change(raw, place, "new")
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_value_that_no_file_can_hold_is_refused() -> None:
    with pytest.raises(CannotEdit):
        change(b"a: x\n", ("a",), "\ud800")


def scalars(node: Node, place: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], Node]]:
    if node.kind == "scalar":
        return [(place, node)]
    children = node.entries.items() if node.kind == "map" else enumerate(node.items)
    return [found for part, child in children for found in scalars(child, (*place, part))]


@pytest.mark.parametrize("file", sorted(DEMO_DESK.rglob("*.yaml")), ids=lambda file: file.name)
def test_every_text_of_the_demo_desk_can_be_rewritten_in_place(file: Path) -> None:
    raw = file.read_bytes()
    root = read(file.name, raw.decode(), Faults())
    assert root is not None
    texts = [(place, node) for place, node in scalars(root) if isinstance(node.value, str)]
    assert texts
    for place, node in texts[:: max(1, len(texts) // 25)]:
        words = "אחר: “other” #1"
        now = change(raw, place, words).decode()
        assert now[: node.start] == raw.decode()[: node.start]
        assert now.endswith(
            raw.decode()[node.end :].lstrip("\n") if node.style in "|>" and node.style else raw.decode()[node.end :]
        )
        assert (
            change(now.encode(), place, node.raw).decode().split("\n")[: node.line - 1]
            == raw.decode().split("\n")[: node.line - 1]
        )
