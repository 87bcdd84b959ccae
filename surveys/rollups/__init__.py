"""What figures are made of: small facts, kept as cases change, so that a report over a million cases reads days, not rows.

    facts     what one case, one answer, one decision on asking adds to the figures: pure
    blocks    the facts of a day or a month, in columns of numbers
    shelf     blocks that were read before, in memory
    raw       raw rows to facts
    store     marks, facts and blocks read and written
    keeping   the worker that keeps them, and what a report reads

**How it is kept.** Whoever changes a case, an answer or an invitation leaves a mark in the same transaction
(`bot/storage/marks.py`). The worker makes the fact of each marked one anew from the raw rows, and in one transaction writes the
fact, takes the marks it worked from, and drops the block of the day (old and new) that the fact lies in. A fact is replaced,
never added to: a crash, a replay or a second node cannot count anything twice, and a late change (a reopening, an edited score)
corrects the day that it belongs to. Days that are over are packed into blocks when they have come to rest, and the days of a
month that is over into one block more. A report reads the months' blocks, those of the other days, the facts of days without
one, and makes the facts of what is still marked by itself: it is never behind. Only after an upgrade of an old house, or a large
import, it leaves thousands to the worker, and says how many are still to come.

**Why columns and not sums** (decided 2026-11). Sums per day and dimension answer one dimension at a time: channel *and* team
*and* topic would need a table for each combination, nearly as many rows as there are cases. Medians and 90th percentiles do not
add up at all without a sketch and its error. A day's cases in columns are some 100 bytes a case, are read at memory speed, give
exact quantiles, and answer every combination and filter by the same few lines. The price: single precision (1 s in 190 days).

**What makes a million cases quick** (2026-11: 0.35 s of one core for all figures by any dimension). A case's counts are one
number, its kind, so one pass counts all rates; values at ranks are found without putting all in order (`figures/ranks.py`); and
a block that was read once is not read again (`shelf.py`): from PostgreSQL 100 MB take longer than all the counting.

Business time is counted in the opening hours that are in force when a fact is made.
"""
