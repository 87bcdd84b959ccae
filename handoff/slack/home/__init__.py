"""The App Home of the Slack app: what an agent sees of their own work, and what the slash command finds.

`view` draws it (pure), `store` reads what stands on it, `tab` publishes it: on opening, and for a while after that whenever a
case changes, but no oftener than every half a minute for each agent (views.publish is Tier 4, some hundred a minute).
Scores are one's own only, and of the last 30 days.
"""
