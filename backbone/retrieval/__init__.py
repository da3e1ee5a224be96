"""The retriever: picks, out of any number of tools, those whose cards the planner reads."""
