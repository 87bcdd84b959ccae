"""When people are there, and who of them takes a case: pure rules over what desk.yaml says.

Two play by them: the house (`handoff`, over its database) and the stage of a desk's conversation tests (`bot.flows`), which
must not know that room. So the rules stand here, once, and `now` is always an argument.
"""
