"""What colleagues are asked for a case: a question to another team (a consult), a task with an owner and a due time.

| module | what |
| --- | --- |
| `errand` | the nouns |
| `verbs` | asking, answering, talking beside the case, taking back |
| `watch` | reminders, and what the end of a case does to what was asked for it |
| `store` | its own queries |

Theory. Everything that is said here is a *note* of the case (`messages.seq` None, with the errand's id in its meta): what no
customer's channel, no program and no widget ever gets, by the rule that holds for every note. There is no second store of
words that would need a second rule. An errand's row holds only who was asked what, until when, and how it ended; where a
desk shows it elsewhere (Slack: a thread in that team's channel) is in the row too.

Decisions. An answer makes it the agent's turn again, also while the case waits for its customer, who hears nothing of it. A
case that only waits for colleagues neither nudges its customer nor gives them up. When a case ends, what is still open for it
is withdrawn: nobody is reminded for a case that is over.
"""
