"""An embedding model is a plug-in: found by its entry point, joined with the search, and never the end of an answer."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from bot import doctor
from bot.answers import embedding
from bot.answers.article import Article
from bot.answers.knowledge import Knowledge
from bot.errors import SettingsFault

ARTICLES = (
    Article("returns", "How to return something", "en", "Send it back within 30 days."),
    Article("delivery", "What delivery costs", "en", "It costs € 4.90."),
)
PLUG_IN = """\
class Meaning:
    floor = 0.2

    def embed(self, texts, *, is_question):
        return [[1.0, 0.2] if any(w in t.lower() for w in ("return", "unwanted")) else [0.2, 1.0] for t in texts]
"""


class Meaning:
    """Knows that what is unwanted is returned. `fails` from then on."""

    floor = 0.2

    def __init__(self) -> None:
        self.fails = False
        self.asked: list[bool] = []

    def embed(self, texts: Sequence[str], *, is_question: bool) -> Sequence[Sequence[float]]:
        if self.fails:
            raise RuntimeError("out of memory")
        self.asked.append(is_question)
        return [[1.0, 0.2] if {"return", "unwanted"} & set(text.lower().split()) else [0.2, 1.0] for text in texts]


def best(knowledge: Knowledge, question: str) -> tuple[str, float]:
    hits = knowledge.search(question, "en")
    return (hits[0].article.id, hits[0].score) if hits else ("", 0.0)


def test_it_finds_what_shares_no_word_and_the_search_goes_on_when_it_fails() -> None:
    assert best(Knowledge.build(ARTICLES), "unwanted gift")[0] != "returns"
    model = Meaning()
    knowledge = Knowledge.build(ARTICLES, embedder=lambda: model)
    assert best(knowledge, "unwanted gift")[0] == "returns"
    assert model.asked == [False, True]
    plain = best(Knowledge.build(ARTICLES), "delivery costs")
    model.fails = True
    assert best(knowledge, "delivery costs") == plain


def test_one_that_fails_on_the_articles_is_left_out() -> None:
    model = Meaning()
    model.fails = True
    assert best(Knowledge.build(ARTICLES, embedder=lambda: model), "delivery costs")[0] == "delivery"


def test_nobody_who_searches_in_a_turn_waits_for_it() -> None:
    model = Meaning()
    knowledge = Knowledge.build(ARTICLES, embedder=lambda: model, ahead=True)
    knowledge.warm()
    assert not knowledge.is_prepared("unwanted gift", "en")
    assert best(knowledge, "unwanted gift")[0] != "returns"
    assert model.asked == [False], "only the articles were shown to it"
    knowledge.prepare("unwanted gift", "en")
    assert knowledge.is_prepared("unwanted gift", "en")
    assert best(knowledge, "unwanted gift")[0] == "returns"
    model.fails = True
    knowledge.prepare("delivery costs", "en")
    assert knowledge.is_prepared("delivery costs", "en"), "one that fails is not asked again for it"
    assert model.asked == [False, True]


def test_without_one_a_question_waits_only_until_all_languages_are_loaded() -> None:
    knowledge = Knowledge.build((*ARTICLES, Article("returns", "Terugsturen", "nl")), embedder=lambda: None, ahead=True)
    knowledge.warm(["nl"])
    assert not knowledge.is_prepared("unwanted gift", "nl")
    assert knowledge.is_prepared("terugsturen", "nl"), "its own language knows"
    knowledge.prepare("unwanted gift", "nl")
    assert knowledge.is_prepared("anything else", "nl")


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place for installed packages."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "toy_meaning.py").write_text(PLUG_IN)
    embedding.installed_or_none.cache_clear()
    yield tmp_path
    embedding.installed_or_none.cache_clear()
    sys.modules.pop("toy_meaning", None)


def install(place: Path, name: str, target: str) -> None:
    folder = place / f"{name}-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(f"[stafett.embedder]\n{name} = {target}\n")


def test_it_is_found_by_its_entry_point(packages: Path) -> None:
    assert embedding.installed() is None
    install(packages, "toy", "toy_meaning:Meaning")
    assert best(Knowledge.build(ARTICLES, embedder=embedding.installed_or_none), "unwanted gift")[0] == "returns"


def test_two_of_them_or_a_broken_one_are_told(packages: Path) -> None:
    install(packages, "broken", "toy_meaning:Nothing")
    with pytest.raises(SettingsFault, match=r"broken \(toy_meaning:Nothing\) cannot be made: AttributeError"):
        embedding.installed()
    assert embedding.installed_or_none() is None
    install(packages, "toy", "toy_meaning:Meaning")
    with pytest.raises(SettingsFault, match=r"several packages bring a stafett\.embedder: broken, toy"):
        embedding.installed()


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ("return [[1.0, 0.0]] * len(texts)", ""),
        ("raise RuntimeError('no card')", "fails: RuntimeError: no card"),
        ("return [[1.0, 0.0]] if is_question else [[1.0]]", "vectors of shape (1, 1) for an article and (1, 2)"),
        ("return None", "fails: "),
    ],
)
def test_doctor_says_what_is_wrong_with_it(packages: Path, body: str, wrong: str) -> None:
    assert doctor.embedder() is None
    plug_in = f"class Model:\n    floor = 0\n\n    def embed(self, texts, *, is_question):\n        {body}\n"
    (packages / "toy_meaning.py").write_text(plug_in)
    sys.modules.pop("toy_meaning", None)
    importlib.invalidate_caches()
    install(packages, "toy", "toy_meaning:Model")
    found = doctor.embedder()
    assert found is not None
    assert (found.level, found.told) == ("ok", "toy") if not wrong else wrong in found.told
    assert found.level == ("fault" if wrong else "ok")
