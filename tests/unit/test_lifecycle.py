"""A case's life is a table: what it allows happens, what it doesn't is refused in one line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import Conflict
from bot.model import LIVE, WITH_PEOPLE, CaseStatus
from handoff.lifecycle import EVENTS, TRANSITIONS, after, mermaid

HAPPENINGS = st.sampled_from(EVENTS)


def test_every_status_has_a_row_and_every_event_is_known() -> None:
    assert set(TRANSITIONS) == set(CaseStatus)
    assert {event for row in TRANSITIONS.values() for event in row} == set(EVENTS)


@pytest.mark.parametrize(
    ("status", "event", "following"),
    [
        ("bot", "escalate", "queued"),
        ("queued", "claim", "open"),
        ("open", "reply", "pending"),
        ("pending", "customer_wrote", "open"),
        ("snoozed", "customer_wrote", "open"),
        ("snoozed", "wake", "open"),
        ("open", "transfer", "queued"),
        ("pending", "resolve", "resolved"),
        ("resolved", "reopen", "bot"),
        ("resolved", "close", "closed"),
    ],
)
def test_a_step(status: str, event: str, following: str) -> None:
    assert after(CaseStatus(status), event) == following


@pytest.mark.parametrize("event", EVENTS)
def test_a_closed_case_is_closed_for_good(event: str) -> None:
    with pytest.raises(Conflict, match="a case that is closed can't"):
        after(CaseStatus.CLOSED, event)


def test_a_missing_step_says_what_cannot_be_done() -> None:
    with pytest.raises(Conflict, match=r"^a case that is resolved can't be claimed$"):
        after(CaseStatus.RESOLVED, "claim")


@given(st.lists(HAPPENINGS, max_size=40))
def test_people_let_go_of_a_case_only_by_ending_it(happenings: list[str]) -> None:
    """Once people have a case, the bot gets it back only when it ended and the customer came again."""
    status, held = CaseStatus.BOT, False
    for event in happenings:
        following = TRANSITIONS[status].get(event)
        if following is None:
            continue
        if held and following is CaseStatus.BOT:
            assert event == "reopen"
        held = following in WITH_PEOPLE
        assert (following in LIVE) or event in {"resolve", "close"}
        status = following


def test_the_diagram_shows_every_step_to_another_status() -> None:
    drawn = mermaid()
    for status, row in TRANSITIONS.items():
        for event, following in row.items():
            if following is not status:
                line = next(line for line in drawn.splitlines() if f"{status} --> {following}:" in line)
                assert event in line
