"""The console's pages of what is to be mended and of the team: a wing, which `bot/app.py` puts into the console.

    issues.py        topics by week and their alarms; cases that nobody tagged
    problems.py · wishes.py · improvements.py     records that a person keeps
    labels.py        complaints, suggestions, praise; as CSV, too
    scores.py        what goes with the score · who may leave
    team.py          scorecards and the pulse
    figures.py       the page of figures, a wing of its own
    wing.py          all the others · seen.py  what they share · templates/ · static/

Viewers see everything but who said what in the pulse, editors keep records, publishers press what customers hear of.
"""
