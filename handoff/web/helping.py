"""What helps who writes an answer in the page: saved replies for this case, and a look at the words before they leave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from channels.text import one_line, visible
from handoff import macros, second_look, store
from handoff.case import AgentView, Case
from handoff.hints import store as hints
from handoff.hints.hint import Hints

MOST = 60  # saved replies at once


def saved(conn: store.Reader, desk: Any, case: Case, me: AgentView, query: str) -> list[dict[str, Any]]:
    """Saved replies with this case's values in them, the best first."""
    found = macros.of_case(conn, desk, case, me, query[:200])[:MOST]
    return [
        {
            "id": one.id,
            "title": one_line(one.title, 120),
            "locale": one.locale,
            "elsewhere": one.elsewhere,
            "text": visible(one.text),
            "missing": list(one.missing),
        }
        for one in found
    ]


def looked(conn: store.Reader, desk: Any, case: Case, words: str) -> dict[str, Any]:
    """What the page tells below the words while they are written: only the language; the rest waits until they are sent."""
    found = second_look.look(conn, desk, case, words)
    return {"customer": found.customer, "seems": found.seems}


def hints_of(conn: store.Reader, desk: Any, case: Case) -> Mapping[str, Any]:
    """What was found that may help, while the case lives."""
    found = hints.read(conn, case, desk) if case.live else Hints()
    return {
        "mood": found.mood,
        "history": [{"channel": one, "count": count, "at": _iso(at)} for one, count, at in found.history],
        "articles": [{"id": one.id, "title": one_line(one.title, 160), "locale": one.locale} for one in found.articles],
        "similar": [
            {
                "id": one.case_id,
                "number": one.number,
                "question": one_line(one.question, 400),
                "answer": visible(one.answer),
                "agent": one_line(one.agent, 80),
                "at": _iso(one.at),
            }
            for one in found.similar
        ],
        "summary": visible(found.summary) if found.summary else None,
    }


def _iso(at: Any) -> str:
    return str(at.isoformat().replace("+00:00", "Z"))
