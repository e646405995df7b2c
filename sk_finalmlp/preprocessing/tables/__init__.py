"""Tables of any container, read column by column as Arrow arrays of a few canonical types."""
