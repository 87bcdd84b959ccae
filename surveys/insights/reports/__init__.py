"""What is to be mended, as plain dicts: for `GET /reports/{name}`, the dashboard and the digest. The pages show the same.

Each function reads what it needs and gives JSON: times ISO 8601 UTC, days "2026-03-09", shares 0…1, intervals as pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from surveys.insights.reports.effects import improvements
from surveys.insights.reports.issues import issues, unlabelled
from surveys.insights.reports.leaving import churn_report
from surveys.insights.reports.mending import labels, problems, wishes
from surveys.insights.reports.scores import key_drivers
from surveys.insights.reports.shape import Report, Setting
from surveys.insights.store import Reader

__all__ = [
    "REPORTS",
    "Report",
    "Setting",
    "churn_report",
    "improvements",
    "issues",
    "key_drivers",
    "labels",
    "problems",
]

REPORTS: Mapping[str, Callable[[Reader, Setting], Report]] = {
    "issues": issues,
    "unlabelled": unlabelled,
    "problems": problems,
    "wishes": wishes,
    "labels": labels,
    "drivers": key_drivers,
    "churn": churn_report,
    "improvements": improvements,
}
"""By the name under which the API gives it."""
