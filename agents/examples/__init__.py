"""Examples for planners: plans that people approved, and which of them a planner sees."""
