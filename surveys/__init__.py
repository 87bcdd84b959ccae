"""What customers thought of it: one question after each case, and figures that don't promise more than they know.

    survey.py       the instruments, their wording, what counts as an answer          pure
    timing.py       whom to ask and when, or the reason why not                       pure
    statistics.py   95 % intervals                                                    pure
    figures/        every metric, in any group, with n and interval                   pure
    rollups/        what figures are made of, kept as cases change
    report.py       figures → report → table, JSON, CSV                               pure
    responses.py    answers as a CSV file                                             pure
    campaign.py     when NPS is asked, and of whom                                    pure
    store.py        the queries
    invitations.py  the question after a case: planned, asked, settled
    answers.py      which turn is an answer, and what is kept of it
    closing.py      what follows a score: alerts, "may a colleague contact you?", the link for who is happy
    relationship.py campaigns as they run
    outside/        what customers said elsewhere

A case's resolution is heard from `bot/events.py`; handoff is never imported. Figures are made of facts that can all be made again
from raw rows: a rule is mended without a migration.
"""
