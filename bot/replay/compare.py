"""Where a conversation differs: turn by turn, up to the first turn that differs in more than its wording. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.flows.transcripts import plain
from bot.replay.recording import ESCALATION, MISS, Exchange, Recording, Said
from bot.replay.rerun import Rerun

if TYPE_CHECKING:
    from bot.answers.knowledge import Knowledge
    from bot.desk_folder.desk import Desk

SAME, REWORDED, DIVERGED = "same", "reworded", "diverged"
MORE, FEWER, DEAD_END, UNRECORDED, BUTTON, SURVEY, OTHER = (
    "fetches a human",
    "no longer fetches a human",
    "dead end",
    "asks a connector what was not recorded",
    "a pressed button is gone",
    "asks another question at the end",
    "answers otherwise",
)
"""What is different at the turn that differs."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one conversation.

    `verdict` same | reworded | diverged. `turn` counts from 1: the first that differs, or was reworded; None where all are the
    same. `kind` says how it differs, `detail` with whom. `heard`, `then` and `now` are the words of that turn.
    `escalated`: the bot fetched people then. `dead_end` −1 one fewer, 1 one more.
    """

    case_id: str
    number: int | None
    topic: str
    locale: str
    channel: str
    turns: int
    verdict: str
    turn: int | None = None
    kind: str = ""
    detail: str = ""
    heard: str = ""
    then: str = ""
    now: str = ""
    escalated: bool = False
    dead_end: int = 0


def compare(desk: Desk, knowledge: Knowledge, recording: Recording) -> Finding:
    """Play a recording against a desk. Never raises for what customers or connectors sent."""
    rerun = Rerun(desk, knowledge, recording)
    reworded: tuple[int, Exchange, Sequence[Said]] | None = None
    escalated = any(one.escalated for one in recording.exchanges)
    turn = 0
    for turn, exchange in enumerate(recording.exchanges, start=1):
        if rerun.is_for_people():
            turn -= 1  # noqa: PLW2901 - it was the people's
            break
        said = rerun.answer(exchange)
        kind = _difference(rerun, exchange, said)
        if kind:
            dead = _is_dead(said, rerun) - any(one.source == MISS for one in exchange.said)
            return _finding(recording, turn, DIVERGED, (turn, exchange, said), kind, rerun.unrecorded, escalated, dead)
        if reworded is None and [_words(one) for one in said] != [_words(one) for one in exchange.said]:
            reworded = turn, exchange, said
        rerun.pair(exchange.said, said)
    asked = rerun.finish(recording) if recording.survey is not None else None
    if asked != recording.survey:
        end = Exchange((), (Said(recording.survey or ""),), recording.exchanges[-1].until)
        now = (Said(asked or ""),)
        return _finding(recording, turn, DIVERGED, (turn, end, now), SURVEY, None, escalated, 0)
    return _finding(recording, turn, REWORDED if reworded else SAME, reworded, "", None, escalated, 0)


def _difference(rerun: Rerun, exchange: Exchange, said: Sequence[Said]) -> str:
    """How a turn differs in more than its wording, or ""."""
    if rerun.unrecorded is not None:
        return UNRECORDED
    if rerun.lost_button:
        return BUTTON
    now_escalates = any(one.source == ESCALATION for one in said)
    if now_escalates != exchange.escalated:
        return MORE if now_escalates else FEWER
    if [_words(one) for one in said] == [_words(one) for one in exchange.said]:
        return ""
    if _is_reworded(exchange.said, said):
        return ""
    return DEAD_END if _is_dead(said, rerun) and not any(one.source == MISS for one in exchange.said) else OTHER


def _is_reworded(then: Sequence[Said], now: Sequence[Said]) -> bool:
    """The same things were said, in other words: each comes from where it came from then, and has the same buttons."""
    if len(then) != len(now):
        return False
    return all(
        before.source is not None and before.source == after.source and before.values == after.values
        for before, after in zip(then, now, strict=True)
    )


def _is_dead(said: Sequence[Said], rerun: Rerun) -> bool:
    """Nothing is said at all, or that nothing was found; while nobody was fetched."""
    return not rerun.with_people and (not said or any(one.source == MISS for one in said))


def _words(said: Said) -> tuple[str, ...]:
    return plain(said.text), *(choice.label for choice in said.choices)


def _finding(
    recording: Recording,
    turns: int,
    verdict: str,
    at: tuple[int, Exchange, Sequence[Said]] | None,
    kind: str,
    detail: str | None,
    escalated: bool,
    dead_end: int,
) -> Finding:
    turn, heard, then, now = None, "", "", ""
    if at is not None:
        turn, exchange, said = at
        heard = " · ".join(one.text or one.value or ", ".join(f.name for f in one.files) for one in exchange.heard)
        then, now = _told(exchange.said), _told(said)
    return Finding(
        recording.case_id,
        recording.number,
        recording.topic,
        recording.locale,
        recording.channel,
        turns,
        verdict,
        turn,
        kind,
        detail or "",
        heard,
        then,
        now,
        escalated,
        dead_end,
    )


def _told(said: Sequence[Said]) -> str:
    lines = (plain(one.text) + "".join(f" [{choice.label}]" for choice in one.choices) for one in said)
    return " · ".join(lines)
