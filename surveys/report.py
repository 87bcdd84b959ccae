"""The figures of a span of time: put together, and drawn as a table, as JSON, or as CSV.

What lives here: pure functions from rows to a report, and from a report to text. What it must not know: the
database (`store.py` reads the rows), terminals.

The report's JSON is public; its keys are promised in the command's documentation.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from surveys import scoring, statistics
from surveys.responses import to_cell
from surveys.scoring import FIRM_FROM, SHOWN_FROM, CaseRow, Figure, InvitationRow, ResponseRow
from surveys.survey import INSTRUMENTS, Measure

FORMATS = ("table", "json", "csv")
NOT_SHOWN = f"n < {SHOWN_FROM}: not shown"
ROUGH = f"n < {FIRM_FROM}: rough"
TIME_LABELS = {"ttr": "time to resolution", "ttr_first": "to first resolution", "frt": "first human reply"}
RATE_LABELS = {"reopened": "reopened / solved", "fcr": "solved at first contact", "response": "answered / delivered"}


@dataclass(frozen=True, slots=True)
class Rows:
    """Everything that a report is made of."""

    responses: Sequence[ResponseRow] = ()
    cases: Sequence[CaseRow] = ()
    invitations: Sequence[InvitationRow] = ()


def build(
    rows: Rows,
    *,
    by: Sequence[str] = (),
    now: datetime,
    zone: tzinfo,
    since: datetime | None = None,
    until: datetime | None = None,
) -> dict[str, Any]:
    """The report of the rows, in all and by each combination of the dimensions. ValueError for an unknown one."""
    return {
        "from": since.isoformat() if since else None,
        "to": until.isoformat() if until else None,
        "by": list(by),
        "scores": scoring.scores(rows.responses, by, zone),
        "times": scoring.times(rows.cases, by, zone),
        "rates": scoring.rates(rows.cases, rows.invitations, by, zone, min(now, until or now)),
        "counts": scoring.counts(rows.cases, rows.responses, rows.invitations),
        "non_response": _non_response(rows),
    }


def _non_response(rows: Rows) -> list[Figure]:
    """For each share: what it could be among all who were asked, were the silent all unhappy, or all happy."""
    delivered = [one for one in rows.invitations if one.delivered]
    answered = {one.case_id for one in delivered if one.state == "answered"}
    if not delivered:
        return []
    bounds = []
    for asked in INSTRUMENTS.values():
        given = [row.score for row in rows.responses if row.instrument == asked.id and row.case_id in answered]
        if asked.measure is Measure.NPS or len(given) < SHOWN_FROM or len(given) < len(answered):
            continue  # with several instruments nobody knows which one the silent were asked
        share = sum(score >= asked.good_from for score in given) / len(given)
        rate = len(answered) / len(delivered)
        span = statistics.non_response_bounds(share, rate)
        pair = [round(span.low, 6), round(span.high, 6)]
        bounds.append({"instrument": asked.id, "response_rate": round(rate, 6), "bounds": pair})
    return bounds


def render(report: Mapping[str, Any], style: str) -> str:
    """The report as `table`, `json` or `csv`; ends with a line break."""
    if style not in FORMATS:
        raise ValueError(f'no format "{style}": use {", ".join(FORMATS)}')
    return {"table": as_table, "json": as_json, "csv": as_csv}[style](report)


def as_json(report: Mapping[str, Any]) -> str:
    return json.dumps(report, ensure_ascii=False, indent=2) + "\n"


# ── the table ──────────────────────────────────────────────────────────────────────────────────────────────────────
def as_table(report: Mapping[str, Any]) -> str:
    """Aligned columns, one line a figure, never wrapped; a remark ends lines that rest on few answers."""
    counted = report["counts"]
    parts = [
        f"{_span(report)}",
        _columns(
            ("Scores", "n", "score", "95 %", "good", "95 %", ""),
            [_score_line(figure) for figure in report["scores"]],
            "no answers yet",
        ),
        _columns(
            ("Times", "n", "median", "95 %", "mean", "90th pct", ""),
            [_time_line(figure) for figure in report["times"] if figure["n"]],
            "no case has been solved yet",
        ),
        _columns(
            ("Rates", "n", "share", "95 %", ""),
            [_rate_line(figure) for figure in report["rates"] if figure["n"]],
            "nothing to count yet",
        ),
        "Cases    " + _listed(counted, ("cases", "resolved", "open", "escalated", "reopened")),
        "Surveys  " + _listed(counted, ("invited", "delivered", "failed", "answered", "responses")),
    ]
    if counted["skipped"]:
        parts.append("Skipped  " + ", ".join(f"{reason} {n}" for reason, n in counted["skipped"].items()))
    for one in report["non_response"]:
        low, high = one["bounds"]
        parts.append(
            f"{_percent(one['response_rate'])} of those asked answered: among all of them the {one['instrument']} "
            f"share lies between {_percent(low)} and {_percent(high)}."
        )
    if any(figure["metric"] != "frt" and figure["n"] for figure in report["times"]):
        parts.append("Times are skewed: read the median first; a few long cases pull the mean.")
    return "\n\n".join(parts[:4]) + "\n\n" + "\n".join(parts[4:]) + "\n"


def _span(report: Mapping[str, Any]) -> str:
    since, until = report["from"], report["to"]
    if not since and not until:
        return "Stafett report, all time"
    return f"Stafett report, {since[:10] if since else 'the beginning'} to {until[:10] if until else 'now'}"


def _score_line(figure: Figure) -> tuple[str, ...]:
    asked = INSTRUMENTS[figure["instrument"]]
    name = _name(asked.label, figure["by"])
    if figure["score"] is None:
        return (name, str(figure["n"]), "–", "", "", "", NOT_SHOWN)
    draw = _percent if asked.measure is Measure.SHARE else _plain
    share = _percent(figure["share"]) if figure["share"] is not None else ""
    good = (share, _between(figure["share_interval"], _percent))
    shown = (draw(figure["score"]), _between(figure["interval"], draw))
    return (name, str(figure["n"]), *shown, *good, _remark(figure["n"]))


def _time_line(figure: Figure) -> tuple[str, ...]:
    name = _name(TIME_LABELS[figure["metric"]], figure["by"])
    middle = (_clock(figure["median_s"]), _between(figure["median_interval_s"], _clock))
    return (name, str(figure["n"]), *middle, _clock(figure["mean_s"]), _clock(figure["p90_s"]), _remark(figure["n"]))


def _rate_line(figure: Figure) -> tuple[str, ...]:
    name = _name(RATE_LABELS[figure["rate"]], figure["by"])
    interval = _between(figure["interval"], _percent)
    return (name, str(figure["n"]), _percent(figure["share"]), interval, _remark(figure["n"]))


def _name(label: str, by: Mapping[str, str | None]) -> str:
    return "  " + ", ".join(f"{key} {value or '–'}" for key, value in by.items()) if by else label


def _remark(n: int) -> str:
    return ROUGH if n < FIRM_FROM else ""


def _columns(head: Sequence[str], lines: Sequence[Sequence[str]], nothing: str) -> str:
    if not lines:
        return f"{head[0]}: {nothing}"
    table = [head, *lines]
    widths = [max(len(line[i]) for line in table) for i in range(len(head))]
    last = len(head) - 1
    drawn = (
        "  ".join(
            cell.ljust(widths[i]) if i in {0, last} else cell.rjust(widths[i]) for i, cell in enumerate(line)
        ).rstrip()
        for line in table
    )
    return "\n".join(drawn)


def _listed(counted: Mapping[str, Any], names: Sequence[str]) -> str:
    return ", ".join(f"{name} {counted[name]}" for name in names)


def _plain(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def _between(pair: Sequence[float] | None, draw: Any) -> str:
    return f"{draw(pair[0])} to {draw(pair[1])}" if pair else ""


def _clock(seconds: float) -> str:
    """Seconds as people say them: 45 s, 12 min, 3.5 h, 2.1 d."""
    for size, unit in ((86400, "d"), (3600, "h")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


# ── CSV ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def as_csv(report: Mapping[str, Any]) -> str:
    """One line a figure: `section,name,<dimensions>,n,` then what that section has; texts can't run as formulas."""
    by = report["by"]
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    figures = ("value", "low", "high", "share", "share_low", "share_high", "mean_s", "p90_s")
    writer.writerow(["section", "name", *by, "n", *figures])
    for section, name, value, interval in (
        ("scores", "instrument", "score", "interval"),
        ("times", "metric", "median_s", "median_interval_s"),
        ("rates", "rate", "share", "interval"),
    ):
        for figure in report[section]:
            low, high = figure[interval] or (None, None)
            share = figure.get("share") if section == "scores" else None
            share_low, share_high = figure.get("share_interval") or (None, None)
            rest = (share, share_low, share_high, figure.get("mean_s"), figure.get("p90_s"))
            numbers = ["" if one is None else one for one in (figure[value], low, high, *rest)]
            place = [to_cell(figure["by"].get(key)) for key in by]
            writer.writerow([section, figure[name], *place, figure["n"], *numbers])
    return out.getvalue()
