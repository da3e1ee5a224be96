"""Checks whether a picture follows a specification."""
