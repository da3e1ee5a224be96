"""Turns of sessions without widgets: requests, decisions, progress, results."""
