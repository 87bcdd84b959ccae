"""What customers thought of it: one question after each case, and figures that don't promise more than they know.

    survey.py       the instruments, their wording, what counts as an answer          pure
    timing.py       whom to ask and when, or the reason why not                       pure
    statistics.py   95 % intervals                                                    pure
    figures/        every metric, in any group, with n and interval                   pure
    rollups/        what figures are made of, kept as cases change
    report.py       figures → report → table, JSON, CSV                               pure
    responses.py    answers as a CSV file                                             pure
    store.py        the queries
    invitations.py  the verbs: planned, asked, answered

A case's resolution is heard from `bot/events.py`; handoff is never imported. Figures are made of facts that can all be made again
from raw rows: a rule is mended without a migration.
"""
