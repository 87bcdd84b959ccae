"""What figures are made of: small facts, kept as cases change, so that a report over a million cases reads days, not rows.

    facts     what one case, one answer, one decision on asking adds to the figures: pure
    blocks    the facts of a day, in columns of numbers
    raw       raw rows to facts
    store     marks, facts and blocks read and written
    keeping   the worker that keeps them, and what a report reads

**How it is kept.** Whoever changes a case, an answer or an invitation leaves a mark in the same transaction
(`bot/storage/marks.py`). The worker makes the fact of each marked one anew from the raw rows, and in one transaction writes the
fact, takes the marks it worked from, and drops the block of the day (old and new) that the fact lies in. A fact is replaced,
never added to: a crash, a replay or a second node cannot count anything twice, and a late change (a reopening, an edited score)
corrects the day that it belongs to. Days that are over are packed into blocks when they have come to rest. A report reads the
blocks, the facts of days without one, and makes the facts of what is still marked by itself: it is never behind. Only after an
upgrade of an old house, or a large import, it leaves thousands to the worker, and says how many are still to come.

**Why columns and not sums** (decided 2026-11). Sums per day and dimension answer one dimension at a time: channel *and* team
*and* topic would need a table for each combination, nearly as many rows as there are cases. Medians and 90th percentiles do not
add up at all without a sketch and its error. A day's cases in columns are some 100 bytes a case, are read at memory speed, give
exact quantiles, and answer every combination and filter by the same few lines. The price: single precision (1 s in 190 days).

Business time is counted in the opening hours that are in force when a fact is made.
"""
