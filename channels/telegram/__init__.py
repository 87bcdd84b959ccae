"""Telegram: private chats with one bot, by long polling or webhook, through aiogram 3.

inbound.py    pure: an update as Telegram sends it → `Inbound`, None (not for us) or `Malformed`
outbound.py   pure: a message → the sends that it takes, keyboards, edits, deletions
intake.py     one update at a time: read, commit, then the courtesies (the button's answer, its keyboard)
polling.py    getUpdates: a batch is committed before it is confirmed
webhook.py    POST /telegram/webhook: the secret, then the commit, then 200
calls.py      the only module that imports aiogram: the calls that we make, and its errors as ours
sender.py     the outbox's rows as calls; files fetched; what is to be done when nobody knows whether it arrived
proof.py      pure: which update shows that it did
store.py      queries
channel.py    the `Channel` that app.py is given: starts at once, imports aiogram and asks Telegram in the background

Why not aiogram's dispatcher: its webhook answers before a handler has run, its polling confirms what it has not handled
yet, and one update that it can't read blocks all others (aiogram#1840). Here an update is acknowledged once it is
committed, and read by itself. Telegram has no key against doubles and no way to read back (telegram-bot-api#482): a send
whose outcome is unknown is repeated once, and marked; a button of it that is pressed, or an answer that quotes it, proves
that it had arrived.
"""
