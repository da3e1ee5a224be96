"""Widgets of the five tabs and their event handlers, a file for each."""
