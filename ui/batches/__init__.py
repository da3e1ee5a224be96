"""Runs over folders as the page shows them, without widgets."""
