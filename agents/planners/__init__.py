"""Planners: the backbone, chat models, and the repair loop."""
