"""Errors, settings and logging, which everything else uses."""
