"""Rendered scenes as data sets."""
