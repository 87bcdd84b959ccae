"""Below More…: was a person needed for this case? One press; the answer that stands is not offered again."""

from __future__ import annotations

from functools import partial

from handoff import verdicts
from handoff.case import AgentView, Case
from handoff.slack.store import DESK
from handoff.slack.verb import Scene, Verb


def _judge(scene: Scene, *, needed: bool) -> None:
    verdicts.judge(scene.tx, scene.case.id, scene.agent.id, needed, desk=DESK)


def _was_fetched(case: Case, _agent: AgentView) -> bool:
    return verdicts.can_be_judged(case)


def _is_new(scene: Scene, *, needed: bool) -> bool:
    return verdicts.last(scene.tx.conn, scene.case.id) is not needed


NEEDED, NOT_NEEDED = (
    Verb(
        name,
        f"verdict_{name}",
        _was_fetched,
        about="verdict_question",
        act=partial(_judge, needed=needed),
        fits=partial(_is_new, needed=needed),
    )
    for name, needed in (("needed", True), ("not_needed", False))
)
