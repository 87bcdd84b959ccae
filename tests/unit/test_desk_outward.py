"""What desk.yaml says of webhooks and of asking is read strictly: each mistake is told at its place."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from bot.desk_folder import load
from bot.desk_folder.load import DeskFaults
from surveys.timing import rules_from

DESK = "schema: 1\nname: Shop\nlocales: [en]\nteams: [{id: support, name: Support}]\n"


def desk(folder: Path, more: str) -> Path:
    (folder / "desk.yaml").write_text(DESK + more, encoding="utf-8")
    return folder


def test_a_whole_section_is_read(tmp_path: Path) -> None:
    made = load(
        desk(
            tmp_path,
            "webhooks: [{id: crm, url: 'https://crm.example/x', secret: '${CRM_SECRET}', events: [case]}]\n"
            "surveys: {goal: true, review_url: 'https://r.example', nps: {every: 30d, first: 2026-02-01, at: '09:30', sample: 0.5, seed: s}}\n",
        )
    )
    (hook,) = made.webhooks
    assert (hook.id, hook.secret, hook.events) == ("crm", "CRM_SECRET", ("case",))
    rules = rules_from(made.surveys)
    assert (rules.goal, rules.review_url) == (True, "https://r.example")
    assert rules.nps is not None
    assert (rules.nps.every, rules.nps.first, rules.nps.share, rules.nps.seed) == (
        timedelta(days=30),
        date(2026, 2, 1),
        0.5,
        "s",
    )
    assert rules_from({"nps": "off"}).nps is None


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("webhooks: [{id: crm, url: 'ftp://crm.example', secret: '${S}'}]\n", "must begin with https://"),
        ("webhooks: [{id: crm, url: 'https://{{ host }}/x', secret: '${S}'}]\n", "must begin with https://"),
        ("webhooks: [{id: crm, url: 'https://crm.example', secret: hunter2}]\n", "stands in the environment"),
        ("webhooks: [{id: crm, url: 'https://crm.example', secret: '${S}', events: [click]}]\n", 'unknown "click"'),
        ("webhooks: [{id: crm, url: 'https://crm.example'}]\n", "secret"),
        ("surveys: {review_url: 'http://r.example'}\n", "must begin with https://"),
        ("surveys: {nps: {every: 5h}}\n", "whole days"),
        ("surveys: {nps: {sample: 2}}\n", "from 0 to 1"),
        ("surveys: {nps: {first: soon}}\n", "must be a day"),
        ("surveys: {nps: {at: noon}}\n", "must be a time"),
        ("surveys: {nps: {often: yes}}\n", "often"),
        ("surveys: {flows: {refund: csat5}}\n", 'unknown flow "refund"'),
        ("surveys: {flows: {refund: stars}}\n", 'unknown "stars"'),
    ],
)
def test_a_mistake_is_told_where_it_is(tmp_path: Path, more: str, told: str) -> None:
    with pytest.raises(DeskFaults) as caught:
        load(desk(tmp_path, more))
    assert any(told in str(fault) and fault.line == 5 for fault in caught.value.faults)


def test_nps_about_a_case_is_warned_of(tmp_path: Path) -> None:
    made = load(desk(tmp_path, "surveys: {instrument: nps}\n"))
    assert any("never about one case" in str(one) for one in made.warnings)
