"""Planners: the backbone, chat models, and the loop that sends a faulty plan back."""
