"""Files, folders, values and databases on disk."""
