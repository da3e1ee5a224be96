"""Training of the planner and of the specialists."""
