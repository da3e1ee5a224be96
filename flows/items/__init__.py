"""Items of a source: which files there are, and their names."""
