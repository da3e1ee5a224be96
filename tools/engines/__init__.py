"""Models that do the tools' work, one library to a file; each is imported when it is first used."""
