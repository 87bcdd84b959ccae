"""Figures: what is measured, in which group, how sure, and what is too few to show.

    shape       the one shape of every answer: Question in, Figures out; Series for what is drawn over time
    catalogue   every metric there is: what it counts, in which unit, which way is better
    columns     cases, answers and decisions on asking as columns of numbers; filters and groups
    derived     what a case counts for each rate, by its kind
    ranks       medians and percentiles of every group, without putting all in order
    reduce      columns of numbers to one figure per group
    answer      a question answered: the only door for reports, pages, the API, the terminal

All of it is pure: numbers in, numbers out. Rows come from `surveys/rollups`; how figures are drawn is `surveys/report`'s or
the pages' own. numpy is imported when the first question is answered.

A score is not shown under five answers, so that nobody's single answer can be read from a report; every figure is grey under
thirty. Two instruments are never pooled, not even the two CES, and perception (NPS) and interaction (CES, CSAT) never make one
index. Times subtract nothing; what the case waited for its customer stands apart.
"""
