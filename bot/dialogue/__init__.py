"""The bot's part of the conversation: flows first, then articles, then honesty, then a human.

The last of the takers. It ties two pure machines, `bot.flows` (what admins wrote) and `bot.answers` (what articles say), to
the turn: their effects become messages, requests to connectors, timers, and events that other rooms hear.

`taker` who does what in a turn · `talk` one turn, and what every part of the bot has at hand · `commands` slash commands and
buttons · `signals` the rules that fetch people · `by_flow` flows and their effects · `by_articles` what articles say · `by_model`
the optional language model · `speaking` following a customer's language · `escalating` how people are fetched.

Its state per customer is one JSON value on the conversation: {"case", "flow", "kb", "rules", "survey", "words",
"language"}; a new case
begins afresh.
"""

from __future__ import annotations

from bot.dialogue.taker import Dialogue
from bot.dialogue.talk import CaseNoun, Cases

__all__ = ["CaseNoun", "Cases", "Dialogue"]
