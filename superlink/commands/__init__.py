"""One file for each command: ``add`` declares its options and loads nothing, the function that it names does the work."""
