"""What customers said elsewhere: in a talk, on the phone, in a forum, by e-mail. It has a source, mostly no score.

    talks.py    an agent writes down a talk, with the score if one was asked for
    store.py    the queries

What has a score is a response like any other, with its `source` and `mode`; the rest is a row of `outside_feedback`.
"""
