"""One file for each command: ``add`` declares its options without further imports; another function runs it."""
