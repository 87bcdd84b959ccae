"""What the page of figures shows, without the web: `surveys/console/figures.py` serves it, the weekly digest uses it too.

asked      the address of a page: which span, which filters, which score; and back
shown      figures as people read them: in words, in their language
board      what the page draws: tiles, lines, bars, the week's load, tables. Pure
store      the few reads besides figures: funnels of flows, and whether anything is new
"""
