"""What helps with a case before anybody asks: articles that may answer it, solved cases like it, its mood, a model's summary.

| module | what |
| --- | --- |
| `hint` | the nouns, and how they are said: `lines`, for a card · pure |
| `mood` | how the customer sounds · pure |
| `similar` | solved cases by their first question: the search of `bot.answers` over them |
| `summary` | what a language model is asked, and whether its answer may be shown · pure |
| `finder` | looks for all of it beside the case, after the commit that brought it to people |
| `store` | its own queries |

Theory. Nothing here is needed to go on: it is looked for in a thread, after the transaction, and the card is drawn again when
it is there. A process that dies before has lost a hint, no more; the next change of the case looks again.

Decisions. Only ids of solved cases are kept, and their words read where they are shown: who is erased leaves nothing on
another's card. The index of solved cases is of one language, of the last MOST cases that an agent solved, in memory; it is
built anew when there are others (a large one at most every REBUILD seconds), or at once when a customer is erased. The model
is asked only where desk.yaml says `model: {summaries: true}`, within the same account as flows, cites what it read, and is
checked as `bot.answers.grounded` checks every answer; what it writes is shown as what it is.
"""
