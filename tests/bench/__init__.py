"""The measurements behind the README's figures: `stafett bench`, from a checkout.

Each scenario compares things that it measures in the same run, alternating, so that a slow or busy machine slows both: what
is printed is a ratio, the bound that the project holds itself to, and whether it holds. Nothing here is asserted by the test
suite, which only looks that the scenarios run (tests/unit/test_bench.py).

table.py      a row of the result, and how it is printed
telegram.py   a lean Bot API server and the customers who write, on one raw asyncio loop
bots.py       the processes under test: Stafett as `stafett serve` runs it, a bare aiogram echo bot, and one that commits
child.py      starts such a process and asks it what it has used
pipeline.py   (a) (b) (c)    nodes.py (d)    history.py (e)    widget.py (f)    burst.py (g)    backlog.py (h)
"""
