"""The week in one post: what customers said, what took long, what they came with; with a picture of the score.

week      which week, when it is told, by desk.yaml's `digest:`. Pure
words     the post's lines, made of figures. Pure
picture   the score over the last weeks, as a PNG
teller    the worker: once a week, by whichever node is first
"""
