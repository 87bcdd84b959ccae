"""What customers thought of it: one question after each case, and figures that don't promise more than they know.

    survey.py       the instruments, their wording, what counts as an answer          pure
    timing.py       whom to ask and when, or the reason why not                       pure
    statistics.py   95 % intervals                                                    pure
    scoring.py      rows → figures                                                    pure
    report.py       figures → report → table, JSON, CSV                               pure
    responses.py    answers as a CSV file                                             pure
    store.py        the queries
    invitations.py  the verbs: planned, asked, answered

A case's resolution is heard from `bot/events.py`; handoff is never imported. The price of recomputing every figure
from raw rows is a read of the whole span for each report; the gain is that a rule can be mended without a migration.
"""
