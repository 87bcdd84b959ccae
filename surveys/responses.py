"""Survey answers as a CSV file: `stafett responses import` and `export`.

What lives here: text in, rows or line-exact refusals out, and back. What it must not know: the database.

Decisions. All or nothing: one refused row refuses the file, and every refused row is told. `time` without an
offset is read as UTC. Columns may stand in any order; all but `instrument`, `score` and `time` may be missing;
further columns are kept as custom fields. `source` (where a row comes from: a forum, another tool) and `mode` (`phone`,
`in_person` …: how it was asked) are two of our own. A row without instrument and score is what somebody said elsewhere,
and needs `source` and `comment` (surveys/outside). Two rows of one respondent, instrument and time are one answer that
stands there twice: refused. The same file again adds nothing: ids are made of the content. A semicolon separates where the
header has one and no comma (Excel in much of Europe). A time to come is refused: nobody has answered then. Texts that a
spreadsheet would run as a formula get a leading apostrophe when written, and lose it when read.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.texts import canonical
from surveys.survey import INSTRUMENTS, instrument

COLUMNS = ("respondent", "instrument", "score", "comment", "time", "channel", "agent", "team", "topic", "locale")
REQUIRED = ("instrument", "score", "time")
WITHOUT_SCORE = ("source", "comment", "time")
OURS = ("source", "mode")
"""Further columns that are no custom fields."""
UNNAMED = "import"
"""The source of a row that names none."""
FIRST_YEAR, LAST_YEAR = 1970, 2199
"""An answer, or any day that somebody types, of another year is a slip of the finger: 0202 for 2026."""
AHEAD = timedelta(minutes=5)
"""So far another clock may be ahead of ours."""
NOT_UTF8 = "not UTF-8; save the file as UTF-8 CSV"
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠")


@dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    """Who said it, and what it is attributed to. `case_id` and `customer_id` are None where it was imported."""

    id: str = ""
    case_id: str | None = None
    customer_id: str | None = None
    respondent: str | None = None
    channel: str | None = None
    agent: str | None = None
    team: str | None = None
    topic: str | None = None
    locale: str | None = None
    mode: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ResponseRow(Whose):
    """One answer."""

    instrument: str
    score: int
    at: datetime
    comment: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class FeedbackRow(Whose):
    """What a customer said elsewhere, without a score. `source` is talk | forum | email …, `mode` phone | in_person …"""

    source: str
    comment: str
    at: datetime


Imported = ResponseRow | FeedbackRow


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a row can't be taken. `line` counts from 1, where the row begins."""

    line: int
    why: str


def parse(raw: bytes, now: datetime) -> tuple[list[Imported], list[Refusal]]:
    """The rows of a file, in order, or its refusals: one of the two is empty."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return [], [Refusal(line, NOT_UTF8)]
    if "\0" in text.partition("\n")[0]:  # UTF-16 without its mark: every other byte of plain words is none
        return [], [Refusal(1, NOT_UTF8)]
    records = _records(text)
    first = next(records, None)
    if first is None:
        return [], [Refusal(1, f"the file is empty; its first line names the columns: {','.join(COLUMNS)}")]
    if isinstance(first, Refusal):
        return [], [first]
    header = [from_cell(name.strip()) for name in first[1]]
    why = _header_fault(header)
    if why:
        return [], [Refusal(first[0], why)]
    rows: list[Imported] = []
    refusals: list[Refusal] = []
    seen: dict[object, int] = {}
    for record in records:
        taken = record if isinstance(record, Refusal) else _row(header, *record, now + AHEAD)
        if not isinstance(taken, Refusal) and not isinstance(record, Refusal):
            taken = _again(taken, record[0], seen) or taken
        if isinstance(taken, Refusal):
            refusals.append(taken)
        else:
            rows.append(taken)
    return ([], refusals) if refusals else (_with_ids(rows), [])


def _records(text: str) -> Iterator[tuple[int, list[str]] | Refusal]:
    """Each record with the line it begins on; empty lines are passed over. A broken quote ends the file."""
    first_line = text.split("\n", 1)[0]
    separator = ";" if ";" in first_line and "," not in first_line else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Refusal(line, f"not CSV: {error}")
            return
        if any(field.strip() for field in fields):
            yield line, fields


def _again(row: Imported, line: int, seen: dict[object, int]) -> Refusal | None:
    """Whether this respondent's answer stood in an earlier line. Of who has no name nobody knows."""
    said = as_said(row)
    if said is None:
        return None
    first = seen.setdefault(said, line)
    return None if first == line else Refusal(line, f"the same respondent, instrument and time as line {first}")


def as_said(row: Imported) -> tuple[str, str, datetime] | None:
    """Who said what and when, which is one answer however often it is told; None for who has no name."""
    if row.respondent is None:
        return None
    return row.respondent, row.instrument if isinstance(row, ResponseRow) else row.comment or "", row.at


def _header_fault(header: Sequence[str]) -> str | None:
    scored = "instrument" in header or "score" in header or "source" not in header
    missing = [name for name in (REQUIRED if scored else WITHOUT_SCORE) if name not in header]
    if missing:
        return f'no column "{missing[0]}"; the first line names the columns: {",".join(COLUMNS)}'
    twice = [name for name, times in Counter(header).items() if times > 1]
    return f'column "{twice[0]}" stands twice' if twice else None


