"""A report drawn as a table for the terminal, as JSON, or as CSV. Pure; what stands in it is `surveys/report.py`'s."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from surveys.figures.catalogue import METRICS, Kind
from surveys.figures.shape import FIRM_FROM, SHOWN_FROM
from surveys.report import Report
from surveys.responses import to_cell
from surveys.survey import INSTRUMENTS, Measure

Drawn = Callable[[float], str]
FORMATS = ("table", "json", "csv")
MOST_APART = 8
"""Lines in which those who answered are told apart from the silent."""
NOT_SHOWN = f"n < {SHOWN_FROM}: not shown"
ROUGH = f"n < {FIRM_FROM}: rough"
PENDING = (
    "Figures are still being made: {n} cases, answers and decisions on asking are not in them yet; a running Stafett"
    " counts them."
)
SKEWED = "Times are skewed: read the median first; a few long cases pull the mean."


def render(report: Mapping[str, Any], style: str) -> str:
    """The report as `table`, `json` or `csv`; ends with a line break."""
    if style not in FORMATS:
        raise ValueError(f'no format "{style}": use {", ".join(FORMATS)}')
    return {"table": as_table, "json": as_json, "csv": as_csv}[style](report)


def as_json(report: Mapping[str, Any]) -> str:
    return json.dumps(report, ensure_ascii=False, indent=2) + "\n"


def as_table(report: Mapping[str, Any], zone: tzinfo = UTC) -> str:
    """Aligned columns, one line a figure, never wrapped; a remark ends lines that rest on few answers. Its days are `zone`'s."""
    counted = report["counts"]
    parts = [
        _span(report, zone),
        _columns(
            ("Scores", "n", "score", "95 %", "good", "95 %", *_compared(report, "scores"), ""),
            [_score_line(figure, _compared(report, "scores")) for figure in report["scores"]],
            "no answers yet",
        ),
        _columns(
            ("Times", "n", "median", "95 %", "mean", "90th pct", ""),
            [_time_line(figure) for figure in report["times"] if figure["n"]],
            "no case has been solved yet",
        ),
        _columns(
            ("Rates", "n", "share", "95 %", *_compared(report, "rates"), ""),
            [_rate_line(figure, _compared(report, "rates")) for figure in report["rates"] if figure["n"]],
            "nothing to count yet",
        ),
        *_others(report),
        *_targets(report),
        *(drawn for one in report["non_response"] for drawn in _who_answered(one)),
    ]
    tail = [
        "Cases    " + _listed(counted, ("cases", "resolved", "open", "escalated", "reopened")),
        "Surveys  " + _listed(counted, ("invited", "delivered", "failed", "answered", "responses")),
    ]
    if counted["skipped"]:
        tail.append("Skipped  " + ", ".join(f"{reason} {n}" for reason, n in counted["skipped"].items()))
    tail += [_of_all(one) for one in report["non_response"]]
    if report["pending"]:
        tail.append(PENDING.format(n=report["pending"]))
    if any(figure["metric"].startswith("ttr") and figure["n"] for figure in report["times"]):
        tail.append(SKEWED)
    if _compared(report, "scores") or _compared(report, "rates"):
        tail.append("Compare agents by the last column: few answers are drawn towards what all agents have.")
    return "\n\n".join(parts) + "\n\n" + "\n".join(tail) + "\n"


def _others(report: Mapping[str, Any]) -> list[str]:
    """Sections that only stand there once there is something in them."""
    amounts = [_amount_line(figure) for figure in report["amounts"] if figure["n"]]
    reasons = [_reason_line(one) for one in report["escalations"]]
    found = [_columns(("Amounts", "n", "mean", "95 %", ""), amounts, "")] if amounts else []
    head = ("People were fetched because", "n", "share", "95 %", "judged", "needed", "95 %")
    return found + ([_columns(head, reasons, "")] if reasons else [])


VERDICTS = {"met": "met", "missed": "missed", "unsure": "can't tell yet"}


