"""The benchmark runs where the public sets are, says so where they are not, and repeats itself exactly."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

from bot.answers import bench, curve
from tests.unit.answers_shop import OFF_TOPIC, SHOP

TOPICS = {article.id: article.questions for article in SHOP if article.locale == "en"}
ROWS = [
    (f"{start} {question.rstrip('?').lower()}", topic)
    for topic, questions in TOPICS.items()
    for question in questions
    for start in ("please:", "tell me", "well,", "quick question,", "so", "and", "hey,", "sorry,", "hi")
]


def write_sets(folder: Path) -> Path:
    with (folder / bench.BANKING).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "category"), *ROWS])
    off = [(question, "oos") for locale, question in OFF_TOPIC if locale == "en"]
    sets = {"train": ROWS[::2], "val": ROWS[1::2], "oos_val": off, "oos_train": off}
    (folder / bench.CLINC).write_text(json.dumps(sets), encoding="utf-8")
    return folder


def without_times(report: str) -> str:
    return re.sub(r"[\d.]+ (ms|s)\b", "", report)


def test_it_prints_every_figure_and_the_same_ones_again(tmp_path: Path) -> None:
    folder = write_sets(tmp_path)
    first, second = bench.run_bench(folder, scale=50), bench.run_bench(folder, scale=50)
    assert without_times(first) == without_times(second)
    for wanted in ("5 → ", "10 → ", "50 articles: built in", "100 questions a topic", "off-topic answered"):
        assert wanted in first


def test_missing_sets_are_named(tmp_path: Path) -> None:
    report = bench.run_bench(tmp_path)
    assert f"{tmp_path / bench.BANKING} is not there" in report
    assert f"{tmp_path / bench.CLINC} is not there" in report


def test_off_topic_questions_score_below_the_rest(tmp_path: Path) -> None:
    figures, judged = bench.clinc(write_sets(tmp_path) / bench.CLINC, 100)
    assert figures.first > 0.9
    assert figures.off_topic == 0
    base, by_score, by_margin = curve.fit([judged])
    assert by_score > 0
    assert by_margin > 0
    assert base < 0
