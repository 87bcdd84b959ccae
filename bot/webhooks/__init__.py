"""What happens is told to other systems: messages, cases, answers, as desk.yaml's `webhooks:` asks for.

    hooks.py    what each event looks like outside       pure
    store.py    the rows that it is made of
    telling.py  what is heard, and put into the outbox

Each is a row of the outbox, written in the transaction of what it tells, one for each webhook that wants it: so it is told
if and only if it happened, and a turn costs one row more and no network. `channels/webhooks.py` sends them in lanes of their
own, a few a webhook and bulk: a receiver that is slow or down holds up nobody's messages. The events of one customer go in
order while nothing fails. A case that changes twice in one transaction is told once, as it then is.
"""
