"""Quality and pulse as plain dicts, as `surveys/insights/reports` has its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from surveys.insights.reports.shape import Report, Setting, at_text, pair, tidy
from surveys.team import pulse, store
from surveys.team.kappa import Agreement
from surveys.team.quality import summed
from surveys.team.store import Reader


def quality(conn: Reader, _: Setting) -> Report:
    """Each sample with its score and how far its raters agree; no case and no agent is named."""
    items = []
    for one in store.samples(conn):
        drawn, reviews = store.drawn(conn, one.id), store.reviews(conn, one.id)
        came = summed(one.rubric, [case.case_id for case in drawn], reviews)
        items.append(
            {
                "id": one.id,
                "seed": one.seed,
                "since": at_text(one.since),
                "until": at_text(one.until),
                "cases": came.cases,
                "reviewed": came.reviewed,
                "by_two": came.by_two,
                "score": tidy(came.score),
                "interval": pair(came.interval),
                "criteria": {name: tidy(value) for name, value in came.by_criterion.items()},
                "agreement": {name: agreement(found) for name, found in came.agreement.items()},
                "agreement_together": agreement(came.together),
            }
        )
    return {"items": items}


def agreement(found: Agreement | None) -> Report | None:
    if found is None:
        return None
    return {
        "pairs": found.n,
        "agree": tidy(found.agree),
        "kappa": tidy(found.kappa),
        "interval": pair(found.interval),
    }


def pulses(conn: Reader, at: Setting) -> Report:
    """Rounds that are over, from five answers on; `results` null under five, and while people answer."""
    items = []
    for one in store.rounds(conn):
        found = pulse.results(one, at.now)
        items.append(
            {
                "month": one.id,
                "open": one.is_open(at.now),
                "given": one.given,
                "results": None
                if found is None
                else [
                    {
                        "question": each.text or each.question,
                        "n": each.n,
                        "mean": tidy(each.mean),
                        "interval": pair(each.interval),
                        "counts": list(each.counts),
                    }
                    for each in found
                ],
            }
        )
    return {"items": items}


TEAM_REPORTS: Mapping[str, Callable[[Reader, Setting], Report]] = {"quality": quality, "pulse": pulses}
