"""Fields made of other fields: crosses, and target and count statistics of single and crossed keys."""
