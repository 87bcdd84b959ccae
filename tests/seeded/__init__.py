"""Bugs that are put in on purpose: `python3 -m tests.seeded` shows that the tests notice each of them."""
