"""What people write down about what is to be mended, and whom they told.

    nouns.py   alarms, problems, wishes, improvements, labels · store.py  the rows
    alarms.py  a spike becomes an alarm and a drafted notice · problems.py  from its finding to its proof
    wishing.py  one wish, its votes · improving.py  what was changed, judged by a metric chosen before · labelling.py
    words.py   what people typed, checked · telling.py  the notice to those who wait

Each verb is a function of a transaction and says in the audit who did what. Customers are told by notices
(`bot/outreach`): once each, never in quiet hours, never those who asked to be left alone, never over an agent's head.
"""
