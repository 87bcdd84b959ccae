"""The raw rows that facts are made of: cases with what belongs to them, answers, decisions on asking, steps of flows."""
