"""Plans: the plan itself, its types, wiring, checks, problems and warnings."""
