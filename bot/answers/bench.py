"""`stafett bench kb`: how well the search answers, on two public sets, with the code that the product runs.

BANKING77: 77 fine-grained topics of a bank's customers, 5 and 10 example questions an article, no titles, no
bodies; every other question must find its article. CLINC150: 150 topics with off-topic questions, all and 10
training questions a topic; the threshold is the one that keeps 90 % of what is answered rightly without one.

What is reported was never looked at when anything was chosen (`curve`): of BANKING77 one half of the questions chooses and the
other one reports, parted by a hash of their words; of CLINC150 the training part chooses, the validation part reports. So is
the threshold that is carried over from the one to the other. Deterministic: samples are drawn with fixed seeds.
"""

from __future__ import annotations

import csv
import json
import random
import time
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.answers.article import Article
from bot.answers.calibration import Targets, choose
from bot.answers.decide import Labelled
from bot.answers.knowledge import Knowledge, Weights
from bot.intervals import wilson

BANKING, CLINC = "banking77_train.csv", "clinc150_train_val.json"
SEEDS = (1, 2, 3)
KEPT = 0.9
CHOOSING, REPORTING = 0, 1
"""The halves of a set."""

Asked = tuple[str, str]
"""(question, topic)."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One measurement: shares 0..1, and milliseconds of one query."""

    first: float
    among_three: float
    kept: float
    precision: float
    off_topic: float | None
    query_ms: float
    threshold: float


def run_bench(data_dir: str | Path, scale: int = 10_000) -> str:
    """All figures as lines of text. A data set that is not in `data_dir` is named as missing, never fetched."""
    folder = Path(data_dir)
    lines = ["Knowledge search", ""]
    if (folder / BANKING).is_file():
        lines += ["BANKING77, example questions an article → 1-best (nearest-neighbour TF-IDF: 5 → 0.537)"]
        lines += [f"  {shots:>3} → {_banking_line(folder / BANKING, shots)}" for shots in (5, 10)]
        lines += ["", f"Speed: {_speed(folder / BANKING, scale)}"]
    else:
        lines += [f"BANKING77: {folder / BANKING} is not there"]
    if (folder / CLINC).is_file():
        lines += ["", f"CLINC150, at the threshold that keeps {KEPT:.0%} of the right answers"]
        for shots in (100, 10):
            lines += [f"  {shots:>3} questions a topic: {_clinc_line(folder / CLINC, shots)}"]
            lines += [f"      that threshold carried over from the training part: {_carried(folder / CLINC, shots)}"]
        lines += [f"  bands set by calibrate at 10, on the training part: {_bands(folder / CLINC)}"]
    else:
        lines += [f"CLINC150: {folder / CLINC} is not there"]
    return "\n".join(lines)


def banking(
    path: Path, shots: int, seed: int, half: int = REPORTING, weights: Weights | None = None, most: int = 2_000
) -> tuple[Figures, list[Labelled]]:
    """`shots` examples a topic chosen by `seed`; `most` of the half's remaining questions are asked."""
    rows = [row for row in _rows(path) if zlib.crc32(row[0].encode()) % 2 == half]
    known, asked = split(rows, shots, random.Random(seed))  # noqa: S311 - a repeatable sample
    return measure(articles(known), asked[:most], weights)


def clinc(
    path: Path, shots: int, seed: int = 1, half: int = REPORTING, weights: Weights | None = None
) -> tuple[Figures, list[Labelled]]:
    """Reporting: all validation questions, with their off-topic ones. Choosing: a fifth of the training questions against the
    rest, and the off-topic ones of the training part. No off-topic question is ever trained on.
    """
    sets = json.loads(path.read_text(encoding="utf-8"))
    rng = random.Random(seed)  # noqa: S311 - a repeatable sample
    train = [(q, topic) for q, topic in sets["train"]]
    if half == REPORTING:
        known, _ = split(train, shots, rng)
        inside, outside = [(q, topic) for q, topic in sets["val"]], sets["oos_val"]
    else:
        known, inside = split(train, len(train) * 4 // 5 // len({topic for _, topic in train}), rng)
        known, outside = {topic: questions[:shots] for topic, questions in known.items()}, sets["oos_train"]
    return measure(articles(known), [*inside, *((q, "") for q, _ in outside)], weights)


def measure(
    articles: Sequence[Article], asked: Sequence[Asked], weights: Weights | None = None
) -> tuple[Figures, list[Labelled]]:
    """Ask every question; an empty topic is off-topic."""
    knowledge = Knowledge.build(articles, weights)
    knowledge.warm()
    started = time.perf_counter()
    found = [(topic, knowledge.search(question, "en", limit=3)) for question, topic in asked]
    query_ms = (time.perf_counter() - started) * 1_000 / max(len(asked), 1)
    labelled = [Labelled(tuple(hits), topic or None) for topic, hits in found]
    inside = [entry for entry in labelled if entry.article_id]
    outside = [entry for entry in labelled if not entry.article_id]
    right = sorted(entry.confidence for entry in inside if entry.right)
    threshold = right[int((1 - KEPT) * len(right))] if right else 1.0
    answered = [entry for entry in inside if entry.confidence >= threshold]
    figures = Figures(
        first=_share(entry.right for entry in inside),
        among_three=_share(any(h.article.id == entry.article_id for h in entry.hits) for entry in inside),
        kept=_share(entry.confidence >= threshold for entry in inside if entry.right),
        precision=_share(entry.right for entry in answered),
        off_topic=_share(entry.confidence >= threshold for entry in outside) if outside else None,
        query_ms=query_ms,
        threshold=threshold,
    )
    return figures, labelled


def _rows(path: Path) -> list[Asked]:
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["category"]) for row in csv.DictReader(file)]


