"""Every message and form of the agents' Slack: as Slack takes it, whatever people type, and as the documentation shows it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.desk_folder.desk import Desk
from bot.model import Author, AuthorKind, Body, CaseStatus, Message
from handoff.case import Case, Relay
from handoff.slack import forms, undo
from handoff.slack.home import store as at_home
from handoff.slack.home import view as home
from handoff.slack.taking import snooze_until
from handoff.slack.verbs import CARD, MORE
from handoff.slack.whose import timeline_blocks
from handoff.slack.wording import Wording
from tests.fakes.slack_checks import check_blocks, check_view
from tests.fakes.slack_shapes import flat
from tests.support.slack_pictures import FOLDER, pictures
from tests.support.slack_samples import made
from tests.unit.handoff_house import build

NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)
PAGE = FOLDER.parents[1] / "slack.md"
HOSTILE = (
    "<!channel> <@U1> <https://evil.example|bank> & *bold* _x_ `y`",
    "x" * 6000,
    "👩‍👩‍👧" * 800,
    "\u202eevil\u2066 \u200b",
    "🔴 #99 · Kari\n*Status* Open\n" * 40,
)


async def story(url: str, words: str | None = None, locale: str = "en") -> dict[str, dict[str, Any]]:
    house = await build(url)
    try:
        house.desk = replace(house.desk, locales=(locale,))
        return await (made(house) if words is None else made(house, words))
    finally:
        await house.storage.close()


def checked(name: str, one: dict[str, Any]) -> None:
    if "type" in one:
        check_view(one)
    else:
        check_blocks(one.get("blocks") or [])
        assert one["text"].strip(), f"{name} says nothing in a notification"


def mrkdwn(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if part.get("type") == "mrkdwn":
            yield part["text"]
        for inner in part.values():
            yield from mrkdwn(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from mrkdwn(inner)


@pytest.mark.parametrize("locale", ["nl", "nb", "he"])
async def test_everything_is_as_slack_takes_it_in_each_language_and_no_title_is_cut(
    sqlite_url: str, locale: str
) -> None:
    for name, one in (await story(sqlite_url, None, locale)).items():
        checked(name, one)
        for part in ("title", "submit", "close"):
            if one.get(part):
                assert not re.search(r"\w…$", one[part]["text"]) or len(one[part]["text"]) < forms.TITLE, (name, part)


@pytest.mark.parametrize("words", HOSTILE, ids=range(len(HOSTILE)))
async def test_whatever_people_type_is_taken_and_pings_nobody(sqlite_url: str, words: str) -> None:
    for name, one in (await story(sqlite_url, words)).items():
        checked(name, one)
        for text in mrkdwn(one.get("blocks")):
            assert not re.search(r"<!(?:channel|here|everyone|subteam)|<@|evil|Status\* Open", text), (name, text)
        assert "\u202e" not in flat(one.get("blocks")), name


async def test_the_documentation_shows_what_the_product_makes() -> None:
    """`python -m tests.support.slack_pictures` draws them anew."""
    drawn = await pictures()
    in_the_story = {verb.name for verb in (*CARD, *MORE) if verb.form is not None}
    assert {name for name in in_the_story if f"form-{name}.svg" not in drawn} == set()
    kept = {path.name: path.read_text("utf-8") for path in FOLDER.glob("*.svg")}
    assert {name for name in drawn if drawn[name] != kept.get(name)} == set(), "python -m tests.support.slack_pictures"
    assert set(kept) == set(drawn)
    page = PAGE.read_text("utf-8")
    assert [name for name in drawn if f"pictures/slack/{name}" not in page] == []


# ── what people type, in any shape ─────────────────────────────────────────────────────────────────────────────────
def a_case(**values: Any) -> Case:
    return replace(Case("case-1", 12, "kari", CaseStatus.OPEN, "web", "en", NOW, NOW, agent_id="ann"), **values)


@settings(max_examples=25)
@given(st.text(max_size=4000), st.integers(0, 60))
def test_a_home_of_any_size_is_taken(text: str, many: int) -> None:
    say, case = Wording(Desk("Acme")), a_case(topic=text, last_customer_at=NOW)
    rows = [at_home.Row(case, text)] * many
    late = [home.Late(row, NOW, broken=True) for row in rows]
    shown = home.Page(text, at_home.Availability(), rows, rows, late, [(row, NOW) for row in rows],
                      [at_home.Scored(text[:50], 3, 1.0)] * min(many, 5))  # fmt: skip
    view = home.page(shown, say, {"case-1": "https://acme.slack.com/archives/C1/p1"})
    check_view(view)
    assert len(view["blocks"]) <= 100


@settings(max_examples=25)
@given(st.lists(st.text(max_size=5000), max_size=20))
def test_a_timeline_and_an_undo_line_are_taken(texts: list[str]) -> None:
    say = Wording(Desk("Acme"))
    kari = Author(AuthorKind.CUSTOMER, "Kari")
    said = [Message(f"m{n}", "kari", n, "case-1", kari, "web", Body(text), NOW) for n, text in enumerate(texts)]
    check_blocks(timeline_blocks(said, say))
    for text in texts[:3]:
        relay = Relay("r", "c", "k", "ann", "slack", "C1:2.2", text, (), "waiting", 1, NOW, None, NOW)
        check_blocks(undo.line(relay, say)["blocks"])


@settings(max_examples=25)
@given(st.lists(st.tuples(st.text(min_size=1, max_size=300), st.text(max_size=300)), min_size=1, max_size=150))
def test_a_list_to_choose_from_is_taken(options: list[tuple[str, str]]) -> None:
    say = Wording(Desk("Acme"))
    block = forms.one_of("to", "To whom?", options, first=True)
    check_view(forms.view("desk:x", "t" * 90, [block], say, "s" * 90, "case-1"))


# ── until when ─────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("preset", "date", "time", "until"),
    [
        ("1h", "", "", "2026-03-28T09:30+01:00"),
        ("3h", "", "", "2026-03-28T11:30+01:00"),
        ("tomorrow", "", "", "2026-03-29T09:00+02:00"),  # the clocks go forward in the night
        ("monday", "", "", "2026-03-30T09:00+02:00"),
        ("1h", "2026-04-01", "", "2026-04-01T09:00+02:00"),
        ("1h", "2026-04-01", "14:30", "2026-04-01T14:30+02:00"),
        ("1h", "", "14:30", "2026-03-28T14:30+01:00"),
        ("1h", "", "08:00", "2026-03-29T08:00+02:00"),  # already past today
        ("1h", "2001-01-01", "", "2001-01-01T09:00+01:00"),  # the form refuses it
    ],
)
def test_snoozing_ends_by_the_agents_own_clock(preset: str, date: str, time: str, until: str) -> None:
    from zoneinfo import ZoneInfo

    now = datetime(2026, 3, 28, 7, 30, tzinfo=UTC)  # a Saturday, 8:30 in Oslo
    assert snooze_until(now, ZoneInfo("Europe/Oslo"), preset, date, time) == datetime.fromisoformat(until)
    assert now + timedelta(hours=1) == snooze_until(now, UTC, "1h")


@pytest.mark.parametrize(("minute", "until"), [(0, "2026-10-25T02:45+02:00"), (60, "2026-10-25T02:45+01:00")])
def test_in_the_hour_that_comes_twice_a_time_is_of_the_hour_that_it_is(minute: int, until: str) -> None:
    from zoneinfo import ZoneInfo

    now = datetime(2026, 10, 25, 0, 30, tzinfo=UTC) + timedelta(
        minutes=minute
    )  # 2:30 in Oslo, for the first or second time
    for date in ("", "2026-10-25"):
        assert snooze_until(now, ZoneInfo("Europe/Oslo"), "1h", date, "02:45") == datetime.fromisoformat(until)
    assert snooze_until(now, ZoneInfo("Europe/Oslo"), "1h", "", "02:15") == datetime.fromisoformat(
        "2026-10-26T02:15+01:00"
    )
