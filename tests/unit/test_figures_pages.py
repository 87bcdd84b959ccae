"""The page of figures: its address, what it draws, what it hides, and that it is asked anew only when something changed."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import pytest
import pytest_asyncio
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import insert

from bot.intervals import Interval
from bot.model import new_id
from bot.staffing.hours import Hours
from bot.storage import tables as t
from bot.storage.engine import Storage
from bot.texts import known
from surveys.console import figures as pages
from surveys.figures.catalogue import METRICS
from surveys.figures.shape import Figure, Figures, Question, Series, Shown
from surveys.figures.targets import judged
from surveys.pages import asked, board, shown
from surveys.rollups.keeping import Rollups
from tests.support.console_site import a_database, signed_in

TODAY = date(2026, 3, 9)
NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)
OSLO = ZoneInfo("Europe/Oslo")


# ── the address ────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_page_without_an_address_shows_twelve_weeks_to_the_day_of_the_desk() -> None:
    found = asked.read({}, TODAY)
    assert (found.days, found.last) == (84, TODAY)
    question = found.question(OSLO)
    assert question.since == datetime(2025, 12, 15, 23, tzinfo=UTC)
    assert question.until == datetime(2026, 3, 9, 23, tzinfo=UTC)  # all of the last day
    assert found.before().last == found.first - timedelta(days=1)


@given(st.dictionaries(st.sampled_from(["from", "to", "by", "score", "team", "topic", "other"]), st.text(max_size=20)))
@example({"to": "0001-01-01"})
@example({"from": "0001-01-01", "to": "0002-01-01"})
def test_whatever_stands_in_an_address_a_page_comes_of_it(query: dict[str, str]) -> None:
    found = asked.read(query, TODAY)
    assert found.first <= found.last <= TODAY
    assert found.question(OSLO, found.by).since is not None
    assert found.before().question(OSLO).since is not None


@given(
    st.dates(date(2024, 1, 1), TODAY),
    st.integers(0, 400),
    st.dictionaries(st.sampled_from(asked.FILTERS), st.text(min_size=1, max_size=20)),
    st.sampled_from(asked.GROUPS),
)
def test_an_address_leads_back_to_what_was_asked(last: date, days: int, where: dict[str, str], by: str) -> None:
    from urllib.parse import parse_qsl

    one = asked.Asked(last - timedelta(days=days), last, where, by, "nps")
    assert asked.read(dict(parse_qsl(one.address())), TODAY) == one


# ── what is drawn ──────────────────────────────────────────────────────────────────────────────────────────────────
def figure(metric: str, n: int, value: float | None, low: float = 0.0, high: float = 0.0, **more: Any) -> Figure:
    state = Shown.HIDDEN if value is None else Shown.FIRM if n >= 30 else Shown.GREY
    return Figure(metric, {}, n, value, None if value is None else Interval(low, high), state, **more)


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        (figure("ces7", 50, 5.5, 5.2, 5.8), figure("ces7", 50, 4.5, 4.2, 4.8), "better"),
        (figure("ces7", 50, 5.5, 5.2, 5.8), figure("ces7", 50, 5.0, 4.7, 5.3), ""),
        (figure("ttr", 50, 60.0, 50, 70), figure("ttr", 50, 100.0, 90, 110), "better"),
        (figure("ttr", 50, 100.0, 90, 110), figure("ttr", 50, 60.0, 50, 70), "worse"),
        (figure("ces7", 3, None), figure("ces7", 50, 4.5, 4.2, 4.8), ""),
        (figure("escalated", 50, 0.9, 0.8, 0.95), figure("escalated", 50, 0.1, 0.05, 0.2), ""),
    ],
)
def test_an_arrow_stands_only_where_the_intervals_do_not_overlap(now: Figure, before: Figure, expected: str) -> None:
    assert board.trend(now, before) == expected


def test_few_answers_are_counted_and_not_shown() -> None:
    few = Figures(Question(), (figure("csat5", 4, None),))
    ((row, (tile,)),) = board.tiles(few, Figures(Question()), {"csat": 80}, "en")
    assert row == "interaction"
    assert (tile.n, tile.value, tile.interval, tile.shown, tile.verdict) == (4, "", "", "hidden", "")


def test_a_target_is_met_or_missed_only_where_the_whole_interval_says_so() -> None:
    now = Figures(
        Question(),
        (
            figure("frt", 40, 3600.0, 3000, 4000),
            figure("ttr", 40, 90_000.0, 87_000, 99_000),
            figure("nps", 40, 30.0, 20, 40),
            figure("csat5", 40, 0.95, 0.9, 0.98),
            figure("ces7", 4, None),
        ),
    )
    wanted = {"frt": 7200, "ttr": 86_400, "nps": 40, "csat": 90, "ces": 5, "fcr": 80}
    found = {one.figure.metric: one for one in judged(now, wanted)}
    assert {metric: str(one.verdict) for metric, one in found.items()} == {
        "ces7": "unsure",
        "csat5": "met",
        "nps": "unsure",
        "frt": "met",
        "ttr": "missed",
    }
    assert (found["frt"].gap, found["ttr"].gap, found["nps"].gap, found["ces7"].gap) == (3600, -3600, -10, None)
    tiles = {tile.metric: tile for _, row in board.tiles(now, now, wanted, "en") for tile in row}
    assert (tiles["frt"].verdict, tiles["frt"].value, tiles["frt"].goal) == ("met", "60 min", "2 hr")
    assert (tiles["csat5"].goal, tiles["ces7"].verdict) == ("90%", "")


def test_a_gauge_shows_a_figure_on_its_whole_scale() -> None:
    score = board.gauge(figure("ces7", 50, 4.0, 2.5, 5.5), figure("ces7", 50, 7.0, 6.9, 7.0), 6.4)
    assert score == board.Gauge(50.0, 25.0, 75.0, None, 100.0, 90.0)
    share = board.gauge(figure("csat5", 50, 0.6, 0.5, 0.7, bounds=Interval(0.2, 0.9)), figure("csat5", 0, None), None)
    assert share == board.Gauge(60.0, 50.0, 70.0, (20.0, 90.0))
    time = board.gauge(figure("ttr", 50, 100.0, 50, 200), figure("ttr", 50, 400.0, 300, 500), None)
    assert time is not None
    assert 0 < time.low < time.at < time.high < (time.before or 0) < 100
    assert board.gauge(figure("csat5", 4, None), figure("csat5", 4, None), 0.8) is None


def test_the_same_time_by_the_opening_hours_is_told_below_it_where_it_differs() -> None:
    now = Figures(Question(), (figure("frt", 40, 3600.0, 3000, 4000), figure("frt_business", 40, 600.0, 500, 700)))
    ((_, (tile,)),) = board.tiles(now, Figures(Question()), {}, "en")
    assert (tile.metric, tile.parts) == ("frt", ["… in opening hours: 10 min"])
    always = Figures(Question(), (now.figures[0], figure("frt_business", 40, 3600.0, 3000, 4000)))
    ((_, (tile,)),) = board.tiles(always, Figures(Question()), {}, "en")
    assert tile.parts == []


def test_a_funnel_shows_what_customers_notice_the_fullest_flow_first() -> None:
    paths = {
        "short": board.Path("flows/short.yaml", "Short", [("q", "asks: How many?")]),
        "long": board.Path(
            "flows/long.yaml", "Long", [("hello", "says: Hello"), ("q", "asks: Which?"), ("bye", "says: Bye")]
        ),
    }
    first, second = board.funnels({"short": {"q": 3}, "long": {"hello": 8, "~branch-1": 8, "q": 4}}, paths)
    assert (first.path.title, [(bar.label, bar.n, bar.share) for bar in first.steps]) == (
        "Long",
        [("says: Hello", 8, 1.0), ("asks: Which?", 4, 0.5)],
    )
    assert second.path.title == "Short"


@pytest.mark.parametrize(
    ("seconds", "said"), [(45, "45 sec"), (720, "12 min"), (12_240, "3.4 hr"), (181_440, "2.1 days"), (-720, "-12 min")]
)
def test_a_time_is_told_in_the_unit_that_fits(seconds: float, said: str) -> None:
    assert shown.span(seconds, "en") == said


def test_a_week_without_answers_is_a_gap_and_not_a_zero() -> None:
    points = (figure("csat5", 40, 0.9, 0.8, 0.95), Figure("csat5", {}, 0))
    drawn = board.band(Series("csat5", {}, ("2026-W10", "2026-W11"), points), "en")
    assert drawn["values"] == [90, None]
    assert drawn["labels"] == ["2026-03-02", "2026-03-09"]
    assert drawn["scale"] == {"min": 0, "max": 100, "unit": "%"}


def test_the_warmest_hour_is_the_fullest() -> None:
    groups = tuple(
        Figure("escalated", {"weekday": day, "hour": hour}, n) for day, hour, n in (("1", "09", 10), ("7", "23", 1))
    )
    (monday, *_, sunday), most = board.load(Figures(Question(), groups), "escalated")
    assert (monday[9], sunday[23], monday[0], most) == ((10, 5), (1, 1), (0, 0), 10)


def test_every_metric_and_grouping_has_its_words() -> None:
    wanted = [f"figure_{one}" for one in METRICS] + [f"figures_by_{one}" for one in (*asked.GROUPS, "weekday")]
    wanted += [f"figures_row_{row}" for row, _ in board.ROWS]
    assert [one for one in wanted if not known(one)] == []


# ── the pages ──────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest_asyncio.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    async with a_database(tmp_path, lambda: NOW) as made:
        yield made


@pytest_asyncio.fixture
async def site(storage: Storage) -> AsyncIterator[httpx2.AsyncClient]:
    ask = Rollups(storage, lambda _team: Hours(UTC)).ask
    async with signed_in(storage, wings=[pages.wing(storage, ask)]) as client:
        yield client


async def answered(storage: Storage, *scores: int, topic: str = "parcel", at: datetime = NOW) -> None:
    """A solved case and its answer for each score."""

    def unit(tx: Any) -> None:
        for score in scores:
            who, case = new_id(), new_id()
            tx.conn.execute(insert(t.customers).values(id=who, name="", locale="en", created_at=at))
            tx.conn.execute(
                insert(t.cases).values(
                    id=case,
                    customer_id=who,
                    status="resolved",
                    channel="web",
                    locale="en",
                    topic=topic,
                    outcome="resolved",
                    opened_at=at - timedelta(hours=2),
                    resolved_at=at - timedelta(hours=1),
                    updated_at=at,
                )
            )
            whose = {"case_id": case, "customer_id": who, "at": at, "topic": topic, "channel": "web"}
            tx.conn.execute(insert(t.survey_responses).values(id=new_id(), instrument="ces7", score=score, **whose))

    await storage.write(unit)


async def test_a_page_without_cases_says_so(site: httpx2.AsyncClient) -> None:
    page = await site.get("/admin/figures")
    assert page.status_code == 200
    assert "Nothing yet in this span." in page.text


async def test_scores_are_drawn_with_their_interval_and_table_and_four_answers_are_not(
    site: httpx2.AsyncClient, storage: Storage
) -> None:
    await answered(storage, 7, 6, 5, 7)
    assert "fewer than 5: not shown" in (await site.get("/admin/figures")).text
    await answered(storage, 6)
    page = (await site.get("/admin/figures?by=topic")).text
    assert "<bdi>6.2</bdi>" in page
    assert "n = 5 · rests on few" in page
    drawn = [json.loads(one) for one in re.findall(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)]
    assert [one["kind"] for one in drawn] == ["band", "band", "bars", "lines"]
    assert drawn[2]["values"] == [0, 0, 0, 0, 1, 2, 2]
    assert drawn[3]["lines"] == [{"name": "parcel", "values": [0] * 12 + [5]}]
    assert 'href="?' in page


@pytest.mark.parametrize(("now", "told"), [(7, "better than before"), (1, "worse than before")])
async def test_a_figure_that_is_clearly_another_than_before_says_so(
    site: httpx2.AsyncClient, storage: Storage, now: int, told: str
) -> None:
    await answered(storage, *[4] * 40, at=NOW - timedelta(weeks=13))
    await answered(storage, *[now] * 40)
    for place in ("/admin/figures", "/admin/figures/part"):
        page = await site.get(place)
        assert page.status_code == 200
        assert f'<span class="sr">{told}</span>' in page.text


async def test_a_page_is_sent_again_only_when_something_changed(site: httpx2.AsyncClient, storage: Storage) -> None:
    await answered(storage, 7)
    page = (await site.get("/admin/figures/part")).text
    seen = re.search(r'data-seen="([^"]+)"', page)
    assert seen
    assert (await site.get("/admin/figures/part", params={"seen": seen[1]})).status_code == 204
    await storage.write(
        lambda tx: tx.conn.execute(t.survey_responses.update().values(edited_at=NOW + timedelta(seconds=1), score=3))
    )
    assert (await site.get("/admin/figures/part", params={"seen": seen[1]})).status_code == 200


async def test_whoever_left_can_still_be_filtered_by_and_is_called_by_their_name(
    site: httpx2.AsyncClient, storage: Storage
) -> None:
    await answered(storage, 7, 6, 5, 7, 6)

    def unit(tx: Any) -> None:
        tx.conn.execute(t.cases.update().values(agent_id="gone", team="old"))
        tx.conn.execute(insert(t.agent_states).values(agent_id="gone", name="Gone Girl"))

    await storage.write(unit)
    page = (await site.get("/admin/figures")).text
    assert re.search(r'<option value="gone"[^>]*>\s*Gone Girl', page)
    assert re.search(r'<option value="old"[^>]*>\s*old', page)


async def test_exports_hold_every_figure_and_run_no_formula(site: httpx2.AsyncClient, storage: Storage) -> None:
    await answered(storage, 7, 6, 5, 7, 6, topic="=HYPERLINK(0)")
    rows = (await site.get("/admin/figures.csv?by=topic")).text.lstrip("\ufeff").split("\r\n")
    assert rows[0] == "metric,topic,n,value,low,high,share,mean,p90,shown"
    assert any(one.startswith("ces7,*,5,6.2,") for one in rows)
    assert any(one.startswith("ces7,'=HYPERLINK(0),5,6.2,") for one in rows)
    body = (await site.get("/admin/figures.json?by=topic")).json()
    assert body["counts"]["cases"] == 5
    assert {"metric": "ces7", "topic": "=HYPERLINK(0)", "n": 5, "value": 6.2}.items() <= next(
        one for one in body["figures"] if one["metric"] == "ces7" and one["topic"] != "*"
    ).items()