def split(rows: Sequence[Asked], shots: int, rng: random.Random) -> tuple[dict[str, list[str]], list[Asked]]:
    by_topic: dict[str, list[str]] = {}
    for question, topic in rows:
        by_topic.setdefault(topic, []).append(question)
    known: dict[str, list[str]] = {}
    rest: list[Asked] = []
    for topic in sorted(by_topic):
        questions = by_topic[topic]
        rng.shuffle(questions)
        known[topic] = questions[:shots]
        rest += [(question, topic) for question in questions[shots:]]
    rng.shuffle(rest)
    return known, rest


def articles(known: dict[str, list[str]]) -> list[Article]:
    return [Article(topic, "", "en", questions=tuple(questions)) for topic, questions in known.items()]


def _banking_line(path: Path, shots: int) -> str:
    figures = [banking(path, shots, seed)[0] for seed in SEEDS]
    first = [f.first for f in figures]
    three = sum(f.among_three for f in figures) / len(figures)
    mean = sum(first) / len(first)
    return f"{mean:.3f} ({min(first):.3f}-{max(first):.3f} over {len(SEEDS)} draws), among the first three {three:.3f}"


def _clinc_line(path: Path, shots: int) -> str:
    f, labelled = clinc(path, shots)
    off = _answered_off_topic(labelled, f.threshold)
    return f"1-best {f.first:.3f}, kept {f.kept:.1%}, precision {f.precision:.3f}, {off}, {f.query_ms:.1f} ms a query"


def _carried(path: Path, shots: int) -> str:
    threshold = clinc(path, shots, half=CHOOSING)[0].threshold
    _, labelled = clinc(path, shots)
    kept = _share(entry.confidence >= threshold for entry in labelled if entry.right)
    precision = _share(entry.right for entry in labelled if entry.article_id and entry.confidence >= threshold)
    return f"kept {kept:.1%}, precision {precision:.3f}, {_answered_off_topic(labelled, threshold)}"


def _bands(path: Path) -> str:
    limits = choose(clinc(path, 10, half=CHOOSING)[1], Targets())
    _, labelled = clinc(path, 10)
    sure = [entry for entry in labelled if limits.is_sure(entry.hits)]
    return (
        f"sure from {limits.sure:.2f} on, answers {len(sure) / max(len(labelled), 1):.1%} of all with precision "
        f"{_share(entry.right for entry in sure):.3f}, {_answered_off_topic(labelled, limits.sure)}"
    )


def _answered_off_topic(labelled: Sequence[Labelled], threshold: float) -> str:
    off = [entry.confidence >= threshold for entry in labelled if entry.article_id is None]
    interval = wilson(sum(off), len(off))
    return "" if interval is None else f"off-topic answered {_share(off):.1%} ({interval.low:.1%}-{interval.high:.1%})"


def _speed(path: Path, scale: int) -> str:
    """`scale` articles of four lines and three paragraphs, made by mixing the words of the set."""
    rng = random.Random(0)  # noqa: S311
    questions = [question for question, _ in _rows(path)]
    vocabulary = sorted({word for question in questions for word in question.split()})

    def line() -> str:
        words = rng.choice(questions).split()
        return " ".join(rng.choice(vocabulary) if i % 3 == 0 else word for i, word in enumerate(words))

    articles = [
        Article(str(n), line(), "en", "\n\n".join(f"{line()} {line()}" for _ in range(3)), (), (line(), line(), line()))
        for n in range(scale)
    ]
    knowledge, before = Knowledge.build(articles), _peak_mb()
    started = time.perf_counter()
    knowledge.warm()
    built = time.perf_counter() - started
    memory = "" if before is None else f" with {(_peak_mb() or 0) - before:.0f} MB"
    times = sorted(_timed(knowledge, question) for question in rng.sample(questions, min(200, len(questions))))
    return (
        f"{scale:,} articles: built in {built:.1f} s{memory}, a query takes {times[len(times) // 2]:.1f} ms (median), "
        f"{times[len(times) * 95 // 100]:.1f} ms (95th percentile)"
    )


def _peak_mb() -> float | None:
    """The most memory that this process has held; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def _timed(knowledge: Knowledge, question: str) -> float:
    started = time.perf_counter()
    knowledge.search(question, "en")
    return (time.perf_counter() - started) * 1_000


def _share(flags: Iterable[bool]) -> float:
    """The share of true ones, 0 where there are none."""
    counted = list(flags)
    return sum(counted) / len(counted) if counted else 0.0
