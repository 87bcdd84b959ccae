"""What would have been said: stored conversations, played against a desk that has changed. Nothing is sent, nobody is asked.

`recording` the nouns · `store` how they are read · `rerun` one conversation on a stage, answered as it was then ·
`compare` where what is said differs · `report` how often, by topic.

Decisions
- A conversation is compared turn by turn with what was really said, and only up to the first turn that differs in more than
  its wording: what the customer would have written after that nobody knows. So places are counted, never outcomes.
- Connectors and models are not asked: they answer what they answered then. A request that nobody made then is a difference of
  its own kind, "not recorded".
- The stage is that of the desk's conversation tests (`bot.flows.play`), pure and without a database, so that a month of
  conversations takes seconds, and nothing can leave it.
- A turn that rests at the same step, or shows the same article, in other words, is *reworded*: the customer would have gone on
  as they did, and so does the replay.
- Replayed is what the bot said until people took over, or until the case was opened again; then what agents said is taken as
  they said it, the case ends as it ended, and the survey that would be asked is compared with the one that was.
"""

from __future__ import annotations

from bot.replay.compare import Finding
from bot.replay.replay import Wanted, replay
from bot.replay.report import Report

__all__ = ["Finding", "Report", "Wanted", "replay"]
