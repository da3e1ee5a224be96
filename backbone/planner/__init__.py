"""The planner's model: prompt layout, grammar, decoding."""
