"""How much of a table that doesn't fit in memory is there at a time."""

#: Rows that are read, encoded or counted at a time.
CHUNK = 2**19
#: Rows of files, at least, that a task of joblib reads.
TASK = 2**21
#: Rows of the sample that statistics are chosen by, and distinct numbers up to which quantiles are exact.
SAMPLE = 2**20
#: Sums of keys by fold.
CELLS = 2**21
#: Bytes of rows that are shuffled in memory.
PILE = 2**26
