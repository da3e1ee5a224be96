"""Sessions: the state machine from a request to its answer."""
