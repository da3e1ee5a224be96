"""What the page shows of the results of a turn, and what can be downloaded, without widgets."""
