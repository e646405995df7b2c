"""One raw column as one field: its kind, its vocabulary, and the codes or floats it becomes."""
