"""Slack as the agents' workplace: a case is one card in the team's channel, its thread is the case.

| module | what |
| --- | --- |
| `desk` | the port: what changes in the house becomes rows of the outbox, in the same transaction |
| `verbs` | the table of what agents can do; what a row of it is: `verb` |
| `taking`, `answering`, `whose` | its verbs: who has a case · what is said, and the end · who the customer is |
| `card`, `transcript`, `more`, `undo`, `forms` | what agents see: pure, Block Kit out |
| `home/` | an agent's Home, and what the command finds |
| `posts` | what agents write, and whether it leaves the house: pure |
| `listen`, `presses`, `commands` | what agents write · press and submit · ask for; all commit before they acknowledge |
| `agents` | who counts as an agent, asked anew at each act |
| `outgoing`, `sender` | the rows that leave, and how each is sent |
| `sweep` | reads the live threads after an outage |
| `store`, `links`, `wording`, `blocks` | its own queries · where a case is read · the agents' language · the few blocks of all |

Theory. The worst accident of this kind of tool is internal talk that reaches a customer, so everything written in a
thread is a note unless all of this holds: the case is live and claimed, its holder wrote it, it has no note mark, it
mentions nobody, and the desk sends from threads at all (`posts.fate`, one pure function). What Slack delivers twice, or
late, or after its deletion, finds its `ref` already known (`{channel}:{ts}`), and changes nothing.

A verb is one thing everywhere: its button, its form, a message's menu and a reaction come to the same row of the table, which
checks anew who acts and how the case stands, and refuses in one line. To add one, write a row.

Decisions. Cards are drawn when the case changes and sent later, in the case's lane; an older card that has not left is
dropped for the newer one. Which messages stand in the thread is kept per message, not by `seq`: a merge gives messages
new numbers. Slack is never read back for state; what it tells is stored when it arrives. A root that somebody deleted
is replaced at the next post, and what is written under the old one still finds its case.
"""
