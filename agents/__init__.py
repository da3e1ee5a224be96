"""From words to results: request, plan, check, approval, run, answer."""
