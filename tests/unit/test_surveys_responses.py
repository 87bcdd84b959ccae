"""Answers as CSV: taken whole or refused by line, and nothing in it runs as a formula."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from surveys.responses import (
    AHEAD,
    COLUMNS,
    FORMULA_STARTS,
    FeedbackRow,
    Refusal,
    ResponseRow,
    from_cell,
    parse,
    render,
    to_cell,
)

HEAD = ",".join(COLUMNS)
NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)
ROW = "r1,ces7,6,good,2026-03-01T14:05:00+01:00,web,ann,support,delivery,no"


def test_a_file_becomes_rows() -> None:
    rows, refusals = parse(f"{HEAD},plan\n{ROW},gold\n".encode(), NOW)
    assert refusals == []
    (row,) = rows
    assert replace(row, id="") == ResponseRow(
        "ces7",
        6,
        datetime(2026, 3, 1, 13, 5, tzinfo=UTC),
        respondent="r1",
        comment="good",
        channel="web",
        agent="ann",
        team="support",
        topic="delivery",
        locale="nb",
        extra={"plan": "gold"},
    )


def test_only_instrument_score_and_time_are_needed_in_any_order() -> None:
    rows, refusals = parse("\ufefftime;score;instrument\r\n2026-03-01;0;nps\r\n".encode(), NOW)
    assert refusals == []
    assert isinstance(rows[0], ResponseRow)
    assert (rows[0].score, rows[0].at) == (0, datetime(2026, 3, 1, tzinfo=UTC))


def test_every_bad_row_is_told_by_the_line_it_begins_on_and_nothing_is_taken() -> None:
    lines = [
        HEAD,
        ROW,
        'r2,ces7,7,"two\nlines",2026-03-01,,,,,',
        "r3,ces7,8,,2026-03-01,,,,,",
        "",
        "r4,ces9,5,,2026-03-01,,,,,",
        "r5,csat5,4,,yesterday,,,,,",
        "r6,csat5,4",
        "r7,csat5,4.5,,2026-03-01,,,,,",
        "r8,nps,,,2026-03-01,,,,,",
    ]
    rows, refusals = parse("\n".join(lines).encode(), NOW)
    assert rows == []
    assert refusals == [
        Refusal(5, 'score "8" is not a whole number from 1 to 7, the scale of ces7'),
        Refusal(7, 'unknown instrument "ces9": use one of ces7, ces7_statement, csat5, csat2, nps'),
        Refusal(8, 'time "yesterday" is not ISO 8601; write 2026-03-01T14:05:00Z'),
        Refusal(9, "3 fields where the first line names 10 columns"),
        Refusal(10, 'score "4.5" is not a whole number from 1 to 5, the scale of csat5'),
        Refusal(11, 'score "" is not a whole number from 0 to 10, the scale of nps'),
    ]


@pytest.mark.parametrize(
    ("raw", "line", "why"),
    [
        (b"", 1, "empty"),
        (b"\n\n", 1, "empty"),
        (b"instrument,score\nces7,5\n", 1, 'no column "time"'),
        (b"instrument,score,time,score\n", 1, 'column "score" stands twice'),
        (b"instrument,score,time,comment\nces7,5,2026-03-01,caf\xe9\n", 2, "UTF-8"),
        ("instrument,score,time\nces7,5,2026-03-01\n".encode("utf-16"), 1, "UTF-8"),
        ("instrument,score,time\nces7,5,2026-03-01\n".encode("utf-16-le"), 1, "UTF-8"),
        (b"instrument,score,time\nces7,5,0001-01-01T00:00:00+23:00\n", 2, "ISO 8601"),
        (b"instrument,score,time\nces7,5,9999-12-31T23:00:00-23:00\n", 2, "ISO 8601"),
        (b"instrument,score,time\nces7,5,0202-03-01\n", 2, "lies before 1970 or after 2199"),
        (b"instrument,score,time\nces7,5,9999-12-31T22:59:59Z\n", 2, "lies before 1970 or after 2199"),
        (b"instrument,score,time\nces7,5,2026-03-01\nces7,5,2026-03-09T12:05:01Z\n", 3, "is still to come"),
        (
            b"source,comment,time\nforum,fine,2026-03-10\n",
            2,
            "is still to come; without an offset such as +01:00 it is",
        ),
        (b"instrument,score,time\nces7,7 items are missing,2026-03-01\n", 2, "whole number from 1 to 7"),
        (b'instrument,score,time\nces7,5,"2026-03-01\n', 2, "not CSV"),
        (b"instrument,score,time,comment\nces7,5,2026-03-01,a\0b\n", 2, "NUL"),
    ],
)
def test_a_file_that_is_no_table_is_told_where(raw: bytes, line: int, why: str) -> None:
    rows, refusals = parse(raw, NOW)
    assert rows == []
    assert refusals[0].line == line
    assert why in refusals[0].why


def test_another_clock_may_be_a_little_ahead_of_ours() -> None:
    raw = b"instrument,score,time\nces7,5,2026-03-09T12:05:00Z\nces7,5,2026-03-09T13:05:00+01:00\n"
    rows, refusals = parse(raw, NOW)
    assert ([row.at for row in rows], refusals) == ([NOW + AHEAD, NOW + AHEAD], [])


def test_the_same_file_twice_has_the_same_ids_and_equal_rows_have_their_own() -> None:
    raw = b"instrument,score,time\nces7,5,2026-03-01\nces7,5,2026-03-01\n"  # nobody knows who: both count
    first, second = parse(raw, NOW)[0], parse(raw, NOW)[0]
    assert [row.id for row in first] == [row.id for row in second]
    assert first[0].id != first[1].id


@pytest.mark.parametrize("start", [*"=+-@\t\r\n\0", *"＝＋－＠"])  # what spreadsheets run, wide forms too
def test_no_cell_runs_as_a_formula(start: str) -> None:
    assert start in FORMULA_STARTS
    row = ResponseRow(
        "ces7", 3, datetime(2026, 3, 1, tzinfo=UTC), comment=f"{start}HYPERLINK(1)", extra={f"{start}x": start}
    )
    for record in csv.reader(io.StringIO(render([row]), newline="")):
        assert not any(cell.startswith(FORMULA_STARTS) for cell in record)


@given(st.text())
@example("''=1+1")
def test_guarding_a_cell_loses_nothing(text: str) -> None:
    assert from_cell(to_cell(text)) == text
    assert not to_cell(text).startswith(FORMULA_STARTS)


words = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20).map(str.strip)


@given(
    st.lists(
        st.builds(
            ResponseRow,
            instrument=st.just("ces7"),
            score=st.integers(1, 7),
            at=st.datetimes(datetime(1970, 1, 1), datetime(2026, 3, 9), timezones=st.just(UTC)),
            comment=st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0")).map(
                lambda text: text or None
            ),
            respondent=words.map(lambda text: text or None),
            topic=words.map(lambda text: text or None),
            extra=st.dictionaries(st.sampled_from(["plan", "=sum"]), words.filter(bool)),
        ),
        max_size=6,
        unique_by=lambda row: (row.respondent, row.at) if row.respondent else id(row),
    )
)
def test_what_is_exported_can_be_imported_unchanged(rows: list[ResponseRow]) -> None:
    read, refusals = parse(render(rows).encode(), NOW)
    assert refusals == []
    assert [replace(row, id="") for row in read] == rows


def test_one_answer_that_stands_there_twice_is_refused_with_both_lines() -> None:
    rows, refusals = parse(f"{HEAD}\n{ROW}\n\n{ROW}\n".encode(), NOW)
    assert rows == []
    assert refusals == [Refusal(4, "the same respondent, instrument and time as line 2")]


def test_what_was_said_elsewhere_comes_with_its_source_and_needs_no_score() -> None:
    raw = (
        b"respondent,instrument,score,comment,time,source,mode\n"
        b"kari,nps,3,slow,2026-03-01,partner shop,phone\n"
        b"ola,,,the app is fine,2026-03-02,forum,\n"
    )
    scored, said = parse(raw, NOW)[0]
    assert isinstance(scored, ResponseRow)
    assert (scored.score, scored.source, scored.mode, scored.extra) == (3, "partner shop", "phone", {})
    assert isinstance(said, FeedbackRow)
    assert (said.comment, said.source, said.mode) == ("the app is fine", "forum", None)
    again = parse(render([scored, said]).encode(), NOW)[0]
    assert [row.id for row in again] == [scored.id, said.id]


@pytest.mark.parametrize(
    ("raw", "line", "why"),
    [
        ("comment,time,source\n,2026-03-01,forum\n", 2, "needs a comment"),
        ("comment,time,source\nfine,soon,forum\n", 2, "not ISO 8601"),
        ("comment,source\nfine,forum\n", 1, 'no column "time"'),
        ("respondent,grade\nkari,3\n", 1, 'no column "instrument"'),
        ("instrument,score,time,source\nces7,,2026-03-01,forum\n", 2, "not a whole number from 1 to 7"),
        ("instrument,score,time,source\n,5,2026-03-01,forum\n", 2, "unknown instrument"),
        ("instrument,score,time\nces7,7 items are missing,2026-03-01\n", 2, "not a whole number"),
    ],
)
def test_a_row_that_is_neither_is_refused_with_its_line(raw: str, line: int, why: str) -> None:
    rows, refusals = parse(raw.encode(), NOW)
    assert rows == []
    assert (refusals[0].line, why in refusals[0].why) == (line, True)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "cp1255", "latin-1"])
def test_another_encoding_is_refused_with_the_line(encoding: str) -> None:
    text = "instrument,score,time,comment\nces7,5,2026-03-01,fine\nces7,5,2026-03-02,"
    text += "תודה" if encoding == "cp1255" else "løst"
    rows, refusals = parse(text.encode(encoding), NOW)
    assert rows == []
    assert refusals[0].line == {"utf-16": 1, "utf-16-le": refusals[0].line}.get(encoding, 3)
