"""What we tell customers unasked: notices of incidents, and campaigns.

`notice` what one is, and whether one customer is told: pure · `telling` drafting, approving, calling off, and the telling
itself, customer by customer · `consent` how customers agree to it and end it · `store` the rows.

A notice is drafted (by a person, a program, an alarm), approved by a person, and then told: once to each customer whom it is
meant for, never in quiet hours, never over a person who talks with them, at a pace. Everybody it was meant for has one row
that says what came of it.
"""
