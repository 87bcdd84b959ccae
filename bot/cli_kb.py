"""The commands kb calibrate and kb unanswered: what the desk's articles answer, and what they don't."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from bot.cli_ground import columns, complain, desk, fail, moment, plain, read, reading, run, settings

if TYPE_CHECKING:
    from bot.answers.calibration import Calibration, Measured, Question, Share, Targets
    from bot.answers.knowledge import Knowledge
    from bot.answers.unanswered import Unanswered
    from bot.desk_folder.desk import Desk

QUESTIONS = Path("knowledge", "questions.csv")
"""Labelled questions, within the desk folder."""
HEADER = ("question", "locale", "article")
EXAMPLES = 3


# ── calibrate ──────────────────────────────────────────────────────────────────────────────────────────────────────
def calibrate(
    folder: Path | None,
    questions: Path | None,
    precision: float,
    off_topic: float,
    *,
    recorded: bool,
    write: bool,
    as_json: bool,
) -> None:
    """From the labelled questions of the desk, and with `recorded` also from what customers and agents said of answers."""
    import json

    from bot.answers.calibration import Targets, calibration, worth_asking
    from bot.answers.decide import labelled
    from bot.answers.knowledge import Knowledge

    made = desk(folder)
    where = folder or made.folder
    knowledge = Knowledge.build(made.articles, embedder=_embedder())
    asked = list(_listed(made, where, questions, needed=not recorded))
    if recorded:
        asked += _recorded(made, knowledge)
    kept, left_out = worth_asking(asked, made.articles)
    if left_out:
        complain(f"{left_out} questions stand in their articles word for word; they say nothing, and were left out")
    targets = Targets(precision, off_topic)
    try:
        found = calibration(labelled(kept, knowledge.search), targets, made.answers)
    except ValueError as error:
        raise fail(f"{error}; write them in {where or 'DIR'}/{QUESTIONS} ({','.join(HEADER)})") from error
    if as_json:
        print(json.dumps(_as_json(found), indent=2))
    else:
        print(_told(found))
    if write:
        _write(where, made, found)
    elif not as_json:
        print("\n" + _to_paste(found) + "\n\nPaste that into desk.yaml, or run the same with --write.")


def _embedder() -> Any:
    from bot.answers import embedding

    return embedding.installed_or_none


def _listed(made: Desk, where: Path | None, file: Path | None, *, needed: bool) -> Iterable[Question]:
    """The rows of a CSV file; every wrong one is told with its line, and nothing is calibrated."""
    path = file or (where / QUESTIONS if where is not None else None)
    if path is None or not path.is_file():
        if file is not None or needed:
            raise fail(
                f"there are no labelled questions: {path or QUESTIONS} is not there; its columns: {','.join(HEADER)}"
            )
        return
    known = {article.id for article in made.articles}
    wrong = 0
    with path.open(encoding="utf-8-sig", newline="") as opened:
        rows = csv.DictReader(opened)
        if not {"question", "article"} <= set(rows.fieldnames or ()):
            raise fail(f"{path}:1: the first line must be {','.join(HEADER)}")
        for row in rows:
            question, article = (row["question"] or "").strip(), (row["article"] or "").strip()
            locale = (row.get("locale") or "").strip() or made.locales[0]
            if not question or (article and article not in known):
                wrong += 1
                print(f"{path}:{rows.line_num}: {f'there is no article {article}' if question else 'no question'}")
                continue
            yield question, locale, article or None
    if wrong:
        raise fail(f"{path}: {wrong} wrong row{'' if wrong == 1 else 's'}")


def _recorded(made: Desk, knowledge: Knowledge) -> Iterable[Question]:
    """Questions whose answer helped; those that agents resolved under an article's id; and, as questions without an article,
    those whose answer did not help while it would be the first again.
    """
    from bot.answers import store

    known = {article.id for article in made.articles}
    said, marked = read(settings(), lambda conn: (store.verdicts(conn), store.marks(conn, known)))
    yield from marked
    for (question, locale, article), helped in said:
        first = knowledge.search(question, locale, limit=1)
        if helped and article in known:
            yield question, locale, article
        elif not helped and first and first[0].article.id == article:
            yield question, locale, None


def _told(found: Calibration) -> str:
    limits, targets, held = found.thresholds, found.targets, found.held_out
    lines = [
        f"{found.n} labelled questions",
        f"sure from {limits.sure:.2f}, unsure from {limits.unsure:.2f} on",
        "",
        columns([("", "now", "held out", "target"), *_lines(found.before, held, targets)]),
        "",
        '"held out": each fifth of the questions, at thresholds that the other four chose. In brackets the 95 % interval.',
    ]
    if not found.held:
        lines += [
            "The targets are not kept on questions that chose nothing: label more, or add questions to the articles."
        ]
    return "\n".join(lines)


def _lines(before: Measured, held: Measured, targets: Targets) -> list[tuple[str, str, str, str]]:
    return [
        ("answered at once", _share(before.answered), _share(held.answered), ""),
        ("… rightly", _share(before.right), _share(held.right), f"at least {targets.precision:.0%}"),
        ("titles to choose from", _share(before.shown), _share(held.shown), ""),
        ("… the right one among them", _share(before.among), _share(held.among), f"about {targets.worth_showing:.0%}"),
        (
            "answered though no article fits",
            _share(before.off_topic),
            _share(held.off_topic),
            f"at most {targets.off_topic:.0%}",
        ),
    ]


def _share(share: Share) -> str:
    interval = share.interval
    return (
        "–" if interval is None else f"{share.hits / share.n:.0%} of {share.n} ({interval.low:.0%}–{interval.high:.0%})"
    )


def _as_json(found: Calibration) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "sure": found.thresholds.sure,
        "unsure": found.thresholds.unsure,
        "n": found.n,
        "targets": asdict(found.targets),
        "held": found.held,
        "held_out": asdict(found.held_out),
        "before": asdict(found.before),
    }


def _to_paste(found: Calibration) -> str:
    limits = found.thresholds
    return f"answers:\n  sure: {limits.sure}\n  unsure: {limits.unsure}"


def _write(where: Path | None, made: Desk, found: Calibration) -> None:
    """Only these two values change in desk.yaml; the desk must still be valid with them."""
    from bot.console import writing
    from bot.desk_folder import edit

    if where is None or made.is_builtin:
        raise fail("the built-in demo desk is not written to; copy it with: stafett init DIR")
    writing.finish(where)  # what a publication from the console left that was killed
    path = where / "desk.yaml"
    raw = before = path.read_bytes()
    for key, value in (("sure", found.thresholds.sure), ("unsure", found.thresholds.unsure)):
        raw = edit.change_number(raw, ("answers", key), value)
    if raw != before:
        writing.write(where, {path.name: raw.decode()})
    print(f"\n{path}: {'written' if raw != before else 'they stand there already'}")


# ── unanswered ─────────────────────────────────────────────────────────────────────────────────────────────────────
def unanswered(since: str | None, locale: str | None, most: int, *, as_json: bool) -> None:
    """The gaps in the knowledge, the most asked first."""
    import json

    made = desk(None)
    found = run(_gaps(moment(since, "since", ZoneInfo(made.time_zone))))
    found = [one for one in found if locale in (None, one.locale)]
    if as_json:
        print(json.dumps([_gap_json(one) for one in found], ensure_ascii=False, indent=2))
        return
    if not found:
        print("no question is without an answer")
        return
    from bot.answers.knowledge import Knowledge

    knowledge = Knowledge.build(made.articles, embedder=_embedder())
    for one in found[:most]:
        _show(one, knowledge, made)
    total = sum(one.asked for one in found)
    print(
        f"{len(found)} gaps, asked {total} times"
        + (f"; {len(found) - most} more: --most N" if len(found) > most else "")
    )


async def _gaps(since: datetime | None) -> list[Unanswered]:
    from bot.answers.unanswered import work_list

    async with reading(settings()) as storage:
        return await work_list(storage.read, since)


def _show(one: Unanswered, knowledge: Knowledge, made: Desk) -> None:
    last = f", last {one.last.astimezone(ZoneInfo(made.time_zone)):%Y-%m-%d}" if one.last else ""
    print(f"{one.asked} × {one.locale}  {' '.join(one.lemmas) or '–'}{last}")
    for question in one.questions[:EXAMPLES]:
        print(f"    {plain(question, 100)}")
    if len(one.questions) > EXAMPLES:
        print(f"    and {len(one.questions) - EXAMPLES} more ways to ask")
    if one.tried:
        print(f"    did not help: {', '.join(one.tried)}")
    near: Sequence[Any] = knowledge.search(one.questions[0], one.locale, limit=1)
    if near:
        print(f"    nearest article: {near[0].article.id} ({near[0].confidence:.0%})")
    print()


def _gap_json(one: Unanswered) -> dict[str, Any]:
    return {
        "locale": one.locale,
        "asked": one.asked,
        "lemmas": list(one.lemmas),
        "questions": list(one.questions),
        "last": one.last.isoformat() if one.last else None,
        "tried": list(one.tried),
    }
