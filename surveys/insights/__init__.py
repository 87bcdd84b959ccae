"""What to mend, and whether mending it helped. The functions say what goes together with what, never what causes what.

Pure, formulas with their source in the docstring:
    spikes.py       weekly counts of a topic → an alarm, with few false ones           (overdispersed counts, Benjamini-Hochberg)
    topics.py       what a case is about: a tag, else its flow, else its likeness to others that nobody tagged
    drivers.py      what goes with the score                                           (Johnson's relative weights)
    risk.py         who may leave: signs of risk, called risk
    churn.py        the rate of leaving, where another system tells of it
    effect.py       before and after, against a comparison group                       (Newcombe, Welch, MOVER)
    interrupted.py  a break in a series of weeks                                       (segmented regression)
    payback.py      what an improvement returned, as an interval                       (bootstrap)
    doubts.py       what else may have changed the figure
    wishes.py       which wishes are alike · weeks.py  weeks and months

With the house:
    happened.py     cases, answers and questions of a span, in columns: from the facts that figures are made of
    store.py        the queries · judging.py  one improvement, with all that speaks for and against it
    records/        alarms, problems, wishes, improvements, labels: nouns, rows, verbs
    watch.py        looks for spikes every hour; hears what flows record and what other systems tell
    reports/        all of it as plain dicts: `GET /reports/issues` …, the console, the digest
    console/        the pages

Decisions. A topic's alarm is told once a week, and only drafts a notice: people send it. Records are written by people; the
house counts. Nothing here is read in a customer's turn but the one row that a flow records.
"""
