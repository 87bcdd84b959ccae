"""The pages of figures in the console, as a wing of it.

    asked      the address of a page: which span, which filters, which score; and back
    shown      figures as people read them: in words, in their language
    board      what the page draws: tiles, lines, bars, the week's load, tables. Pure
    store      the few reads besides figures: funnels of flows, and whether anything is new
    dashboard  the pages themselves

Charts are drawn by Chart.js 4.6.1 (MIT), a file of ours in `static/`; beside each stands its table.
"""