def _row(header: Sequence[str], line: int, fields: Sequence[str], until: datetime) -> Imported | Refusal:
    if len(fields) != len(header):
        return Refusal(line, f"{len(fields)} fields where the first line names {len(header)} columns")
    if any("\0" in field for field in fields):
        return Refusal(line, "a NUL character, which no database keeps as text")
    cells = {name: from_cell(field) for name, field in zip(header, fields, strict=True)}
    plain = {name: cells.get(name, "").strip() or None for name in (*COLUMNS, *OURS)}
    extra = {name: text for name, text in cells.items() if name and name not in {*COLUMNS, *OURS} and text}
    try:
        if plain["instrument"] is None and plain["score"] is None and plain["source"] is not None:
            return _feedback(plain, cells, extra, until)
        asked = instrument(plain["instrument"] or "")
        score = _score(plain["score"] or "", asked.id)
        at = _time(plain["time"] or "", until)
    except ValueError as error:
        return Refusal(line, str(error))
    return ResponseRow(
        instrument=asked.id,
        score=score,
        at=at,
        source=plain["source"],
        mode=plain["mode"],
        respondent=plain["respondent"],
        comment=cells.get("comment") or None,
        channel=plain["channel"],
        agent=plain["agent"],
        team=plain["team"],
        topic=plain["topic"],
        locale=canonical(plain["locale"] or "") or None,
        extra=extra,
    )


def _feedback(
    plain: Mapping[str, str | None], cells: Mapping[str, str], extra: Mapping[str, str], until: datetime
) -> FeedbackRow:
    """Raises ValueError for one that says nothing."""
    if plain["comment"] is None:
        raise ValueError("a row without instrument and score needs a comment: what was said")
    return FeedbackRow(
        source=plain["source"] or "",
        mode=plain["mode"],
        comment=cells["comment"],
        at=_time(plain["time"] or "", until),
        respondent=plain["respondent"],
        channel=plain["channel"],
        agent=plain["agent"],
        team=plain["team"],
        topic=plain["topic"],
        locale=canonical(plain["locale"] or "") or None,
        extra=extra,
    )


def _score(text: str, name: str) -> int:
    asked = INSTRUMENTS[name]
    if not re.fullmatch(r"-?[0-9]{1,6}", text) or int(text) not in asked.scores:
        raise ValueError(f'score "{text}" is not a whole number from {asked.min} to {asked.max}, the scale of {name}')
    return int(text)


def _time(text: str, until: datetime) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):  # the year 1 east of Greenwich is no year in UTC
        raise ValueError(f'time "{text}" is not ISO 8601; write 2026-03-01T14:05:00Z') from None
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise ValueError(f'time "{text}" lies before {FIRST_YEAR} or after {LAST_YEAR}')
    if at > until:
        raise ValueError(f'time "{text}" is still to come; without an offset such as +01:00 it is read as UTC')
    return at


def _with_ids(rows: Iterable[Imported]) -> list[Imported]:
    """Ids made of the content, and of how often it came before: the same file twice adds nothing."""
    seen: Counter[str] = Counter()
    named = []
    for row in rows:
        known = {one.name: getattr(row, one.name) for one in fields(row)}
        said = {name: value for name, value in known.items() if name not in OURS or value is not None}
        content = repr(sorted({**said, "extra": sorted(row.extra.items())}.items()))
        seen[content] += 1
        named.append(replace(row, id=hashlib.sha256(f"{content}#{seen[content]}".encode()).hexdigest()[:32]))
    return named


def render(rows: Iterable[Imported]) -> str:
    """The rows as CSV, RFC 4180; then `source` and `mode` where any row has them, custom fields in the order of their names."""
    listed = list(rows)
    ours = [name for name in OURS if any(_of_ours(row, name) for row in listed)]
    extra = [*ours, *sorted({name for row in listed for name in row.extra} - {*COLUMNS, *OURS})]
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([*COLUMNS, *(to_cell(name) for name in extra)])
    for row in listed:
        scored = (row.instrument, f"{row.score:g}") if isinstance(row, ResponseRow) else (None, None)
        own = (
            *(row.respondent or row.customer_id, *scored, row.comment),
            *(row.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),),
            *(row.channel, row.agent, row.team, row.topic, row.locale),
        )
        further = (_of_ours(row, name) if name in OURS else row.extra.get(name) for name in extra)
        writer.writerow([to_cell(value) for value in (*own, *further)])
    return out.getvalue()


def _of_ours(row: Imported, name: str) -> str | None:
    value: str | None = getattr(row, name)
    return None if value == UNNAMED else value


def to_cell(value: object) -> str:
    """A text that no spreadsheet runs: one that begins like a formula gets a leading apostrophe."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.lstrip("'").startswith(FORMULA_STARTS) else text


def from_cell(text: str) -> str:
    """What `to_cell` was given."""
    guarded = text.startswith("'") and text.lstrip("'").startswith(FORMULA_STARTS)
    return text[1:] if guarded else text
