"""How the team is doing: cases looked at by two colleagues, and what agents themselves say.

    rubric.py   what a good conversation is, as criteria from desk.yaml             pure
    kappa.py    how far two raters agree                                            pure
    quality.py  which cases are looked at, by seed; scorecards                      pure
    pulse.py    the month's questions to the agents; results only from five on      pure
    sheets.py   both as a sheet that any desk can draw: Slack's form, the console's page
    store.py    the queries · rounds.py   the verbs: draw, review, open, answer, close

Decisions. Nobody rates their own case. The pulse keeps sums, never an answer: who answered is kept as a keyed hash in the order
of its digits, comments in the order of the alphabet, so that neither tells who said what or when. Its results are shown when the
round is over, and only from FIVE answers on: a figure that moves while people answer tells what the last one said.
"""
