"""The forms of what is asked of colleagues: Consult…, Task…, and the answer's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from channels.text import clean
from handoff import hours, store, terms
from handoff.case import AgentView, Case
from handoff.errands import store as rows
from handoff.errands import verbs
from handoff.slack import forms
from handoff.slack.agents import zone_of
from handoff.slack.blocks import line, section
from handoff.slack.forms import TEXT
from handoff.slack.store import DESK
from handoff.slack.taking import DATE, PRESETS, TIME, WHEN, snooze_until
from handoff.slack.verb import Refusal, Scene, Verb, View
from handoff.steps import is_over, may_act

TO = "to"
SPANS = {"1h": 1, "4h": 4, "8h": 8, "24h": 24}
"""How long a team may take: hours of its own opening times."""


# ── a question to a team ───────────────────────────────────────────────────────────────────────────────────────────
def consult_form(scene: Scene) -> View:
    """Raises Refusal where there is no other team."""
    say, case = scene.wording, scene.case
    _may_ask(scene)
    teams = [(one.id, one.name) for one in terms.teams(scene.desk) if one.id != case.team]
    if not teams:
        raise Refusal(say("consult_nobody"))
    spans = [(one, say(f"consult_in_{one}")) for one in ("4h", "1h", "8h", "24h")]
    blocks = [
        forms.one_of(TO, say("consult_to"), teams),
        forms.written(TEXT, say("consult_text")),
        forms.one_of(WHEN, say("errand_until"), spans, first=True),
        line(say("errand_hidden")),
    ]
    return forms.form(scene, "consult", say("consult_form"), blocks, say("button_ask"))


def consult(scene: Scene, view: Mapping[str, Any]) -> Mapping[str, Any] | None:
    team, text = forms.filled(view, TO), clean(forms.filled(view, TEXT)).strip()
    if not text:
        return forms.errors(**{TEXT: scene.wording("refused_empty")})
    span = timedelta(hours=SPANS.get(forms.filled(view, WHEN), 4))
    until = hours.after_business(hours.of(scene.desk, team), scene.tx.now, span)
    ref = f"view:{view.get('id')}"
    verbs.consult(scene.tx, scene.case.id, scene.agent.id, team, text, desk=DESK, due_at=until, ref=ref)
    return None


# ── a task ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def task_form(scene: Scene) -> View:
    say = scene.wording
    _may_ask(scene)
    presets = [(one, say(f"snooze_{one}")) for one in PRESETS]
    zone = zone_of(scene.who, scene.desk)
    blocks = [
        forms.written(TEXT, say("task_text")),
        forms.one_of(TO, say("task_owner"), _owners(scene)),
        forms.one_of(WHEN, say("errand_until"), presets, first=True),
        forms.field(DATE, say("snooze_date"), {"type": "datepicker"}, optional=True),
        forms.field(TIME, say("snooze_time"), {"type": "timepicker"}, optional=True),
        line(f"{say('errand_hidden')} ({zone})"),
    ]
    return forms.form(scene, "task", say("task_form"), blocks, say("button_ask"))


def _owners(scene: Scene) -> Sequence[tuple[str, str]]:
    """Oneself first, then who is there."""
    found = store.agents(scene.tx.conn, scene.desk, scene.tx.now)
    ordered = sorted(found, key=lambda one: (one.id != scene.agent.id, not one.available))
    return [(one.id, one.name if one.available else scene.wording("transfer_away", name=one.name)) for one in ordered]


def task(scene: Scene, view: Mapping[str, Any]) -> Mapping[str, Any] | None:
    text = clean(forms.filled(view, TEXT)).strip()
    if not text:
        return forms.errors(**{TEXT: scene.wording("refused_empty")})
    until = _moment(scene, view)
    if until <= scene.tx.now:
        return forms.errors(**{DATE: scene.wording("refused_past")})
    owner, ref = forms.filled(view, TO), f"view:{view.get('id')}"
    verbs.task(scene.tx, scene.case.id, scene.agent.id, owner, text, until, desk=DESK, ref=ref)
    return None


def _moment(scene: Scene, view: Mapping[str, Any]) -> datetime:
    values = (forms.filled(view, one) for one in (WHEN, DATE, TIME))
    return snooze_until(scene.tx.now, zone_of(scene.who, scene.desk), *values)


# ── the answer ─────────────────────────────────────────────────────────────────────────────────────────────────────
def answer_form(scene: Scene) -> View:
    errand, say = rows.one(scene.tx.conn, scene.extra), scene.wording
    if errand is None or not errand.is_open:
        raise Refusal(say("errand_ended"))
    label, title = ("task_result", "task_form") if errand.is_task else ("consult_answer", "consult_form")
    blocks = [section(errand.text), forms.written(TEXT, say(label)), line(say("errand_hidden"))]
    return forms.form(scene, "errand_answer", say(title), blocks, say("button_send"), more=errand.id)


def answer(scene: Scene, view: Mapping[str, Any]) -> Mapping[str, Any] | None:
    text = clean(forms.filled(view, TEXT)).strip()
    if not text:
        return forms.errors(**{TEXT: scene.wording("refused_empty")})
    _, errand_id = forms.kept(view)
    verbs.answer(scene.tx, errand_id, scene.agent.id, text, desk=DESK, ref=f"view:{view.get('id')}")
    return None


def _may_ask(scene: Scene) -> None:
    if not scene.case.live:
        raise is_over(scene.case)
    may_act(scene.tx, scene.case, scene.agent.id)


# ── when they are offered ──────────────────────────────────────────────────────────────────────────────────────────
def may_ask(case: Case, agent: AgentView) -> bool:
    return case.with_people and (case.agent_id in {None, agent.id} or agent.leads)


def never(_case: Case, _agent: AgentView) -> bool:
    """Its button stands on a card of its own."""
    return False


CONSULT = Verb(
    "consult", "button_consult", may_ask, about="about_consult", form=consult_form, submit=consult, field=TEXT
)
TASK = Verb("task", "button_task", may_ask, about="about_task", form=task_form, submit=task, field=TEXT)
ANSWER = Verb("errand_answer", "button_answer", never, form=answer_form, submit=answer, field=TEXT)
