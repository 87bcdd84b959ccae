"""What Stafett promises, by kind: unit, contracts, journeys, faults, browser. `python3 -m tests` runs it all.

A folder must not bear the name of one of our packages: `tests/channels` would shadow `channels`.
"""
