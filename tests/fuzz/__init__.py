"""A standing hunt for wrong numbers: generated tables, and properties that hold for each of them.

Table `number` of seed `seed` is drawn from these two numbers alone, so that a finding is reproduced by them.
"""
