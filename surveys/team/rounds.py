"""The verbs: cases are drawn and reviewed; a pulse opens, is answered, and closes. Each runs inside a transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from bot import timers
from bot.errors import Conflict, NotFound
from bot.events import TeamTold
from bot.model import new_id
from bot.storage import audit
from bot.storage.tx import Tx
from bot.timers import Timer
from surveys.team import pulse, quality, store
from surveys.team.pulse import Round
from surveys.team.quality import Review
from surveys.team.rubric import NOT_APPLICABLE, Rubric
from surveys.team.store import Sample

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk

KIND: Final = "pulse"
KEY: Final = "pulse:next"
MOST_SEED: Final = 2**31 - 1


# ── quality ────────────────────────────────────────────────────────────────────────────────────────────────────────
def draw(tx: Tx, rubric: Rubric, seed: int, since: datetime, until: datetime, by: str) -> Sample:
    """Draw cases that ended in a span. Raises Conflict for a seed that is none, where no case can be drawn, and where just these
    were drawn before: a form that is sent twice has nobody look at the same cases twice.
    """
    if not 0 <= seed <= MOST_SEED:
        raise Conflict(f"a draw number is a whole number from 0 to {MOST_SEED}")
    chosen = quality.drawn(store.may_be_drawn(tx.conn, since, until), seed, rubric.sample)
    if not chosen:
        raise Conflict("no case that people had ended in these days")
    for one in store.samples(tx.conn):
        same = (one.seed, one.since, one.until, one.rubric.criteria) == (seed, since, until, rubric.criteria)
        if same and {each.case_id for each in store.drawn(tx.conn, one.id)} == set(chosen):
            raise Conflict("this number has drawn these cases already")
    made = Sample(new_id(), seed, since, until, rubric, by, tx.now)
    store.add_sample(tx, made, chosen)
    audit.of_console(tx, by, "quality drawn", seed=seed, count=len(chosen))
    tx.emit(TeamTold("team_review_open", {"count": len(chosen)}, "/admin/quality", "review"))
    return made


def review(tx: Tx, sample_id: str, case_id: str, rater: str, marks: Mapping[str, str], comment: str) -> None:
    """Raises NotFound for a case that is none of the sample's, Conflict for marks that are none and for one's own case."""
    sample = store.sample(tx.conn, sample_id)
    drawn = next((one for one in store.drawn(tx.conn, sample_id) if one.case_id == case_id), None)
    if drawn is None:
        raise NotFound("that case is not in the sample any more")
    if rater in drawn.agents:
        raise Conflict("nobody rates a case of their own")
    wrong = sample.rubric.refused(marks)
    if wrong is not None:
        raise Conflict(f"{wrong}: choose a mark, or that it does not apply")
    known = store.reviews(tx.conn, sample_id)
    raters = {one.rater for one in known if one.case_id == case_id}
    if rater not in raters and len(raters) >= quality.RATERS:
        raise Conflict("this case has its two raters")
    given = {name: int(mark) for name, mark in marks.items() if mark != NOT_APPLICABLE}
    kept = {one.id: given[one.id] for one in sample.rubric.criteria if one.id in given}
    said = " ".join(comment.split())[: pulse.LONGEST_COMMENT]
    store.put_review(tx, new_id(), sample_id, drawn.customer_id, Review(case_id, rater, kept, said))


# ── pulse ──────────────────────────────────────────────────────────────────────────────────────────────────────────
class Pulse:
    """`desk` is asked afresh each time; `secret` keys the hashes that tell who has answered."""

    def __init__(self, desk: Callable[[], Desk], secret: str) -> None:
        self._desk = desk
        self._secret = secret

    def begin(self, tx: Tx) -> None:
        """The timer of the next month's round; one that waits already stays."""
        timers.set_once(tx, KIND, KEY, pulse.next_month(tx.now, self._zone))

    def due(self, tx: Tx, _: Timer) -> None:
        """A month has begun: its round opens, where the desk wants that."""
        if (self._desk().pulse or {}).get("monthly"):
            self.open(tx, "stafett")
        timers.set_timer(tx, KIND, KEY, pulse.next_month(tx.now, self._zone))

    def open(self, tx: Tx, by: str) -> Round:
        """Raises Conflict where this month has its round."""
        own = tuple((self._desk().pulse or {}).get("questions") or ())
        month = pulse.month_of(tx.now, self._zone)
        made = Round(month, pulse.asked(own), tx.now, tx.now + pulse.OPEN_FOR, None, 0, {}, (), ())
        if not store.add_round(tx, made):
            raise Conflict("this month has its round")
        audit.of_console(tx, by, "pulse opened", month=month)
        tx.emit(TeamTold("team_pulse_open", {"days": pulse.OPEN_FOR.days}, "/admin/pulse", "pulse"))
        return made

    def close(self, tx: Tx, round_id: str, by: str) -> None:
        found = store.held_round(tx, round_id)
        if found is None or not found.is_open(tx.now):
            raise Conflict("this round is over")
        store.change_round(tx, round_id, closed_at=tx.now)
        audit.of_console(tx, by, "pulse closed", month=round_id)

    def has_answered(self, found: Round, agent_id: str) -> bool:
        return pulse.token_of(self._secret, found.id, agent_id) in found.who

    def answer(self, tx: Tx, round_id: str, agent_id: str, scores: Mapping[str, int], comment: str) -> None:
        """Once a round. Raises Conflict for a second one, one too late, and scores that are none."""
        found = store.held_round(tx, round_id)
        if found is None or not found.is_open(tx.now):
            raise Conflict("this round is over")
        if self.has_answered(found, agent_id):
            raise Conflict("you have answered this month; thank you")
        asked = {question for question, _ in found.questions}
        if set(scores) != asked or any(score not in pulse.SCORES for score in scores.values()):
            raise Conflict("answer each question from 1 to 5")
        token = pulse.token_of(self._secret, found.id, agent_id)
        tally, comments, who = pulse.added(found, token, scores, comment)
        store.change_round(tx, round_id, tally=tally, comments=comments, who=who, given=found.given + 1)

    @property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self._desk().time_zone)
