"""Lever-LM: chooses and orders the examples that the planner sees, and makes the data that it is trained on."""
