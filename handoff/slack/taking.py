"""Who has a case, and until when: claim, give back, transfer, snooze, wake, the customer's turn."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo
from typing import Any

from bot.model import CaseStatus
from handoff import cases, store, terms
from handoff.case import AgentView, Case
from handoff.slack import forms
from handoff.slack.agents import zone_of
from handoff.slack.blocks import line
from handoff.slack.store import DESK
from handoff.slack.verb import Refusal, Scene, Verb, View
from handoff.steps import is_over, may_act, must_hold

TO, NOTE, WHEN, DATE, TIME = "to", "note", "when", "date", "time"
TEAM, AGENT = "team:", "agent:"
PRESETS = ("1h", "3h", "tomorrow", "monday")
MORNING = 9  # o'clock


# ── taking and giving ──────────────────────────────────────────────────────────────────────────────────────────────
def claim(scene: Scene) -> None:
    cases.claim(scene.tx, scene.case.id, scene.agent.id, desk=DESK)


def release(scene: Scene) -> None:
    cases.release(scene.tx, scene.case.id, scene.agent.id, desk=DESK)


def wake(scene: Scene) -> None:
    must_hold(scene.tx, scene.case, scene.agent.id)
    cases.wake(scene.tx, scene.case)


def await_customer(scene: Scene) -> None:
    cases.await_customer(scene.tx, scene.case.id, scene.agent.id, desk=DESK)


def transfer_form(scene: Scene) -> View:
    """Raises Refusal where there is nobody to pass it on to."""
    say, case = scene.wording, scene.case
    if not case.live:
        raise is_over(case)
    may_act(scene.tx, case, scene.agent.id)
    options = transfer_options(scene)
    if not options:
        raise Refusal(say("transfer_nobody"))
    blocks = [
        forms.one_of(TO, say("transfer_to"), options),
        forms.written(NOTE, say("transfer_note"), optional=True),
    ]
    return forms.form(scene, "transfer", say("transfer_title"), blocks, say("button_transfer").rstrip("…"))


def transfer_options(scene: Scene) -> list[tuple[str, str]]:
    """The other teams, then the other agents: who is there first."""
    say, case = scene.wording, scene.case
    teams = [(f"{TEAM}{one.id}", say("transfer_team", name=one.name)) for one in terms.teams(scene.desk)]
    found = store.agents(scene.tx.conn, scene.desk, scene.tx.now)
    there = sorted((one for one in found if one.id != case.agent_id), key=lambda one: not one.available)
    agents = [
        (f"{AGENT}{one.id}", say("transfer_agent" if one.available else "transfer_away", name=one.name))
        for one in there
    ]
    return [one for one in teams if one[0] != f"{TEAM}{case.team}"] + agents


def transfer(scene: Scene, view: Mapping[str, Any]) -> Mapping[str, Any] | None:
    to, note = forms.filled(view, TO), forms.typed(view, NOTE)
    may_act(scene.tx, scene.case, scene.agent.id)
    if note:
        ref = f"view:{view.get('id')}:note"
        cases.note(scene.tx, scene.case.id, scene.agent.id, note, desk=DESK, ref=ref)
    if to.startswith(AGENT):
        cases.assign(scene.tx, scene.case.id, to.removeprefix(AGENT), desk=DESK, by=scene.agent.id)
    else:
        cases.transfer(scene.tx, scene.case.id, scene.agent.id, to.removeprefix(TEAM), desk=DESK)
    return None


# ── putting aside ──────────────────────────────────────────────────────────────────────────────────────────────────
def snooze_form(scene: Scene) -> View:
    say = scene.wording
    must_hold(scene.tx, scene.case, scene.agent.id)
    presets = [(one, say(f"snooze_{one}")) for one in PRESETS]
    zone = zone_of(scene.who, scene.desk)
    blocks = [
        forms.one_of(WHEN, say("snooze_until"), presets, first=True),
        forms.field(DATE, say("snooze_date"), {"type": "datepicker"}, optional=True),
        forms.field(TIME, say("snooze_time"), {"type": "timepicker"}, optional=True),
        line(say("snooze_wakes", zone=str(zone))),
    ]
    return forms.form(scene, "snooze", say("snooze_title"), blocks, say("button_snooze"))


def snooze(scene: Scene, view: Mapping[str, Any]) -> Mapping[str, Any] | None:
    values = (forms.filled(view, one) for one in (WHEN, DATE, TIME))
    until = snooze_until(scene.tx.now, zone_of(scene.who, scene.desk), *values)
    if until <= scene.tx.now:
        return forms.errors(**{DATE: scene.wording("refused_past")})
    cases.snooze(scene.tx, scene.case.id, scene.agent.id, until, desk=DESK)
    return None


def snooze_until(now: datetime, zone: tzinfo, preset: str, date: str = "", time: str = "") -> datetime:
    """The moment that was chosen, in UTC. A `date` ("2026-12-24") or `time` ("14:30") in `zone` wins over the preset;
    a date alone means its morning, a time alone the next one.
    """
    here = now.astimezone(zone)
    if date or time:
        day = datetime.fromisoformat(date).date() if date else here.date()
        clock = datetime.strptime(time or f"{MORNING:02}:00", "%H:%M").time()  # noqa: DTZ007 - of no day yet
        # In the hour that comes twice, a time of today is one of the hour that it is.
        at = datetime.combine(day, clock.replace(fold=here.fold if day == here.date() else 0), zone)
        return (at + timedelta(days=1) if not date and at <= here else at).astimezone(now.tzinfo)
    if preset in {"1h", "3h"}:
        return now + timedelta(hours=int(preset[0]))
    days = 1 if preset == "tomorrow" else 7 - here.weekday()
    return datetime.combine(here.date() + timedelta(days=days), here.time().replace(MORNING, 0, 0, 0), zone).astimezone(
        now.tzinfo
    )


# ── when they are offered ──────────────────────────────────────────────────────────────────────────────────────────
def is_free(case: Case, _agent: AgentView) -> bool:
    return case.with_people and case.agent_id is None


def is_theirs(case: Case, agent: AgentView) -> bool:
    """Held, by this agent or with a lead looking."""
    return case.with_people and case.agent_id is not None and (case.agent_id == agent.id or agent.leads)


def may_pass_on(case: Case, agent: AgentView) -> bool:
    return case.with_people and (case.agent_id in {None, agent.id} or agent.leads)


def may_snooze(case: Case, agent: AgentView) -> bool:
    return case.with_people and case.agent_id == agent.id


def may_wake(case: Case, agent: AgentView) -> bool:
    return case.status is CaseStatus.SNOOZED and case.agent_id == agent.id


def may_await(case: Case, agent: AgentView) -> bool:
    return case.status in {CaseStatus.OPEN, CaseStatus.SNOOZED} and case.agent_id == agent.id


CLAIM = Verb("claim", "button_claim", is_free, act=claim)
RELEASE = Verb("release", "button_release", is_theirs, about="about_release", act=release)
TRANSFER = Verb("transfer", "button_transfer", may_pass_on, form=transfer_form, submit=transfer, field=TO)
SNOOZE = Verb("snooze", "button_snooze_form", may_snooze, form=snooze_form, submit=snooze, field=WHEN)
WAKE = Verb("wake", "desk_wake", may_wake, act=wake)
AWAIT = Verb("await", "button_await", may_await, about="about_await", act=await_customer)
