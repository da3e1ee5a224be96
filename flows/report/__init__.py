"""The report: a page about a run, for people."""
