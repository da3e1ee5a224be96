"""Names of the files that a run writes into its folder."""

LEDGER = "ledger.sqlite"
FAILURES = "failures.txt"
CONTACT_SHEET = "pilot.png"
PROVENANCE = "provenance.json"
"""In the folder of each export."""
NESTED_PROVENANCE = f"superlink/{PROVENANCE}"
"""In the folder of exports whose readers take every .json file in it for annotations."""
RESULTS = (f"*/{PROVENANCE}", f"*/{NESTED_PROVENANCE}", FAILURES, CONTACT_SHEET)
"""Patterns of the files that show that a run was in a folder."""
