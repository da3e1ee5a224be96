"""The review queue as the page shows it, without widgets."""