def _targets(report: Mapping[str, Any]) -> list[str]:
    lines = []
    for one in report["targets"]:
        metric = METRICS[one["metric"]]
        draw = _clock if metric.unit == "s" else _percent if metric.kind in {Kind.SHARE, Kind.RATE} else _plain
        value = "–" if one["value"] is None else draw(one["value"])
        found = (str(one["n"]), draw(one["goal"]), value, _between(one["interval"], draw))
        lines.append((metric.label, *found, VERDICTS[one["verdict"]]))
    return [_columns(("Targets", "n", "wanted", "is", "95 %", ""), lines, "")] if lines else []


def _of_all(one: Report) -> str:
    """What the silent may mean for a score, in a line."""
    told = f"{_percent(one['response_rate'])} of those asked answered"
    if one["bounds"]:
        low, high = map(_percent, one["bounds"])
        told += f": among all of them the {one['instrument']} share lies between {low} and {high}"
    found = one["weighted"]
    if found is None:
        return f"{told}."
    draw = _percent if INSTRUMENTS[one["instrument"]].measure is Measure.SHARE else _plain
    value, interval = draw(found["score"]), _between(found["interval"], draw)
    by, least = ", ".join(found["by"]), found["least"]
    return (
        f"{told}. Had all kinds of cases answered alike, {one['instrument']} were {value} ({interval}): post-stratified by "
        f"{by}, {found['strata']} strata of at least {least} answers."
    )


def _who_answered(one: Report) -> list[str]:
    """How those who answered differ from the silent, the most first; [] where they do not."""
    lines = []
    for each in sorted(one["compared"], key=lambda each: -abs(each["difference"] or math.inf)):
        if each["noticeable"]:
            draw = _clock if each["dimension"] == "ttr" else _percent
            name = "time to resolution" if each["dimension"] == "ttr" else f"{each['dimension']} {each['value'] or '–'}"
            apart = "" if each["difference"] is None else f"{each['difference']:+.2f}"
            counted = (str(each["answered"]), draw(each["of_answered"]), str(each["silent"]), draw(each["of_silent"]))
            lines.append((f"  {name}", *counted, apart, _between(each["interval"], _signed)))
    head = (f"Who answered {one['instrument']}", "answered", "", "silent", "", "apart", "95 %")
    return [_columns(head, lines[:MOST_APART], "")] if lines else []


def _signed(value: float) -> str:
    return f"{value:+.2f}"


def _compared(report: Mapping[str, Any], part: str) -> tuple[str, ...]:
    """The heading of the column by which agents are compared, where there is any."""
    return ("to compare",) if any("shrunk" in figure for figure in report[part]) else ()


def _span(report: Mapping[str, Any], zone: tzinfo) -> str:
    """The first day and the last one that counts in: the report's `to` is the moment at which it has ended."""
    since, until = (
        datetime.fromisoformat(at).astimezone(zone) if at else None for at in (report["from"], report["to"])
    )
    where = "".join(f", {name} {value or '–'}" for name, value in report["where"].items())
    if not since and not until:
        return f"Stafett report, all time{where}"
    last = until and (until - timedelta(microseconds=1))
    return f"Stafett report, {since.date() if since else 'the beginning'} to {last.date() if last else 'now'}{where}"


def _score_line(figure: Report, compared: tuple[str, ...]) -> tuple[str, ...]:
    asked = INSTRUMENTS[figure["instrument"]]
    name = _name(asked.label, figure["by"])
    draw = _percent if asked.measure is Measure.SHARE else _plain
    if figure["score"] is None:
        return (name, str(figure["n"]), "–", "", "", "", *("" for _ in compared), NOT_SHOWN)
    share = _percent(figure["share"]) if figure["share"] is not None else ""
    good = (share, _between(figure["share_interval"], _percent))
    shown = (draw(figure["score"]), _between(figure["interval"], draw))
    return (name, str(figure["n"]), *shown, *good, *_shrunk(figure, compared, draw), _remark(figure["n"]))


