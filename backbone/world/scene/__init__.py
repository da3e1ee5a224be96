"""Scenes as plain data, composed from seeds."""
