"""Survey answers as a CSV file: `stafett responses import` and `export`.

What lives here: text in, rows or line-exact refusals out, and back. What it must not know: the database.

Decisions. All or nothing: one refused row refuses the file, and every refused row is told. `time` without an
offset is read as UTC. Columns may stand in any order; all but `instrument`, `score` and `time` may be missing;
further columns are kept as custom fields. A semicolon separates where the header has one and no comma (Excel in
much of Europe). Texts that a spreadsheet would run as a formula get a leading apostrophe when written, and lose
it when read.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from bot.texts import canonical
from surveys.survey import INSTRUMENTS, instrument

COLUMNS = ("respondent", "instrument", "score", "comment", "time", "channel", "agent", "team", "topic", "locale")
REQUIRED = ("instrument", "score", "time")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠")


@dataclass(frozen=True, slots=True)
class ResponseRow:
    """One answer; `case_id` and `customer_id` are None where it was imported."""

    instrument: str
    score: float
    at: datetime
    id: str = ""
    case_id: str | None = None
    customer_id: str | None = None
    respondent: str | None = None
    comment: str | None = None
    channel: str | None = None
    agent: str | None = None
    team: str | None = None
    topic: str | None = None
    locale: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a row can't be taken. `line` counts from 1, where the row begins."""

    line: int
    why: str


def parse(raw: bytes) -> tuple[list[ResponseRow], list[Refusal]]:
    """The rows of a file, in order, or its refusals: one of the two is empty."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return [], [Refusal(line, "not UTF-8; save the file as UTF-8 CSV")]
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
    rows: list[ResponseRow] = []
    refusals: list[Refusal] = []
    for record in records:
        taken = record if isinstance(record, Refusal) else _row(header, *record)
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


def _header_fault(header: Sequence[str]) -> str | None:
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        return f'no column "{missing[0]}"; the first line names the columns: {",".join(COLUMNS)}'
    twice = [name for name, times in Counter(header).items() if times > 1]
    return f'column "{twice[0]}" stands twice' if twice else None


def _row(header: Sequence[str], line: int, fields: Sequence[str]) -> ResponseRow | Refusal:
    if len(fields) != len(header):
        return Refusal(line, f"{len(fields)} fields where the first line names {len(header)} columns")
    if any("\0" in field for field in fields):
        return Refusal(line, "a NUL character, which no database keeps as text")
    cells = {name: from_cell(field) for name, field in zip(header, fields, strict=True)}
    try:
        asked = instrument(cells["instrument"].strip())
        score = _score(cells["score"].strip(), asked.id)
        at = _time(cells["time"].strip())
    except ValueError as error:
        return Refusal(line, str(error))
    plain = {name: cells.get(name, "").strip() or None for name in COLUMNS}
    extra = {name: text for name, text in cells.items() if name and name not in COLUMNS and text}
    return ResponseRow(
        instrument=asked.id,
        score=score,
        at=at,
        respondent=plain["respondent"],
        comment=cells.get("comment") or None,
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


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f'time "{text}" is not ISO 8601; write 2026-03-01T14:05:00Z') from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)


def _with_ids(rows: Iterable[ResponseRow]) -> list[ResponseRow]:
    """Ids made of the content, and of how often it came before: the same file twice adds nothing."""
    seen: Counter[str] = Counter()
    named = []
    for row in rows:
        fields = {name: getattr(row, name) for name in ResponseRow.__slots__}
        content = repr(sorted({**fields, "extra": sorted(row.extra.items())}.items()))
        seen[content] += 1
        named.append(replace(row, id=hashlib.sha256(f"{content}#{seen[content]}".encode()).hexdigest()[:32]))
    return named


def render(rows: Iterable[ResponseRow]) -> str:
    """The rows as CSV, RFC 4180, custom fields as further columns in the order of their names."""
    listed = list(rows)
    extra = sorted({name for row in listed for name in row.extra} - set(COLUMNS))
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([*COLUMNS, *(to_cell(name) for name in extra)])
    for row in listed:
        own = (
            *(row.respondent or row.customer_id, row.instrument, f"{row.score:g}", row.comment),
            *(row.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),),
            *(row.channel, row.agent, row.team, row.topic, row.locale),
        )
        writer.writerow([to_cell(value) for value in (*own, *(row.extra.get(name) for name in extra))])
    return out.getvalue()


def to_cell(value: object) -> str:
    """A text that no spreadsheet runs: one that begins like a formula gets a leading apostrophe."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith((*FORMULA_STARTS, *(f"'{start}" for start in FORMULA_STARTS))) else text


def from_cell(text: str) -> str:
    """What `to_cell` was given."""
    rest = text[1:]
    guarded = text.startswith("'") and rest.startswith((*FORMULA_STARTS, *(f"'{start}" for start in FORMULA_STARTS)))
    return rest if guarded else text