def _time_line(figure: Report) -> tuple[str, ...]:
    name = _name(METRICS[figure["metric"]].label, figure["by"])
    middle = (_clock(figure["median_s"]), _between(figure["median_interval_s"], _clock))
    return (name, str(figure["n"]), *middle, _clock(figure["mean_s"]), _clock(figure["p90_s"]), _remark(figure["n"]))


def _rate_line(figure: Report, compared: tuple[str, ...]) -> tuple[str, ...]:
    name = _name(METRICS[figure["rate"]].label, figure["by"])
    value = (_percent(figure["share"]), _between(figure["interval"], _percent))
    return (name, str(figure["n"]), *value, *_shrunk(figure, compared, _percent), _remark(figure["n"]))


def _amount_line(figure: Report) -> tuple[str, ...]:
    metric = METRICS[figure["amount"]]
    draw = _signed_clock if metric.unit == "s" else _plain
    interval = _between(figure["interval"], draw)
    return (_name(metric.label, figure["by"]), str(figure["n"]), draw(figure["mean"]), interval, _remark(figure["n"]))


def _reason_line(one: Report) -> tuple[str, ...]:
    share = (_percent(one["share"]), _between(one["interval"], _percent))
    needed = _percent(one["precision"]) if one["precision"] is not None else ""
    verdicts = (str(one["judged"]), needed, _between(one["precision_interval"], _percent))
    return (f"  {one['reason'] or 'an agent took it'}", str(one["n"]), *share, *verdicts)


def _shrunk(figure: Report, compared: tuple[str, ...], draw: Drawn) -> tuple[str, ...]:
    return tuple(draw(figure["shrunk"]) if "shrunk" in figure else "" for _ in compared)


def _name(label: str, by: Mapping[str, str | None]) -> str:
    return "  " + ", ".join(f"{key} {value or '–'}" for key, value in by.items()) if by else label


def _remark(n: int) -> str:
    return ROUGH if n < FIRM_FROM else ""


def _columns(head: Sequence[str], lines: Sequence[Sequence[str]], nothing: str) -> str:
    if not lines:
        return f"{head[0]}: {nothing}"
    table = [head, *lines]
    widths = [max(len(line[i]) for line in table) for i in range(len(head))]
    last = len(head) - 1 if not head[-1] else len(head)
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


def _between(pair: Sequence[float] | None, draw: Drawn) -> str:
    return f"{draw(pair[0])} to {draw(pair[1])}" if pair else ""


def _clock(seconds: float) -> str:
    """Seconds as people say them: 45 s, 12 min, 3.5 h, 2.1 d."""
    for size, unit in ((86400, "d"), (3600, "h")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _signed_clock(seconds: float) -> str:
    return f"-{_clock(-seconds)}" if seconds < 0 else _clock(seconds)


def as_csv(report: Mapping[str, Any]) -> str:
    """One line a figure: `section,name,<dimensions>,n,` then what that section has; texts can't run as formulas.

    A dimension is `*` in the lines over all of it, and empty for what has none.
    """
    by = report["by"]
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    figures = ("value", "low", "high", "share", "share_low", "share_high", "mean_s", "p90_s", "shrunk")
    writer.writerow(["section", "name", *by, "n", *figures])
    for section, name, value, interval in (
        ("scores", "instrument", "score", "interval"),
        ("times", "metric", "median_s", "median_interval_s"),
        ("rates", "rate", "share", "interval"),
        ("amounts", "amount", "mean", "interval"),
    ):
        for figure in report[section]:
            low, high = figure[interval] or (None, None)
            share = figure.get("share") if section == "scores" else None
            share_low, share_high = figure.get("share_interval") or (None, None)
            rest = (share, share_low, share_high, figure.get("mean_s"), figure.get("p90_s"), figure.get("shrunk"))
            numbers = ["" if one is None else one for one in (figure[value], low, high, *rest)]
            place = [to_cell(figure["by"].get(key)) if figure["by"] else "*" for key in by]
            writer.writerow([section, figure[name], *place, figure["n"], *numbers])
    return out.getvalue()
