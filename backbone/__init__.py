"""Who decides: the small model that turns words into a plan, its grammar, its data and its training."""
