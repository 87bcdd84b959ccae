"""The pages, in the order of the menu."""

from __future__ import annotations

from pathlib import Path

from bot.console.page import Page, Wing
from bot.console.people import Role
from surveys.console import improvements, issues, labels, problems, scores, wishes
from surveys.console.team import MAY_CONDUCT, Team
from surveys.team.rounds import Pulse
from surveys.team.sheets import TeamSheets

HERE = Path(__file__).parent
MEND, TEAM = "console_group_mend", "console_group_team"


def wing(sheets: TeamSheets, pulses: Pulse) -> Wing:
    """What is to be mended, and the team."""
    team = Team(sheets, pulses)
    pages = (
        Page("/issues", issues.show, issues.decide, menu="mend_issues", group=MEND),
        Page("/issues/untagged", issues.untagged, issues.tag),
        Page("/problems", problems.listed, problems.begin, menu="mend_problems", group=MEND),
        Page("/problems/{id}", problems.show, problems.change),
        Page("/wishes", wishes.listed, wishes.begin, menu="mend_wishes", group=MEND),
        Page("/wishes/{id}", wishes.show, wishes.change),
        Page("/feedback", labels.show, labels.change, menu="mend_labels", group=MEND),
        Page("/feedback.csv", labels.export),
        Page("/improvements", improvements.listed, menu="mend_improvements", group=MEND),
        Page("/improvements/new", improvements.begun, improvements.save, role=Role.EDITOR),
        Page("/improvements/{id}", improvements.show, improvements.save),
        Page("/drivers", scores.drivers, menu="mend_drivers", group=MEND),
        Page("/leaving", scores.leaving, menu="mend_leaving", group=MEND),
        Page("/quality", team.quality, team.draw, role_to_do=MAY_CONDUCT, menu="team_quality", group=TEAM),
        Page("/quality/review", team.review, team.reviewed, role=Role.EDITOR),
        Page("/pulse", team.pulse, team.conduct, role_to_do=MAY_CONDUCT, menu="team_pulse", group=TEAM),
        Page("/pulse/answer", team.asked, team.answered, role_to_do=Role.VIEWER),
    )
    return Wing("mend", pages, HERE / "templates", HERE / "static")
