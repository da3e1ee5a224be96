"""Planning a request, checking the plan, having it approved, running it, and answering."""
