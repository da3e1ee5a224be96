"""The ledger: every item and step of a run in one SQLite file."""
