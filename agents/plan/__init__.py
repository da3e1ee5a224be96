"""Plans: the plan itself, its meaning, value types, wiring, checks, problems and warnings."""
